/** Every notifier that there is. */
import { email } from './email.ts'
import { opsgenie } from './opsgenie.ts'
import { pagerDuty } from './pagerduty.ts'
import { slack } from './slack.ts'
import { smsNotifier } from './sms.ts'
import { teams } from './teams.ts'
import { webhookNotifier } from './webhook.ts'

export const notifierExtensions = [
  email,
  webhookNotifier,
  slack,
  teams,
  pagerDuty,
  opsgenie,
  smsNotifier,
] as const

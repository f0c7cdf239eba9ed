/** Notifiers as the configuration asks for them. */
import { Refusal } from './base/errors.ts'
import type { ExtensionHost } from './base/extension.ts'
import type { Config } from './config.ts'
import type { NotifierConfig } from './config/alerts.ts'
import type { Notifier } from './engine/ports.ts'
import { createEmail } from './notifiers/email.ts'
import { createOpsgenie, opsgenieUrl } from './notifiers/opsgenie.ts'
import { createPagerDuty, pagerDutyUrl } from './notifiers/pagerduty.ts'
import { slack } from './notifiers/slack.ts'
import { createSmsNotifier } from './notifiers/sms.ts'
import { teams } from './notifiers/teams.ts'
import { createWebhookNotifier } from './notifiers/webhook.ts'
import { createSmsGateway } from './trigger-channels.ts'

export interface NotifierParts extends Pick<ExtensionHost, 'clock' | 'random' | 'log'> {
  readonly config: Config
}

/** Opens no connection: that is left to the first message. @throws Refusal `configuration-invalid` */
export async function createNotifiers(parts: NotifierParts): Promise<Map<string, Notifier>> {
  const { config, ...rest } = parts
  const host: ExtensionHost = { ...rest, fetch, secret: async (name) => secretOf(config, name) }
  const notifiers = new Map<string, Notifier>()
  for (const [name, entry] of config.notifiers)
    notifiers.set(name, await createNotifier(parts, `notifiers.${name}`, entry, host))
  return notifiers
}

async function createNotifier(
  parts: NotifierParts,
  name: string,
  entry: NotifierConfig,
  host: ExtensionHost,
): Promise<Notifier> {
  const { kind, to, from, url, user, timeoutMs, allow, insecureHttp } = entry
  const http = { name, timeoutMs, allow, insecureHttp }
  switch (kind) {
    case 'email':
      return await createEmail(
        { name, from, to, user: user === '' ? null : user, timeoutMs, insecureHttp },
        host,
      )
    case 'webhook':
      return await createWebhookNotifier(http, host)
    case 'slack':
      return await slack.create(http, host)
    case 'teams':
      return await teams.create(http, host)
    case 'pagerduty':
      return await createPagerDuty({ ...http, baseUrl: url ?? pagerDutyUrl }, host)
    case 'opsgenie':
      return await createOpsgenie({ ...http, baseUrl: url ?? opsgenieUrl, teams: to }, host)
    case 'sms': {
      const gateway = await createSmsGateway(parts)
      if (!gateway)
        throw new Refusal(
          'configuration-invalid',
          `${name}: triggers.sms.provider is none: set up a provider first`,
        )
      const notifier = await createSmsNotifier({ name, to }, { ...host, sms: gateway })
      return { ...notifier, close: async () => await gateway.close() }
    }
    default:
      return kind satisfies never
  }
}

/** `notifiers.NAME.url`, `notifiers.NAME.secret`. */
function secretOf({ notifiers }: Config, key: string): string {
  const [, name = '', part] = key.split('.')
  const entry = notifiers.get(name)
  const value = part === 'url' ? entry?.url : part === 'secret' ? entry?.secret : null
  if (value === undefined || value === null) throw new Refusal('configuration-invalid', `${key} is not set`)
  return value
}

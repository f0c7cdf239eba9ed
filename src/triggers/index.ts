/**
 * Every trigger channel that is made from its options alone. `mqtt`, `twin` and `ota` without a URL need the link to a
 * broker, which is made when the process serves (src/serve).
 */
import { field } from './field.ts'
import { ota } from './ota.ts'
import { sms } from './sms.ts'
import { webhook } from './webhook.ts'

export const triggerExtensions = [webhook, sms, ota, field] as const

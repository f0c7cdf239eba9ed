/** Rules of the `triggers` section over more than one key. */
import type { Settings } from '../config.ts'
import { secureUrlProblem } from '../base/secure-url.ts'
import type { Rule } from './rules.ts'

export const triggerRules: readonly Rule[] = [
  {
    keys: ['triggers.webhook.url', 'triggers.webhook.secret'],
    check: ({ triggers: { webhook } }) => {
      if ((webhook.url === null) === (webhook.secret === null)) return null
      return webhook.url === null
        ? 'triggers.webhook.secret has no effect without triggers.webhook.url; set it, or remove the secret'
        : 'triggers.webhook.url needs triggers.webhook.secret: the receiver could not tell our messages from forged ones'
    },
  },
  {
    keys: ['triggers.sms.provider'],
    check: ({ triggers: { sms } }) => {
      const needed = {
        none: [],
        twilio: ['accountSid', 'authToken'],
        smpp: ['host', 'password'],
        kannel: ['url', 'password'],
      } as const
      if (sms.provider === 'none') return null
      const given: Readonly<Record<string, unknown>> = sms[sms.provider]
      const lacking = needed[sms.provider].find((key) => given[key] === null)
      return lacking === undefined
        ? null
        : `triggers.sms.provider: ${sms.provider} needs triggers.sms.${sms.provider}.${lacking}`
    },
  },
  {
    keys: ['triggers.ota.authorization', 'triggers.ota.url'],
    check: ({ triggers: { ota } }) =>
      ota.authorization !== null && ota.url === null
        ? 'triggers.ota.authorization has no effect without triggers.ota.url; set it, or remove the header'
        : null,
  },
  {
    keys: ['triggers.ota.url'],
    check: ({ triggers: { ota } }) =>
      ota.url === null || ota.url.includes('{device}')
        ? null
        : 'triggers.ota.url has no {device}: every device would get the same address',
  },
  secureUrl('triggers.webhook', ({ triggers: { webhook } }) => [webhook.url, webhook.insecureHttp]),
  secureUrl('triggers.ota', ({ triggers: { ota } }) => [ota.url, ota.insecureHttp]),
  secureUrl('triggers.sms.kannel', ({ triggers: { sms } }) => [
    sms.provider === 'kannel' ? sms.kannel.url : null,
    sms.insecureHttp,
  ]),
  secureUrl('triggers.sms.twilio', ({ triggers: { sms } }) => [
    sms.provider === 'twilio' ? sms.twilio.baseUrl : null,
    sms.insecureHttp,
  ]),
]

function secureUrl(
  owner: string,
  read: (settings: Settings) => readonly [url: string | null, isInsecureAllowed: boolean],
): Rule {
  const key = owner.endsWith('twilio') ? `${owner}.baseUrl` : `${owner}.url`
  const [parent = ''] = /^triggers\.[a-z]+/.exec(owner) ?? []
  return {
    keys: [key],
    check: (settings) => {
      const [url, isInsecureAllowed] = read(settings)
      const problem =
        url === null ? null : secureUrlProblem(url.replaceAll('{device}', 'device'), isInsecureAllowed)
      return problem === null
        ? null
        : `${key}: ${problem}, or set ${parent}.insecureHttp: true if a wall guards it`
    },
  }
}

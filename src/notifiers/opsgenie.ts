/** The alert API of Opsgenie (https://docs.opsgenie.com/docs/alert-api), and of what speaks it (Jira Service Management, ilert). */
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { NotifiedAlert, Notifier, NotifierMessage } from '../engine/ports.ts'
import { cut, linesOf } from './message-text.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface OpsgenieOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.secret` is its API key. */
  readonly name: string
  readonly baseUrl: string
  /** Teams that are to respond; empty: as the integration routes. */
  readonly teams: readonly string[]
}

export const opsgenie: Extension<OpsgenieOptions, Notifier> = {
  kind: 'opsgenie',
  optionSchema: {
    type: 'object',
    required: ['name', 'baseUrl', 'teams', 'timeoutMs', 'allow', 'insecureHttp'],
  },
  create: createOpsgenie,
}

export const opsgenieUrl = 'https://api.opsgenie.com'

const priorities = { notice: 'P4', warning: 'P3', critical: 'P1' } as const

/** @throws Refusal `configuration-invalid` */
export async function createOpsgenie(options: OpsgenieOptions, host: ExtensionHost): Promise<Notifier> {
  const { name, baseUrl, teams } = options
  checkUrl(name, baseUrl, options)
  const headers = { authorization: `GenieKey ${await host.secret(`${name}.secret`)}` }
  const receiver = openReceiver(name, options, host)
  const root = `${baseUrl.replace(/\/+$/, '')}/v2/alerts`
  return {
    kind: 'opsgenie',
    isPerAlert: true,
    async notify(message, signal) {
      const { source, event } = message
      let reference: string | null = null
      for (const alert of message.alerts) {
        const alias = cut(`${source}/alert/${alert.id}`, 512)
        const one = `${root}/${encodeURIComponent(alias)}`
        const post = async (url: string, body: object) =>
          await receiver.post({ url, headers, body: JSON.stringify(body) }, signal)
        if (event === 'acknowledged')
          await post(`${one}/acknowledge?identifierType=alias`, { source: 'Perennial' })
        else if (event !== 'resolved') await post(root, created(message, alert, alias, teams))
        // a test leaves nothing open
        if (event === 'resolved' || event === 'test')
          await post(`${one}/close?identifierType=alias`, { source: 'Perennial' })
        reference = alias
      }
      return { reference }
    },
    close: async () => {},
  }
}

function created(
  { source }: NotifierMessage,
  alert: NotifiedAlert,
  alias: string,
  teams: readonly string[],
): object {
  return {
    message: cut(alert.summary, 130),
    alias,
    description: cut(linesOf(alert).join('\n'), 15_000),
    responders: teams.map((name) => ({ name, type: 'team' })),
    tags: [alert.rule, alert.severity],
    details: { key: alert.key, count: String(alert.count) },
    entity: alert.key,
    source,
    priority: priorities[alert.severity],
  }
}

/** PagerDuty Events API v2 (https://developer.pagerduty.com/docs/events-api-v2): an incident for each alert. */
import { iso } from '../base/clock.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { NotifiedAlert, Notifier, NotifierMessage } from '../engine/ports.ts'
import { cut } from './message-text.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface PagerDutyOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.secret` is its routing key. */
  readonly name: string
  /** `https://events.pagerduty.com`, or that of the European service region. */
  readonly baseUrl: string
}

export const pagerDuty: Extension<PagerDutyOptions, Notifier> = {
  kind: 'pagerduty',
  optionSchema: { type: 'object', required: ['name', 'baseUrl', 'timeoutMs', 'allow', 'insecureHttp'] },
  create: createPagerDuty,
}

export const pagerDutyUrl = 'https://events.pagerduty.com'

const severities = { notice: 'info', warning: 'warning', critical: 'critical' } as const
const actions: Readonly<
  Record<NotifierMessage['event'], readonly ('trigger' | 'acknowledge' | 'resolve')[]>
> = {
  opened: ['trigger'],
  raised: ['trigger'],
  escalated: ['trigger'],
  acknowledged: ['acknowledge'],
  resolved: ['resolve'],
  // a test leaves nothing open
  test: ['trigger', 'resolve'],
}

/** @throws Refusal `configuration-invalid` */
export async function createPagerDuty(options: PagerDutyOptions, host: ExtensionHost): Promise<Notifier> {
  const { name, baseUrl } = options
  checkUrl(name, baseUrl, options)
  const routingKey = await host.secret(`${name}.secret`)
  const receiver = openReceiver(name, options, host)
  const url = `${baseUrl.replace(/\/+$/, '')}/v2/enqueue`
  return {
    kind: 'pagerduty',
    isPerAlert: true,
    async notify(message, signal) {
      let reference: string | null = null
      for (const alert of message.alerts) {
        for (const action of actions[message.event]) {
          const event = eventOf(message, alert, action)
          const body = JSON.stringify({ routing_key: routingKey, ...event })
          await receiver.post({ url, body }, signal)
          reference = event.dedup_key
        }
      }
      return { reference }
    },
    close: async () => {},
  }
}

/** The key makes repeats of one alert one incident, and ties its acknowledgement and its end to it. */
export function dedupKey(source: string, alert: NotifiedAlert): string {
  return cut(`${source}/alert/${alert.id}`, 255)
}

function eventOf({ source, at }: NotifierMessage, alert: NotifiedAlert, action: string) {
  const key = { event_action: action, dedup_key: dedupKey(source, alert) }
  if (action !== 'trigger') return key
  return {
    ...key,
    client: 'Perennial',
    payload: {
      summary: cut(alert.summary, 1_024),
      source,
      severity: severities[alert.severity],
      timestamp: iso(at),
      component: alert.key,
      class: alert.rule,
      custom_details: { count: alert.count, openedAt: iso(alert.openedAt), ...alert.details },
    },
    links: alert.runbookUrl === null ? [] : [{ href: alert.runbookUrl, text: 'What to do' }],
  }
}

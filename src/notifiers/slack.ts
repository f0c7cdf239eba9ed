/** Slack incoming webhooks (https://api.slack.com/messaging/webhooks); the address is a secret. Mattermost takes them too. */
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { NotifiedAlert, Notifier } from '../engine/ports.ts'
import { cut, linesOf, titleOf } from './message-text.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface SlackOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.url` is its secret. */
  readonly name: string
}

export const slack: Extension<SlackOptions, Notifier> = {
  kind: 'slack',
  optionSchema: { type: 'object', required: ['name', 'timeoutMs', 'allow', 'insecureHttp'] },
  create: createSlack,
}

/** A message has at most 50 blocks, and a section 3,000 characters. */
const mostBlocks = 40
const mostText = 2_900

/** @throws Refusal `configuration-invalid` */
export async function createSlack(options: SlackOptions, host: ExtensionHost): Promise<Notifier> {
  const { name } = options
  const url = await host.secret(`${name}.url`)
  checkUrl(name, url, options)
  const receiver = openReceiver(name, options, host)
  return {
    kind: 'slack',
    isPerAlert: false,
    async notify(message, signal) {
      const shown = message.alerts.slice(0, mostBlocks)
      const more = message.alerts.length - shown.length
      const blocks = [
        ...shown.map((alert) => section(textOf(alert))),
        ...(more === 0 ? [] : [section(`and ${more} more: perennial alert list`)]),
      ]
      const body = JSON.stringify({ text: escapeSlack(cut(titleOf(message), mostText)), blocks })
      await receiver.post({ url, body }, signal)
      return { reference: null }
    },
    close: async () => {},
  }
}

function section(text: string) {
  return { type: 'section', text: { type: 'mrkdwn', text: cut(text, mostText) } }
}

function textOf(alert: NotifiedAlert): string {
  const [summary = '', ...rest] = linesOf(alert).map(escapeSlack)
  return [`*${summary}*`, ...rest].join('\n')
}

/** https://api.slack.com/reference/surfaces/formatting#escaping: so no name of a device mentions a channel or hides a link. */
export function escapeSlack(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[*_~`]/g, (sign) => `${sign}\u200b`)
}

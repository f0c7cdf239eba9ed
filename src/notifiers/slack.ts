/** Slack incoming webhooks (https://api.slack.com/messaging/webhooks); the address is a secret. Mattermost takes them too. */
import type { NotifiedAlert } from '../engine/ports.ts'
import { chatExtension } from './chat.ts'
import { cut, linesOf, titleOf } from './message-text.ts'

/** Characters of a section, of which a message has at most 50. */
const mostText = 2_900

export const slack = chatExtension({
  kind: 'slack',
  mostAlerts: 40,
  render: (message, shown, more) => ({
    text: escapeSlack(cut(titleOf(message), mostText)),
    blocks: [...shown.map((alert) => section(textOf(alert))), ...(more === null ? [] : [section(more)])],
  }),
})

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

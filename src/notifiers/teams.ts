/** Microsoft Teams: an Adaptive Card to a "when a webhook request is received" workflow, whose address is a secret. */
import { iso } from '../base/clock.ts'
import type { NotifiedAlert, NotifierMessage } from '../engine/ports.ts'
import { chatExtension } from './chat.ts'
import { cut, titleOf } from './message-text.ts'

export const teams = chatExtension({
  kind: 'teams',
  // a message may have 28 kB
  mostAlerts: 20,
  render: (message, shown, more) => ({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: cardOf(message, shown, more),
      },
    ],
  }),
})

function cardOf(message: NotifierMessage, shown: readonly NotifiedAlert[], more: string | null) {
  return {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      textBlock(cut(titleOf(message), 500), { weight: 'Bolder', size: 'Medium' }),
      ...shown.flatMap(alertBlocks),
      ...(more === null ? [] : [textBlock(more)]),
    ],
    actions: shown.flatMap(({ runbookUrl, rule }) =>
      runbookUrl === null ? [] : [{ type: 'Action.OpenUrl', title: `What to do: ${rule}`, url: runbookUrl }],
    ),
  }
}

function alertBlocks(alert: NotifiedAlert) {
  const facts = [
    ['Severity', alert.severity],
    ['Rule', alert.rule],
    ['About', alert.key],
    ['Since', iso(alert.openedAt)],
  ].map(([title, value]) => ({ title, value: escapeCard(value ?? '') }))
  return [textBlock(cut(alert.summary, 800)), { type: 'FactSet', facts }]
}

function textBlock(text: string, style: Readonly<Record<string, string>> = {}) {
  return { type: 'TextBlock', text: escapeCard(text), wrap: true, ...style }
}

/** A TextBlock reads a subset of Markdown: no name of a device makes a link or a heading. */
export function escapeCard(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()#+!|<>~-]/g, (sign) => `\\${sign}`)
}

/** Microsoft Teams: an Adaptive Card to a "when a webhook request is received" workflow, whose address is a secret. */
import { iso } from '../base/clock.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { NotifiedAlert, Notifier } from '../engine/ports.ts'
import { cut, titleOf } from './message-text.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface TeamsOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.url` is its secret. */
  readonly name: string
}

export const teams: Extension<TeamsOptions, Notifier> = {
  kind: 'teams',
  optionSchema: { type: 'object', required: ['name', 'timeoutMs', 'allow', 'insecureHttp'] },
  create: createTeams,
}

/** A message may have 28 kB. */
const mostAlerts = 20

/** @throws Refusal `configuration-invalid` */
export async function createTeams(options: TeamsOptions, host: ExtensionHost): Promise<Notifier> {
  const { name } = options
  const url = await host.secret(`${name}.url`)
  checkUrl(name, url, options)
  const receiver = openReceiver(name, options, host)
  return {
    kind: 'teams',
    isPerAlert: false,
    async notify(message, signal) {
      const shown = message.alerts.slice(0, mostAlerts)
      const more = message.alerts.length - shown.length
      const card = {
        $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
        type: 'AdaptiveCard',
        version: '1.4',
        body: [
          textBlock(cut(titleOf(message), 500), { weight: 'Bolder', size: 'Medium' }),
          ...shown.flatMap(alertBlocks),
          ...(more === 0 ? [] : [textBlock(`and ${more} more: perennial alert list`)]),
        ],
        actions: shown.flatMap(({ runbookUrl, rule }) =>
          runbookUrl === null
            ? []
            : [{ type: 'Action.OpenUrl', title: `What to do: ${rule}`, url: runbookUrl }],
        ),
      }
      const attachment = {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: card,
      }
      await receiver.post(
        { url, body: JSON.stringify({ type: 'message', attachments: [attachment] }) },
        signal,
      )
      return { reference: null }
    },
    close: async () => {},
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

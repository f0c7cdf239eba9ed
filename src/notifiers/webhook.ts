/** Alerts as signed HTTP POSTs (Standard Webhooks) to a service of the operator's own. */
import { canonicalJson, type CanonicalValue } from '../base/canonical-json.ts'
import { iso } from '../base/clock.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import { parseWebhookSecret, webhookHeaders } from '../base/standard-webhooks.ts'
import type { Notifier, NotifierMessage } from '../engine/ports.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface WebhookNotifierOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.url` and `NAME.secret` are its secrets. */
  readonly name: string
}

export const webhookNotifier: Extension<WebhookNotifierOptions, Notifier> = {
  kind: 'webhook',
  optionSchema: { type: 'object', required: ['name', 'timeoutMs', 'allow', 'insecureHttp'] },
  create: createWebhookNotifier,
}

/** @throws Refusal `configuration-invalid` */
export async function createWebhookNotifier(
  options: WebhookNotifierOptions,
  host: ExtensionHost,
): Promise<Notifier> {
  const { name } = options
  const url = await host.secret(`${name}.url`)
  checkUrl(name, url, options)
  const key = parseWebhookSecret(await host.secret(`${name}.secret`), `${name}.secret`)
  const receiver = openReceiver(name, options, host)
  return {
    kind: 'webhook',
    isPerAlert: false,
    async notify(message, signal) {
      const body = canonicalJson(webhookBody(message))
      // the time is that of this attempt: a receiver refuses what is old
      const headers = webhookHeaders(key, message.id, host.clock.now(), body)
      await receiver.post({ url, headers, body }, signal)
      return { reference: null }
    },
    close: async () => {},
  }
}

function webhookBody({ event, source, at, alerts }: NotifierMessage): CanonicalValue {
  return {
    type: `alert.${event}`,
    timestamp: iso(at),
    data: {
      source,
      alerts: alerts.map(({ id, rule, key, severity, summary, count, openedAt, details, runbookUrl }) => ({
        id,
        rule,
        key,
        severity,
        summary,
        count,
        openedAt: iso(openedAt),
        details: details as CanonicalValue,
        runbookUrl,
      })),
    },
  }
}

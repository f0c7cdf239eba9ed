/**
 * Triggers to a web service of the operator's own: device management, an app backend, a message queue. Signed as Standard
 * Webhooks says; the id is that of the attempt.
 */
import { iso } from '../base/clock.ts'
import { canonicalJson } from '../base/canonical-json.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import { parseWebhookSecret, webhookHeaders } from '../base/standard-webhooks.ts'
import type { Trigger, TriggerChannel } from '../engine/ports.ts'
import { closable } from './closable.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'

export interface WebhookOptions {
  readonly url: string
  /** Name of the secret: `whsec_` and 24 to 64 bytes in base64. */
  readonly secret: string
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

export const webhook: Extension<WebhookOptions, TriggerChannel> = {
  kind: 'webhook',
  optionSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['url', 'secret', 'timeoutMs', 'insecureHttp'],
    properties: {
      url: { type: 'string' },
      secret: { type: 'string' },
      timeoutMs: { type: 'integer' },
      insecureHttp: { type: 'boolean' },
    },
  },
  create: createWebhookChannel,
}

/** @throws Refusal `configuration-invalid` for a URL or a secret that will not do */
export async function createWebhookChannel(
  { url, secret, timeoutMs, insecureHttp }: WebhookOptions,
  host: ExtensionHost,
): Promise<TriggerChannel> {
  refuseBadUrl('triggers.webhook.url', url, 'triggers.webhook.insecureHttp', insecureHttp)
  const key = parseWebhookSecret(await host.secret(secret), 'triggers.webhook.secret')
  return closable({
    kind: 'webhook',
    parallel: 16,
    async send(trigger, signal) {
      const body = canonicalJson(webhookMessage(trigger))
      const now = host.clock.now()
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'Perennial',
        ...webhookHeaders(key, trigger.idempotencyKey, now, body),
      }
      await callHttp(host, { who: 'the webhook', url, method: 'POST', headers, body, timeoutMs }, signal)
      return { reference: null }
    },
  })
}

function webhookMessage(trigger: Trigger) {
  const { renewalId, campaignId, deviceId, slot, certificate, notAfter, window, issuedAt, tags, site } =
    trigger
  return {
    type: 'certificate.renew',
    timestamp: iso(issuedAt),
    data: {
      renewal: renewalId,
      campaign: campaignId,
      device: deviceId,
      slot,
      certificate,
      notAfter: iso(notAfter),
      window: { start: iso(window.start), end: iso(window.end) },
      tags,
      site,
    },
  }
}

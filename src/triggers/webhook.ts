/**
 * Triggers to a web service of the operator's own: device management, an app backend, a message queue. Signed as Standard
 * Webhooks says (https://www.standardwebhooks.com): `webhook-id` is the same for every repeat of one attempt, so that the
 * receiver can drop it, `webhook-signature` is HMAC-SHA256 over `id.timestamp.body`.
 */
import { createHmac } from 'node:crypto'
import { fromBase64 } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { canonicalJson } from '../base/canonical-json.ts'
import { Refusal } from '../base/errors.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { Trigger, TriggerChannel } from '../engine/ports.ts'
import { closable } from './closable.ts'
import { callHttp, refuseBadUrl } from './http-call.ts'

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
  const key = parseWebhookSecret(await host.secret(secret))
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

/** The three headers of Standard Webhooks. `now` counts in whole seconds. */
export function webhookHeaders(
  key: Uint8Array,
  id: string,
  now: Instant,
  body: string,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(now / 1_000))
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

/** @throws Refusal `configuration-invalid`; the secret is not in it */
export function parseWebhookSecret(text: string): Uint8Array {
  const key = text.startsWith('whsec_') ? fromBase64(text.slice('whsec_'.length)) : null
  if (!key || key.byteLength < 24 || key.byteLength > 64) {
    throw new Refusal(
      'configuration-invalid',
      'triggers.webhook.secret: it is not whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)',
    )
  }
  return key
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

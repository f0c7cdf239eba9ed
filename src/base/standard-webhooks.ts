/**
 * Signatures of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id` is the same for every repeat of one
 * message, so that the receiver can drop it; `webhook-signature` is HMAC-SHA256 over `id.timestamp.body`.
 */
import { createHmac } from 'node:crypto'
import { fromBase64 } from './bytes.ts'
import type { Instant } from './clock.ts'
import { Refusal } from './errors.ts'

/** The three headers. `now` counts in whole seconds. */
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

/** @param name of the knob, for the message. @throws Refusal `configuration-invalid`; the secret is not in it */
export function parseWebhookSecret(text: string, name: string): Uint8Array {
  const key = text.startsWith('whsec_') ? fromBase64(text.slice('whsec_'.length)) : null
  if (!key || key.byteLength < 24 || key.byteLength > 64) {
    throw new Refusal(
      'configuration-invalid',
      `${name}: it is not whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)`,
    )
  }
  return key
}

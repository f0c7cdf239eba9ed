/** Any other broker or service: a signed message (Standard Webhooks) says whose sessions to end, and who may come back. */
import { iso } from '../base/clock.ts'
import { canonicalJson } from '../base/canonical-json.ts'
import type { ExtensionHost } from '../base/extension.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'
import { parseWebhookSecret, webhookHeaders } from '../base/standard-webhooks.ts'
import type { Disconnector, SessionTarget } from '../engine/ports.ts'

export interface WebhookConnectorOptions {
  readonly url: string
  /** Name of the secret: `whsec_` and 24 to 64 bytes in base64. */
  readonly secret: string
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

/** @throws Refusal `configuration-invalid` for a URL or a secret that will not do */
export async function createWebhookDisconnector(
  { url, secret, timeoutMs, insecureHttp }: WebhookConnectorOptions,
  host: ExtensionHost,
): Promise<Disconnector> {
  refuseBadUrl('connectors.webhook.url', url, 'connectors.webhook.insecureHttp', insecureHttp)
  const key = parseWebhookSecret(await host.secret(secret), 'connectors.webhook.secret')
  const post = async (type: string, target: SessionTarget, isBarred: boolean, signal: AbortSignal) => {
    const { deviceId: device, why, cutId, requestedAt } = target
    const body = canonicalJson({
      type,
      timestamp: iso(requestedAt),
      data: { device, why, isBarred, cut: cutId },
    })
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Perennial',
      ...webhookHeaders(key, `cut-${cutId}`, host.clock.now(), body),
    }
    const call = { who: 'the webhook', url, method: 'POST', headers, body, timeoutMs } as const
    await callHttp(host, { ...call, failure: 'connector-failed' }, signal)
    return null
  }
  return {
    name: 'webhook',
    parallel: 16,
    cut: async (target, signal) => await post('device.disconnect', target, target.isBarred, signal),
    admit: async (target, signal) => await post('device.admit', target, false, signal),
    async close() {},
  }
}

/**
 * Triggers as signed bundles, for devices that only their update service or a courier reaches. Delivered by HTTP to that
 * service, or, when no URL is set, as a retained message on the device's own topic. Whoever carries it need not be trusted.
 */
import { minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Extension } from '../base/extension.ts'
import { deviceTopic } from '../base/mqtt-topics.ts'
import type { MqttLink, Trigger, TriggerChannel } from '../engine/ports.ts'
import { signOtaBundle, type OtaBundle } from '../pki/ota-bundle.ts'
import { closable } from './closable.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'
import type { TriggerHost } from './trigger-host.ts'

export interface OtaHttpOptions {
  /** `{device}` stands for the device. */
  readonly url: string
  readonly method: 'PUT' | 'POST'
  /** Name of the secret that is sent as `Authorization`, scheme included; null: none. */
  readonly authorization: string | null
  /** How long a bundle is valid, ms. */
  readonly lifetimeMs: number
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

export const ota: Extension<OtaHttpOptions, TriggerChannel> = {
  kind: 'ota',
  optionSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['url', 'method', 'authorization', 'lifetimeMs', 'timeoutMs', 'insecureHttp'],
    properties: {
      url: { type: 'string' },
      method: { enum: ['PUT', 'POST'] },
      authorization: { type: ['string', 'null'] },
      lifetimeMs: { type: 'integer' },
      timeoutMs: { type: 'integer' },
      insecureHttp: { type: 'boolean' },
    },
  },
  create: createOtaHttpChannel,
}

/** @throws Refusal `configuration-invalid` */
export async function createOtaHttpChannel(
  options: OtaHttpOptions,
  host: TriggerHost,
): Promise<TriggerChannel> {
  const { method, lifetimeMs, timeoutMs, insecureHttp } = options
  const problem = otaUrlProblem(options.url)
  if (problem !== null) throw new Refusal('configuration-invalid', `triggers.ota.url: ${problem}`)
  const sample = options.url.replaceAll('{device}', 'device')
  refuseBadUrl('triggers.ota.url', sample, 'triggers.ota.insecureHttp', insecureHttp)
  const password = options.authorization === null ? null : await host.secret(options.authorization)
  return closable({
    kind: 'ota',
    parallel: 8,
    async send(trigger, signal) {
      signal.throwIfAborted()
      const body = await signOtaBundle(triggerBundle(trigger, lifetimeMs), await host.otaSigner())
      const url = options.url.replaceAll('{device}', encodeURIComponent(trigger.deviceId))
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': trigger.idempotencyKey,
        ...(password === null ? {} : { authorization: password }),
      }
      await callHttp(host, { who: 'the OTA service', url, method, headers, body, timeoutMs }, signal)
      return { reference: null }
    },
  })
}

export interface OtaMqttOptions {
  /** Shared with other channels; closed by whoever made it. */
  readonly link: MqttLink
  /** First levels of all topics, such as `perennial/v1`. */
  readonly prefix: string
  readonly lifetimeMs: number
  readonly parallel: number
}

/** One retained bundle per device, which the next one replaces. */
export function createOtaMqttChannel(
  { link, prefix, lifetimeMs, parallel }: OtaMqttOptions,
  host: Pick<TriggerHost, 'otaSigner'>,
): TriggerChannel {
  return closable({
    kind: 'ota',
    parallel,
    async send(trigger, signal) {
      signal.throwIfAborted()
      const payload = await signOtaBundle(triggerBundle(trigger, lifetimeMs), await host.otaSigner())
      await link.publish(
        { topic: deviceTopic(prefix, trigger.deviceId, 'ota'), payload, retain: true },
        signal,
      )
      return { reference: null }
    },
    async retract(deviceId, signal) {
      await link.publish({ topic: deviceTopic(prefix, deviceId, 'ota'), payload: '', retain: true }, signal)
    },
  })
}

/** A device whose clock is a little behind must not find the bundle to be of the future. */
const clockToleranceMs = 5 * minuteMs

/**
 * The same trigger is the same bundle, to the byte. Its version is the instant of the trigger, which grows from attempt to
 * attempt without anything having to be remembered.
 */
export function triggerBundle(trigger: Trigger, lifetimeMs: number): OtaBundle {
  const { deviceId, issuedAt, renewalId, certificate, notAfter, window } = trigger
  return {
    device: deviceId,
    version: issuedAt,
    notBefore: issuedAt - clockToleranceMs,
    expiresAt: issuedAt + lifetimeMs,
    payload: { kind: 'trigger', trigger: { renewal: renewalId, certificate, notAfter, window } },
  }
}

/** @returns what makes the URL unusable, or null */
export function otaUrlProblem(url: string): string | null {
  return url.includes('{device}') ? null : 'it has no {device}: every device would get the same address'
}

/**
 * Asks over MQTT: a retained message on the device's own topic, so that one that sleeps finds it when it wakes, days later
 * and without our doing. A repeat replaces the message, so that at most one stands.
 */
import { iso } from '../base/clock.ts'
import { deviceTopic, type ServerLeaf } from '../base/mqtt-topics.ts'
import { Refusal } from '../base/errors.ts'
import type { MqttLink, Trigger, TriggerChannel, TriggerKind } from '../engine/ports.ts'

export interface MqttTriggerOptions {
  readonly link: MqttLink
  /** First levels of all topics, such as `perennial/v1`. */
  readonly prefix: string
  /** Sends under way at one time. More than the link takes only wait there. */
  readonly parallel: number
}

export function createMqttTrigger(options: MqttTriggerOptions): TriggerChannel {
  return retainedChannel('mqtt', 'renew', options, triggerPayload)
}

/**
 * The trigger as devices read it: `{"v":1,"kind":"renew",…}`. They pass over keys that they do not know, and ignore one
 * about a certificate that they no longer have.
 */
export function triggerPayload(trigger: Trigger): string {
  const { renewalId, certificate, notAfter, window, issuedAt } = trigger
  return JSON.stringify({
    v: 1,
    kind: 'renew',
    renewal: renewalId,
    certificate,
    notAfter: iso(notAfter),
    window: { start: iso(window.start), end: iso(window.end) },
    issuedAt: iso(issuedAt),
  })
}

/** A channel that keeps one retained message per device, on one of its topics. */
export function retainedChannel(
  kind: TriggerKind,
  leaf: ServerLeaf,
  { link, prefix, parallel }: MqttTriggerOptions,
  payloadOf: (trigger: Trigger) => string,
): TriggerChannel {
  let isClosed = false
  const publish = async (message: Parameters<MqttLink['publish']>[0], signal: AbortSignal) => {
    signal.throwIfAborted()
    if (isClosed) throw new Refusal('trigger-failed', `the ${kind} channel is closed`)
    await link.publish(message, signal)
  }
  return {
    kind,
    parallel,
    async send(trigger, signal) {
      const topic = deviceTopic(prefix, trigger.deviceId, leaf)
      await publish({ topic, payload: payloadOf(trigger), retain: true }, signal)
      return { reference: null }
    },
    async retract(deviceId, signal) {
      await publish({ topic: deviceTopic(prefix, deviceId, leaf), payload: '', retain: true }, signal)
    },
    // The link is shared with others and is closed by whoever made it.
    async close() {
      isClosed = true
    },
  }
}

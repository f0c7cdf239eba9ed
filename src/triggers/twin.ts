/**
 * Asks by a device twin: the wish stands as a desired property, and the device reports when it has done it. This is the
 * generic twin of JSON over MQTT; what differs at the clouds is only where the document lies.
 */
import type { Trigger, TriggerChannel } from '../engine/ports.ts'
import { retainedChannel, triggerPayload, type MqttTriggerOptions } from './mqtt.ts'

export function createTwinTrigger(options: MqttTriggerOptions): TriggerChannel {
  return retainedChannel('twin', 'twin/desired', options, twinPayload)
}

/** `$version` only grows, as twins promise: a device that has seen a newer document passes over an older one. */
function twinPayload(trigger: Trigger): string {
  const renewal = JSON.parse(triggerPayload(trigger)) as unknown
  return JSON.stringify({ desired: { perennial: { renewal }, $version: trigger.issuedAt } })
}

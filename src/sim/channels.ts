/** The networks between platform and fleet as the engine sees them: a broker that keeps messages, and a provider of SMS. */
import { createMqttTrigger } from '../triggers/mqtt.ts'
import type { Clock } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import { defaultTopicPrefix, parseDeviceTopic } from '../base/mqtt-topics.ts'
import type { MqttLink, TriggerChannel, TriggerKind } from '../engine/ports.ts'
import { deviceOf } from './fleet/factory.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import type { Network } from './network.ts'
import type { WakeQueue } from './wake-queue.ts'

/** Sends under way at one time. */
const parallel = 256

export interface ChannelParts {
  readonly clock: Clock
  readonly network: Network
  readonly queue: WakeQueue
  readonly ledger: Ledger
  readonly history: History
  /** Told of each message that leaves, before it has left. */
  readonly onSend: (kind: TriggerKind, device: number, key: string) => void
}

export class Channels {
  /** Retained messages by device. */
  readonly topics = new Map<number, string>()
  readonly byKind: ReadonlyMap<TriggerKind, TriggerChannel>
  messages = 0
  sms = 0
  readonly #parts: ChannelParts

  constructor(parts: ChannelParts) {
    this.#parts = parts
    const link: MqttLink = {
      isConnected: true,
      publish: async ({ topic, payload }) => this.#publish(topic, payload),
      subscribe: async () => undefined,
      close: async () => undefined,
    }
    const mqtt = createMqttTrigger({ link, prefix: defaultTopicPrefix, parallel })
    this.byKind = new Map<TriggerKind, TriggerChannel>([
      [
        'mqtt',
        {
          ...mqtt,
          send: async (trigger, signal) => {
            parts.onSend('mqtt', deviceOf(trigger.deviceId), trigger.idempotencyKey)
            return await mqtt.send(trigger, signal)
          },
        },
      ],
      ['sms', this.#smsChannel()],
    ])
  }

  #publish(topic: string, payload: Uint8Array | string): void {
    const { clock, history, network, queue, ledger } = this.#parts
    const parsed = parseDeviceTopic(defaultTopicPrefix, topic)
    assert(parsed, 'the channel publishes on the topic of a device')
    const device = deviceOf(parsed.deviceId)
    if (payload.length === 0) {
      this.topics.delete(device)
      history.note('retracted', device)
      return
    }
    this.messages += 1
    this.topics.set(device, String(payload))
    ledger.mark(device, 'asked')
    history.note('message', device)
    queue.setEarlier(device, network.readsAfter(device, clock.now()))
  }

  #smsChannel(): TriggerChannel {
    const { clock, history, network, queue, ledger, onSend } = this.#parts
    return {
      kind: 'sms',
      parallel,
      send: async ({ deviceId, idempotencyKey }) => {
        const device = deviceOf(deviceId)
        if (!network.hasNumber(device))
          throw new Refusal('trigger-impossible', `${deviceId} has no number for an SMS`)
        onSend('sms', device, idempotencyKey)
        this.sms += 1
        const now = clock.now()
        const wakesAt = network.smsWakes(device, now, Math.floor(now / 1_000))
        history.note(`sms ${wakesAt}`, device)
        if (wakesAt !== null) {
          ledger.mark(device, 'sms')
          queue.setEarlier(device, wakesAt)
        }
        return { reference: null }
      },
      close: async () => undefined,
    }
  }
}

/** What devices say over MQTT, from whichever broker it came: told to the engine, and answered. */
import { stopwatch } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { deviceTopic, type DeviceLeaf } from '../base/mqtt-topics.ts'
import { jitteredMs } from '../base/retry.ts'
import type { Engine } from '../engine/context.ts'
import type { ConnectedPeer } from '../engine/inventory/device-connection.ts'
import type { MqttLink } from '../engine/ports.ts'
import { handleMqttEnroll, overloadedAnswer, tooLargeAnswer, type MqttAnswer } from './mqtt-enroll.ts'
import { handleMqttReport } from './mqtt-status.ts'
import { Admission } from './overload.ts'

export interface DeviceMessage {
  /** Of the topic. */
  readonly deviceId: DeviceId
  readonly leaf: DeviceLeaf
  readonly payload: Uint8Array
  /** What TLS says of the device at the embedded broker; null over another broker. */
  readonly connection: ConnectedPeer | null
}

export interface MqttServiceOptions {
  readonly engine: Engine
  /** Where answers go. */
  readonly link: Pick<MqttLink, 'publish'>
  readonly prefix: string
  /** Largest payload of a device. */
  readonly maxMessageBytes: number
  /** Enrolments at work at once before new ones are answered `overloaded`. */
  readonly maxConcurrent: number
  /** Centre of the wait that such an answer asks for, ms. */
  readonly overloadRetryAfterMs: number
  /** For metrics; must not throw. */
  readonly answered?: (operation: string, result: string, seconds: number) => void
}

export class MqttService {
  readonly #options: MqttServiceOptions
  readonly #admission: Admission

  constructor(options: MqttServiceOptions) {
    this.#options = options
    this.#admission = new Admission(options.maxConcurrent)
  }

  /** Enrolments at work. */
  get inFlight(): number {
    return this.#admission.inFlight
  }

  /** Resolves when the message has been dealt with and its answer, if it has one, is at the broker. Never throws. */
  async take(message: DeviceMessage): Promise<void> {
    const { engine, answered } = this.#options
    const elapsedMs = stopwatch()
    if (message.leaf === 'csr') {
      const answer = await this.#enroll(message)
      await this.#reply(message.deviceId, answer)
      answered?.('enroll', answer.result, elapsedMs() / 1000)
      return
    }
    if (message.payload.length > this.#options.maxMessageBytes) return
    const payload = message.leaf === 'status' ? message.payload : reportedStatus(message.payload)
    if (payload === null) return
    const result = await handleMqttReport(engine, { ...message, payload })
    answered?.('status', result, elapsedMs() / 1000)
  }

  async #enroll(message: DeviceMessage): Promise<MqttAnswer> {
    const { engine, overloadRetryAfterMs, maxMessageBytes } = this.#options
    if (message.payload.length > maxMessageBytes) {
      return tooLargeAnswer(engine, message.deviceId, maxMessageBytes)
    }
    if (!this.#admission.enter()) {
      return overloadedAnswer(engine, message, jitteredMs(overloadRetryAfterMs, 0.75, engine.random))
    }
    try {
      return await handleMqttEnroll(engine, message)
    } finally {
      this.#admission.leave()
    }
  }

  /** A device that gets no answer asks again, with the same key, and is given the same certificate. */
  async #reply(deviceId: DeviceId, { leaf, payload, record }: MqttAnswer): Promise<void> {
    const { engine, link, prefix } = this.#options
    try {
      await link.publish({ topic: deviceTopic(prefix, deviceId, leaf), payload, retain: false })
      if (record) engine.sightings.noteDelivered(record, engine.clock.now())
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      engine.log.warn({ device: deviceId, reason: error.message }, 'an answer over MQTT was lost')
    }
  }
}

/**
 * The report inside a twin: `{"reported":{"perennial":{"status":{…}}}}`, the same object that the status topic takes. What
 * else a device reports of itself is not for us. @returns null when there is none
 */
function reportedStatus(payload: Uint8Array): Uint8Array | null {
  try {
    const document = JSON.parse(Buffer.from(payload).toString('utf8')) as {
      readonly reported?: { readonly perennial?: { readonly status?: unknown } }
    } | null
    const status = document?.reported?.perennial?.status
    return status === undefined ? null : Buffer.from(JSON.stringify(status))
  } catch {
    // whatever it is, it is no report
    return null
  }
}

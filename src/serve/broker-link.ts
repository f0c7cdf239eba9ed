/** The link to the broker in this process. */
import type { Aedes } from 'aedes'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { InFlight } from '../base/in-flight.ts'
import type { Log } from '../base/log.ts'
import type { MqttLink } from '../engine/ports.ts'

export interface BrokerLinkOptions {
  readonly broker: Aedes
  readonly clock: Clock
  readonly log: Log
  /** Messages on their way to devices that are connected; beyond it publishing waits. */
  readonly maxInFlight: number
  readonly publishTimeoutMs: number
}

/** A retained message is kept before it is passed on; so one that is late at a slow device is no loss. */
export function brokerLink(options: BrokerLinkOptions): MqttLink {
  const { broker, clock, log, maxInFlight, publishTimeoutMs } = options
  const inFlight = new InFlight({
    limit: maxInFlight,
    timeoutMs: publishTimeoutMs,
    clock,
    late: () => new Refusal('trigger-failed', 'the broker could not pass the message on in time'),
  })
  let isClosed = false
  return {
    get isConnected() {
      return !isClosed && !broker.closed
    },
    async publish({ topic, payload, retain }, signal) {
      if (isClosed || broker.closed) throw new Refusal('trigger-failed', 'the broker is closed')
      const packet = {
        cmd: 'publish',
        topic,
        payload: Buffer.from(payload),
        qos: 1,
        retain,
        dup: false,
      } as const
      await inFlight.run((done) => broker.publish(packet, done), signal)
    },
    async subscribe(filter, handler) {
      const pass = async (
        { topic, payload }: { topic: string; payload: string | Buffer },
        done: () => void,
      ) => {
        try {
          // what stands is handed to devices only: here each message is a new one
          await handler({ topic, payload: Buffer.from(payload), retained: false })
        } catch (error) {
          log.error({ err: error, topic }, 'a message over MQTT could not be handled')
        }
        done()
      }
      await new Promise<void>((resolve) =>
        broker.subscribe(filter, (packet, done) => void pass(packet, done), resolve),
      )
    },
    async close() {
      isClosed = true
    },
  }
}

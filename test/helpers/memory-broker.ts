/** A broker in memory: retained messages, sessions that outlive connections, acknowledgements, and faults on demand. */
import type { MqttConnection, MqttConnector, MqttConnectRequest } from '../../src/agent/mqtt-connector.ts'
import { sha256Hex } from '../../src/base/bytes.ts'
import { Refusal } from '../../src/base/errors.ts'
import { decodePem } from '../../src/pki/pem.ts'

interface Message {
  readonly topic: string
  readonly payload: Uint8Array
}

interface Session {
  readonly topics: Set<string>
  /** Not acknowledged yet. */
  readonly queue: Message[]
  live: { readonly request: MqttConnectRequest; readonly end: (reason: string) => void } | null
}

export class MemoryBroker implements MqttConnector {
  readonly retained = new Map<string, Uint8Array>()
  /** All that devices have published, in order. */
  readonly published: (Message & { readonly fingerprint: string })[] = []
  /** Sees each message of a device, and may answer it. */
  onPublish: ((message: Message, fingerprint: string) => void | Promise<void>) | null = null
  /** What becomes of a connection with this certificate; null = it is let in. */
  judge: ((fingerprint: string) => Refusal | null) | null = null
  connections = 0
  readonly #sessions = new Map<string, Session>()

  async connect(request: MqttConnectRequest): Promise<MqttConnection> {
    const [leaf] = decodePem(request.identity.chainPem)
    const fingerprint = sha256Hex(leaf?.der ?? '')
    const refusal = this.judge?.(fingerprint)
    if (refusal) throw refusal
    this.connections++
    const session = this.#session(request.clientId)
    session.live?.end('another connection has this client id')
    let isOpen = true
    let tell: (reason: string) => void = () => undefined
    const closed = new Promise<string>((resolve) => {
      tell = resolve
    })
    const end = (reason: string): void => {
      isOpen = false
      if (session.live?.request === request) session.live = null
      tell(reason)
    }
    session.live = { request, end }
    const must = (): void => {
      if (!isOpen) throw new Refusal('server-unreachable', 'the connection is closed')
    }
    return {
      closed,
      publish: async (topic, payload) => {
        must()
        const message = { topic, payload: Buffer.from(payload) }
        this.published.push({ ...message, fingerprint })
        await this.onPublish?.(message, fingerprint)
        must()
      },
      subscribe: async (topics) => {
        must()
        for (const topic of topics) {
          session.topics.add(topic)
          const payload = this.retained.get(topic)
          if (payload) session.queue.push({ topic, payload })
        }
        await this.#drain(session)
        must()
      },
      close: async () => end('closed'),
    }
  }

  /** From the server. @param times how often it is delivered (QoS 1: at least once) */
  async publish(topic: string, payload: string, { retain = false, times = 1 } = {}): Promise<void> {
    const bytes = Buffer.from(payload)
    if (retain && bytes.length === 0) this.retained.delete(topic)
    else if (retain) this.retained.set(topic, bytes)
    for (const session of this.#sessions.values()) {
      if (!session.topics.has(topic)) continue
      for (let time = 0; time < times; time++) session.queue.push({ topic, payload: bytes })
      await this.#drain(session)
    }
  }

  /** Every connection breaks. */
  cut(): void {
    for (const { live } of this.#sessions.values()) live?.end('cut')
  }

  /** Messages that a device has not acknowledged. */
  pending(clientId: string): number {
    return this.#session(clientId).queue.length
  }

  #session(clientId: string): Session {
    const session = this.#sessions.get(clientId) ?? { topics: new Set(), queue: [], live: null }
    this.#sessions.set(clientId, session)
    return session
  }

  /** In order; what is not acknowledged stays for the next connection. */
  async #drain(session: Session): Promise<void> {
    const { live } = session
    if (live === null) return
    for (;;) {
      const [message] = session.queue
      if (!message || session.live !== live) return
      try {
        await live.request.onMessage(message.topic, message.payload)
      } catch (error) {
        live.end(`not kept: ${String(error)}`)
        return
      }
      if (session.queue[0] === message) session.queue.shift()
    }
  }
}

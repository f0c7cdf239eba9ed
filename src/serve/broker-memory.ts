/**
 * What the embedded broker keeps. Every session is a clean one, so there are no queues of absent devices: what is to wait
 * for a device stands as a retained message, and after a restart those of renewals are published again from the database.
 * So all that is kept is one small map of retained messages for each device, found without looking at the others', and
 * the identifiers of QoS 2 messages under way.
 *
 * The methods are the persistence that aedes asks for.
 */
import { Readable } from 'node:stream'
import { topicFits } from '../base/mqtt-topics.ts'

interface Packet {
  readonly topic: string
  readonly payload: Uint8Array | string
  readonly messageId?: number
}

interface Client {
  readonly id: string
}

export class BrokerMemory {
  readonly #depth: number
  /** By the first levels of the topic, down to the device id. */
  readonly #retained = new Map<string, Map<string, Packet>>()
  readonly #incoming = new Map<string, Map<number, Packet>>()

  /** @param prefix of the topics: the level after `<prefix>/devices` names the device */
  constructor(prefix: string) {
    this.#depth = prefix.split('/').length + 2
  }

  /** Devices for which something stands. */
  get devices(): number {
    return this.#retained.size
  }

  async setup(): Promise<void> {}

  async storeRetained(packet: Packet): Promise<void> {
    const key = this.#keyOf(packet.topic)
    const ofDevice = this.#retained.get(key) ?? new Map<string, Packet>()
    if (packet.payload.length > 0) ofDevice.set(packet.topic, { ...packet })
    else ofDevice.delete(packet.topic)
    if (ofDevice.size > 0) this.#retained.set(key, ofDevice)
    else this.#retained.delete(key)
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    const found = new Set<Packet>()
    for (const filter of filters) {
      for (const [topic, packet] of this.#retained.get(this.#keyOf(filter)) ?? []) {
        if (topicFits(filter, topic)) found.add(packet)
      }
    }
    return Readable.from(found)
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter])
  }

  async incomingStorePacket({ id }: Client, packet: Packet & { readonly messageId: number }): Promise<void> {
    const packets = this.#incoming.get(id) ?? new Map<number, Packet>()
    packets.set(packet.messageId, packet)
    this.#incoming.set(id, packets)
  }

  async incomingGetPacket({ id }: Client, { messageId }: { readonly messageId: number }): Promise<Packet> {
    const packet = this.#incoming.get(id)?.get(messageId)
    if (!packet) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket({ id }: Client, { messageId }: { readonly messageId: number }): Promise<void> {
    if (!this.#incoming.get(id)?.delete(messageId)) throw new Error('no such packet')
  }

  async cleanIncoming({ id }: Client): Promise<void> {
    this.#incoming.delete(id)
  }

  // Sessions, queues and wills: there are none.

  async addSubscriptions(): Promise<void> {}
  async removeSubscriptions(): Promise<void> {}
  async cleanSubscriptions(): Promise<void> {}
  async subscriptionsByClient(): Promise<never[]> {
    return []
  }
  async subscriptionsByTopic(): Promise<never[]> {
    return []
  }
  async outgoingEnqueue(): Promise<void> {}
  async outgoingEnqueueCombi(): Promise<void> {}
  async outgoingUpdate(): Promise<void> {}
  async outgoingClearMessageId(): Promise<undefined> {}
  outgoingStream(): Readable {
    return Readable.from([])
  }
  async putWill(): Promise<void> {}
  async getWill(): Promise<undefined> {}
  async delWill(): Promise<undefined> {}
  streamWill(): Readable {
    return Readable.from([])
  }

  #keyOf(topic: string): string {
    return topic.split('/', this.#depth).join('/')
  }
}

/**
 * A hash over everything that happened, tick by tick. Within a tick the order does not count, because threads may settle it;
 * from tick to tick it does. Keys and signatures are random and are not part of it.
 */
import { createHash, type Hash } from 'node:crypto'
import { seedOf } from './chance.ts'

export class History {
  readonly #hash: Hash = createHash('sha256')
  #count = 0
  #sum = 0
  #mix = 0

  /** @param what its words, and its number for what is about a device */
  note(what: string, device = -1): void {
    const hash = seedOf(`${device} ${what}`)
    this.#count += 1
    this.#sum = (this.#sum + hash) >>> 0
    this.#mix = (this.#mix + Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)) >>> 0
  }

  endOfTick(tick: number): void {
    if (this.#count > 0) this.#hash.update(`${tick} ${this.#count} ${this.#sum} ${this.#mix}\n`)
    this.#count = 0
    this.#sum = 0
    this.#mix = 0
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 32)
  }
}

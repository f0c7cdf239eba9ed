/**
 * New facts as they are sealed, for whoever listens: one reader for all listeners of a process. The order is that of the sealed
 * log, which has no gaps and is the same on every node, so that a listener can go on anywhere from the last entry it has.
 */
import { secondMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { countSealed, entriesRange } from '../../store/facts.ts'
import type { Store } from '../../store/open.ts'
import type { Engine } from '../context.ts'
import { readFact, type ReadableFact } from './audit.ts'

export interface FeedFact extends ReadableFact {
  /** Its place in the sealed log. */
  readonly index: number
}

export const mostListeners = 200
const pollMs = secondMs
/** Entries read at once, and kept for those who are not slower than that. */
const batch = 500
const kept = 2_000

/** One of each database and process. */
export function factFeed(engine: Engine): FactFeed {
  const feed = feeds.get(engine.store) ?? new FactFeed(engine)
  feeds.set(engine.store, feed)
  return feed
}

const feeds = new WeakMap<Store, FactFeed>()

export class FactFeed {
  readonly #engine: Engine
  readonly #recent: FeedFact[] = []
  #listeners = 0
  #polling: Promise<void> | null = null
  #wake: (() => void)[] = []
  #next = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get listeners(): number {
    return this.#listeners
  }

  /**
   * Batches of facts from `from` on, then new ones as they come; an empty batch when nothing came for `quietMs`.
   * @param from place in the log; null: only what comes from now on
   * @throws Refusal `overloaded` when there are too many listeners
   */
  async *listen(options: {
    readonly from: number | null
    readonly quietMs: number
    readonly signal: AbortSignal
  }): AsyncGenerator<readonly FeedFact[]> {
    const { from, quietMs, signal } = options
    if (this.#listeners >= mostListeners) {
      throw new Refusal('overloaded', `${mostListeners} listeners is the most`, {
        retryAfterMs: 30 * secondMs,
      })
    }
    this.#listeners++
    try {
      const sealed = await countSealed(this.#engine.store.db)
      let at = Math.min(from ?? sealed, sealed)
      let quietSince = this.#engine.clock.now()
      signal.addEventListener('abort', () => this.#wakeAll(), { once: true })
      this.#poll(sealed)
      while (!signal.aborted) {
        const facts = await this.#after(at)
        const now = this.#engine.clock.now()
        if (facts.length > 0 || now >= quietSince + quietMs) {
          at += facts.length
          quietSince = now
          yield facts
        } else await new Promise<void>((resolve) => void this.#wake.push(resolve))
      }
    } finally {
      this.#listeners--
    }
  }

  /** From memory, or for whoever is behind from the database. */
  async #after(at: number): Promise<readonly FeedFact[]> {
    const [oldest] = this.#recent
    if (at >= this.#next) return []
    if (oldest !== undefined && oldest.index <= at)
      return this.#recent.slice(at - oldest.index, at - oldest.index + batch)
    return await this.#read(at)
  }

  async #read(at: number): Promise<FeedFact[]> {
    const entries = await entriesRange(this.#engine.store.db, at, batch)
    return entries.map(({ entry, logIndex }) => Object.assign(readFact(entry), { index: logIndex }))
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** Looks at the log as long as somebody listens. */
  #poll(sealed: number): void {
    if (this.#polling) return
    this.#next = sealed
    this.#recent.length = 0
    this.#polling = this.#pollWhileHeard().finally(() => {
      this.#polling = null
    })
  }

  async #pollWhileHeard(): Promise<void> {
    while (this.#listeners > 0) {
      try {
        const facts = await this.#read(this.#next)
        this.#recent.push(...facts)
        this.#recent.splice(0, Math.max(0, this.#recent.length - kept))
        this.#next += facts.length
      } catch (error) {
        this.#engine.log.warn({ err: error }, 'the log could not be read for those who listen')
      }
      this.#wakeAll()
      await this.#engine.clock.sleep(pollMs)
    }
  }
}

/** For a listener's place: what an earlier one was told last. @returns null when it is none */
export function placeAfter(lastEventId: string | undefined): number | null {
  if (lastEventId === undefined || !/^[0-9]{1,15}$/.test(lastEventId)) return null
  return Number(lastEventId) + 1
}

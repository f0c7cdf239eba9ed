/** A bound on what was handed over and is not acknowledged yet. Beyond it callers wait: slowness must not become memory. */
import type { Clock, Instant } from './clock.ts'
import type { Refusal } from './errors.ts'

export interface InFlightOptions {
  /** Operations under way at one time, at least 1. */
  readonly limit: number
  /** How long one may take, its wait for a place included, ms. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** What is thrown when the time is over. */
  readonly late: () => Refusal
}

/** Begins an operation; calls `done` once, with what went wrong or nothing. */
type Start = (done: (error?: Error | null) => void) => void

interface Entry {
  readonly start: Start
  readonly deadline: Instant
  readonly settle: (error?: unknown) => void
  isSettled: boolean
}

/**
 * An operation whose caller has given up keeps its place until it is done: whoever was handed it still holds it.
 */
export class InFlight {
  readonly #options: InFlightOptions
  /** In the order of their deadlines, since each may take the same time. */
  readonly #unsettled = new Set<Entry>()
  readonly #waiting: Entry[] = []
  readonly #bySignal = new Map<AbortSignal, { readonly entries: Set<Entry>; readonly abort: () => void }>()
  #nextWaiting = 0
  #underWay = 0
  #isWatching = false

  constructor(options: InFlightOptions) {
    this.#options = options
  }

  /** Begun and not done. */
  get underWay(): number {
    return this.#underWay
  }

  /** Callers that wait for a place. */
  get waiting(): number {
    return this.#waiting.length - this.#nextWaiting
  }

  /** Begins when there is a place. @throws what the operation ends with, `late()`, or the signal's reason */
  run(start: Start, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error)
        return
      }
      const entry: Entry = {
        start,
        deadline: this.#options.clock.now() + this.#options.timeoutMs,
        isSettled: false,
        settle: (error) => {
          if (entry.isSettled) return
          entry.isSettled = true
          this.#unsettled.delete(entry)
          if (signal) this.#forget(signal, entry)
          if (error) reject(error as Error)
          else resolve()
        },
      }
      if (signal) this.#heed(signal, entry)
      this.#unsettled.add(entry)
      if (this.#underWay < this.#options.limit) this.#begin(entry)
      else this.#waiting.push(entry)
      void this.#watch()
    })
  }

  /** One listener for all that share a signal: adding the n-th listener to a signal costs n. */
  #heed(signal: AbortSignal, entry: Entry): void {
    const known = this.#bySignal.get(signal)
    if (known) {
      known.entries.add(entry)
      return
    }
    const entries = new Set([entry])
    const abort = () => {
      for (const each of entries) each.settle(signal.reason)
    }
    this.#bySignal.set(signal, { entries, abort })
    signal.addEventListener('abort', abort)
  }

  #forget(signal: AbortSignal, entry: Entry): void {
    const known = this.#bySignal.get(signal)
    if (!known?.entries.delete(entry) || known.entries.size > 0) return
    this.#bySignal.delete(signal)
    signal.removeEventListener('abort', known.abort)
  }

  #begin(entry: Entry): void {
    this.#underWay++
    let isDone = false
    const done = (error?: Error | null) => {
      if (isDone) return
      isDone = true
      this.#underWay--
      entry.settle(error)
      this.#next()
    }
    try {
      entry.start(done)
    } catch (error) {
      done(error as Error)
    }
  }

  #next(): void {
    while (this.#underWay < this.#options.limit) {
      const entry = this.#waiting[this.#nextWaiting]
      if (entry === undefined) break
      this.#nextWaiting++
      if (!entry.isSettled) this.#begin(entry)
    }
    // an array whose head is cut off at each step would be copied at each step
    if (this.#nextWaiting > 1_000 || this.#nextWaiting === this.#waiting.length) {
      this.#waiting.splice(0, this.#nextWaiting)
      this.#nextWaiting = 0
    }
  }

  /** One sleeper for all: it wakes for the oldest deadline, and ends when nobody waits any more. */
  async #watch(): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    const { clock, late } = this.#options
    for (;;) {
      const [oldest] = this.#unsettled
      if (oldest === undefined) break
      const leftMs = oldest.deadline - clock.now()
      if (leftMs > 0) await clock.sleep(Math.min(leftMs, 1_000))
      else oldest.settle(late())
    }
    this.#isWatching = false
  }
}

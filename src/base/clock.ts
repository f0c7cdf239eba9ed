/** The only file that reads a clock or sets a timer. Everything else is given an instant. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Instant } from './instant.ts'

export { dayMs, hourMs, iso, minuteMs, secondMs, type Instant } from './instant.ts'

export interface Clock {
  /** Current instant, epoch ms. */
  now(): Instant
  /** Resolves after `ms` (0 to 2^31-1) or rejects with the signal's reason. Only production loops sleep. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(Math.min(ms, 2 ** 31 - 1), undefined, signal ? { signal } : {})
  },
}

/** A clock that tests and the simulator move by hand. Sleepers wake in the order of their instants. */
export class VirtualClock implements Clock {
  #now: Instant
  #sleepers: { at: Instant; wake: () => void }[] = []

  constructor(start: Instant) {
    this.#now = start
  }

  now(): Instant {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return new Promise((wake, fail) => {
      const sleeper = { at: this.#now + ms, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        fail(signal.reason as Error)
      })
    })
  }

  /** Moves time forward, waking each sleeper at its own instant. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const next = this.#sleepers.filter((s) => s.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#sleepers = this.#sleepers.filter((s) => s !== next)
      this.#now = next.at
      next.wake()
      await delay(0)
    }
    this.#now = end
  }
}

/** A monotonic stopwatch in milliseconds, for measurements only. */
export function stopwatch(): () => number {
  const start = performance.now()
  return () => performance.now() - start
}

/** Resolves in the next turn of the event loop, after the input and output that is waiting now. Takes no time. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** Calls `onTurn` once in each turn of the event loop until it is stopped: work that never leaves its turn is not seen. */
export function watchTurns(onTurn: () => void): { stop(): void } {
  let turn = setImmediate(function fire() {
    turn = setImmediate(fire)
    onTurn()
  })
  return { stop: () => clearImmediate(turn) }
}

/** How late the event loop is: work that arrives waits about this long for its turn. Costs a timer of the system's. */
export function watchLoopDelay(): { takeMax(): number } {
  const histogram = monitorEventLoopDelay({ resolution: delayResolutionMs })
  histogram.enable()
  return {
    /** The longest delay since the last call, ms. */
    takeMax() {
      const ms = histogram.max / 1e6
      histogram.reset()
      return Math.max(0, ms - delayResolutionMs)
    },
  }
}

const delayResolutionMs = 20

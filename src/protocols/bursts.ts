/**
 * Requests that arrive within a moment of each other are worked on one after the other, not each between two handshakes of
 * others: a processor that does one kind of work at a time has its code and data at hand (docs/performance.md has what
 * it is worth). A request that comes alone waits for one turn of the event loop.
 */
import { gather } from '../base/gather.ts'

/** Longest wait for company, ms: a tenth of what a handshake takes over a cellular link. */
const longestMs = 20
const most = 64

export class Bursts {
  #waiting: (() => void)[] = []

  /** Resolves together with the other requests of its burst. */
  join(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) void this.#release()
    })
  }

  async #release(): Promise<void> {
    await gather({ count: () => this.#waiting.length, most, longestMs })
    for (const begin of this.#waiting.splice(0)) begin()
  }
}

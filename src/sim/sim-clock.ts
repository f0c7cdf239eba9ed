/** The clock of a simulation: moved from tick to tick; whoever sleeps inside a tick moves it on by as much. */
import { nextTurn, type Clock, type Instant } from '../base/clock.ts'

export class SimClock implements Clock {
  #now: Instant

  constructor(start: Instant) {
    this.#now = start
  }

  now(): Instant {
    return this.#now
  }

  async sleep(ms: number): Promise<void> {
    this.#now += ms
    await nextTurn()
  }

  /** Never back. */
  moveTo(at: Instant): void {
    this.#now = Math.max(this.#now, at)
  }
}

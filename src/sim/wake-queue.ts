/**
 * When each device is awake next: one instant for each, in the calendar of the ticks. A device that is given a new instant
 * stays where it was in the calendar and is passed over there.
 */
import { assert } from '../base/errors.ts'
import type { Instant } from '../base/clock.ts'

export interface Calendar {
  readonly startedAt: Instant
  readonly tickMs: number
  readonly ticks: number
}

export class WakeQueue {
  readonly #calendar: Calendar
  readonly #nextAt: Float64Array
  readonly #days: (number[] | undefined)[]
  #taken = 0

  constructor(devices: number, calendar: Calendar) {
    this.#calendar = calendar
    this.#nextAt = new Float64Array(devices).fill(Infinity)
    this.#days = Array.from({ length: calendar.ticks + 1 })
  }

  nextAt(device: number): Instant {
    return this.#nextAt[device] ?? Infinity
  }

  /** In place of whatever was set before; null and what lies behind the end: not at all. What is past is in the next tick. */
  set(device: number, at: Instant | null): void {
    this.#nextAt[device] = at ?? Infinity
    if (at === null || at === Infinity) return
    const { startedAt, tickMs, ticks } = this.#calendar
    const tick = Math.max(this.#taken + 1, Math.ceil((at - startedAt) / tickMs))
    if (tick > ticks) return
    const list = this.#days[tick]
    if (list === undefined) this.#days[tick] = [device]
    else list.push(device)
  }

  /** Unless it is awake before. */
  setEarlier(device: number, at: Instant | null): void {
    if (at !== null && at < this.nextAt(device)) this.set(device, at)
  }

  /** Who is awake up to this tick; each of them has no instant any more. In the order of instants. */
  take(tick: number): number[] {
    assert(tick <= this.#calendar.ticks, 'the calendar ends with the run')
    const list = this.#days[tick] ?? []
    this.#days[tick] = undefined
    this.#taken = Math.max(this.#taken, tick)
    const { startedAt, tickMs } = this.#calendar
    const until = startedAt + tick * tickMs
    const due = list.filter((device) => this.nextAt(device) <= until)
    due.sort((a, b) => this.nextAt(a) - this.nextAt(b) || a - b)
    const once: number[] = []
    for (const device of due) {
      if (this.nextAt(device) === Infinity) continue
      this.#nextAt[device] = Infinity
      once.push(device)
    }
    return once
  }
}

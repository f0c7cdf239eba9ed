/** What became of each device, in a few bytes: when its certificate ends, and what has happened to it so far. */
import { dayMs, type Instant } from '../base/clock.ts'

export const marks = {
  renewed: 1,
  asked: 2,
  sms: 4,
  visited: 8,
  lapsed: 16,
  broken: 32,
  repaired: 64,
} as const

export type Mark = keyof typeof marks

export class Ledger {
  readonly devices: number
  readonly #startedAt: Instant
  readonly #endsAt: Float64Array
  readonly #marks: Uint8Array
  /** Certificates in use by the virtual day on which they end. */
  readonly #ends = new Map<number, number>()
  readonly #totals: Record<Mark, number> = {
    renewed: 0,
    asked: 0,
    sms: 0,
    visited: 0,
    lapsed: 0,
    broken: 0,
    repaired: 0,
  }
  renewedBy = { message: 0, sms: 0, unasked: 0, visit: 0 }

  constructor(devices: number, startedAt: Instant) {
    this.devices = devices
    this.#startedAt = startedAt
    this.#endsAt = new Float64Array(devices)
    this.#marks = new Uint8Array(devices)
  }

  begin(device: number, notAfter: Instant): void {
    this.#endsAt[device] = notAfter
    this.#count(notAfter, 1)
  }

  endsAt(device: number): Instant {
    return this.#endsAt[device] ?? 0
  }

  is(device: number, mark: Mark): boolean {
    return ((this.#marks[device] ?? 0) & marks[mark]) !== 0
  }

  mark(device: number, mark: Mark): void {
    if (this.is(device, mark)) return
    this.#marks[device] = (this.#marks[device] ?? 0) | marks[mark]
    this.#totals[mark] += 1
  }

  total(mark: Mark): number {
    return this.#totals[mark]
  }

  /** It uses a new certificate. */
  activated(device: number, { notAfter, now }: { readonly notAfter: Instant; readonly now: Instant }): void {
    const before = this.endsAt(device)
    if (before < now) this.mark(device, 'lapsed')
    this.#count(before, -1)
    this.#count(notAfter, 1)
    this.#endsAt[device] = notAfter
    if (this.is(device, 'renewed')) return
    this.mark(device, 'renewed')
    const { renewedBy } = this
    if (this.is(device, 'visited')) renewedBy.visit += 1
    else if (this.is(device, 'sms')) renewedBy.sms += 1
    else if (this.is(device, 'asked')) renewedBy.message += 1
    else renewedBy.unasked += 1
  }

  /** It will never use a certificate again. */
  breaks(device: number, now: Instant): void {
    this.mark(device, 'broken')
    this.#count(this.endsAt(device), -1)
    this.#endsAt[device] = now - 1
    this.#count(now - 1, 1)
  }

  /** Certificates in use that end on the day. */
  endsOn(day: number): number {
    return this.#ends.get(day) ?? 0
  }

  /** Devices whose certificate is valid at the end of the day. */
  aliveAfter(day: number): number {
    let ended = 0
    for (const [each, count] of this.#ends) if (each <= day) ended += count
    return this.devices - ended
  }

  /** At the end of a run: those whose certificate has ended and who got no other. */
  markLapsed(now: Instant): void {
    for (let device = 0; device < this.devices; device++) {
      if (this.endsAt(device) < now && !this.is(device, 'broken')) this.mark(device, 'lapsed')
    }
  }

  #count(notAfter: Instant, change: number): void {
    const day = Math.floor((notAfter - this.#startedAt) / dayMs)
    this.#ends.set(day, (this.#ends.get(day) ?? 0) + change)
  }
}

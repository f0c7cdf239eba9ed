/**
 * Who can be reached when. Contacts, outages and losses are luck that is fixed by seed and device, so that nothing is kept
 * for a device that sleeps; what an SMS or a visit has put right is.
 */
import { minuteMs, secondMs, type Instant } from '../base/clock.ts'
import { about, chance, waitOf } from './chance.ts'
import { silenceOf, type CopiedDevice, type CopiedFleet } from './fleet/copied-fleet.ts'
import type { ParameterValues } from './parameters.ts'

/** `stuck`: the modem is attached and the device was not started; `dead`: no coverage; `broken`: waits for a repair. */
export type OutageCause = 'stuck' | 'dead' | 'broken'

export interface Outage {
  readonly cause: OutageCause
  readonly until: Instant
}

export type Fate = 'arrives' | 'lost' | 'answer-lost' | 'twice'

/** Contacts that are looked at to find one that comes about. */
const mostContacts = 10_000

export interface NetworkParts {
  readonly seed: number
  readonly values: ParameterValues
  readonly startedAt: Instant
  /** Whose devices call in as they have so far; null: all alike, by the parameters. */
  readonly copied: CopiedFleet | null
}

export class Network {
  readonly #seed: number
  readonly #values: ParameterValues
  readonly #startedAt: Instant
  readonly #copied: CopiedFleet | null
  /** When it was put right. */
  readonly #cured = new Map<number, Instant>()
  readonly #gone = new Set<number>()
  /** False: nothing is lost any more, and everybody can be reached. */
  isFaulty = true

  constructor({ seed, values, startedAt, copied }: NetworkParts) {
    this.#copied = copied
    this.#seed = seed
    this.#values = values
    this.#startedAt = startedAt
  }

  /** The first instant from `at` on at which the device is on the air; null = never. */
  contactAfter(device: number, at: Instant): Instant | null {
    if (this.#gone.has(device)) return null
    const every = this.#real(device)?.usualGapMs ?? this.#values['contact.every']
    const missed = this.isFaulty ? this.#values['contact.missed'] : 0
    const first = this.#startedAt + Math.floor(chance(this.#seed, device, about.phase) * every)
    const outage = this.outageOf(device)
    const from = outage !== null && at < outage.until ? outage.until : at
    let n = Math.ceil((from - first) / every)
    for (const last = n + mostContacts; n < last; n++) {
      if (missed === 0 || chance(this.#seed, device, about.missed, n) >= missed) return first + n * every
    }
    return null
  }

  /** When a device that has a message waiting works on it: it may sleep over some of its contacts. */
  readsAfter(device: number, at: Instant): Instant | null {
    const real = this.#real(device)
    const every = real?.usualGapMs ?? this.#values['contact.every']
    const sleep = real?.longestGapMs ?? this.#values['contact.sleep']
    const late =
      Math.max(0, sleep - every) * chance(this.#seed, device, about.sleep, Math.floor(at / minuteMs))
    return this.contactAfter(device, at + Math.floor(late))
  }

  outageOf(device: number): Outage | null {
    const { values, seed } = { values: this.#values, seed: this.#seed }
    const real = this.#real(device)
    if (real) return this.#silence(device, real)
    if (!this.isFaulty || values['outage.share'] === 0) return null
    if (chance(seed, device, about.outage) >= values['outage.share']) return null
    const back = waitOf(values['outage.repair'], chance(seed, device, about.back))
    const ends = Math.floor(this.#startedAt + values['outage.window'] + back)
    const kind = chance(seed, device, about.cause)
    const { 'outage.stuck': stuck, 'outage.dead': dead } = values
    const cause = kind < stuck ? 'stuck' : kind < stuck + dead ? 'dead' : 'broken'
    return { cause, until: Math.min(ends, this.#cured.get(device) ?? Infinity) }
  }

  /** Whoever has been silent for long will be for long: the wait for it is drawn around the silence so far. */
  #silence(device: number, real: CopiedDevice): Outage | null {
    const silentMs = this.isFaulty ? silenceOf(real, this.#startedAt) : null
    if (silentMs === null) return null
    const back = this.#startedAt + waitOf(silentMs, chance(this.#seed, device, about.back))
    return { cause: 'dead', until: Math.min(Math.floor(back), this.#cured.get(device) ?? Infinity) }
  }

  #real(device: number): CopiedDevice | null {
    return this.#copied?.devices[device] ?? null
  }

  /** Whether an SMS has a number to go to. */
  hasNumber(device: number): boolean {
    return this.#real(device)?.hasNumber ?? true
  }

  isDark(device: number, at: Instant): boolean {
    if (this.#gone.has(device)) return true
    const outage = this.outageOf(device)
    return outage !== null && at < outage.until
  }

  /** It is out of order, and somebody will come for that. */
  waitsForRepair(device: number, at: Instant): boolean {
    const outage = this.outageOf(device)
    return outage !== null && outage.cause === 'broken' && at < outage.until
  }

  /**
   * An SMS was handed to the provider.
   * @param n tells the SMS to one device apart
   * @returns when the device is awake because of it; null when it does not arrive
   */
  smsWakes(device: number, at: Instant, n: number): Instant | null {
    if (this.#gone.has(device)) return null
    const outage = this.outageOf(device)
    const isOut = outage !== null && at < outage.until
    const success =
      !isOut || outage.cause === 'stuck'
        ? this.#values['sms.success']
        : outage.cause === 'dead'
          ? this.#values['sms.dead']
          : 0
    if (chance(this.#seed, device, about.sms, n) >= success) return null
    const arrives = at + secondMs + Math.floor(waitOf(minuteMs, chance(this.#seed, device, about.latency, n)))
    if (isOut) this.#cured.set(device, arrives)
    return arrives
  }

  /** Somebody was there. */
  visited(device: number, at: Instant): void {
    this.#gone.delete(device)
    this.#cured.set(device, at)
  }

  /** It does not work any more, and nothing but a visit helps. */
  breaks(device: number): void {
    this.#gone.add(device)
  }

  /** @param n tells the requests of one device apart */
  fateOf(device: number, n: number): Fate {
    if (!this.isFaulty) return 'arrives'
    const { 'network.lost': lost, 'network.replyLost': replyLost, 'network.twice': twice } = this.#values
    const luck = chance(this.#seed, device, about.loss, n)
    if (luck < lost) return 'lost'
    if (luck < lost + replyLost) return 'answer-lost'
    return luck < lost + replyLost + twice ? 'twice' : 'arrives'
  }
}

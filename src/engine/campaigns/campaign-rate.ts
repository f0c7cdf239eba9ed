/** How many devices may be let in now. */
import { minuteMs, type Instant } from '../../base/clock.ts'
import type { RolloutRate } from './campaign-definition.ts'

/** A rate of 1.1 to the power of thousands is no number any more; the maximum is reached long before. */
const maxSteps = 400

/**
 * Devices per minute, from what has happened so far.
 * @param done `notified`: let in; `succeeded`: a new certificate is in use
 */
export function currentRate(
  { maximumPerMinute, exponentialRate }: RolloutRate,
  done: { readonly notified: number; readonly succeeded: number },
): number {
  if (exponentialRate === null) return maximumPerMinute
  const { baseRatePerMinute, incrementFactor, rateIncreaseCriteria } = exponentialRate
  const { numberOfNotifiedThings, numberOfSucceededThings } = rateIncreaseCriteria
  const steps =
    numberOfNotifiedThings !== null
      ? Math.floor(done.notified / numberOfNotifiedThings)
      : Math.floor(done.succeeded / (numberOfSucceededThings ?? Infinity))
  const rate = baseRatePerMinute * incrementFactor ** Math.min(steps, maxSteps)
  return Math.max(1, Math.min(maximumPerMinute, Math.floor(rate)))
}

export interface Budget {
  /** Devices that may be let in. */
  readonly devices: number
  /** From when on the next budget counts, when so many were let in. */
  readonly spent: (admitted: number) => Instant
}

/**
 * A leaky bucket that holds one minute: a tick that comes late, or after a night without windows, lets in no more than
 * the rate of a minute.
 * @param tickedAt what the rate is counted from; null = nobody was let in yet, and then there is one device's worth
 * @param rate     per minute, at least 1
 */
export function budgetOf(tickedAt: Instant | null, now: Instant, rate: number): Budget {
  const perDeviceMs = minuteMs / rate
  const from = Math.min(now, Math.max(tickedAt ?? now - Math.ceil(perDeviceMs), now - minuteMs))
  return {
    devices: Math.floor((now - from) / perDeviceMs),
    // what is not enough for one more device is kept
    spent: (admitted) => Math.min(now, from + Math.floor(admitted * perDeviceMs)),
  }
}

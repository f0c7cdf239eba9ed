/**
 * The chance that a device renews before its certificate ends, from its own history of contacts. Pure, and short enough to
 * be explained to whoever asks why a device is on the list:
 *
 * 1. Its usual gap between two visits is the average of its own gaps, held against two imagined ones of its connectivity.
 * 2. A device that has been silent for long is less likely to come back soon: times between visits are taken to follow
 *    a Lomax distribution (an exponential one whose rate is not known exactly), so the chance of a visit in the time that
 *    is left is 1 − ((L + silent) / (L + silent + left))³ with L = 2 × usual gap, whose mean is the usual gap.
 * 3. Each visit since it was asked that brought no new certificate makes the next one less likely to: 1 in (1 + such visits).
 */
import type { Instant } from '../../base/clock.ts'

export interface ContactHistory {
  /** Null: never. */
  readonly seenAt: Instant | null
  /** Between two visits, ms: how many there were, the usual one, the longest. */
  readonly gaps: number
  readonly usualGapMs: number
  readonly longestGapMs: number
}

export interface ChanceQuestion {
  readonly history: ContactHistory
  /** The longest a healthy device of its connectivity stays silent, ms. */
  readonly checkInMs: number
  /** It can renew from here … */
  readonly opensAt: Instant
  /** … it has been asked by now … */
  readonly askedBy: Instant
  /** … and this is the end. */
  readonly notAfter: Instant
  readonly now: Instant
}

export interface RenewalChance {
  /** 0 to 1. */
  readonly share: number
  /** What it was made of, ms. */
  readonly usualGapMs: number
  readonly silentMs: number | null
  readonly leftMs: number
  /** Visits since it was asked, without a new certificate. */
  readonly missed: number
}

/** Gaps of its connectivity that a device's own are held against. */
const imagined = 2
/** Own gaps count for at most so many: the average moves with about this many. */
const mostOwn = 8

export function renewalChance(question: ChanceQuestion): RenewalChance {
  const { history, checkInMs, opensAt, askedBy, notAfter, now } = question
  const usualGapMs = usualGap(history, checkInMs)
  const leftMs = Math.max(0, notAfter - Math.max(now, opensAt))
  const { seenAt } = history
  if (seenAt === null) return { share: 0, usualGapMs, silentMs: null, leftMs, missed: 0 }
  const silentMs = Math.max(0, now - seenAt)
  const missed = Math.max(0, Math.floor((seenAt - askedBy) / usualGapMs))
  const scale = 2 * usualGapMs + silentMs
  const visit = 1 - (scale / (scale + leftMs)) ** 3
  const visits = Math.max(1, leftMs / usualGapMs)
  const share = visit * (1 - (1 - 1 / (1 + missed)) ** visits)
  return { share, usualGapMs, silentMs, leftMs, missed }
}

/** A device that was once silent for long, and came back, may be again: its usual gap is a quarter of that at the least. */
function usualGap({ gaps, usualGapMs, longestGapMs }: ContactHistory, checkInMs: number): number {
  const own = Math.min(gaps, mostOwn)
  const average = (own * usualGapMs + (imagined * checkInMs) / 2) / (own + imagined)
  return Math.max(1, Math.round(Math.max(average, longestGapMs / 4)))
}

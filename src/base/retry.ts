import { fraction, type Random } from './random.ts'

export interface Backoff {
  /** Wait before the first repetition, ms. */
  readonly baseMs: number
  /** No wait is longer than this, ms. */
  readonly capMs: number
}

/**
 * Exponential backoff with full jitter: a uniform wait in [base, min(cap, base × 2^attempt)].
 * @param attempt 0 for the first repetition
 * @returns ms, whole
 */
export function backoffMs({ baseMs, capMs }: Backoff, attempt: number, random: Random): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 40))
  return Math.round(baseMs + fraction(random) * Math.max(0, ceiling - baseMs))
}

/** `ms` spread by ± `share` (0 to 1), so that many clients told the same thing do not come back together. */
export function jitteredMs(ms: number, share: number, random: Random): number {
  return Math.max(0, Math.round(ms * (1 + share * (2 * fraction(random) - 1))))
}

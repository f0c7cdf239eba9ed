/** How CRLs are published. */
import { dayMs, hourMs, minuteMs, type Instant } from '../../base/clock.ts'
import type { EngineSettings } from '../context.ts'

export interface CrlSettings {
  /** A new CRL comes at least this often, whether or not anything was revoked. */
  readonly periodMs: number
  /** From its publication to nextUpdate. Several periods, so that a publisher that is down for a while stops nobody. */
  readonly lifetimeMs: number
}

export const defaultCrlSettings: CrlSettings = { periodMs: dayMs, lifetimeMs: 7 * dayMs }

export function crlSettings({ crl }: Pick<EngineSettings, 'crl'>): CrlSettings {
  return crl ?? defaultCrlSettings
}

/**
 * thisUpdate lies this much before the publication: for verifiers whose clock is behind, and for nodes of ours whose clock
 * is ahead. A CRL of the future is one that every verifier refuses.
 */
export const crlBackdateMs = 15 * minuteMs

/** When a CRL was published, by the clock of who did. */
export function publishedAt({ thisUpdate }: { readonly thisUpdate: Instant }): Instant {
  return thisUpdate + crlBackdateMs
}

/** True when the next one should have come: more than a quarter of the time after its period is gone. */
export function isLateCrl({ periodMs, lifetimeMs }: CrlSettings, nextUpdate: Instant, now: Instant): boolean {
  return nextUpdate - now < (lifetimeMs - periodMs) * 0.75
}

/** A complete CRL of more entries than this is not built anew at each revocation: its delta CRL is. */
export const largeCrl = 50_000
/** But this often, while things are being revoked. */
export const largeCrlGapMs = 10 * minuteMs

/** Clocks of several nodes may differ by this much, and a revocation may take as long to commit: deltas reach back by it. */
export const overlapMs = hourMs

/** A delta CRL is for those who fetch often. */
export function deltaLifetimeMs({ periodMs, lifetimeMs }: CrlSettings): number {
  return Math.min(lifetimeMs, 2 * periodMs)
}

/**
 * Certificates that ended before this instant need no entry: a CRL published after their end has listed them for a period
 * (RFC 5280 §3.3).
 * @param previous thisUpdate of the CRL before, if there is one
 */
export function listedFrom({ periodMs }: CrlSettings, now: Instant, previous: Instant | null): Instant {
  return Math.min(now - periodMs, previous ?? now)
}

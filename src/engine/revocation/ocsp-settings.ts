/** How OCSP is answered. */
import { hourMs, minuteMs } from '../../base/clock.ts'
import type { EngineSettings } from '../context.ts'

export interface OcspSettings {
  /**
   * Signatures per second of one process that anybody can ask for: for a nonce, for serial numbers that were never issued,
   * for several certificates at once. Beyond it a nonce is passed over, which RFC 9654 allows, and the others are told to
   * try later.
   */
  readonly liveSignaturesPerSecond: number
}

export const defaultOcspSettings: OcspSettings = { liveSignaturesPerSecond: 5_000 }

export function ocspSettings({ ocsp }: Pick<EngineSettings, 'ocsp'>): OcspSettings {
  return ocsp ?? defaultOcspSettings
}

/** From producedAt to nextUpdate. Whoever keeps an answer learns of a revocation this much later at the latest. */
export const ocspLifetimeMs = 12 * hourMs
/** An answer that is given again has at least this much left. */
export const ocspFreshMs = 6 * hourMs
/** thisUpdate lies this much in the past: for verifiers whose clock is behind, and nodes of ours whose clock is ahead. */
export const ocspBackdateMs = 15 * minuteMs

/** How renewals are opened, stepped and ended; the `renewal` section of the configuration says it with words. */
import { dayMs, hourMs, secondMs } from '../../base/clock.ts'

export interface RenewalSettings {
  /** Whether a renewal is opened for what is due without a campaign. */
  readonly isAutomatic: boolean
  readonly sweepIntervalMs: number
  readonly tickIntervalMs: number
  /** Share of the renewal window over which devices without a campaign are spread, 0 to 0.9. */
  readonly spread: number
  /** Triggers to devices without a campaign. */
  readonly maximumPerMinute: number
  /** After its end, how long a certificate that is not live stays in the inventory. */
  readonly keepRetiredMs: number
  /** A clock that moves further forward between two passes is not believed. */
  readonly maxClockJumpMs: number
}

/** The defaults of the configuration. */
export const defaultRenewalSettings: RenewalSettings = {
  isAutomatic: true,
  sweepIntervalMs: hourMs,
  tickIntervalMs: 10 * secondMs,
  spread: 0.5,
  maximumPerMinute: 1_000,
  keepRetiredMs: 180 * dayMs,
  maxClockJumpMs: 30 * dayMs,
}

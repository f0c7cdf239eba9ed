/**
 * A fleet that is there, in place of one that is drawn: devices as the inventory has them, under the simulator's names, with
 * how each of them has called in so far. Plain data, because it goes to the thread of the devices.
 */
import type { Instant } from '../../base/clock.ts'
import type { Profile } from '../../engine/issuing/profile.ts'
import type { DeviceRecord } from '../../store/devices.ts'

export interface CopiedDevice {
  /** Its id is the simulator's. */
  readonly record: DeviceRecord
  /** End of the certificate that it has. */
  readonly notAfter: Instant
  /** Null: never. */
  readonly seenAt: Instant | null
  /** The usual time between two visits, and the longest one, ms. */
  readonly usualGapMs: number
  readonly longestGapMs: number
  /** Whether an SMS has a number to go to. */
  readonly hasNumber: boolean
}

export interface CopiedFleet {
  /** As they are configured; the issuer is the simulated one. */
  readonly profiles: ReadonlyMap<string, Profile>
  readonly devices: readonly CopiedDevice[]
}

/** Silent for so many times its longest gap, a device counts as not to be reached. */
const darkAfterGaps = 3

/**
 * For how long a device has been out of reach; null when it is not. Silence for longer than it has ever been silent is what
 * tells the two apart.
 */
export function silenceOf(device: CopiedDevice, now: Instant): number | null {
  const { seenAt, usualGapMs, longestGapMs } = device
  if (seenAt === null) return neverSeenMs
  const silentMs = now - seenAt
  return silentMs > darkAfterGaps * Math.max(usualGapMs, longestGapMs) ? silentMs : null
}

const neverSeenMs = 365 * 86_400_000

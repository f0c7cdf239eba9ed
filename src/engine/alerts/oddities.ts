/**
 * What devices show unasked that is not right: that they call though they are revoked or quarantined, and that their clock
 * is off. Noted in memory and written with the sightings; what a crash loses is seen again at the next contact.
 */
import { minuteMs, type Instant } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { clearOddities, recordOddities, type Oddity, type OddityKind } from '../../store/device-oddities.ts'
import type { Engine } from '../context.ts'

/** Less does no harm: certificates begin five minutes before they are issued (`backdate` of the profile). */
export const clockOffMs = 5 * minuteMs

export interface OddityBuffer {
  note(kind: OddityKind, deviceId: DeviceId, seen: Pick<Oddity, 'at' | 'value'>): void
  /** The clock of this device is right. */
  noteGoodClock(deviceId: DeviceId): void
  readonly size: number
  /** Everything noted so far; the buffer is empty afterwards. */
  take(): { readonly oddities: readonly Oddity[]; readonly goodClocks: readonly DeviceId[] }
}

export function createOddityBuffer(): OddityBuffer {
  let noted = new Map<string, Oddity>()
  let goodClocks = new Set<DeviceId>()
  return {
    note(kind, deviceId, { at, value }) {
      const key = `${kind} ${deviceId}`
      const times = (noted.get(key)?.times ?? 0) + 1
      noted.set(key, { kind, deviceId, at, times, value })
      if (kind === 'clock-off') goodClocks.delete(deviceId)
    },
    noteGoodClock(deviceId) {
      noted.delete(`clock-off ${deviceId}`)
      goodClocks.add(deviceId)
    },
    get size() {
      return noted.size + goodClocks.size
    },
    take() {
      const taken = { oddities: [...noted.values()], goodClocks: [...goodClocks] }
      noted = new Map()
      goodClocks = new Set()
      return taken
    },
  }
}

/**
 * Holds the clock of a device against ours. HTTP lets a client say what its clock shows (RFC 9110 §6.6.1); the agent does.
 * Only for a device that has proved who it is: it may spoil its own record, and nobody else's.
 * @param date the `Date` of its request; what is no date says nothing
 */
export function noteDeviceClock(
  { oddities }: Pick<Engine, 'oddities'>,
  { deviceId, date }: { readonly deviceId: DeviceId; readonly date: string | undefined },
  now: Instant,
): void {
  if (date === undefined || date.length > longestDate) return
  const shown = Date.parse(date)
  if (Number.isNaN(shown)) return
  const aheadMs = shown - now
  if (Math.abs(aheadMs) > clockOffMs) oddities.note('clock-off', deviceId, { at: now, value: aheadMs })
  else oddities.noteGoodClock(deviceId)
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`, and the two obsolete forms. */
const longestDate = 40

/** Writes what was noted in this process. @returns how many there were */
export async function flushOddities({
  oddities,
  store,
}: Pick<Engine, 'oddities' | 'store'>): Promise<number> {
  if (oddities.size === 0) return 0
  const { oddities: noted, goodClocks } = oddities.take()
  await store.transaction(async (tx) => {
    if (noted.length > 0) await recordOddities(tx, noted)
    if (goodClocks.length > 0) await clearOddities(tx, 'clock-off', goodClocks)
  })
  return noted.length
}

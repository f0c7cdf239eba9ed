/** The 2.2 million meters: at 400 sites, of three models and four firmware versions, 7 % of them not heard from for months. */
import { statSync } from 'node:fs'
import { dayMs, hourMs, type Instant } from '../../src/base/clock.ts'
import { fraction, seededRandom, type Random } from '../../src/base/random.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import { insertDevices } from '../../src/store/devices.ts'
import { withIndexesLast } from '../../src/store/indexes-last.ts'
import { recordLastSeen } from '../../src/store/last-seen.ts'
import { openStore } from '../../src/store/open.ts'
import type { Tx } from '../../src/store/schema.ts'
import { fleetStart, sampleOf } from '../inventory/fleet.ts'

/** All are produced by then, and the window of every certificate of the fleet is open or has been for months. */
export const meterNow: Instant = fleetStart + 610 * dayMs

/** Devices in one insert: few enough that they are garbage soon. */
const chunk = 512

/** Loads the fleet into a new database file. @returns its size in bytes */
export async function loadMeters(path: string, devices: number): Promise<number> {
  const store = await openStore({ url: `sqlite:${path}`, isExclusive: true })
  await store.migrate()
  const random = seededRandom('campaign')
  await store.transaction((tx) => withIndexesLast(tx, () => insertAll(tx, devices, random)))
  await store.close()
  return statSync(path).size
}

async function insertAll(tx: Tx, devices: number, random: Random): Promise<void> {
  for (let at = 0; at < devices; at += chunk) {
    const meters = []
    for (let n = at; n < Math.min(devices, at + chunk); n++) meters.push(meterOf(n, devices, random))
    await insertDevices(
      tx,
      meters.map(({ device }) => device),
    )
    await insertCertificates(
      tx,
      meters.map(({ certificate }) => certificate),
    )
    await recordLastSeen(
      tx,
      meters.map(({ device, seenAt }) => ({ deviceId: device.id, certificateId: null, at: seenAt })),
    )
  }
}

function meterOf(n: number, devices: number, random: Random) {
  const { device, certificate } = sampleOf(n, devices, random)
  const place = { profile: 'meter', site: `site-${String(n % 400).padStart(3, '0')}` }
  const isDark = fraction(random) < 0.07
  const silentMs = isDark ? (4 + fraction(random) * 200) * dayMs : fraction(random) * 40 * hourMs
  return {
    device: {
      ...device,
      ...place,
      connectivity: 'deep-sleep-72h',
      hardware: `rev-${'abc'[n % 3] ?? 'a'}`,
      firmware: `2.${n % 4}.0`,
    },
    certificate: {
      ...certificate,
      ...place,
      notAfter: meterNow + 20 * dayMs + (certificate.notAfter % (140 * dayMs)),
    },
    seenAt: Math.floor(meterNow - silentMs),
  }
}

/**
 * Looks at the whole fleet, a page at a time: certificates by their end as far as the longest lead time, then devices by
 * their silence. What it finds is given out when it is through; until then the result of the sweep before holds.
 */
import { dayMs, type Instant } from '../../base/clock.ts'
import type { DueCursor } from '../../store/due-certificates.ts'
import { silentDevices, watchedCertificates } from '../../store/expiry-watch.ts'
import { findLastSeen } from '../../store/last-seen.ts'
import type { Engine } from '../context.ts'
import { alertSettings, otherThresholds } from './alert-settings.ts'
import { collectRisk, neverSeen, thresholdsOf, type FleetRisk, type RiskCollector } from './fleet-risk.ts'

/** Rows looked at in one page: some tens of milliseconds. */
const page = 5_000
/** Certificates that ended longer ago are on the field list, or are forgotten by everybody. */
const endedForMs = 30 * dayMs
/** Silent for more than so many of the longest silences of a healthy device. */
export const darkCheckIns = 4

export interface FleetSweep {
  readonly now: Instant
  readonly collector: RiskCollector
  /** Null: the certificates are through. */
  certificates: DueCursor | null
  devices: string
}

type SweptEngine = Pick<Engine, 'store' | 'settings'>

export function newFleetSweep({ settings }: SweptEngine, now: Instant): FleetSweep {
  const risk = {
    alerts: alertSettings(settings),
    profiles: settings.profiles,
    connectivity: settings.connectivity,
    spread: settings.renewal.spread,
  }
  return {
    now,
    collector: collectRisk(risk, now),
    certificates: { notAfter: now - endedForMs, id: 0 },
    devices: '',
  }
}

/** One page. @returns what was found, when it was the last */
export async function sweepFleet(engine: SweptEngine, sweep: FleetSweep): Promise<FleetRisk | null> {
  if (sweep.certificates !== null) {
    sweep.certificates = await certificatePage(engine, sweep, sweep.certificates)
    return null
  }
  const limits = new Map(
    [...engine.settings.connectivity].map(([name, { checkInMs }]) => [
      name,
      sweep.now - darkCheckIns * checkInMs,
    ]),
  )
  const { sums, next } = await silentDevices(engine.store.db, {
    after: sweep.devices,
    limit: 4 * page,
    limits,
    otherLimit: 0,
  })
  sweep.collector.addSilence(sums)
  if (next === null) return sweep.collector.result(sweep.now)
  sweep.devices = next
  return null
}

async function certificatePage(
  { store, settings }: SweptEngine,
  { now, collector }: FleetSweep,
  after: DueCursor,
): Promise<DueCursor | null> {
  const alerts = alertSettings(settings)
  const horizons = new Map(
    [...settings.connectivity.keys()].map((name) => [name, now + thresholdsOf(alerts, name)[0]]),
  )
  const { rows, next } = await watchedCertificates(store.db, {
    after,
    to: Math.max(now + otherThresholds[0], ...horizons.values()),
    limit: page,
    horizons,
    otherHorizon: now + otherThresholds[0],
  })
  const seen = await findLastSeen(
    store.db,
    rows.map(({ deviceId }) => deviceId),
  )
  for (const row of rows) {
    const history = seen.get(row.deviceId)
    collector.add(row, history ? { ...history, seenAt: history.at } : neverSeen)
  }
  return next
}

/**
 * Looks at the whole fleet, a page at a time, in the order of the devices: their live certificates that end within their lead
 * times, then their silence. What it finds is given out when it is through; until then the result of the sweep before holds.
 */
import { dayMs, type Instant } from '../../base/clock.ts'
import { activeDevices, silentDevices, watchedCertificates } from '../../store/expiry-watch.ts'
import type { Engine } from '../context.ts'
import { alertSettings, otherThresholds } from './alert-settings.ts'
import { collectRisk, thresholdsOf, type FleetRisk, type RiskCollector } from './fleet-risk.ts'

/** Rows looked at in one page: some tens of milliseconds. */
const page = 5_000
/** Certificates that ended longer ago are on the field list, or are forgotten by everybody. */
const endedForMs = 30 * dayMs
/** Silent for more than so many of the longest silences of a healthy device. */
export const darkCheckIns = 4

export interface FleetSweep {
  readonly now: Instant
  readonly collector: RiskCollector
  /** The last device whose certificates were looked at; null: they are through. */
  certificates: string | null
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
    certificates: '',
    devices: '',
  }
}

/** One page. @returns what was found, when it was the last */
export async function sweepFleet(engine: SweptEngine, sweep: FleetSweep): Promise<FleetRisk | null> {
  if (sweep.certificates !== null) {
    sweep.certificates = await certificatePage(engine, sweep, sweep.certificates)
    return null
  }
  const { store, settings } = engine
  const limits = new Map(
    [...settings.connectivity].map(([name, { checkInMs }]) => [name, sweep.now - darkCheckIns * checkInMs]),
  )
  if (sweep.devices === '') sweep.collector.addSilence(await activeDevices(store.db))
  const { sums, next } = await silentDevices(store.db, {
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
  after: string,
): Promise<string | null> {
  const alerts = alertSettings(settings)
  const { rows, next } = await watchedCertificates(store.db, {
    after,
    limit: page,
    from: now - endedForMs,
    horizons: new Map(
      [...settings.connectivity.keys()].map((name) => [name, now + thresholdsOf(alerts, name)[0]]),
    ),
    otherHorizon: now + otherThresholds[0],
  })
  for (const row of rows) collector.add(row, row)
  return next
}

/**
 * `node bench/alerts.ts [--devices 2200000] [--directory DIR]`: a whole fleet on SQLite, looked at by the alerts: every
 * certificate near its end, every device's silence, then the rules; in the order of the devices, along indexes. Processor time counts; the longest page is how long
 * requests of devices may have to wait for it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dayMs, stopwatch } from '../src/base/clock.ts'
import { fraction, seededRandom } from '../src/base/random.ts'
import { defaultThresholds } from '../src/engine/alerts/alert-settings.ts'
import { newFleetSweep, sweepFleet } from '../src/engine/alerts/fleet-sweep.ts'
import { findEnding } from '../src/engine/alerts/fleet-findings.ts'
import { defaultConnectivity, defaultProfiles } from '../src/engine/issuing/default-profiles.ts'
import { defineProfile } from '../src/engine/issuing/profile.ts'
import { defaultRenewalSettings } from '../src/engine/renewals/renewal-settings.ts'
import { insertCertificates } from '../src/store/certificates.ts'
import { insertDevices } from '../src/store/devices.ts'
import { withIndexesLast } from '../src/store/indexes-last.ts'
import { recordLastSeen } from '../src/store/last-seen.ts'
import { openStore, type Store } from '../src/store/open.ts'
import type { Tx } from '../src/store/schema.ts'
import { fleetStart, sampleOf } from './inventory/fleet.ts'

/** The limit of the issue, and how long a page may hold up everything else. */
const aims = { cpuMs: 5_000, pageMs: 250 }
const chunk = 512
/** In the middle of the years in which the fleet's certificates end. */
const now = fleetStart + 900 * dayMs
const connectivities = ['always-on', 'daily', 'weekly', 'deep-sleep-72h', 'air-gapped'] as const

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { devices: { type: 'string', default: '2200000' }, directory: { type: 'string' } },
  })
  const devices = Number(values.devices)
  const directory = mkdtempSync(join(values.directory ?? tmpdir(), 'perennial-bench-alerts-'))
  try {
    const url = `sqlite:${join(directory, 'perennial.db')}`
    const first = await openStore({ url, isExclusive: true, synchronous: 'off' })
    await first.migrate()
    await first.transaction((tx) => withIndexesLast(tx, () => load(tx, devices)))
    await first.close()
    const store = await openStore({ url })
    await measure(store, devices)
    await store.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** One in fifty is dark; the others were here within their check-in. */
async function load(tx: Tx, devices: number): Promise<void> {
  const random = seededRandom('alerts')
  for (let at = 0; at < devices; at += chunk) {
    const samples = Array.from({ length: Math.min(chunk, devices - at) }, (_, n) => {
      const sample = sampleOf(at + n, devices, random)
      const connectivity = connectivities[(at + n) % connectivities.length] ?? 'daily'
      return { device: { ...sample.device, connectivity }, certificate: sample.certificate }
    })
    await insertDevices(
      tx,
      samples.map(({ device }) => device),
    )
    await insertCertificates(
      tx,
      samples.map(({ certificate }) => certificate),
    )
    await recordLastSeen(
      tx,
      samples.map(({ device }) => {
        const silentMs = (fraction(random) < 0.02 ? 300 : fraction(random)) * dayMs
        return { deviceId: device.id, certificateId: null, at: now - Math.round(silentMs) }
      }),
    )
  }
}

async function measure(store: Store, devices: number): Promise<void> {
  const settings: Parameters<typeof newFleetSweep>[0]['settings'] = {
    organization: 'Bench',
    profiles: new Map(defaultProfiles.map((profile) => [profile.name, defineProfile(profile)])),
    connectivity: defaultConnectivity,
    statusUrl: 'http://ca.example',
    secretLifetimeMs: dayMs,
    pendingRetryAfterMs: dayMs,
    abandonAfterMs: dayMs,
    repeatWaitMs: 1,
    renewal: defaultRenewalSettings,
  }
  const engine = { store, settings }
  const cpu = process.cpuUsage()
  const sweep = newFleetSweep(engine, now)
  let longest = 0
  let pages = 0
  let risk = null
  while (risk === null) {
    const elapsed = stopwatch()
    risk = await sweepFleet(engine, sweep)
    longest = Math.max(longest, elapsed())
    pages++
  }
  const found = findEnding({ risk } as Parameters<typeof findEnding>[0]) ?? []
  const { user, system } = process.cpuUsage(cpu)
  const cpuMs = (user + system) / 1_000
  const counted = found.reduce((sum, { count }) => sum + count, 0)
  const lines = [
    `alerts over ${devices.toLocaleString('en-US')} devices, SQLite; longest lead time ${Math.max(...[...defaultThresholds.values()].map(([each]) => each)) / dayMs} days`,
    '',
    line('whole fleet, processor time', `${Math.round(cpuMs)} ms`, `${aims.cpuMs} ms`, cpuMs <= aims.cpuMs),
    line(
      `longest of ${pages} pages`,
      `${Math.round(longest)} ms`,
      `${aims.pageMs} ms`,
      longest <= aims.pageMs,
    ),
    line('certificates that may not be renewed', counted.toLocaleString('en-US'), '', null),
    line('alerts for them', String(found.length), 'at most 40', found.length <= 40),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  if (cpuMs > aims.cpuMs || found.length > 40) process.exitCode = 1
}

function line(what: string, measured: string, limit: string, isMet: boolean | null): string {
  const verdict = isMet === null ? '' : isMet ? 'met' : 'NOT MET'
  return `${what.padEnd(40)}  ${measured.padEnd(14)}  ${limit.padEnd(12)}  ${verdict}`.trimEnd()
}

if (import.meta.main) await run(process.argv.slice(2))

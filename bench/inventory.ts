/**
 * `node bench/inventory.ts [--devices 2200000] [--directory DIR]`: a whole fleet on SQLite with synchronous=full. Loads
 * devices with certificates, then asks what pages and jobs ask. Only the time inside the store counts, not the making of
 * the samples.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dayMs, minuteMs, stopwatch } from '../src/base/clock.ts'
import type { CertificateId, SerialNumber } from '../src/base/id.ts'
import { fraction, seededRandom, type Random } from '../src/base/random.ts'
import { insertCertificates } from '../src/store/certificates.ts'
import { expiryHistogram } from '../src/store/counters.ts'
import { insertDevices } from '../src/store/devices.ts'
import { withIndexesLast } from '../src/store/indexes-last.ts'
import { findBySerial, listExpiring } from '../src/store/inventory.ts'
import { recordLastSeen } from '../src/store/last-seen.ts'
import { openStore, type Store } from '../src/store/open.ts'
import type { Tx } from '../src/store/schema.ts'
import {
  cohortOf,
  cohorts,
  deviceIdOf,
  fleetStart,
  sampleOf,
  serialOf,
  type Sample,
} from './inventory/fleet.ts'

/** The limits. */
const aims = { devicesPerSecond: 50_000, queryMs: 20, memoryMb: 500 }
/** Devices in one insert: few enough that they are garbage soon. */
const chunk = 512
/** Devices in one transaction of the import into a living inventory. */
const unit = 20_000

interface Line {
  readonly what: string
  readonly measured: string
  readonly limit: string
  readonly isMet: boolean | null
}

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { devices: { type: 'string', default: '2200000' }, directory: { type: 'string' } },
  })
  const devices = Number(values.devices)
  const directory = mkdtempSync(join(values.directory ?? tmpdir(), 'perennial-bench-inventory-'))
  try {
    const path = join(directory, 'perennial.db')
    const lines = [...(await load(path, devices)), ...(await ask(path, devices))]
    print(devices, lines)
    if (lines.some(({ isMet }) => isMet === false)) process.exitCode = 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function load(path: string, devices: number): Promise<Line[]> {
  const random = seededRandom('inventory')
  const imported = Math.ceil(devices / 20)
  const first = await timed(async (spent) => {
    const store = await openStore({ url: `sqlite:${path}`, isExclusive: true })
    await store.migrate()
    await store.transaction((tx) =>
      withIndexesLast(tx, () => insertRange(tx, 0, devices - imported, { random, fleet: devices, spent })),
    )
    await store.close()
  })
  const store = await openStore({ url: `sqlite:${path}` })
  const later = await timed(async (spent) => {
    for (let from = devices - imported; from < devices; from += unit) {
      const to = Math.min(devices, from + unit)
      await store.transaction((tx) => insertRange(tx, from, to, { random, fleet: devices, spent }))
    }
  })
  // the last handle writes the log back into the file
  await store.close()
  return [
    rate('first load, indexes built last', devices - imported, first, aims.devicesPerSecond),
    rate(`import of ${count(unit)} at a time into the ${count(devices - imported)}`, imported, later, null),
    {
      what: 'size on disk',
      measured: `${count(statSync(path).size / 2 ** 20)} MB, ${count(statSync(path).size / devices)} bytes/device`,
      limit: '',
      isMet: null,
    },
  ]
}

interface Spent {
  /** Time that does not count, ms and µs of CPU. */
  ms: number
  cpuMicros: number
}

interface Took {
  readonly ms: number
  readonly cpuMicros: number
}

async function timed(work: (spent: Spent) => Promise<void>): Promise<Took> {
  const spent: Spent = { ms: 0, cpuMicros: 0 }
  const elapsed = stopwatch()
  const cpu = process.cpuUsage()
  await work(spent)
  const { user, system } = process.cpuUsage(cpu)
  return { ms: elapsed() - spent.ms, cpuMicros: user + system - spent.cpuMicros }
}

async function insertRange(
  tx: Tx,
  from: number,
  to: number,
  { random, fleet, spent }: { readonly random: Random; readonly fleet: number; readonly spent: Spent },
): Promise<void> {
  for (let at = from; at < to; at += chunk) {
    const elapsed = stopwatch()
    const cpu = process.cpuUsage()
    const samples: Sample[] = []
    for (let n = at; n < Math.min(to, at + chunk); n++) samples.push(sampleOf(n, fleet, random))
    const { user, system } = process.cpuUsage(cpu)
    spent.ms += elapsed()
    spent.cpuMicros += user + system
    await insertDevices(
      tx,
      samples.map(({ device }) => device),
    )
    await insertCertificates(
      tx,
      samples.map(({ certificate }) => certificate),
    )
  }
}

async function ask(path: string, devices: number): Promise<Line[]> {
  const store = await openStore({ url: `sqlite:${path}` })
  const random = seededRandom('questions')
  const pick = (below: number): number => Math.floor(fraction(random) * below)
  const today = fleetStart + 600 * dayMs
  const lines = [
    await repeated('expiry histogram over 180 days', 300, () =>
      expiryHistogram(store.db, { fromDay: today / dayMs + pick(180), days: 180 }),
    ),
    await repeated('expiry histogram over 180 days, by cohort', 300, () =>
      expiryHistogram(store.db, { fromDay: today / dayMs + pick(180), days: 180, by: 'cohort' }),
    ),
    await repeated('first 100 to expire in a cohort', 1_000, () =>
      listExpiring(store.db, {
        from: today,
        to: today + 3_650 * dayMs,
        cohort: cohortOf(pick(cohorts)),
        limit: 100,
      }),
    ),
    await repeated('first 100 to expire in the fleet', 1_000, () =>
      listExpiring(store.db, { from: today + pick(100) * dayMs, to: today + 3_650 * dayMs, limit: 100 }),
    ),
    await repeated('look-up by serial number', 10_000, () => found(store, serialOf(pick(devices), devices))),
    await lastSeen(store, devices, pick),
  ]
  await store.close()
  const memory = process.resourceUsage().maxRSS / 1024
  lines.push({
    what: 'memory of the process, at its highest',
    measured: `${count(memory)} MB`,
    limit: `< ${aims.memoryMb} MB`,
    isMet: memory < aims.memoryMb,
  })
  return lines
}

async function found(store: Store, serialNumber: SerialNumber): Promise<void> {
  const [certificate] = await findBySerial(store.db, serialNumber)
  if (!certificate) throw new Error(`certificate ${serialNumber} is not there`)
}

/** 10,000 updates in the batches in which a server collects them. */
async function lastSeen(store: Store, devices: number, pick: (below: number) => number): Promise<Line> {
  const batch = 100
  let at = fleetStart + 700 * dayMs
  return repeated(`10,000 last-seen updates, ${batch} in each query`, 10_000 / batch, () => {
    at += minuteMs
    const sightings = Array.from({ length: batch }, () => {
      const n = pick(devices)
      return { deviceId: deviceIdOf(n), certificateId: (n + 1) as CertificateId, at: at + pick(minuteMs) }
    })
    return store.transaction((tx) => recordLastSeen(tx, sightings))
  })
}

async function repeated(what: string, times: number, query: () => Promise<unknown>): Promise<Line> {
  const took: number[] = []
  for (let n = 0; n < times; n++) {
    const elapsed = stopwatch()
    await query()
    took.push(elapsed())
  }
  took.sort((a, b) => a - b)
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0
  return {
    what,
    measured: `p50 ${at(0.5).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms`,
    limit: `p99 < ${aims.queryMs} ms`,
    isMet: at(0.99) < aims.queryMs,
  }
}

function rate(what: string, devices: number, { ms, cpuMicros }: Took, least: number | null): Line {
  const perSecond = (devices / ms) * 1_000
  return {
    what,
    measured: `${count(perSecond)} devices/s, ${(cpuMicros / devices).toFixed(1)} µs of CPU each`,
    limit: least === null ? '' : `≥ ${count(least)} devices/s`,
    isMet: least === null ? null : perSecond >= least,
  }
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function print(devices: number, lines: readonly Line[]): void {
  const out = [`inventory of ${count(devices)} devices with certificates, SQLite, synchronous=full`, '']
  const widest = Math.max(...lines.map(({ what }) => what.length))
  for (const { what, measured, limit, isMet } of lines) {
    const verdict = isMet === null ? '' : isMet ? 'met' : 'NOT MET'
    out.push(`${what.padEnd(widest)}  ${measured.padEnd(44)}  ${limit.padEnd(20)}  ${verdict}`.trimEnd())
  }
  process.stdout.write(`${out.join('\n')}\n`)
}

if (import.meta.main) await run(process.argv.slice(2))

/**
 * `node bench/api.ts [--full] [--devices 50000] [--engine sqlite|postgres]`: what the lists, sums and exports behind the REST
 * API take, on a fleet with two certificates for each device. `--full` is 2,200,000 devices and 4,400,000 certificates. Time is
 * CPU of this process where the database runs in it (SQLite), else time on the clock.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sql } from 'kysely'
import { dayMs, stopwatch, VirtualClock } from '../src/base/clock.ts'
import type { SerialNumber } from '../src/base/id.ts'
import { fraction, seededRandom } from '../src/base/random.ts'
import { exportList } from '../src/engine/inventory/export.ts'
import { expiryBuckets } from '../src/engine/inventory/inventory.ts'
import { certificateList, deviceList, factList, renewalList } from '../src/engine/inventory/listing.ts'
import { overview } from '../src/engine/inventory/overview.ts'
import { issuerLeaves } from '../src/engine/issuing/issuer-leaves.ts'
import type { Engine } from '../src/engine/context.ts'
import { insertCertificates } from '../src/store/certificates.ts'
import { insertDevices } from '../src/store/devices.ts'
import { withIndexesLast } from '../src/store/indexes-last.ts'
import { openStore, type Store } from '../src/store/open.ts'
import { plainEngine } from '../test/helpers/plain-engine.ts'
import { startPostgres } from '../test/helpers/postgres.ts'
import { cohortOf, cohorts, deviceIdOf, fleetStart, sampleOf } from './inventory/fleet.ts'

const aims = { p99Ms: 50, rowsPerSecond: 100_000, growthMb: 64 }
const chunk = 500
const sites = ['graz', 'linz', 'wien', 'kl']

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      full: { type: 'boolean', default: false },
      devices: { type: 'string' },
      engine: { type: 'string', default: 'sqlite' },
    },
  })
  const devices = Number(values.devices ?? (values.full ? 2_200_000 : 50_000))
  const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-api-'))
  const server = values.engine === 'postgres' ? await startPostgres() : null
  if (server && 'reason' in server) throw new Error(server.reason)
  try {
    const url = server ? await server.createDatabase() : `sqlite:${join(directory, 'perennial.db')}`
    const store = await openStore({ url, synchronous: 'off' })
    await store.migrate()
    await load(store, devices)
    const clock = new VirtualClock(fleetStart + 700 * dayMs)
    const isMet = await measure(plainEngine(store, { clock }), devices)
    if (!isMet) process.exitCode = 1
    await store.close()
  } finally {
    await server?.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function load(store: Store, devices: number): Promise<void> {
  const random = seededRandom('api')
  await store.transaction((tx) =>
    withIndexesLast(tx, async () => {
      for (let from = 0; from < devices; from += chunk) {
        const samples = Array.from({ length: Math.min(chunk, devices - from) }, (_, n) =>
          sampleOf(from + n, devices, random),
        )
        const placed = samples.map(({ device, certificate }, n) => {
          const site = sites[n % sites.length] ?? null
          const tags = { line: String(n % 50) }
          return {
            device: Object.assign(device, { site, tags, state: n % 400 === 0 ? 'quarantined' : 'active' }),
            certificate: Object.assign(certificate, { site }),
            before: {
              ...certificate,
              site,
              serialNumber: `0a${certificate.serialNumber.slice(2)}` as SerialNumber,
              spkiHash: certificate.spkiHash.replace(/^../, (first) => (first === '0b' ? '0c' : '0b')),
              status: 'superseded' as const,
              notBefore: certificate.notBefore - 700 * dayMs,
              notAfter: certificate.notAfter - 700 * dayMs,
              slot: 'default',
            },
          }
        })
        await insertDevices(
          tx,
          placed.map(({ device }) => device),
        )
        await insertCertificates(
          tx,
          placed.flatMap(({ before, certificate }) => [before, certificate]),
        )
      }
    }),
  )
  if (store.engine === 'postgres') await sql`analyze`.execute(store.db)
}

type Question = readonly [what: string, ask: () => Promise<unknown>]

function questionsTo(engine: Engine, devices: number): readonly Question[] {
  const random = seededRandom('questions')
  const pick = (below: number): number => Math.floor(fraction(random) * below)
  const some = { limit: 100 }
  const from = (): string => `id~${deviceIdOf(pick(devices))}`
  const list = (filter: string, sort?: string) => () =>
    deviceList(engine, { ...some, filter, ...(sort === undefined ? {} : { sort }) })
  return [
    ['overview', () => overview(engine, engine.clock.now())],
    [
      'expiry, 24 months by issuer',
      () => expiryBuckets(engine, { from: engine.clock.now(), by: 'month', buckets: 24, split: 'issuerId' }),
    ],
    [
      'expiry, 90 days by cohort',
      () => expiryBuckets(engine, { from: engine.clock.now(), by: 'day', buckets: 90, split: 'cohort' }),
    ],
    ['leaves of the issuers', () => issuerLeaves(engine)],
    ['devices, anywhere', () => deviceList(engine, { ...some, after: from() })],
    [
      'devices, id begins',
      () => deviceList(engine, { ...some, filter: deviceIdOf(pick(devices)).slice(0, 8) }),
    ],
    [
      'devices of a site, anywhere',
      () => deviceList(engine, { ...some, filter: 'site=graz', after: from() }),
    ],
    [
      'devices of a cohort',
      () => deviceList(engine, { ...some, filter: `cohort=${cohortOf(pick(cohorts))}` }),
    ],
    ['devices quarantined', list('state=quarantined')],
    ['devices by expiry', list('expires<60d')],
    ['devices by expiry at a site, quarantined', list('expires<400d site=linz state=quarantined')],
    [
      'devices, tag that 2 % have',
      () => deviceList(engine, { ...some, filter: 'tag.line=7', after: from() }),
    ],
    [
      'devices, tag that nobody has',
      () => deviceList(engine, { ...some, filter: 'tag.line=none', after: from() }),
    ],
    [
      'devices never seen, in a campaign: nobody',
      () => deviceList(engine, { ...some, filter: 'lastSeen=never campaign=x', after: from() }),
    ],
    [
      'devices, issuer that nobody has',
      () => deviceList(engine, { ...some, filter: 'issuer=x', sort: 'id', after: from() }),
    ],
    ['certificates, the newest', () => certificateList(engine, { ...some, sort: '-id' })],
    [
      'certificates by end, revoked: none',
      () => certificateList(engine, { ...some, filter: 'notAfter<2y status=revoked' }),
    ],
    [
      'certificates, subject that none has',
      () => certificateList(engine, { ...some, filter: 'subject~zzz', after: `id~${pick(devices)}` }),
    ],
    [
      'certificates of a device',
      () => certificateList(engine, { ...some, filter: `device=${deviceIdOf(pick(devices))}` }),
    ],
    ['field list', () => renewalList(engine, { ...some, filter: 'state=escalated tag.line=7' })],
    ['facts of an actor', () => factList(engine, { ...some, filter: 'actor=nobody' })],
  ]
}

async function measure(engine: Engine, devices: number): Promise<boolean> {
  const lines: string[] = []
  let isMet = true
  for (const [what, ask] of questionsTo(engine, devices)) {
    const took: number[] = []
    for (let n = 0; n < 60; n++) took.push(await timed(engine, ask))
    took.sort((a, b) => a - b)
    const p99 = took.at(-1) ?? 0
    if (p99 >= aims.p99Ms) isMet = false
    lines.push(
      row(
        what,
        `p50 ${ms(took[30] ?? 0)}  worst of 60 ${ms(p99)}`,
        `p99 < ${aims.p99Ms} ms`,
        p99 < aims.p99Ms,
      ),
    )
  }
  const { rate, growth } = await exported(engine)
  if (rate < aims.rowsPerSecond) isMet = false
  lines.push(
    row(
      'export of all devices as CSV',
      `${count(rate)} rows/s`,
      `≥ ${count(aims.rowsPerSecond)}`,
      rate >= aims.rowsPerSecond,
    ),
    row(
      'memory that the export took',
      `${count(growth)} MB`,
      `< ${aims.growthMb} MB`,
      growth < aims.growthMb,
    ),
  )
  const where = engine.store.engine === 'sqlite' ? 'SQLite, CPU time' : 'PostgreSQL, time on the clock'
  process.stdout.write(
    `API on ${count(devices)} devices and ${count(2 * devices)} certificates; ${where}\n\n${lines.join('\n')}\n`,
  )
  return isMet
}

async function timed(engine: Engine, work: () => Promise<unknown>): Promise<number> {
  const elapsed = stopwatch()
  const cpu = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return engine.store.engine === 'sqlite' ? (user + system) / 1_000 : elapsed()
}

async function exported(engine: Engine): Promise<{ readonly rate: number; readonly growth: number }> {
  const before = process.memoryUsage.rss()
  let rows = 0
  let most = before
  const took = await timed(engine, async () => {
    for await (const _piece of exportList(engine, {
      kind: 'devices',
      format: 'csv',
      onProgress: (n) => (rows = n),
    }))
      most = Math.max(most, process.memoryUsage.rss())
  })
  return { rate: (rows / took) * 1_000, growth: (most - before) / 2 ** 20 }
}

function row(what: string, measured: string, limit: string, isMet: boolean): string {
  return `${what.padEnd(44)}  ${measured.padEnd(38)}  ${limit.padEnd(12)}  ${isMet ? 'met' : 'NOT MET'}`
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

if (import.meta.main) await run(process.argv.slice(2))

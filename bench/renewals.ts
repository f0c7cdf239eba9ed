/**
 * `node bench/renewals.ts [--devices 2200000] [--due 30000] [--directory DIR]`: the tick of a campaign over a whole fleet on
 * SQLite with synchronous=full, with nothing due and with a share of the fleet due; triggers through a channel that takes
 * them at once; sightings.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sql } from 'kysely'
import { stopwatch, VirtualClock } from '../src/base/clock.ts'
import type { CertificateId } from '../src/base/id.ts'
import { parseCampaignDefinition } from '../src/engine/campaigns/campaign-read.ts'
import { emptySnapshot, writtenDefinition } from '../src/engine/campaigns/campaign-record.ts'
import type { Engine } from '../src/engine/context.ts'
import { defaultConnectivity } from '../src/engine/issuing/default-profiles.ts'
import type { TriggerChannel } from '../src/engine/ports.ts'
import { renewalsJob } from '../src/engine/renewals/renewals.ts'
import { flushSightings } from '../src/engine/renewals/sighting.ts'
import { sendTriggers } from '../src/engine/triggers/trigger-tasks.ts'
import { insertCampaign, putWaves } from '../src/store/campaigns.ts'
import { listCertificates } from '../src/store/inventory.ts'
import { openStore, type Store } from '../src/store/open.ts'
import { insertPlannedRenewals } from '../src/store/renewals.ts'
import { plainEngine } from '../test/helpers/plain-engine.ts'
import { loadMeters, meterNow } from './campaign/meters.ts'

/** The limits. */
const aims = { idleMs: 50, dueMs: 2_000, triggersPerSecond: 10_000, sightingsPerSecond: 20_000 }
const campaignId = 'meters'
const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}

interface Line {
  readonly what: string
  readonly measured: string
  readonly limit: string
  readonly isMet: boolean
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      devices: { type: 'string', default: '2200000' },
      due: { type: 'string', default: '30000' },
      directory: { type: 'string' },
    },
  })
  const devices = Number(values.devices)
  const due = Math.min(Number(values.due), devices)
  const directory = mkdtempSync(join(values.directory ?? tmpdir(), 'perennial-bench-renewals-'))
  try {
    const path = join(directory, 'perennial.db')
    await loadMeters(path, devices)
    const store = await openStore({ url: `sqlite:${path}` })
    await target(store)
    const engine = engineOn(store)
    const lines = [await idle(engine), await tick(engine, due), await trigger(engine), await sight(engine)]
    await store.close()
    print(devices, lines)
    if (lines.some(({ isMet }) => !isMet)) process.exitCode = 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Every device of the fleet is a target of one running campaign that has let nobody in. */
async function target(store: Store): Promise<void> {
  const written = { selection: { all: true }, rollout: { maximumPerMinute: 1_000 } }
  const definition = parseCampaignDefinition(written, meterNow)
  await store.transaction(async (tx) => {
    await insertCampaign(tx, {
      id: campaignId,
      name: campaignId,
      status: 'running',
      definition: writtenDefinition({ definition, snapshot: { ...emptySnapshot, isDrawn: true } }),
      revision: 1,
      reason: null,
      createdAt: meterNow,
      createdBy: 'bench',
      startedAt: meterNow,
      pausedAt: null,
      endedAt: null,
      tickedAt: meterNow,
      admitted: 0,
    })
    await putWaves(tx, [])
  })
  for (let after: string | null = null; ;) {
    const page = await listCertificates(store.db, { after, limit: 10_000 })
    await store.transaction((tx) =>
      insertPlannedRenewals(
        tx,
        page.rows.flatMap(({ id, deviceId, slot, notAfter, site }) =>
          deviceId === null
            ? []
            : [
                {
                  campaignId,
                  wave: 0,
                  deviceId,
                  slot,
                  certificateId: id,
                  notAfter,
                  connectivity: 'deep-sleep-72h',
                  site,
                  nextAt: null,
                  createdAt: meterNow,
                },
              ],
        ),
      ),
    )
    after = page.next
    if (after === null) return
  }
}

function engineOn(store: Store): Engine {
  const instant: TriggerChannel = {
    kind: 'mqtt',
    parallel: 1_000,
    send: async () => ({ reference: null }),
    close: async () => {},
  }
  const engine = plainEngine(store, { clock: new VirtualClock(meterNow) })
  const settings = { ...engine.settings, connectivity: defaultConnectivity }
  // the rate is not what is measured
  const sendRates = { available: () => Infinity, take: () => {} }
  return { ...engine, settings, sendRates, triggers: new Map([['mqtt', instant]]) }
}

async function idle(engine: Engine): Promise<Line> {
  const times: number[] = []
  // the first one reads the pages and compiles the statements
  await oneTick(engine)
  for (let n = 0; n < 20; n++) times.push((await oneTick(engine)).ms)
  const worst = Math.max(...times)
  return line(
    'tick, nothing due (worst of 20)',
    `${worst.toFixed(1)} ms`,
    `${aims.idleMs} ms`,
    worst < aims.idleMs,
  )
}

async function tick(engine: Engine, due: number): Promise<Line> {
  await engine.store.transaction(async (tx) => {
    // every n-th, as they lie about in a fleet
    const { id } = await tx
      .selectFrom('renewals')
      .select(sql<number>`max(id)`.as('id'))
      .executeTakeFirstOrThrow()
    const step = Math.max(1, Math.floor(id / due))
    await sql`update renewals set next_at = ${meterNow} where id % ${step} = 0 and id <= ${step * due}`.execute(
      tx,
    )
  })
  const { ms, worked } = await oneTick(engine)
  const measured = `${count(ms)} ms for ${count(worked)}`
  return line(
    `tick, ${count(due)} due`,
    measured,
    `${count(aims.dueMs)} ms`,
    ms < aims.dueMs && worked >= due,
  )
}

async function oneTick(engine: Engine): Promise<{ ms: number; worked: number }> {
  const job = renewalsJob(1_000)
  const elapsed = stopwatch()
  let worked = 0
  for (let turn = 0; turn < 100; turn++) {
    const result = await job.run(engine, meterNow, signal, noFence)
    worked += result.worked
    if (result.isBehind !== true) break
  }
  return { ms: elapsed(), worked }
}

async function trigger(engine: Engine): Promise<Line> {
  const elapsed = stopwatch()
  let sent = 0
  for (let turn = 0; turn < 10_000; turn++) {
    const { worked, isBehind } = await sendTriggers(engine, 'mqtt', meterNow, signal)
    sent += worked
    if (isBehind !== true) break
  }
  const rate = (sent * 1_000) / elapsed()
  const what = 'triggers, channel that takes them at once'
  return line(
    what,
    `${count(rate)}/s of ${count(sent)}`,
    `${count(aims.triggersPerSecond)}/s`,
    rate > aims.triggersPerSecond && sent > 0,
  )
}

/** All of them in use already, each seen once: what a day of a fleet mostly is. */
async function sight(engine: Engine): Promise<Line> {
  const { rows } = await listCertificates(engine.store.db, { limit: 10_000 })
  const rounds = 4
  const elapsed = stopwatch()
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows) {
      engine.sightings.noteCertificate(
        { ...row, id: row.id as CertificateId, status: 'confirmed' },
        meterNow + round,
      )
    }
    await flushSightings(engine, meterNow + round)
  }
  const rate = (rows.length * rounds * 1_000) / elapsed()
  return line(
    'sightings',
    `${count(rate)}/s`,
    `${count(aims.sightingsPerSecond)}/s`,
    rate > aims.sightingsPerSecond,
  )
}

function line(what: string, measured: string, limit: string, isMet: boolean): Line {
  return { what, measured, limit, isMet }
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function print(devices: number, lines: readonly Line[]): void {
  const memory = Math.round(process.memoryUsage.rss() / 2 ** 20)
  process.stdout.write(`renewals of ${count(devices)} devices (${memory} MB)\n`)
  for (const { what, measured, limit, isMet } of lines) {
    process.stdout.write(
      `${what.padEnd(44)}${measured.padStart(24)}   limit ${limit}${isMet ? '' : '   MISSED'}\n`,
    )
  }
}

await main()

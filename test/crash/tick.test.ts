/**
 * kill -9 at each point of a tick, then restart. What a broker has taken is known from a pipe that the killed process wrote
 * to: nothing leaves that is not on record, nothing on record is forgotten, and no device is asked out of turn.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { tickFaultPoints } from '../../src/engine/ports.ts'
import { triggerKey } from '../../src/engine/triggers/trigger-key.ts'
import { countersWithoutCampaign } from '../../src/store/renewal-lists.ts'
import type { Db } from '../../src/store/schema.ts'
import { enrolDevice } from '../helpers/app.ts'
import { putRenewal } from '../helpers/renewals.ts'
import { openTickEngine, tick, dueAfterMs } from './tick-victim.ts'
import { createVictimIssuers, openVictim } from './victim.ts'

const killsPerPoint = 5
const devices = 30
const victim = resolve(import.meta.dirname, 'tick-victim.ts')
const directory = mkdtempSync(join(tmpdir(), 'perennial-tick-'))
after(() => rmSync(directory, { recursive: true, force: true }))

interface Attempt {
  readonly key: string
  readonly renewal: number
  readonly attempt: number
  readonly status: string
}

async function attemptsOf(db: Db): Promise<Attempt[]> {
  const rows = await db
    .selectFrom('renewal_attempts')
    .select(['renewal_id', 'climb', 'rung', 'attempt', 'status'])
    .orderBy('renewal_id')
    .orderBy('attempt')
    .execute()
  return rows.map(({ renewal_id: renewal, climb, rung, attempt, status }) => ({
    key: triggerKey({ renewal, climb, rung, attempt }),
    renewal,
    attempt,
    status,
  }))
}

async function statuses(db: Db): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('renewals')
    .select(['status', sql<number>`cast(count(*) as bigint)`.as('count')])
    .groupBy('status')
    .execute()
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

/** @returns the keys that its broker has taken */
async function kill(
  point: string,
  hits: number,
  minutes: number,
): Promise<{ keys: string[]; signal: string | null }> {
  const args = [victim, directory, point, String(hits), String(minutes)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 })
  const ended = new Promise<string | null>((done) => child.once('close', (_code, signal) => done(signal)))
  const output = await text(child.stdout)
  return { keys: output.split('\n').filter((line) => line !== ''), signal: await ended }
}

test('kill -9 at each point of a tick: nothing leaves that is not on record, and nothing on record is forgotten', async () => {
  const engine = await openVictim(directory)
  await createVictimIssuers(engine)
  const nextAt = engine.clock.now() + dueAfterMs
  for (let n = 0; n < devices; n++) {
    const device = await enrolDevice(engine, `T-${n}`, { profile: 'daily' })
    await putRenewal(engine, device, { connectivity: 'always-on', nextAt })
  }
  await engine.store.close()

  const taken = new Set<string>()
  let kills = 0
  let minutes = 0
  for (let n = 0; n < killsPerPoint; n++) {
    for (const point of tickFaultPoints) {
      // one trigger of the first ones, or of the last ones
      const hits = point === 'send' || point === 'sent' ? 1 + ((n * 7) % devices) : 1
      const { keys, signal } = await kill(point, hits, (minutes += 2))
      if (signal === 'SIGKILL') kills++
      for (const key of keys) taken.add(key)
      await check(taken)
    }
  }
  assert.equal(kills, killsPerPoint * tickFaultPoints.length)

  // locks of the killed are over, and nobody is killed any more
  const sent: string[] = []
  for (let turn = 0; turn < 3; turn++) {
    const last = await openTickEngine(directory, {
      minutes: (minutes += 30),
      taken: (key) => void sent.push(key),
    })
    await tick(last)
    await last.store.close()
  }
  for (const key of sent) taken.add(key)
  const { attempts } = await check(taken)
  assert.deepEqual(
    attempts.filter(({ status }) => status === 'queued'),
    [],
    'what was asked for has left, or was overtaken by the next attempt',
  )
  assert.ok(sent.length >= devices, 'every device is asked in the end')
})

/** The invariants, after every run. */
async function check(taken: ReadonlySet<string>): Promise<{ attempts: Attempt[] }> {
  const { store } = await openVictim(directory)
  const attempts = await attemptsOf(store.db)
  const onRecord = new Set(attempts.map(({ key }) => key))
  for (const key of taken) assert.ok(onRecord.has(key), `${key} left and is not on record`)
  for (const { key, status } of attempts) {
    if (status === 'sent') assert.ok(taken.has(key), `${key} is on record as sent and never left`)
  }
  const byRenewal = Map.groupBy(attempts, ({ renewal }) => renewal)
  for (const [renewal, own] of byRenewal) {
    const numbers = own.map(({ attempt }) => attempt)
    assert.deepEqual(
      numbers,
      numbers.map((_, at) => at + 1),
      `attempts of ${renewal}`,
    )
  }
  const rows = await statuses(store.db)
  const counters = await countersWithoutCampaign(store.db)
  const counted = Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0))
  assert.deepEqual(counted, rows, 'the sums are those of the rows')
  assert.equal(
    Object.values(rows).reduce((sum, count) => sum + count, 0),
    devices,
  )
  await store.close()
  return { attempts }
}

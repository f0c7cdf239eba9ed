/** CRLs when things go wrong: a full disk, clocks apart, and ten thousand in a row. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { equalBytes } from '../../base/bytes.ts'
import { dayMs, hourMs, minuteMs, secondMs, VirtualClock, type Clock } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { fraction, seededRandom } from '../../base/random.ts'
import { sampleCertificate } from '../../../test/conformance/store-samples.ts'
import { enrolDevice, issuingId, testActor, testEngine, testStart } from '../../../test/helpers/app.ts'
import { parseCrl } from '../../pki/crl-read.ts'
import { insertCertificates } from '../../store/certificates.ts'
import { openStore } from '../../store/open.ts'
import { revokeCertificates } from '../../store/revocations.ts'
import type { Engine } from '../context.ts'
import { createJobs } from '../jobs.ts'
import { currentCrl } from './crl.ts'
import { checkCrls } from './crl-diff.ts'
import { crlJob, publishDue } from './crl-publish.ts'
import { crlBackdateMs } from './crl-settings.ts'
import { crlAges, crlProblem } from './crl-watch.ts'
import { revokeDevice } from './revoke.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const
const shardScope = { issuerId: issuingId, kind: 'shard', shard: 0 } as const

async function shardOf(engine: Engine): Promise<Uint8Array> {
  const found = await currentCrl(engine, shardScope)
  assert.ok(found)
  return found.der
}

test('a full disk: the last good CRL stays for everybody, and the next pass publishes what is due', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-crl-full-'))
  const store = await openStore({ url: `sqlite:${join(directory, 'a.db')}`, synchronous: 'off' })
  await store.migrate()
  const { engine, another } = await testEngine({ store })
  const { record } = await enrolDevice(engine, 'SN-1')
  await store.transaction((tx) =>
    insertCertificates(
      tx,
      Array.from({ length: 3_000 }, (_, n) =>
        sampleCertificate(n, { issuerId: issuingId, notAfter: testStart + 100 * dayMs, crlShard: 0 }),
      ),
    ),
  )
  const jobs = createJobs(engine, [crlJob])
  await jobs.pass(crlJob.name)
  const before = await shardOf(engine)
  const { rows } = await sql<{ id: number }>`select id from certificates where device_id is null`.execute(
    store.db,
  )
  await store.transaction(async (tx) => {
    await revokeCertificates(
      tx,
      rows.map(({ id }) => ({ id: id as never, issuerId: issuingId, crlShard: 0 })),
      { reason: 'keyCompromise', revokedAt: testStart },
    )
  })
  await revokeDevice(engine, 'SN-1' as DeviceId, theft)
  const pages = async (most: string): Promise<void> => {
    await store.transaction(async (tx) => {
      const { rows: counted } = await sql<{ page_count: number }>`pragma page_count`.execute(tx)
      const limit = most === 'full' ? Number(counted[0]?.page_count) : 1_000_000
      await sql.raw(`pragma max_page_count = ${limit}`).execute(tx)
    })
  }
  await pages('full')
  await jobs.pass(crlJob.name)
  assert.match(jobs.status()[0]?.lastError ?? '', /disk-full/)
  for (const reader of [engine, another()]) assert.ok(equalBytes(await shardOf(reader), before))
  await pages('room')
  await jobs.pass(crlJob.name)
  assert.equal(jobs.status()[0]?.failuresInARow, 0)
  const after = parseCrl(await shardOf(engine))
  assert.ok(after.entryCount > 1_000 && after.find(record.serialNumber) !== null)
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

test('two nodes whose clocks are 10 minutes off take turns: numbers grow, nothing lacks, nothing is of the future', async () => {
  const { engine, another, clock, close } = await testEngine()
  const shifted = (ms: number): Clock => ({
    now: () => clock.now() + ms,
    sleep: (time, signal) => clock.sleep(time, signal),
  })
  const nodes = [another({ clock: shifted(10 * minuteMs) }), another({ clock: shifted(-10 * minuteMs) })]
  let before: Uint8Array | null = null
  for (let turn = 0; turn < 12; turn++) {
    const [publisher, revoker] = turn % 2 === 0 ? nodes : nodes.toReversed()
    assert.ok(publisher && revoker)
    const { record } = await enrolDevice(engine, `SN-${turn}`)
    await revokeDevice(revoker, `SN-${turn}` as DeviceId, theft)
    const issuer = await publisher.issuers.find(issuingId)
    assert.ok(issuer)
    assert.ok((await publishDue(publisher, issuer, { now: publisher.clock.now() })) >= 2)
    for (const kind of ['shard', 'delta'] as const) {
      const found = await currentCrl(engine, { issuerId: issuingId, kind, shard: 0 })
      assert.ok(found && parseCrl(found.der).find(record.serialNumber), `${kind} ${turn}`)
      assert.ok(found.record.thisUpdate <= clock.now() && found.record.nextUpdate > clock.now() + hourMs)
    }
    const after = await shardOf(engine)
    if (before) assert.deepEqual((await checkCrls(engine, issuingId, before, after)).findings, [])
    before = after
    await clock.advance(minuteMs)
  }
  await close()
})

test('a CRL that gets old is shown: late after a missed one, lapsed at its end', async () => {
  const { engine, clock, close } = await testEngine()
  assert.equal(await crlProblem(engine, clock.now()), null, 'the first is on its way')
  await clock.advance(hourMs)
  assert.match((await crlProblem(engine, clock.now())) ?? '', /never published/)
  const jobs = createJobs(engine, [crlJob])
  await jobs.pass(crlJob.name)
  assert.equal(await crlProblem(engine, clock.now()), null)
  const ages = await crlAges(engine, clock.now())
  assert.deepEqual(ages.map(({ issuer, kind }) => `${issuer} ${kind}`).toSorted(), [
    'issuing complete',
    'issuing delta',
    'issuing shard',
    'root complete',
  ])
  assert.ok(ages.every(({ nextUpdate }) => nextUpdate > clock.now() + dayMs))
  await clock.advance(2.5 * dayMs - secondMs)
  assert.doesNotMatch((await crlProblem(engine, clock.now())) ?? '', /is late/)
  await clock.advance(2 * secondMs)
  assert.match((await crlProblem(engine, clock.now())) ?? '', /is late|delta CRL of issuing lapsed/)
  await clock.advance(5 * dayMs)
  assert.match((await crlProblem(engine, clock.now())) ?? '', /lapsed/)
  await jobs.pass(crlJob.name)
  assert.equal(await crlProblem(engine, clock.now()), null)
  await close()
})

/** A fleet of a few hundred, whose certificates end while the CRLs go on. */
test(
  '10,000 CRLs in a row with random revocations and expiries: the checker finds nothing, and finds what is planted',
  { timeout: 600_000 },
  async () => {
    const clock = new VirtualClock(testStart)
    const { engine, close } = await testEngine({ clock })
    const random = seededRandom('10,000 CRLs')
    const fleet = 600
    const spanMs = 40 * dayMs
    await engine.store.transaction((tx) =>
      insertCertificates(
        tx,
        Array.from({ length: fleet }, (_, n) =>
          sampleCertificate(n, {
            issuerId: issuingId,
            crlShard: 0,
            notAfter: testStart + Math.floor(((n + 1) * spanMs) / fleet / 1000) * 1000,
          }),
        ),
      ),
    )
    const { rows } = await sql<{ id: number }>`select id from certificates
    where issuer_id = ${issuingId} order by id`.execute(engine.store.db)
    const issuer = await engine.issuers.find(issuingId)
    assert.ok(issuer)
    const live = rows.map(({ id }) => id)
    let before: Uint8Array | null = null
    let most = 0
    let planted = 0
    for (let turn = 0; turn < 10_000; turn++) {
      await clock.advance(spanMs / 10_000)
      if (turn % 25 === 0) {
        const [id] = live.splice(Math.floor(fraction(random) * live.length), 1)
        await engine.store.transaction(async (tx) => {
          await revokeCertificates(tx, [{ id: id as never, issuerId: issuingId, crlShard: 0 }], {
            reason: 'keyCompromise',
            revokedAt: clock.now() - 2 * minuteMs,
          })
        })
      }
      await publishDue(engine, issuer, { now: clock.now(), atMost: 1, isAnew: true })
      const after = await shardOf(engine)
      if (before) {
        const { findings } = await checkCrls(engine, issuingId, before, after)
        assert.deepEqual(findings, [], `CRL ${turn}`)
        if (turn % 500 === 250) planted += await plant(engine, after)
      }
      before = after
      most = Math.max(most, parseCrl(after).entryCount)
    }
    assert.ok(most > 50, `the largest CRL had ${most} entries`)
    assert.ok(planted >= 10, `${planted} faults were planted and found`)
    await close()

    /** Takes one live entry out of what the publisher sees, and puts it back. @returns 1 when the checker saw it */
    async function plant(of: Engine, good: Uint8Array): Promise<number> {
      const { rows: hidden } = await sql<{ id: number }>`select id from certificates
      where status = 'revoked' and issuer_id = ${issuingId} and not_after > ${clock.now() + dayMs} order by id limit 1`.execute(
        of.store.db,
      )
      const id = hidden[0]?.id
      if (id === undefined) return 0
      const hide = (shard: number): Promise<unknown> =>
        of.store.transaction((tx) =>
          tx.updateTable('certificates').set({ crl_shard: shard }).where('id', '=', id).execute(),
        )
      await hide(7)
      await clock.advance(secondMs)
      const material = await of.issuers.find(issuingId)
      assert.ok(material)
      await publishDue(of, material, { now: clock.now(), atMost: 1, isAnew: true })
      await hide(0)
      const { findings } = await checkCrls(of, issuingId, good, await shardOf(of))
      assert.deepEqual(findings.map(({ kind }) => kind).toSorted(), ['missing', 'removed-early'])
      await clock.advance(secondMs)
      await publishDue(of, material, { now: clock.now(), atMost: 1, isAnew: true })
      return 1
    }
  },
)

test('thisUpdate lies in the past, so that a verifier whose clock is behind accepts it', async () => {
  const { engine, clock, close } = await testEngine()
  await createJobs(engine, [crlJob]).pass(crlJob.name)
  assert.equal(parseCrl(await shardOf(engine)).thisUpdate, clock.now() - crlBackdateMs)
  await close()
})

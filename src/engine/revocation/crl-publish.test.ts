import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes } from '../../base/bytes.ts'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  rootId,
  testActor,
  testEngine,
} from '../../../test/helpers/app.ts'
import { type Crl, parseCrl, verifyCrl } from '../../pki/crl-read.ts'
import { userCertsAt } from '../../pki/issuing-distribution-point.ts'
import { recentFacts } from '../../store/facts.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { crlHistory, currentCrl, type CrlKind } from './crl.ts'
import { checkCrls } from './crl-diff.ts'
import { crlJob } from './crl-publish.ts'
import { crlBackdateMs } from './crl-settings.ts'
import { createIssuer } from '../issuing/issuer.ts'
import { createJobs, type Jobs } from '../jobs.ts'
import { revokeDevice } from './revoke.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const

const running = new WeakMap<Engine, Jobs>()

/** One process keeps its lease from pass to pass. */
function jobsOf(engine: Engine): Jobs {
  const jobs = running.get(engine) ?? createJobs(engine, [crlJob])
  running.set(engine, jobs)
  return jobs
}

async function publish(engine: Engine): Promise<number> {
  const jobs = jobsOf(engine)
  const result = await jobs.pass(crlJob.name)
  assert.equal(jobs.status()[0]?.failuresInARow, 0, jobs.status()[0]?.lastError ?? '')
  return result?.worked ?? -1
}

async function read(engine: Engine, kind: CrlKind, shard = 0, issuerId: IssuerId = issuingId): Promise<Crl> {
  const published = await currentCrl(engine, { issuerId, kind, shard })
  assert.ok(published, `${issuerId} publishes ${kind} ${shard}`)
  const crl = parseCrl(published.der)
  const issuer = await engine.issuers.find(issuerId)
  assert.ok(issuer && verifyCrl(crl, issuer.key))
  assert.equal(crl.crlNumber, BigInt(published.record.number))
  assert.equal(crl.entryCount, published.record.entries)
  return crl
}

const serials = (crl: Crl): string[] => [...crl.entries()].map(({ serialNumber }) => serialNumber)

forEachEngine((start) => {
  test('publishes every CRL once, then nothing until something happens', async () => {
    const { engine, clock, close } = await start()
    assert.equal(await publish(engine), 4)
    const shard = await read(engine, 'shard')
    assert.deepEqual(shard.issuingDistributionPoint, userCertsAt('http://ca.example/crl/issuing/0.crl'))
    const complete = await read(engine, 'complete')
    assert.equal(complete.issuingDistributionPoint, null)
    assert.deepEqual(complete.freshestCRL?.[0]?.fullName, [
      { kind: 'uri', value: 'http://ca.example/crl/issuing/delta.crl' },
    ])
    assert.equal(complete.thisUpdate, clock.now() - crlBackdateMs)
    assert.equal(complete.nextUpdate, clock.now() + 7 * dayMs)
    const delta = await read(engine, 'delta')
    assert.equal(delta.baseCrlNumber, complete.crlNumber)
    assert.ok((delta.crlNumber ?? 0n) > (complete.crlNumber ?? 0n))
    const root = await read(engine, 'complete', 0, rootId)
    assert.equal(root.freshestCRL, null)
    assert.equal(await currentCrl(engine, { issuerId: rootId, kind: 'shard', shard: 0 }), null)
    assert.equal(await publish(engine), 0)
    await clock.advance(dayMs - 1000)
    assert.equal(await publish(engine), 0)
    await clock.advance(1000)
    assert.equal(await publish(engine), 4)
    const numbers = (await crlHistory(engine)).map(({ issuerId, number }) => `${issuerId} ${number}`)
    assert.equal(new Set(numbers).size, 8)
    await close()
  })

  test('a revocation is in the shard, the complete and the delta CRL after the next pass', async () => {
    const { engine, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    await enrolDevice(engine, 'SN-2')
    await publish(engine)
    const [shard, complete, delta] = await Promise.all([
      read(engine, 'shard'),
      read(engine, 'complete'),
      read(engine, 'delta'),
    ])
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    assert.equal(await publish(engine), 3)
    for (const [kind, before] of [
      ['shard', shard],
      ['complete', complete],
      ['delta', delta],
    ] as const) {
      const after = await read(engine, kind)
      assert.deepEqual(serials(after), [record.serialNumber])
      assert.equal(after.find(record.serialNumber)?.reason, 'keyCompromise')
      assert.ok((after.crlNumber ?? 0n) > (before.crlNumber ?? 0n))
    }
    // whoever holds the first complete CRL can still use the delta
    assert.equal((await read(engine, 'delta')).baseCrlNumber, complete.crlNumber)
    assert.equal(await publish(engine), 0)
    const fact = (await recentFacts(engine.store.db, { limit: 1 })).map(({ entry }) => readFact(entry))[0]
    assert.deepEqual(
      [fact?.action, fact?.details['kind'], fact?.details['entries']],
      ['crl.published', 'delta', 1],
    )
    await close()
  })

  test('an entry stays until a CRL after the end of its certificate has listed it for a period', async () => {
    const { engine, clock, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1', { profile: 'short-lived' })
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    await publish(engine)
    await clock.advance(record.notAfter - clock.now())
    await publish(engine)
    assert.deepEqual(serials(await read(engine, 'shard')), [record.serialNumber])
    // the first after its end
    await clock.advance(dayMs)
    await publish(engine)
    assert.deepEqual(serials(await read(engine, 'shard')), [record.serialNumber])
    await clock.advance(dayMs)
    await publish(engine)
    assert.deepEqual(serials(await read(engine, 'shard')), [])
    assert.deepEqual(serials(await read(engine, 'complete')), [])
    await close()
  })

  test('one shard among many is built anew, and the certificate is in that one', async () => {
    const many = 'many' as IssuerId
    const profile = {
      name: 'sharded',
      issuer: many,
      validityMs: 365 * dayMs,
      renewBeforeMs: 30 * dayMs,
      connectivity: 'always-on',
      crl: true,
    }
    const { engine, close } = await start({ profiles: [profile as never] })
    await createIssuer(engine, {
      id: many,
      kind: 'intermediate',
      parentId: rootId,
      actor: testActor,
      crlShards: 16,
    })
    const { record } = await enrolDevice(engine, 'SN-1', { profile: 'sharded' })
    assert.equal(await publish(engine), 4 + 18)
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    assert.equal(await publish(engine), 3)
    for (let shard = 0; shard < 16; shard++) {
      const expected = shard === record.crlShard ? [record.serialNumber] : []
      assert.deepEqual(serials(await read(engine, 'shard', shard, many)), expected)
    }
    assert.deepEqual(serials(await read(engine, 'complete', 0, many)), [record.serialNumber])
    await close()
  })

  test('when the key cannot be reached the last good CRL stays, and the other issuers go on', async () => {
    const { engine, clock, authority, close } = await start()
    await enrolDevice(engine, 'SN-1')
    await publish(engine)
    const before = await read(engine, 'shard')
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    await clock.advance(dayMs)
    const issuerName = Buffer.from((await engine.issuers.find(issuingId))?.certificate.subjectDer ?? [])
    authority.beforeSign = (tbs) => {
      if (Buffer.from(tbs).includes(issuerName)) throw new Error('the token is out of its slot')
    }
    const jobs = jobsOf(engine)
    await jobs.pass(crlJob.name)
    assert.match(jobs.status()[0]?.lastError ?? '', /out of its slot/)
    assert.equal((await read(engine, 'shard')).crlNumber, before.crlNumber)
    assert.equal((await read(engine, 'complete', 0, rootId)).thisUpdate, clock.now() - crlBackdateMs)
    authority.beforeSign = null
    await publish(engine)
    assert.equal((await read(engine, 'shard')).entryCount, 1)
    await close()
  })

  test('two nodes never give one number twice, and the one without the lease publishes nothing', async () => {
    const { engine, another, close } = await start()
    const results = await Promise.all(
      [engine, another()].map((node) => createJobs(node, [crlJob]).pass(crlJob.name)),
    )
    assert.deepEqual(results.map((result) => result?.worked ?? null).toSorted(), [4, null])
    await close()
  })
})

test('numbers grow also when the database came back from a backup', async () => {
  const { engine, clock, close } = await testEngine()
  await publish(engine)
  const number = (await read(engine, 'shard')).crlNumber
  await engine.store.transaction(async (tx) => {
    await tx.deleteFrom('crl_parts').execute()
    await tx.deleteFrom('crls').execute()
  })
  await clock.advance(minuteMs)
  await publish(engine)
  assert.ok(((await read(engine, 'shard')).crlNumber ?? 0n) > (number ?? 0n))
  await close()
})

test('two months of revocations and expiries: the checker finds nothing', async () => {
  const { engine, clock, close } = await testEngine()
  let before: Uint8Array | null = null
  let random = 7
  for (let day = 0; day < 60; day++) {
    for (let n = 0; n < 3; n++) await enrolDevice(engine, `SN-${day}-${n}`, { profile: 'short-lived' })
    random = (random * 48_271) % 2_147_483_647
    await revokeDevice(engine, `SN-${day - (random % Math.min(day + 1, 6))}-${random % 3}` as DeviceId, theft)
    await clock.advance(hourMs * (1 + (random % 40)))
    await publish(engine)
    const after = (await currentCrl(engine, { issuerId: issuingId, kind: 'complete', shard: 0 }))?.der
    assert.ok(after)
    if (before && !equalBytes(before, after)) {
      const { findings } = await checkCrls(engine, issuingId, before, after)
      assert.deepEqual(findings, [], `day ${day}`)
    }
    before = after
  }
  assert.ok(before)
  const older = (await crlHistory(engine, issuingId)).filter(({ kind }) => kind === 'complete')[1]
  assert.ok(older && older.entries > 1)
  await close()
})

test('the checker finds an early removal, a missing entry and a number that does not grow', async () => {
  const { engine, clock, close } = await testEngine()
  const empty = async (): Promise<Uint8Array> => {
    await publish(engine)
    const found = await currentCrl(engine, { issuerId: issuingId, kind: 'complete', shard: 0 })
    assert.ok(found)
    return found.der
  }
  const first = await empty()
  const { record } = await enrolDevice(engine, 'SN-1')
  await revokeDevice(engine, 'SN-1' as DeviceId, theft)
  const second = await empty()
  // as if the publisher had forgotten it: the entry is hidden while the third is made
  await engine.store.transaction((tx) =>
    tx.updateTable('certificates').set({ crl_shard: 5 }).where('id', '=', record.id).execute(),
  )
  await clock.advance(dayMs)
  const third = await empty()
  await engine.store.transaction((tx) =>
    tx.updateTable('certificates').set({ crl_shard: 0 }).where('id', '=', record.id).execute(),
  )
  const kinds = async (a: Uint8Array, b: Uint8Array): Promise<string[]> =>
    (await checkCrls(engine, issuingId, a, b)).findings.map(({ kind }) => kind)
  assert.deepEqual(await kinds(first, second), [])
  assert.deepEqual(await kinds(second, third), ['removed-early', 'missing'])
  assert.deepEqual(await kinds(second, second), ['number-not-higher'])
  await assert.rejects(kinds(third, second), { code: 'invalid-input' })
  await close()
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, secondMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  refusal,
  registerDevice,
  testActor,
} from '../../../test/helpers/app.ts'
import { findCertificate } from '../../store/inventory.ts'
import { openCase } from '../cases/case.ts'
import { createJobs } from '../jobs.ts'
import type { Disconnector } from '../ports.ts'
import { disconnectJob } from '../sessions/cut-jobs.ts'
import { CutWatcher } from '../sessions/watch.ts'
import { crlJob } from './crl-publish.ts'
import {
  certificateRevocationStatus,
  deviceRevocationStatus,
  issuerRevocationStatus,
  type RevocationStatus,
} from './revocation-status.ts'
import { revokeIssuer } from './revoke-issuer.ts'
import { revokeDevice } from './revoke.ts'

const sn1 = 'SN-1' as DeviceId
const theft = { reason: 'keyCompromise', actor: testActor } as const

const states = ({ surfaces }: RevocationStatus) =>
  Object.fromEntries(surfaces.map(({ surface, state }) => [surface, state]))

forEachEngine((start) => {
  test('surface by surface: open until it was done there, and when that was', async () => {
    const { engine, clock, close } = await start({ settings: { connectors: ['emqx'] } })
    const { record } = await enrolDevice(engine, 'SN-1')
    const jobs = createJobs(engine, [crlJob])
    const watcher = new CutWatcher(engine, 'broker here')
    await watcher.pass(clock.now(), async () => 0)
    await jobs.pass(crlJob.name)
    await clock.advance(hourMs)
    const decidedAt = clock.now()
    await watcher.pass(decidedAt, async () => 0)
    await revokeDevice(engine, sn1, theft)
    const first = await deviceRevocationStatus(engine, sn1)
    assert.deepEqual([first.decidedAt, first.reason, first.caseId], [decidedAt, 'keyCompromise', 1])
    assert.deepEqual(states(first), {
      enrolment: 'done',
      ocsp: 'done',
      'crl issuing shard 0': 'open',
      'crl issuing complete': 'open',
      'crl issuing delta': 'open',
      'broker here': 'open',
      emqx: 'open',
    })

    await clock.advance(3 * secondMs)
    await jobs.pass(crlJob.name)
    await watcher.pass(clock.now(), async () => 2)
    let isDown = true
    const emqx: Disconnector = {
      name: 'emqx',
      parallel: 1,
      async cut() {
        if (isDown) throw new Refusal('connector-failed', 'EMQX answered 503')
        return 1
      },
      admit: async () => null,
      close: async () => {},
    }
    const connector = createJobs(engine, [disconnectJob(emqx)])
    await connector.pass('disconnect.emqx')
    const second = await deviceRevocationStatus(engine, sn1)
    const of = (status: RevocationStatus, name: string) =>
      status.surfaces.find(({ surface }) => surface === name)
    for (const kind of ['shard 0', 'complete', 'delta']) {
      const surface = of(second, `crl issuing ${kind}`)
      assert.deepEqual([surface?.state, surface?.at], ['done', clock.now()], kind)
    }
    assert.deepEqual(of(second, 'broker here')?.detail, '2 sessions were ended')
    assert.equal(of(second, 'emqx')?.state, 'open')
    assert.match(of(second, 'emqx')?.detail ?? '', /tried 1 times: connector-failed: EMQX answered 503/)

    isDown = false
    await clock.advance(hourMs)
    await connector.pass('disconnect.emqx')
    await jobs.pass(crlJob.name)
    const third = await deviceRevocationStatus(engine, sn1)
    assert.deepEqual([of(third, 'emqx')?.state, of(third, 'emqx')?.at], ['done', clock.now()])
    // later CRLs do not make it later
    assert.equal(of(third, 'crl issuing shard 0')?.at, decidedAt + 3 * secondMs)
    const row = await findCertificate(engine.store.db, record.id)
    assert.ok(row)
    assert.equal(of(await certificateRevocationStatus(engine, row), 'crl issuing complete')?.state, 'done')
    await close()
  })

  test('of an issuer: the CRL of its parent, the brokers, and the campaign', async () => {
    const { engine, close } = await start()
    await enrolDevice(engine, 'SN-1')
    await revokeIssuer(engine, { id: issuingId, reason: 'cACompromise', actor: testActor })
    const before = await issuerRevocationStatus(engine, issuingId)
    assert.equal(states(before)['crl root complete'], 'open')
    await createJobs(engine, [crlJob]).pass(crlJob.name)
    const after = await issuerRevocationStatus(engine, issuingId)
    assert.equal(states(after)['crl root complete'], 'done')
    assert.deepEqual([states(after)['sessions'], states(after)['re-enrolment']], ['none', 'open'])
    await close()
  })

  test('of a device under investigation alone, and of what was never revoked', async () => {
    const { engine, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    await registerDevice(engine, 'SN-2')
    await openCase(engine, { deviceId: sn1, actor: testActor })
    const status = await deviceRevocationStatus(engine, sn1)
    assert.deepEqual([status.reason, states(status)['ocsp'], states(status)['crl']], [null, 'none', 'none'])
    for (const work of [
      () => deviceRevocationStatus(engine, 'SN-2' as DeviceId),
      () => deviceRevocationStatus(engine, 'SN-3' as DeviceId),
      () => certificateRevocationStatus(engine, record),
      () => issuerRevocationStatus(engine, issuingId),
      () => issuerRevocationStatus(engine, 'nobody' as IssuerId),
    ]) {
      assert.equal((await refusal(work())).code, 'not-found')
    }
    await close()
  })
})

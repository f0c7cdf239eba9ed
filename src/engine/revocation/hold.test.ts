import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, secondMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  refusal,
  renew,
  renewalCsr,
  requestOf,
  testActor,
  testSettings,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { certId, ocspRequest, readOcsp } from '../../../test/helpers/ocsp.ts'
import { parseCrl, type Crl } from '../../pki/crl-read.ts'
import { readCounters } from '../../store/counters.ts'
import { findCertificate } from '../../store/inventory.ts'
import { openCaseOf } from '../cases/case.ts'
import { closeCase } from '../cases/verdict.ts'
import type { Engine } from '../context.ts'
import { enroll } from '../issuing/enroll.ts'
import { createJobs } from '../jobs.ts'
import { currentCrl, type CrlKind } from './crl.ts'
import { checkCrls } from './crl-diff.ts'
import { crlJob } from './crl-publish.ts'
import { answerOcsp } from './ocsp.ts'
import { orderRevocation } from './revoke-batch.ts'
import { revokeCertificate, revokeDevice } from './revoke.ts'

const sn1 = 'SN-1' as DeviceId
const held = { reason: 'certificateHold', actor: testActor } as const
const theft = { reason: 'keyCompromise', actor: testActor } as const

/** The industrial profile, with holds. */
const profiles = [...testSettings().profiles.values()]
  .filter(({ name }) => name === 'industrial')
  .map((profile) => Object.assign({}, profile, { hold: true }))

async function read(engine: Engine, kind: CrlKind): Promise<Crl> {
  const published = await currentCrl(engine, { issuerId: issuingId, kind, shard: 0 })
  assert.ok(published)
  return parseCrl(published.der)
}

forEachEngine((start) => {
  test('a hold is taken back: OCSP, CRLs and the device itself go on as before', async () => {
    const { engine, clock, close } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1')
    const { serialNumber } = device.record
    const jobs = createJobs(engine, [crlJob])
    const issuer = await engine.issuers.find(issuingId)
    assert.ok(issuer)
    const ocsp = async () =>
      readOcsp((await answerOcsp(engine, ocspRequest([certId(issuer.certificate, serialNumber)]))).der)
        .singles
    await jobs.pass(crlJob.name)
    await clock.advance(2 * hourMs)
    await revokeDevice(engine, sn1, held)
    await jobs.pass(crlJob.name)
    assert.deepEqual(await ocsp(), ['revoked 6'])
    const onHold = await read(engine, 'complete')
    assert.equal(onHold.find(serialNumber)?.reason, 'certificateHold')
    assert.equal((await read(engine, 'delta')).find(serialNumber)?.reason, 'certificateHold')

    await clock.advance(10 * secondMs)
    const { id } = await openCaseOf(engine, sn1)
    const { released, needsSecret } = await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    assert.deepEqual([released.length, needsSecret], [1, false])
    await jobs.pass(crlJob.name)
    assert.deepEqual(await ocsp(), ['good'])
    const after = await read(engine, 'complete')
    assert.equal(after.find(serialNumber), null)
    assert.equal((await read(engine, 'shard')).find(serialNumber), null)
    assert.equal((await read(engine, 'delta')).find(serialNumber)?.reason, 'removeFromCRL')
    // the checker knows that this entry may leave early
    assert.deepEqual((await checkCrls(engine, issuingId, onHold.der, after.der)).findings, [])
    const counts = await readCounters(engine.store.db, 'certificates.')
    assert.equal(counts.get('certificates.revoked') ?? 0, 0)
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    assert.equal((await renew(engine, device)).record.status, 'issued')
    await close()
  })

  test('on hold it renews no more than when it is revoked, and a hold that is made final never ends', async () => {
    const { engine, clock, close } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1')
    await revokeDevice(engine, sn1, held)
    const request = requestOf(device.peer, renewalCsr(createKey(), device.certificate), {
      operation: 'reenroll',
    })
    assert.equal((await refusal(enroll(engine, request))).code, 'device-revoked')
    assert.equal((await refusal(revokeCertificate(engine, device.record, held))).code, 'already-exists')
    await clock.advance(hourMs)
    const final = await revokeDevice(engine, sn1, theft)
    assert.equal(final.certificates.length, 1)
    const { id } = await openCaseOf(engine, sn1)
    const { released, needsSecret } = await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    assert.deepEqual([released, needsSecret], [[], true])
    const { status, reason, revokedAt } = (await findCertificate(engine.store.db, device.record.id)) ?? {}
    assert.deepEqual([status, reason, revokedAt], ['revoked', 'keyCompromise', clock.now()])
    const counts = await readCounters(engine.store.db, 'certificates.')
    assert.equal(counts.get('certificates.revoked'), 1)
    await close()
  })

  test('no hold where the profile does not allow it, and none of a whole batch', async () => {
    const { engine, close } = await start()
    const device = await enrolDevice(engine, 'SN-1', { site: 'Ulm' })
    assert.equal((await refusal(revokeDevice(engine, sn1, held))).code, 'hold-not-allowed')
    assert.equal((await refusal(revokeCertificate(engine, device.record, held))).code, 'hold-not-allowed')
    const order = { ...held, selection: { site: 'Ulm' } }
    assert.equal((await refusal(orderRevocation(engine, order))).code, 'invalid-input')
    assert.equal((await findCertificate(engine.store.db, device.record.id))?.status, 'issued')
    await close()
  })
})

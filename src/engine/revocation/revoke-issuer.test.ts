import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes } from '../../base/bytes.ts'
import { dayMs, hourMs, secondMs } from '../../base/clock.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import {
  enrolDevice,
  enrolled,
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  renew,
  renewalCsr,
  requestOf,
  rootId,
  testActor,
  testSettings,
  type Enrolled,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { certId, ocspRequest, readOcsp } from '../../../test/helpers/ocsp.ts'
import { parseCrl, verifyCrl } from '../../pki/crl-read.ts'
import { readCounters } from '../../store/counters.ts'
import { setDeviceState } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { readFact } from '../audit/audit.ts'
import { requireCampaign } from '../campaigns/campaign-record.ts'
import type { Engine } from '../context.ts'
import { admitConnection } from '../inventory/device-connection.ts'
import { caCertificates, createIssuer } from '../issuing/issuer.ts'
import { serverIssuer } from '../issuing/server-certificate.ts'
import { enroll } from '../issuing/enroll.ts'
import { checkPolicyRules } from '../issuing/policy-rules.ts'
import { createJobs } from '../jobs.ts'
import { noteSighting } from '../renewals/sighting.ts'
import { currentCrl } from './crl.ts'
import { crlJob } from './crl-publish.ts'
import { answerOcsp } from './ocsp.ts'
import { reissueJob } from './reissue.ts'
import { previewIssuerRevocation, revokeIssuer } from './revoke-issuer.ts'

const successorId = 'issuing-2' as IssuerId
const lost = { id: issuingId, reason: 'cACompromise', note: 'the token is gone', actor: testActor } as const

/** The industrial profile under another issuer, as an operator writes it into perennial.yaml. */
function movedTo(issuer: IssuerId) {
  const profiles = [...testSettings().profiles.values()]
    .filter(({ name }) => name !== 'matter-dac')
    .map((profile) => Object.assign({}, profile, { issuer }))
  return { profiles: testSettings({ profiles }).profiles }
}

async function ocspOf(engine: Engine, { record }: Enrolled): Promise<readonly string[]> {
  const issuer = await engine.issuers.find(issuingId)
  assert.ok(issuer)
  const request = ocspRequest([certId(issuer.certificate, record.serialNumber)])
  return readOcsp((await answerOcsp(engine, request)).der).singles
}

forEachEngine((start) => {
  test('what a revoked issuer has signed is accepted nowhere, and no certificate under it was touched', async () => {
    const { engine, another, clock, close } = await start()
    const other = another()
    const device = await enrolDevice(engine, 'SN-1')
    const { certificate, peer, record } = device
    const jobs = createJobs(engine, [crlJob])
    await jobs.pass(crlJob.name)
    const own = (await other.issuers.find(issuingId))?.certificate.der as Uint8Array
    assert.ok((await caCertificates(other, null)).some((der) => equalBytes(der, own)))
    assert.deepEqual(await ocspOf(engine, device), ['good'])
    await clock.advance(1000)
    const { status, revokedAt, revocationReason } = await revokeIssuer(engine, lost)
    assert.deepEqual([status, revokedAt, revocationReason], ['revoked', clock.now(), 'cACompromise'])
    // another process learns it when it next looks at its issuers
    await clock.advance(secondMs)
    for (const each of [engine, other]) {
      for (const operation of ['enroll', 'reenroll'] as const) {
        const request = requestOf(peer, renewalCsr(createKey(), certificate), { operation })
        assert.equal((await refusal(enroll(each, request))).code, 'issuer-revoked')
      }
      const connection = { address: '', certificate }
      assert.equal((await refusal(admitConnection(each, connection, clock.now()))).code, 'issuer-revoked')
      assert.equal(await noteSighting(each, certificate), null)
      assert.deepEqual(await ocspOf(each, device), ['revoked 2'])
      assert.ok(!(await caCertificates(each, null)).some((der) => equalBytes(der, own)))
    }
    assert.equal((await findCertificate(engine.store.db, record.id))?.status, 'issued')
    const counts = await readCounters(engine.store.db, 'certificates.')
    assert.equal(counts.get('certificates.revoked'), 1, 'its own certificate, and no other')

    // the root says so within one pass
    await jobs.pass(crlJob.name)
    const published = await currentCrl(engine, { issuerId: rootId, kind: 'complete', shard: 0 })
    const root = await engine.issuers.find(rootId)
    const issuer = await engine.issuers.find(issuingId)
    assert.ok(published && root && issuer)
    const crl = parseCrl(published.der)
    assert.ok(verifyCrl(crl, root.key))
    const entry = crl.find(issuer.certificate.serialNumber)
    assert.equal(entry?.reason, 'cACompromise')
    const facts = (await recentFacts(engine.store.db, { limit: 20 })).map(({ entry: bytes }) =>
      readFact(bytes),
    )
    const told = facts.find(({ action }) => action === 'issuer.revoked')
    assert.deepEqual([told?.actor, told?.reason, told?.subject], [testActor, lost.note, 'issuer:issuing'])
    await close()
  })

  test('its devices enrol again under a successor, with a new secret; until there is one, nobody does', async () => {
    const { engine, another, close } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await revokeIssuer(engine, lost)
    const secret = await freshSecret(engine, 'SN-1')
    const request = requestOf(secret, createKey().csr())
    assert.equal((await refusal(enroll(engine, request))).code, 'issuer-unavailable')
    await createIssuer(engine, { id: successorId, kind: 'intermediate', parentId: rootId, actor: testActor })
    const moved = another({ settings: movedTo(successorId) })
    const key = createKey()
    const again = enrolled(await enroll(moved, requestOf(secret, key.csr())), key)
    assert.equal(again.record.issuerId, successorId)
    assert.equal(
      (await admitConnection(moved, { address: '', certificate: again.certificate }, moved.clock.now()))
        .deviceId,
      'SN-1',
    )
    const old = requestOf(device.peer, renewalCsr(createKey(), device.certificate), { operation: 'reenroll' })
    assert.equal((await refusal(enroll(moved, old))).code, 'issuer-revoked')
    assert.equal(await serverIssuer(moved), successorId)
    await close()
  })

  test('a profile may let them renew, and nothing else, until the last millisecond of its grace', async () => {
    const profiles = testSettings().profiles
    const { contentHash: _hash, ...industrial } = profiles.get('industrial') as never as {
      contentHash: string
    }
    const grace = { ...industrial, name: 'industrial', reissueForMs: hourMs } as never
    const { engine, another, clock, close } = await start({ profiles: [grace] })
    const device = await enrolDevice(engine, 'SN-1')
    await revokeIssuer(engine, lost)
    await createIssuer(engine, { id: successorId, kind: 'intermediate', parentId: rootId, actor: testActor })
    const industrialAfter = { ...(grace as object), issuer: successorId } as never
    const moved = another({ settings: { profiles: testSettings({ profiles: [industrialAfter] }).profiles } })
    await clock.advance(hourMs - 1)
    const enrolling = requestOf(device.peer, createKey().csr(), { operation: 'enroll' })
    assert.equal((await refusal(enroll(moved, enrolling))).code, 'issuer-revoked')
    const connection = { address: '', certificate: device.certificate }
    assert.equal((await refusal(admitConnection(moved, connection, clock.now()))).code, 'issuer-revoked')
    const next = await renew(moved, device)
    assert.equal(next.record.issuerId, successorId)
    await clock.advance(1)
    const late = await refusal(renew(moved, device))
    assert.equal(late.code, 'issuer-revoked')
    assert.match(late.message, /factory identity or a new enrolment secret/)
    await close()
  })

  test('a campaign asks its devices, and waits until no profile names the revoked issuer any more', async () => {
    const { engine, another, clock, close } = await start()
    for (const id of ['SN-1', 'SN-2']) await enrolDevice(engine, id)
    await createIssuer(engine, { id: successorId, kind: 'intermediate', parentId: rootId, actor: testActor })
    const moved = another({ settings: movedTo(successorId) })
    await enrolDevice(moved, 'SN-3')
    const jobs = createJobs(engine, [reissueJob])
    assert.equal((await jobs.pass('reissue'))?.worked, 0)
    await revokeIssuer(engine, lost)
    await jobs.pass('reissue')
    await jobs.pass('reissue')
    const draft = await requireCampaign(engine.store.db, 'reissue-issuing')
    assert.deepEqual([draft.status, draft.snapshot.sizes], ['draft', [2]])
    await clock.advance(2 * dayMs)
    await createJobs(moved, [reissueJob]).pass('reissue')
    assert.equal((await requireCampaign(engine.store.db, 'reissue-issuing')).status, 'running')
    await close()
  })

  test('an issuer without devices needs no campaign', async () => {
    const { engine, close } = await start()
    await revokeIssuer(engine, lost)
    const jobs = createJobs(engine, [reissueJob])
    assert.equal((await jobs.pass('reissue'))?.worked, 1)
    assert.equal((await jobs.pass('reissue'))?.worked, 0)
    await close()
  })

  test('says beforehand what is needed: a successor for each profile that names it', async () => {
    const { engine, close } = await start()
    await enrolDevice(engine, 'SN-1')
    const impact = await previewIssuerRevocation(engine, issuingId)
    assert.equal(impact.certificates, 1)
    assert.equal(impact.parentId, rootId)
    assert.equal(impact.needsSuccessor, true)
    assert.ok(impact.profiles.some(({ name, reissueForMs }) => name === 'industrial' && reissueForMs === 0))
    assert.equal((await engine.issuers.find(issuingId))?.record.status, 'active')
    await revokeIssuer(engine, lost)
    const { profiles, connectivity } = engine.settings
    const issuers = await engine.issuers.list()
    const findings = checkPolicyRules({ profiles, connectivity, issuers, now: engine.clock.now() })
    // the platform still starts: CRLs and OCSP answers are wanted now
    assert.deepEqual(
      findings.filter(({ severity }) => severity === 'error'),
      [],
    )
    assert.ok(findings.some(({ rule, message }) => rule === 'issuer-exists' && /is revoked/.test(message)))
    await close()
  })

  test('a root, an unknown one, one that is revoked, and one that needs two persons are refused', async () => {
    const approval = { require: ['revoke-issuer'], fromDevices: 1, lifetimeMs: dayMs } as const
    const { engine, another, close } = await start()
    assert.equal((await refusal(revokeIssuer(engine, { ...lost, id: rootId }))).code, 'invalid-input')
    const unknown = { ...lost, id: 'nobody' as IssuerId }
    assert.equal((await refusal(revokeIssuer(engine, unknown))).code, 'not-found')
    const careful = another({ settings: { approval } })
    assert.equal((await refusal(revokeIssuer(careful, lost))).code, 'proposal-needed')
    await revokeIssuer(engine, lost)
    assert.equal((await refusal(revokeIssuer(engine, lost))).code, 'already-exists')
    await close()
  })

  test('a device in quarantine is told that, and not how to enrol again', async () => {
    const { engine, close } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await revokeIssuer(engine, lost)
    await engine.store.transaction((tx) => setDeviceState(tx, 'SN-1' as DeviceId, 'quarantined'))
    const request = requestOf(device.peer, renewalCsr(createKey(), device.certificate), {
      operation: 'reenroll',
    })
    assert.equal((await refusal(enroll(engine, request))).code, 'device-quarantined')
    await close()
  })
})

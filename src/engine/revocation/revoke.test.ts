import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  registerDevice,
  renew,
  renewalCsr,
  requestOf,
  testActor,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { putRenewal } from '../../../test/helpers/renewals.ts'
import { setStatus } from '../../store/certificates.ts'
import { readCounters } from '../../store/counters.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { renewalsOfDevice } from '../../store/renewal-lists.ts'
import { shardRevisions } from '../../store/revocations.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { enroll } from '../issuing/enroll.ts'
import { fleetWords, parseReason } from './revocation-words.ts'
import { revokeCertificate, revokeDevice } from './revoke.ts'

const theft = { reason: 'keyCompromise', note: 'stolen from the van', actor: testActor } as const

async function factsOf(engine: Engine, ...actions: string[]): Promise<string[]> {
  const facts = await recentFacts(engine.store.db, { limit: 100 })
  return facts
    .map(({ entry }) => readFact(entry))
    .filter(({ action }) => actions.includes(action))
    .map(({ action, subject, reason, details }) => `${action} ${subject} ${details['reason']} ${reason}`)
    .toReversed()
}

forEachEngine((start) => {
  test('a revoked device loses every certificate and gets nothing more, over no path', async () => {
    const { engine, clock, close } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first)
    const secret = await freshSecret(engine, 'SN-1')
    const revoked = await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    assert.deepEqual(
      revoked.certificates.map(({ serialNumber }) => serialNumber),
      [first.record.serialNumber, second.record.serialNumber],
    )
    assert.equal(revoked.deviceState, 'quarantined')
    assert.equal((await findDevice(engine.store.db, 'SN-1' as DeviceId))?.state, 'quarantined')
    for (const { record, peer, certificate } of [first, second]) {
      const stored = await findCertificate(engine.store.db, record.id)
      assert.deepEqual(
        [stored?.status, stored?.reason, stored?.revokedAt],
        ['revoked', 'keyCompromise', clock.now()],
      )
      const again = requestOf(peer, renewalCsr(createKey(), certificate), { operation: 'reenroll' })
      assert.equal((await refusal(enroll(engine, again))).code, 'device-revoked')
    }
    const withSecret = requestOf(secret, createKey().csr())
    assert.equal((await refusal(enroll(engine, withSecret))).code, 'device-quarantined')
    assert.equal((await refusal(freshSecret(engine, 'SN-1'))).code, 'device-quarantined')
    assert.deepEqual(await factsOf(engine, 'device.quarantined', 'certificate.revoked'), [
      'device.quarantined device:SN-1 keyCompromise stolen from the van',
      ...[first, second].map(
        ({ record }) =>
          `certificate.revoked certificate:issuing/${record.serialNumber} keyCompromise stolen from the van`,
      ),
    ])
    assert.deepEqual(await shardRevisions(engine.store.db, issuingId), new Map([[0, 1]]))
    const counts = await readCounters(engine.store.db, 'certificates.')
    assert.equal(counts.get('certificates.revoked'), 2)
    await close()
  })

  test('the open renewal of a revoked device is given up with it, and leaves the field list', async () => {
    const { engine, close } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await putRenewal(engine, device, { status: 'escalated', reason: 'ladder-exhausted' })
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    const renewals = await renewalsOfDevice(engine.store.db, 'SN-1' as DeviceId, 10)
    assert.deepEqual(
      renewals.map(({ status, reason }) => [status, reason]),
      [['abandoned', 'device-quarantined']],
    )
    assert.equal((await factsOf(engine, 'renewal.abandoned')).length, 1)
    await close()
  })

  test('to revoke a device twice changes nothing the second time', async () => {
    const { engine, close } = await start()
    await enrolDevice(engine, 'SN-1')
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    const facts = (await factsOf(engine, 'certificate.revoked', 'device.quarantined')).length
    const again = await revokeDevice(engine, 'SN-1' as DeviceId, { ...theft, reason: 'superseded' })
    assert.deepEqual(again, { certificates: [], deviceState: null })
    assert.equal((await factsOf(engine, 'certificate.revoked', 'device.quarantined')).length, facts)
    await close()
  })

  test('a device at the end of its life is decommissioned, and a later theft does not bring it back to quarantine', async () => {
    const { engine, close } = await start()
    await enrolDevice(engine, 'SN-1')
    const ended = await revokeDevice(engine, 'SN-1' as DeviceId, { ...theft, reason: 'cessationOfOperation' })
    assert.equal(ended.deviceState, 'decommissioned')
    assert.equal((await revokeDevice(engine, 'SN-1' as DeviceId, theft)).deviceState, null)
    assert.equal((await findDevice(engine.store.db, 'SN-1' as DeviceId))?.state, 'decommissioned')
    const counts = await readCounters(engine.store.db, 'devices.')
    assert.equal(counts.get('devices.decommissioned'), 1)
    assert.equal(counts.get('devices.quarantined') ?? 0, 0)
    await close()
  })

  test('a device without a certificate is quarantined all the same; one that is not there is refused', async () => {
    const { engine, close } = await start()
    await registerDevice(engine, 'SN-1')
    const { certificates, deviceState } = await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    assert.deepEqual([certificates.length, deviceState], [0, 'quarantined'])
    assert.equal((await refusal(revokeDevice(engine, 'SN-2' as DeviceId, theft))).code, 'not-found')
    await close()
  })

  test('a certificate is revoked until the last millisecond of its notAfter, and not after it', async () => {
    const { engine, clock, close } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    const second = await enrolDevice(engine, 'SN-2')
    assert.equal(first.record.issuerId, issuingId)
    const byEnd = [first, second].toSorted((a, b) => a.record.notAfter - b.record.notAfter)
    for (const { record } of byEnd) {
      await clock.advance(record.notAfter + 999 - clock.now())
      const id = record.deviceId as DeviceId
      if (record === byEnd[1]?.record) await clock.advance(1)
      const { certificates } = await revokeDevice(engine, id, theft)
      assert.equal(certificates.length, record === byEnd[1]?.record ? 0 : 1)
    }
    await close()
  })

  test('a live certificate takes its device out; a replaced one as superseded does not, as compromised it does', async () => {
    const { engine, clock, close } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first)
    await engine.store.transaction((tx) =>
      setStatus(tx, first.record.id, { status: 'superseded', reason: null }),
    )
    const tidy = await revokeCertificate(engine, first.record, { reason: 'superseded', actor: testActor })
    assert.equal(tidy.deviceState, null)
    assert.equal(tidy.certificates.length, 1)
    assert.equal((await refusal(revokeCertificate(engine, first.record, theft))).code, 'already-exists')
    const live = await revokeCertificate(engine, second.record, { reason: 'superseded', actor: testActor })
    assert.equal(live.deviceState, 'quarantined')
    await close()
  })

  test('what is no certificate of a device is refused: a CA, a number that is not there', async () => {
    const { engine, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    const ca = await engine.issuers.find(issuingId)
    assert.ok(ca)
    const found = await refusal(revokeCertificate(engine, { id: 999_999 as CertificateId }, theft))
    assert.equal(found.code, 'not-found')
    const rows = await engine.store.db
      .selectFrom('certificates')
      .select('id')
      .where('device_id', 'is', null)
      .execute()
    assert.ok(rows.length >= 2)
    for (const { id } of rows) {
      const code = (await refusal(revokeCertificate(engine, { id: id as CertificateId }, theft))).code
      assert.equal(code, 'invalid-input')
    }
    assert.equal((await findCertificate(engine.store.db, record.id))?.status, 'issued')
    await close()
  })

  test('a renewal that is under way when its device is revoked ends without a certificate', async () => {
    let revoke: (() => Promise<unknown>) | null = null
    const { engine, clock, close } = await start({
      faults: {
        async at(point) {
          if (point !== 'commit' || !revoke) return
          const once = revoke
          revoke = null
          await once()
        },
      },
    })
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    revoke = () => revokeDevice(engine, 'SN-1' as DeviceId, theft)
    const refused = await refusal(renew(engine, first))
    assert.match(refused.code, /^device-/)
    const rows = await engine.store.db
      .selectFrom('certificates')
      .select('status')
      .where('device_id', '=', 'SN-1')
      .execute()
    assert.deepEqual(rows.map(({ status }) => status).toSorted(), ['abandoned', 'revoked'])
    await clock.advance(dayMs)
    await close()
  })
})

test('the words of the fleet are reasons of RFC 5280 §5.3.1', () => {
  assert.equal(parseReason('theft'), 'keyCompromise')
  assert.equal(parseReason('key-extracted'), 'keyCompromise')
  assert.equal(parseReason('end-of-life'), 'cessationOfOperation')
  assert.equal(parseReason('decommissioned'), 'cessationOfOperation')
  assert.equal(parseReason('replaced'), 'superseded')
  assert.equal(parseReason('privilegeWithdrawn'), 'privilegeWithdrawn')
  for (const reason of Object.values(fleetWords)) assert.equal(parseReason(reason), reason)
})

for (const text of ['', 'stolen', 'keycompromise', 'removeFromCRL', 'cACompromise', 'toString']) {
  test(`"${text}" is no reason to revoke a device`, () => {
    assert.throws(() => parseReason(text), { code: 'invalid-input' })
  })
}

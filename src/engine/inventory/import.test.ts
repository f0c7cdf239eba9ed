import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256Hex } from '../../base/bytes.ts'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { recentFacts } from '../../store/facts.ts'
import {
  enrolDevice,
  forEachEngine,
  freshSecret,
  refusal,
  registerDevice,
  requestOf,
  testActor,
  testStart,
  withCertificate,
} from '../../../test/helpers/app.ts'
import { createCa, createKey } from '../../../test/helpers/ca.ts'
import { readFact } from '../audit/audit.ts'
import { enroll } from '../issuing/enroll.ts'
import { importCertificates } from './import.ts'
import { certificatePage, deviceDetails, needsRenewal } from './inventory.ts'
import { addTrustAnchor } from '../issuing/trust.ts'

const old = createCa('CN=Old CA,O=Vendor', testStart)

function lines(...items: { certificate: Uint8Array; deviceId?: string | null }[]) {
  return items.map(({ certificate, deviceId = null }, index) => ({
    line: index + 1,
    item: { certificate, deviceId },
  }))
}

forEachEngine((start) => {
  test('certificates of other CAs come in with their issuer, and each bad line is reported', async () => {
    const { engine } = await start()
    const ours = await enrolDevice(engine, 'SN-9')
    await registerDevice(engine, 'SN-1', { cohort: 'north' })
    const first = old.issue({ subject: 'CN=SN-1', notAfter: testStart + 20 * dayMs }).der
    const second = old.issue({ subject: 'CN=unknown', algorithm: 'rsa-2048' }).der
    const batch = lines(
      { certificate: first, deviceId: 'SN-1' },
      { certificate: second },
      { certificate: first },
      { certificate: new Uint8Array(9) },
      { certificate: second, deviceId: 'SN-404' },
      { certificate: second, deviceId: 'no id' },
      { certificate: ours.certificate },
    )
    const planned = await importCertificates(engine, batch, { actor: testActor, dryRun: true })
    const results = await importCertificates(engine, batch, { actor: testActor })
    assert.deepEqual(planned, results)
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ['added', 'added', 'known', 'invalid', 'invalid', 'invalid', 'invalid'],
    )
    const issuers = (await engine.issuers.list()).filter(({ kind }) => kind === 'external')
    assert.deepEqual(
      issuers.map(({ subject }) => subject),
      ['CN=Old CA,O=Vendor'],
    )
    const { rows } = await certificatePage(engine, { filter: { deviceId: 'SN-1' as DeviceId }, limit: 10 })
    assert.deepEqual(
      rows.map(({ status, protocol, profile, cohort, notAfter }) => [
        status,
        protocol,
        profile,
        cohort,
        notAfter,
      ]),
      [['issued', 'import', null, 'north', testStart + 20 * dayMs]],
    )
    const [, fact] = await recentFacts(engine.store.db, { action: 'certificate.imported', limit: 10 })
    assert.equal(readFact(fact?.entry ?? assert.fail()).details['sha256'], sha256Hex(first))
    const due = await needsRenewal(engine, { now: testStart, limit: 10 })
    assert.deepEqual(
      due.rows.map(({ certificate }) => certificate.deviceId),
      ['SN-1'],
    )
    const again = await importCertificates(engine, batch.slice(0, 2), { actor: testActor })
    assert.deepEqual(
      again.map(({ outcome }) => outcome),
      ['known', 'known'],
    )
  })

  test('a rule maps certificates to devices', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const batch = lines(
      { certificate: old.issue({ subject: 'CN=SN-1' }).der },
      { certificate: old.issue({ subject: 'CN=SN-2' }).der },
    )
    const results = await importCertificates(engine, batch, { actor: testActor, deviceIdRule: 'subject.CN' })
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ['added', 'invalid'],
    )
    assert.equal((await deviceDetails(engine, 'SN-1' as DeviceId)).certificates.length, 1)
    assert.equal(
      (await refusal(importCertificates(engine, batch, { actor: testActor, deviceIdRule: 'nonsense' }))).code,
      'invalid-input',
    )
  })

  test('an imported certificate authenticates nobody by itself; through its registered CA it enrols its device once', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const { der } = old.issue({ subject: 'CN=some other name' })
    await importCertificates(engine, lines({ certificate: der, deviceId: 'SN-1' }), { actor: testActor })
    const peer = withCertificate(der)
    const csr = createKey().csr()
    assert.equal((await refusal(enroll(engine, requestOf(peer, csr)))).code, 'certificate-unknown')
    const anchor = {
      name: 'Old',
      certificate: old.der,
      deviceIdRule: 'subject.CN',
      profile: null,
      actor: testActor,
    }
    await addTrustAnchor(engine, anchor)
    const renewal = await refusal(enroll(engine, requestOf(peer, csr, { operation: 'reenroll' })))
    assert.equal(renewal.code, 'certificate-untrusted')
    // the inventory says whose it is, whatever its subject
    const outcome = await enroll(engine, requestOf(peer, csr))
    assert.ok(outcome.kind === 'issued' && outcome.record.deviceId === ('SN-1' as DeviceId))
    assert.ok(outcome.record.predecessorId !== null)
  })

  test('the first certificate of ours follows the imported one', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const { der } = old.issue({ subject: 'CN=SN-1' })
    await importCertificates(engine, lines({ certificate: der, deviceId: 'SN-1' }), { actor: testActor })
    const outcome = await enroll(engine, requestOf(await freshSecret(engine, 'SN-1'), createKey().csr()))
    const { certificates } = await deviceDetails(engine, 'SN-1' as DeviceId)
    assert.ok(outcome.kind === 'issued' && outcome.record.predecessorId === certificates[1]?.id)
  })
})

import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { dayMs, secondMs, type Instant } from '../../base/clock.ts'
import type { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { setStatus } from '../../store/certificates.ts'
import { setDeviceState, type DeviceState } from '../../store/devices.ts'
import { updateIssuer } from '../../store/issuers.ts'
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
  stranger,
  testActor,
  testStart,
  windowOpensAt,
  withCertificate,
  withSecret,
  type Enrolled,
} from '../../../test/helpers/app.ts'
import { createCa, createKey } from '../../../test/helpers/ca.ts'
import { makeCsr } from '../../../test/helpers/certificates.ts'
import type { Engine } from '../context.ts'
import { enroll } from './enroll.ts'
import type { ProfileInput } from './profile.ts'
import { newSecret } from './secret.ts'
import { flushSightings } from '../renewals/sighting.ts'
import { addTrustAnchor } from './trust.ts'

const graceful: ProfileInput = {
  name: 'graceful',
  issuer: issuingId,
  validityMs: 100 * dayMs,
  renewBeforeMs: 30 * dayMs,
  renewExpiredForMs: 10 * dayMs,
  connectivity: 'always-on',
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await refusal(work)).code
}

function reenroll(engine: Engine, { certificate, peer }: Enrolled) {
  return enroll(engine, requestOf(peer, renewalCsr(createKey(), certificate), { operation: 'reenroll' }))
}

async function putState(engine: Engine, id: string, state: DeviceState): Promise<void> {
  await engine.store.transaction(async (tx) => {
    await setDeviceState(tx, id as DeviceId, state)
  })
}

forEachEngine((start) => {
  test('refuses a peer that shows nothing', async () => {
    const { engine } = await start()
    const refused = await refusal(enroll(engine, requestOf(stranger, createKey().csr())))
    assert.equal(refused.code, 'unauthenticated')
    const renewal = await refusal(
      enroll(engine, requestOf(withSecret('SN-1', 'x'), createKey().csr(), { operation: 'reenroll' })),
    )
    assert.equal(renewal.code, 'unauthenticated')
    assert.match(renewal.message, /current certificate/)
  })

  test('an unknown device, a device without a secret and a wrong secret get one answer', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    await registerDevice(engine, 'SN-2')
    await freshSecret(engine, 'SN-2')
    const answers = await Promise.all(
      ['SN-0', 'SN-1', 'SN-2', '', 'nö'].map(async (id) =>
        refusal(enroll(engine, requestOf(withSecret(id, 'wrong'), createKey().csr()))),
      ),
    )
    assert.deepEqual(new Set(answers.map(({ code, message }) => `${code} ${message}`)).size, 1)
    assert.equal(answers[0]?.code, 'secret-invalid')
  })

  test('a secret is good until the millisecond at which it expires', async () => {
    const { engine, clock } = await start()
    await registerDevice(engine, 'SN-1')
    await registerDevice(engine, 'SN-2')
    const late = await freshSecret(engine, 'SN-1')
    const intime = await freshSecret(engine, 'SN-2')
    await clock.advance(engine.settings.secretLifetimeMs - 1)
    assert.equal((await enroll(engine, requestOf(intime, createKey().csr()))).kind, 'issued')
    await clock.advance(1)
    const refused = await refusal(enroll(engine, requestOf(late, createKey().csr())))
    assert.equal(refused.code, 'secret-invalid')
    assert.match(refused.message, /expired on 2026-11-27T12:00:00Z/)
  })

  test('a secret is good for one key; a new secret makes the one before it worthless', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const first = await freshSecret(engine, 'SN-1')
    await enroll(engine, requestOf(first, createKey().csr()))
    const refused = await refusal(enroll(engine, requestOf(first, createKey().csr())))
    assert.equal(refused.code, 'secret-invalid')
    assert.match(refused.message, /spent/)
    const second = await freshSecret(engine, 'SN-1')
    const third = await freshSecret(engine, 'SN-1')
    assert.match((await refusal(enroll(engine, requestOf(second, createKey().csr())))).message, /wrong/)
    assert.equal((await enroll(engine, requestOf(third, createKey().csr()))).kind, 'issued')
  })

  test('of two parallel requests with one secret and two keys, one is granted', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    const settled = await Promise.allSettled(
      [createKey(), createKey(), createKey()].map((key) => enroll(engine, requestOf(peer, key.csr()))),
    )
    assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of settled) {
      if (one.status === 'rejected') assert.equal((one.reason as Refusal).code, 'secret-invalid')
    }
  })

  for (const [state, code] of [
    ['quarantined', 'device-quarantined'],
    ['decommissioned', 'device-decommissioned'],
  ] as const) {
    test(`a device that is ${state} gets nothing, whatever it shows`, async () => {
      const { engine, clock } = await start({ settings: { secretLifetimeMs: 4000 * dayMs } })
      const device = await enrolDevice(engine, 'SN-1')
      const peer = await freshSecret(engine, 'SN-1')
      await clock.advance(windowOpensAt(engine, device) - testStart)
      await putState(engine, 'SN-1', state)
      assert.equal(await codeOf(reenroll(engine, device)), code)
      assert.equal(await codeOf(newSecret(engine, { deviceId: 'SN-1' as DeviceId, actor: testActor })), code)
      assert.equal(await codeOf(enroll(engine, requestOf(peer, createKey().csr()))), code)
      // a repeat of a request answered before is no way around it
      const again = requestOf(device.peer, renewalCsr(device.key, device.certificate), {
        operation: 'reenroll',
      })
      assert.equal(await codeOf(enroll(engine, again)), code)
    })
  }

  test('a device quarantined while its request is at work gets nothing that is valid', async () => {
    const faults = {
      at: async (point: string) => {
        if (point === 'commit' && armed) await putState(engine, 'SN-1', 'quarantined')
      },
    }
    let armed = false
    const { engine } = await start({ faults })
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    armed = true
    assert.equal(await codeOf(enroll(engine, requestOf(peer, createKey().csr()))), 'device-quarantined')
  })

  test('a certificate is good to its last second; after it, only as long as its profile lets it renew', async () => {
    const { engine, clock } = await start({ profiles: [graceful] })
    const [a, b, c] = [
      await enrolDevice(engine, 'SN-1', { profile: 'graceful' }),
      await enrolDevice(engine, 'SN-2', { profile: 'graceful' }),
      await enrolDevice(engine, 'SN-3', { profile: 'graceful' }),
    ]
    const end = a.record.notAfter + secondMs
    await clock.advance(end - clock.now())
    assert.equal((await reenroll(engine, a)).kind, 'issued')
    // in grace, a renewal only
    const enrolment = requestOf(b.peer, renewalCsr(createKey(), b.certificate))
    assert.equal(await codeOf(enroll(engine, enrolment)), 'certificate-expired')
    await clock.advance(10 * dayMs - 1)
    assert.equal((await reenroll(engine, b)).kind, 'issued')
    await clock.advance(1)
    const refused = await refusal(reenroll(engine, c))
    assert.equal(refused.code, 'certificate-expired')
    assert.match(refused.message, /longer ago/)
  })

  test('without a grace, the second after notAfter is refused', async () => {
    const { engine, clock } = await start({ profiles: [{ ...graceful, renewExpiredForMs: 0 }] })
    const a = await enrolDevice(engine, 'SN-1', { profile: 'graceful' })
    const b = await enrolDevice(engine, 'SN-2', { profile: 'graceful' })
    await clock.advance(a.record.notAfter + 999 - clock.now())
    assert.equal((await reenroll(engine, a)).kind, 'issued')
    await clock.advance(1)
    const refused = await refusal(reenroll(engine, b))
    assert.equal(refused.code, 'certificate-expired')
    assert.doesNotMatch(refused.message, /revoked/)
  })

  test('a revoked certificate never renews, also when it is expired and would be in grace', async () => {
    const { engine, clock } = await start({ profiles: [graceful] })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'graceful' })
    await engine.store.transaction(async (tx) => {
      await setStatus(tx, device.record.id, {
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: clock.now(),
      })
    })
    for (const at of [
      clock.now(),
      windowOpensAt(engine, device),
      device.record.notAfter + dayMs,
    ] as Instant[]) {
      await clock.advance(at - clock.now())
      const refused = await refusal(reenroll(engine, device))
      assert.equal(refused.code, 'device-revoked')
      assert.doesNotMatch(refused.message, /expired/)
    }
  })

  test('a certificate that was replaced by one in use is refused, where its profile gives no grace', async () => {
    const { engine, clock } = await start({ profiles: [{ ...graceful, retireAfterMs: 0 }] })
    const first = await enrolDevice(engine, 'SN-1', { profile: 'graceful' })
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first)
    assert.equal(await codeOf(reenroll(engine, second)), 'too-early')
    await flushSightings(engine, clock.now())
    assert.equal(await codeOf(reenroll(engine, first)), 'certificate-retired')
  })

  test('a certificate of a retired issuer is refused', async () => {
    const { engine } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await engine.store.transaction(async (tx) => {
      await updateIssuer(tx, issuingId, { status: 'retired' })
    })
    engine.issuers.forget()
    assert.equal(await codeOf(reenroll(engine, device)), 'certificate-untrusted')
  })

  test('a certificate that nobody here knows is refused, also one with the names and serial number of ours', async () => {
    const { engine } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    const other = createCa('CN=Issuing CA,O=Example', testStart).issue({ subject: 'CN=SN-1,O=Example' })
    const csr = createKey().csr()
    assert.equal(
      await codeOf(enroll(engine, requestOf(withCertificate(other.der), csr))),
      'certificate-unknown',
    )
    const forged = Uint8Array.from(device.certificate)
    forged.set([(forged.at(-1) as number) ^ 1], forged.byteLength - 1)
    assert.equal(await codeOf(enroll(engine, requestOf(withCertificate(forged), csr))), 'certificate-unknown')
  })

  test('a bad certificate is refused even when a good secret comes with it', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const { basic } = await freshSecret(engine, 'SN-1')
    const { der } = createCa('CN=Nobody', testStart).issue({ subject: 'CN=SN-1' })
    const request = requestOf({ ...withCertificate(der), basic }, createKey().csr())
    assert.equal(await codeOf(enroll(engine, request)), 'certificate-unknown')
  })

  test("a CA's or a server's certificate is no device", async () => {
    const { engine } = await start()
    const issuing = await engine.issuers.find(issuingId)
    const der = issuing?.certificate.der ?? assert.fail()
    assert.equal(
      await codeOf(enroll(engine, requestOf(withCertificate(der), createKey().csr()))),
      'certificate-untrusted',
    )
  })
})

forEachEngine((start) => {
  const maker = createCa('CN=Maker Root,O=ACME', testStart)
  const makerSub = maker.issueCa({ subject: 'CN=Maker Sub,O=ACME' })
  const anchor = {
    name: 'ACME',
    certificate: maker.der,
    deviceIdRule: 'subject.serialNumber',
    profile: null,
    actor: testActor,
  }

  test('a factory identity enrols its device, through an intermediate', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    await registerDevice(engine, 'SN-1')
    const { der } = makerSub.issue({ subject: 'serialNumber=SN-1,CN=Widget' })
    const outcome = await enroll(engine, requestOf(withCertificate(der, [makerSub.der]), createKey().csr()))
    assert.ok(outcome.kind === 'issued')
    assert.equal(outcome.record.deviceId, 'SN-1')
  })

  test('a factory identity is good for enrolment only, never for a renewal', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    await registerDevice(engine, 'SN-1')
    const peer = withCertificate(maker.issue({ subject: 'serialNumber=SN-1' }).der)
    const refused = await refusal(
      enroll(engine, requestOf(peer, createKey().csr(), { operation: 'reenroll' })),
    )
    assert.equal(refused.code, 'certificate-untrusted')
    assert.match(refused.message, /factory identity/)
  })

  test('a factory identity of a device that is not in the inventory is refused', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    const peer = withCertificate(maker.issue({ subject: 'serialNumber=SN-9' }).der)
    assert.equal(await codeOf(enroll(engine, requestOf(peer, createKey().csr()))), 'device-unknown')
  })

  test('a factory identity without its intermediate, expired, or of another maker is refused', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    await registerDevice(engine, 'SN-1')
    const csr = createKey().csr()
    const subject = 'serialNumber=SN-1'
    const lost = withCertificate(makerSub.issue({ subject }).der)
    assert.equal(await codeOf(enroll(engine, requestOf(lost, csr))), 'certificate-unknown')
    const expired = maker.issue({ subject, notBefore: testStart - 9 * dayMs, notAfter: testStart - secondMs })
    assert.equal(
      await codeOf(enroll(engine, requestOf(withCertificate(expired.der), csr))),
      'certificate-expired',
    )
    const other = createCa('CN=Maker Root,O=ACME', testStart).issue({ subject })
    assert.equal(
      await codeOf(enroll(engine, requestOf(withCertificate(other.der), csr))),
      'certificate-unknown',
    )
  })

  test('a trust anchor may be for devices of one profile', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, { ...anchor, profile: 'meter' })
    await registerDevice(engine, 'SN-1', { profile: 'meter' })
    await registerDevice(engine, 'SN-2', { profile: 'gateway' })
    const ask = (id: string) =>
      enroll(
        engine,
        requestOf(withCertificate(maker.issue({ subject: `serialNumber=${id}` }).der), createKey().csr()),
      )
    assert.equal((await ask('SN-1')).kind, 'issued')
    assert.equal(await codeOf(ask('SN-2')), 'profile-not-allowed')
  })

  test('the key of the factory identity is not the key of the operational certificate', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    await registerDevice(engine, 'SN-1')
    const idevid = maker.issue({ subject: 'serialNumber=SN-1' })
    const spki = createPublicKey(idevid.privateKey).export({ type: 'spki', format: 'der' })
    const csr = makeCsr({ keys: { privateKey: idevid.privateKey, spki } })
    assert.equal(await codeOf(enroll(engine, requestOf(withCertificate(idevid.der), csr))), 'key-reused')
  })

  test('a device that lost its certificate comes back with its factory identity', async () => {
    const { engine } = await start()
    await addTrustAnchor(engine, anchor)
    const first = await enrolDevice(engine, 'SN-1')
    const peer = withCertificate(maker.issue({ subject: 'serialNumber=SN-1' }).der)
    const outcome = await enroll(engine, requestOf(peer, createKey().csr()))
    assert.ok(outcome.kind === 'issued')
    assert.equal(outcome.record.predecessorId, first.record.id)
  })
})

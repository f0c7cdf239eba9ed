import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, systemClock } from '../../base/clock.ts'
import { listCertificates } from '../../store/inventory.ts'
import { setStatus } from '../../store/certificates.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
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
  testStart,
  windowOpensAt,
  withCertificate,
} from '../../../test/helpers/app.ts'
import { createCa, createKey } from '../../../test/helpers/ca.ts'
import type { Engine } from '../context.ts'
import { enroll, type EnrollOutcome } from './enroll.ts'
import type { ProfileInput } from './profile.ts'
import { flushSightings } from '../renewals/sighting.ts'
import { addTrustAnchor } from './trust.ts'

const lax: ProfileInput = {
  name: 'lax',
  issuer: issuingId,
  validityMs: 100 * dayMs,
  renewBeforeMs: 30 * dayMs,
  connectivity: 'always-on',
  rekey: 'allowed',
  retireAfterMs: 0,
}

async function certificatesOf(engine: Engine, deviceId: string): Promise<CertificateRecord[]> {
  const { rows } = await listCertificates(engine.store.db, { limit: 1000 })
  return rows.filter((row) => row.deviceId === deviceId && row.status !== 'abandoned')
}

function issued(outcome: EnrollOutcome): Extract<EnrollOutcome, { kind: 'issued' }> {
  assert.ok(outcome.kind === 'issued')
  return outcome
}

function assertOneAnswer(outcomes: readonly EnrollOutcome[]): void {
  const texts = outcomes.map((outcome) => Buffer.from(issued(outcome).certificate).toString('hex'))
  assert.equal(new Set(texts).size, 1)
  assert.equal(outcomes.filter((outcome) => !issued(outcome).repeated).length, 1)
}

forEachEngine((start) => {
  for (const count of [1, 2, 7, 20]) {
    test(`a first enrolment delivered ${count} times in parallel gives one certificate, the same bytes`, async () => {
      const { engine } = await start()
      await registerDevice(engine, 'SN-1')
      const peer = await freshSecret(engine, 'SN-1')
      const key = createKey()
      // signed anew each time, as clients do
      const requests = Array.from({ length: count }, () => requestOf(peer, key.csr()))
      assertOneAnswer(await Promise.all(requests.map((request) => enroll(engine, request))))
      assert.equal((await certificatesOf(engine, 'SN-1')).length, 1)
    })

    test(`a renewal delivered ${count} times in parallel to several processes gives one certificate`, async () => {
      const { engine, another, clock } = await start()
      const device = await enrolDevice(engine, 'SN-1')
      await clock.advance(windowOpensAt(engine, device) - clock.now())
      // waiting for another process is real waiting, at the virtual instant of the window
      const at = clock.now()
      const live = { now: () => at, sleep: systemClock.sleep }
      const processes = Array.from({ length: 4 }, () => another({ clock: live }))
      const key = createKey()
      const outcomes = await Promise.all(
        Array.from({ length: count }, (_, n) => {
          const request = requestOf(device.peer, renewalCsr(key, device.certificate), {
            operation: 'reenroll',
          })
          return enroll(processes[n % 4] as Engine, request)
        }),
      )
      assertOneAnswer(outcomes)
      assert.equal((await certificatesOf(engine, 'SN-1')).length, 2)
    })
  }

  test('a retry after a lost answer gets the same bytes, though its window would open again only in years', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const key = createKey()
    const second = await renew(engine, device, key)
    await clock.advance(20 * dayMs)
    const again = issued(
      await enroll(
        engine,
        requestOf(device.peer, renewalCsr(key, device.certificate), { operation: 'reenroll' }),
      ),
    )
    assert.ok(again.repeated)
    assert.deepEqual(Buffer.from(again.certificate), Buffer.from(second.certificate))
  })

  test('a retry with another key is another request', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const lost = await renew(engine, device)
    const kept = await renew(engine, device)
    assert.notEqual(lost.record.serialNumber, kept.record.serialNumber)
    assert.equal(kept.record.predecessorId, device.record.id)
  })

  test('a repeat that asks for other names is no repeat', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const key = createKey()
    await renew(engine, device, key)
    const csr = key.csr({ subject: 'CN=SN-2,O=Example', subjectAltNames: ['uri:urn:perennial:device:SN-1'] })
    const refused = await refusal(enroll(engine, requestOf(device.peer, csr, { operation: 'reenroll' })))
    assert.equal(refused.code, 'subject-changed')
  })

  test('a spent secret repeats its own request until the window opens, also after it expired', async () => {
    const { engine, clock } = await start({ profiles: [lax] })
    await registerDevice(engine, 'SN-1', { profile: 'lax' })
    const peer = await freshSecret(engine, 'SN-1')
    const key = createKey()
    const first = issued(await enroll(engine, requestOf(peer, key.csr())))
    const opensAt = first.record.notAfter - 30 * dayMs
    await clock.advance(opensAt - 1 - clock.now())
    const again = issued(await enroll(engine, requestOf(peer, key.csr())))
    assert.ok(again.repeated && again.record.id === first.record.id)
    await clock.advance(1)
    const refused = await refusal(enroll(engine, requestOf(peer, key.csr())))
    assert.equal(refused.code, 'secret-invalid')
  })

  test('a factory identity repeats until the window opens, and renews from then on with a new key', async () => {
    const { engine, clock } = await start()
    const maker = createCa('CN=Maker', testStart)
    const anchor = {
      name: 'M',
      certificate: maker.der,
      deviceIdRule: 'subject.CN',
      profile: null,
      actor: 'cli:test',
    }
    await addTrustAnchor(engine, anchor)
    await registerDevice(engine, 'SN-1')
    const peer = withCertificate(maker.issue({ subject: 'CN=SN-1' }).der)
    const key = createKey()
    const first = issued(await enroll(engine, requestOf(peer, key.csr())))
    await clock.advance(first.record.notAfter - 90 * dayMs - 1 - clock.now())
    assert.ok(issued(await enroll(engine, requestOf(peer, key.csr()))).repeated)
    await clock.advance(1)
    assert.equal((await refusal(enroll(engine, requestOf(peer, key.csr())))).code, 'key-reused')
    const second = issued(await enroll(engine, requestOf(peer, createKey().csr())))
    assert.equal(second.record.predecessorId, first.record.id)
  })

  test('where keys may be kept, the same key renews once for each certificate', async () => {
    const { engine, clock } = await start({ profiles: [lax] })
    const first = await enrolDevice(engine, 'SN-1', { profile: 'lax' })
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first, first.key)
    const repeat = await renew(engine, first, first.key)
    assert.equal(repeat.record.id, second.record.id)
    await clock.advance(windowOpensAt(engine, second) - clock.now())
    const third = await renew(engine, second, first.key)
    assert.equal(third.record.predecessorId, second.record.id)
  })

  test('a certificate that was revoked is never given out again', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const key = createKey()
    const second = await renew(engine, device, key)
    await engine.store.transaction(async (tx) => {
      await setStatus(tx, second.record.id, {
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: clock.now(),
      })
    })
    assert.equal((await refusal(renew(engine, device, key))).code, 'key-reused')
  })

  test('a certificate that was replaced since is not given out again', async () => {
    const { engine, clock } = await start({ profiles: [lax] })
    const first = await enrolDevice(engine, 'SN-1', { profile: 'lax' })
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const key = createKey()
    const second = await renew(engine, first, key)
    await clock.advance(windowOpensAt(engine, second) - clock.now())
    const third = await renew(engine, second)
    await refusal(renew(engine, third))
    await flushSightings(engine, clock.now())
    assert.equal((await refusal(renew(engine, second, key))).code, 'certificate-retired')
  })
})

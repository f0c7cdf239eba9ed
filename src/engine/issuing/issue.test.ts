import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { InvariantError, Refusal } from '../../base/errors.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate, listCertificates } from '../../store/inventory.ts'
import {
  createTestIssuers,
  enrolDevice,
  forEachEngine,
  freshSecret,
  refusal,
  registerDevice,
  requestOf,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import type { Engine } from '../context.ts'
import { enroll } from './enroll.ts'
import { faultPoints, type FaultPoint } from '../ports.ts'
import { abandonReservations, recoverReservations } from './recover.ts'

async function deviceCertificates({ store }: Engine): Promise<CertificateRecord[]> {
  const { rows } = await listCertificates(store.db, { limit: 1000 })
  return rows.filter(({ deviceId }) => deviceId !== null)
}

class Broken extends Error {}

/** Throws at one point from the moment it is armed; `crash` leaves what a killed process leaves. */
function breaking(): { at(point: FaultPoint): Promise<void>; arm(point: FaultPoint): void } {
  let armed: FaultPoint | null = null
  return {
    async at(point) {
      if (point === armed) throw new Broken(point)
    },
    arm(point) {
      armed = point
    },
  }
}

forEachEngine((start) => {
  for (const point of faultPoints) {
    test(`a failure at ${point} leaves nothing half done, and the same request succeeds afterwards`, async () => {
      const faults = breaking()
      const { engine, another } = await start({ faults, withIssuers: false })
      await createTestIssuers(engine)
      await registerDevice(engine, 'SN-1')
      const peer = await freshSecret(engine, 'SN-1')
      const key = createKey()
      faults.arm(point)
      await assert.rejects(enroll(engine, requestOf(peer, key.csr())), Broken)
      const between = await deviceCertificates(engine)
      assert.ok(
        between.every(
          ({ status }) => status === 'abandoned' || (point === 'committed' && status === 'issued'),
        ),
      )
      const outcome = await enroll(another(), requestOf(peer, key.csr()))
      assert.ok(outcome.kind === 'issued')
      assert.equal(outcome.repeated, point === 'committed')
      const rows = await deviceCertificates(engine)
      assert.equal(rows.filter(({ status }) => status === 'issued').length, 1)
      assert.equal(new Set(rows.map(({ serialNumber }) => serialNumber)).size, rows.length)
    })
  }

  test('the key is used only after the intent is on record', async () => {
    const { engine, authority } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    let onRecord: CertificateRecord | undefined
    authority.beforeSign = async (tbs) => {
      ;[onRecord] = await deviceCertificates(engine)
      assert.ok(onRecord?.tbs && Buffer.from(onRecord.tbs).equals(tbs))
      const subject = `certificate:issuing/${onRecord.serialNumber}`
      const facts = await recentFacts(engine.store.db, { subject, limit: 10 })
      assert.deepEqual(
        facts.map(({ action }) => action),
        ['issuance.intended'],
      )
    }
    await enroll(engine, requestOf(peer, createKey().csr()))
    assert.equal(onRecord?.status, 'reserved')
  })

  test('a signature that does not verify never leaves', async () => {
    const { engine, authority } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    authority.spoil = (signature) =>
      signature.map((byte, at) => (at === signature.length - 1 ? byte ^ 1 : byte))
    await assert.rejects(enroll(engine, requestOf(peer, createKey().csr())), InvariantError)
    const [row] = await deviceCertificates(engine)
    assert.equal(row?.status, 'abandoned')
    assert.equal(row.der, null)
  })

  test('an authority that is out of reach is a refusal, and the next attempt works', async () => {
    const { engine, authority } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    const key = createKey()
    authority.beforeSign = () => {
      throw new Refusal('issuer-unavailable', 'the token is not plugged in')
    }
    assert.equal((await refusal(enroll(engine, requestOf(peer, key.csr())))).code, 'issuer-unavailable')
    authority.beforeSign = null
    // the secret was not spent for nothing: even another key may use it
    assert.equal((await enroll(engine, requestOf(peer, createKey().csr()))).kind, 'issued')
    const facts = await recentFacts(engine.store.db, { action: 'issuance.abandoned', limit: 10 })
    assert.equal(facts.length, 1)
  })

  test('a reservation whose process died is abandoned at its age, not before, and frees its key and secret', async () => {
    const { engine, authority, another, clock } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    const key = createKey()
    const reached = Promise.withResolvers<void>()
    // never comes back, like a process that was killed while signing
    authority.beforeSign = () => {
      reached.resolve()
      return Promise.withResolvers<void>().promise
    }
    void enroll(engine, requestOf(peer, key.csr()))
    await reached.promise
    authority.beforeSign = null
    const later = another()
    const signal = new AbortController().signal
    const pass = () => recoverReservations.run(later, clock.now(), signal, async () => {})
    await clock.advance(later.settings.abandonAfterMs)
    assert.equal((await pass()).worked, 0)
    await clock.advance(1)
    assert.equal((await pass()).worked, 1)
    assert.equal((await pass()).worked, 0)
    const [row] = await deviceCertificates(later)
    assert.equal(row?.status, 'abandoned')
    // the secret was spent for the lost request only: another key may use it now
    const outcome = await enroll(later, requestOf(peer, createKey().csr()))
    assert.ok(outcome.kind === 'issued')
    assert.notEqual(outcome.record.serialNumber, row.serialNumber)
  })

  test('a repeat waits for the process that is at it, and asks the client back when that takes too long', async () => {
    const { engine, authority, another, clock } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    const key = createKey()
    const reached = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    authority.beforeSign = () => {
      reached.resolve()
      return release.promise
    }
    const first = enroll(engine, requestOf(peer, key.csr()))
    await reached.promise

    let elapsed = 0
    const hurried = {
      now: () => clock.now() + elapsed,
      sleep: async (ms: number) => {
        elapsed += ms
      },
    }
    const refused = await refusal(enroll(another({ clock: hurried }), requestOf(peer, key.csr())))
    assert.equal(refused.code, 'overloaded')
    assert.ok(
      elapsed >= engine.settings.repeatWaitMs && elapsed < engine.settings.repeatWaitMs + 100,
      `${elapsed}`,
    )

    const patient = enroll(
      another({ clock: { now: () => clock.now(), sleep: systemClock.sleep } }),
      requestOf(peer, key.csr()),
    )
    release.resolve()
    const [a, b] = [await first, await patient]
    assert.ok(a.kind === 'issued' && b.kind === 'issued')
    assert.ok(b.repeated && Buffer.from(a.certificate).equals(b.certificate))
  })

  test('when recovery was faster than the signature, the certificate does not leave', async () => {
    const { engine, authority, another, clock } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    authority.beforeSign = async () => {
      await abandonReservations(another(), { now: clock.now(), olderThan: clock.now() + 1 })
    }
    assert.equal((await refusal(enroll(engine, requestOf(peer, createKey().csr())))).code, 'overloaded')
    const [row] = await deviceCertificates(engine)
    assert.equal(row?.status, 'abandoned')
    const fresh = await findCertificate(engine.store.db, row.id)
    assert.equal(fresh?.der, null)
  })

  test('serial numbers are 16 octets, positive, grow with time and are never the same', async () => {
    const { engine, clock } = await start()
    const serials: string[] = []
    for (let n = 0; n < 30; n++) {
      await clock.advance(1)
      serials.push((await enrolDevice(engine, `SN-${n}`)).record.serialNumber)
    }
    assert.equal(new Set(serials.map((serial) => serial.slice(12))).size, 30)
    assert.deepEqual(serials.toSorted(), serials)
    for (const serial of serials) assert.match(serial, /^[0-7][0-9a-f]{31}$/)
  })
})

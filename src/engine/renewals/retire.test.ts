import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, minuteMs } from '../../base/clock.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import { setStatus } from '../../store/certificates.ts'
import { findCertificate } from '../../store/inventory.ts'
import { renewalsOfDevice } from '../../store/renewal-lists.ts'
import { findRetirement } from '../../store/retirements.ts'
import {
  enrolDevice,
  forEachEngine,
  refusal,
  renew,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { openDueRenewals } from './due-renewals.ts'
import { retireCertificates } from './retire.ts'
import { confirmUse, flushSightings, noteSighting } from './sighting.ts'

const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}

/** A device that has used its new certificate. */
async function renewed({ engine, clock }: TestEngine): Promise<{ old: Enrolled; used: Enrolled }> {
  const old = await enrolDevice(engine, 'SN-1')
  await clock.advance(windowOpensAt(engine, old) - clock.now())
  await openDueRenewals(dayMs).run(engine, clock.now(), signal, noFence)
  const used = await renew(engine, old)
  await see({ engine, clock }, used)
  return { old, used }
}

async function see(
  { engine, clock }: Pick<TestEngine, 'engine' | 'clock'>,
  { certificate }: Enrolled,
): Promise<void> {
  await noteSighting(engine, certificate)
  await flushSightings(engine, clock.now())
}

/** A pass each day: the guard does not believe a clock that moves in greater steps for ever. */
async function daysPass({ engine, clock }: TestEngine, days: number): Promise<void> {
  for (let day = 0; day < days; day++) {
    await clock.advance(dayMs)
    await retireCertificates.run(engine, clock.now(), signal, noFence)
  }
}

forEachEngine((start) => {
  const statusOf = async ({ engine }: TestEngine, { record }: Enrolled) =>
    (await findCertificate(engine.store.db, record.id))?.status

  test('a lost mark of the first use does not put the retirement off', async () => {
    const app = await start()
    const { engine, clock } = app
    const old = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, old) - clock.now())
    const used = await renew(engine, old)
    // the request came with the old one; the process was killed after the new one was confirmed
    await see(app, old)
    await clock.advance(minuteMs)
    await confirmUse(engine, used.record, clock.now())
    engine.sightings.take()
    await daysPass(app, 8)
    assert.equal(await statusOf(app, old), 'superseded')
    await app.close()
  })

  test('a replaced certificate is refused from the end of its grace on, not before', async () => {
    const app = await start()
    const { old } = await renewed(app)
    await daysPass(app, 6)
    await app.clock.advance(dayMs - minuteMs)
    await retireCertificates.run(app.engine, app.clock.now(), signal, noFence)
    assert.equal(await statusOf(app, old), 'confirmed')
    await app.clock.advance(minuteMs)
    const { worked } = await retireCertificates.run(app.engine, app.clock.now(), signal, noFence)
    assert.equal(worked, 1)
    assert.equal(await statusOf(app, old), 'superseded')
    assert.equal((await refusal(renew(app.engine, old))).code, 'certificate-retired')
    assert.equal(await findRetirement(app.engine.store.db, old.record.id), null)
  })

  test('a device that went back to its old certificate keeps it, until it comes with the new one again', async () => {
    const app = await start()
    const { old, used } = await renewed(app)
    await daysPass(app, 3)
    await see(app, old)
    await daysPass(app, 10)
    assert.equal(await statusOf(app, old), 'confirmed')
    await see(app, used)
    await daysPass(app, 7)
    assert.equal(await statusOf(app, old), 'superseded')
  })

  test('a certificate that has ended has no grace, even when it was the last one that was seen', async () => {
    const app = await start()
    const { old } = await renewed(app)
    await app.clock.advance(minuteMs)
    await see(app, old)
    const endsIn = Math.floor((old.record.notAfter - app.clock.now()) / dayMs)
    await daysPass(app, endsIn)
    assert.equal(await statusOf(app, old), 'confirmed')
    await daysPass(app, 1)
    assert.equal(await statusOf(app, old), 'superseded')
    const [renewal] = await renewalsOfDevice(app.engine.store.db, 'SN-1' as DeviceId, 1)
    assert.equal(renewal?.status, 'retired')
  })

  test('a life that is shorter than two graces: the next renewal is opened all the same', async () => {
    const app = await start({
      profiles: [
        {
          name: 'weekly-life',
          issuer: 'issuing' as IssuerId,
          validityMs: 7 * dayMs,
          renewBeforeMs: 4 * dayMs,
          renewExpiredForMs: 30 * dayMs,
          connectivity: 'always-on',
        },
      ],
    })
    const { engine, clock } = app
    const old = await enrolDevice(engine, 'SN-1', { profile: 'weekly-life' })
    await clock.advance(windowOpensAt(engine, old) - clock.now())
    await openDueRenewals(dayMs).run(engine, clock.now(), signal, noFence)
    const used = await renew(engine, old)
    await see(app, used)
    await clock.advance(windowOpensAt(engine, used) - minuteMs - clock.now())
    await openDueRenewals(dayMs).run(engine, clock.now(), signal, noFence)
    assert.equal((await renewalsOfDevice(engine.store.db, 'SN-1' as DeviceId, 9)).length, 1)
    await clock.advance(minuteMs)
    await openDueRenewals(dayMs).run(engine, clock.now(), signal, noFence)
    const renewals = await renewalsOfDevice(engine.store.db, 'SN-1' as DeviceId, 9)
    assert.deepEqual(renewals.map(({ certificateId, status }) => [certificateId, status]).sort(), [
      [old.record.id, 'retired'],
      [used.record.id, 'planned'],
    ])
    // the grace of the old one is what it was
    assert.equal(await statusOf(app, old), 'confirmed')
    await daysPass(app, 7)
    assert.equal(await statusOf(app, old), 'superseded')
  })

  test('when the new certificate was revoked, the old one is the last and stays', async () => {
    const app = await start()
    const { old, used } = await renewed(app)
    await app.engine.store.transaction(async (tx) => {
      const change = { status: 'revoked', reason: 'keyCompromise', revokedAt: app.clock.now() } as const
      await setStatus(tx, used.record.id, change)
    })
    await daysPass(app, 10)
    assert.equal(await statusOf(app, old), 'confirmed')
    assert.equal(await findRetirement(app.engine.store.db, old.record.id), null)
    const [renewal] = await renewalsOfDevice(app.engine.store.db, 'SN-1' as DeviceId, 1)
    assert.deepEqual([renewal?.status, renewal?.reason], ['abandoned', 'certificate-revoked'])
  })
})

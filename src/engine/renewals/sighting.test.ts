import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import { setStatus } from '../../store/certificates.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { findRetirement } from '../../store/retirements.ts'
import {
  enrolDevice,
  forEachEngine,
  refusal,
  renew,
  testStart,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { createCa } from '../../../test/helpers/ca.ts'
import type { Engine } from '../context.ts'
import { defaultProfiles } from '../issuing/default-profiles.ts'
import { deviceDetails } from '../inventory/inventory.ts'
import type { ProfileInput } from '../issuing/profile.ts'
import { flushSightings, noteSighting, writeSightings } from './sighting.ts'

const signal = new AbortController().signal

const industrial = defaultProfiles.find(({ name }) => name === 'industrial') as ProfileInput

async function statusOf(engine: Engine, id: CertificateId): Promise<string | undefined> {
  return (await findCertificate(engine.store.db, id))?.status
}

forEachEngine((start) => {
  test('the first use of a new certificate confirms it; the one before it works until its retirement', async () => {
    const { engine, clock } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    await noteSighting(engine, first.certificate)
    await flushSightings(engine, clock.now())
    assert.equal(await statusOf(engine, first.record.id), 'confirmed')

    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const used = await renew(engine, first)
    await flushSightings(engine, clock.now())
    // a device that comes with its old certificate has not shown a new one
    assert.equal(await statusOf(engine, used.record.id), 'issued')

    await clock.advance(60_000)
    await noteSighting(engine, used.certificate)
    assert.equal((await writeSightings.run(engine, clock.now(), signal, async () => {})).worked, 1)
    const statuses = await Promise.all([first, used].map(async ({ record }) => statusOf(engine, record.id)))
    assert.deepEqual(statuses, ['confirmed', 'confirmed'])
    const row = await findCertificate(engine.store.db, used.record.id)
    assert.equal(row?.confirmedAt, clock.now())
    const facts = await recentFacts(engine.store.db, { limit: 1 })
    assert.deepEqual(
      facts.map(({ action }) => action),
      ['certificate.confirmed'],
    )
    assert.equal((await findRetirement(engine.store.db, first.record.id))?.dueAt, clock.now() + 7 * dayMs)
  })

  test('of several answers to one device the last one counts, and those never used end', async () => {
    const { engine, clock } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const lost = await renew(engine, first)
    const other = await renew(engine, first)
    const last = await renew(engine, first)
    const statuses = async () =>
      await Promise.all([first, lost, other, last].map(async ({ record }) => statusOf(engine, record.id)))
    assert.deepEqual(await statuses(), ['issued', 'superseded', 'superseded', 'issued'])
    await noteSighting(engine, lost.certificate)
    await noteSighting(engine, last.certificate)
    await flushSightings(engine, clock.now())
    // the first was shown by asking with it
    assert.deepEqual(await statuses(), ['confirmed', 'superseded', 'superseded', 'confirmed'])
  })

  test('a profile without a grace replaces at the first use', async () => {
    const { engine, clock } = await start({ profiles: [{ ...industrial, retireAfterMs: 0 }] })
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const used = await renew(engine, first)
    await noteSighting(engine, used.certificate)
    await flushSightings(engine, clock.now())
    assert.equal(await statusOf(engine, first.record.id), 'superseded')
    assert.equal(await findRetirement(engine.store.db, first.record.id), null)
    const facts = await recentFacts(engine.store.db, { limit: 1 })
    assert.equal(facts[0]?.action, 'certificate.superseded')
  })

  test('a request is itself a sighting of its applicant', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(5000)
    assert.equal((await refusal(renew(engine, device))).code, 'too-early')
    await flushSightings(engine, clock.now())
    const { device: row, certificates } = await deviceDetails(engine, 'SN-1' as DeviceId)
    assert.equal(row.lastSeenAt, testStart + 5000)
    assert.deepEqual([certificates[0]?.status, certificates[0]?.lastSeenAt], ['confirmed', testStart + 5000])
  })

  test('certificates that are not ours, and those that are not live, are passed over', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await engine.store.transaction(async (tx) => {
      await setStatus(tx, device.record.id, {
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: clock.now(),
      })
    })
    await flushSightings(engine, clock.now())
    await noteSighting(engine, device.certificate)
    await noteSighting(engine, createCa('CN=Stranger', testStart).der)
    await noteSighting(engine, new Uint8Array(5))
    assert.equal(engine.sightings.size, 0)
  })

  test('what could not be written is kept for the next batch', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await noteSighting(engine, device.certificate)
    const store = { ...engine.store, transaction: () => Promise.reject(new Error('disk')) }
    await assert.rejects(flushSightings({ ...engine, store }, clock.now()))
    await flushSightings(engine, clock.now())
    assert.equal(await statusOf(engine, device.record.id), 'confirmed')
  })
})

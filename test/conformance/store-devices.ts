import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CertificateId, DeviceId } from '../../src/base/id.ts'
import { setStatus } from '../../src/store/certificates.ts'
import {
  findDevice,
  insertDevice,
  setDeviceState,
  setLastRenewal,
  updateDevice,
} from '../../src/store/devices.ts'
import { findCertificate } from '../../src/store/inventory.ts'
import { findCertificatesLastSeen, findLastSeen, recordLastSeen } from '../../src/store/last-seen.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { issued } from './store-inventory.ts'
import { recount, rolledUp, sampleDevice, sampleReservation, start } from './store-samples.ts'

export function deviceConformance(open: StoreOpener): void {
  test('refuses a device that is there already', async () => {
    const store = await open()
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
    await assert.rejects(
      store.transaction((tx) => insertDevice(tx, sampleDevice(1, { profile: 'other' }))),
      { code: 'already-exists' },
    )
    assert.equal((await findDevice(store.db, sampleDevice(1).id))?.profile, 'consumer')
  })

  test('live certificates follow their device to another cohort, batch and site; history stays', async () => {
    const store = await open()
    const { id: deviceId } = sampleDevice(1)
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1, { cohort: 'a' })))
    const old = await issued(store, sampleReservation(1, { deviceId, cohort: 'a' }))
    const live = await issued(store, sampleReservation(2, { deviceId, cohort: 'a', predecessorId: old }))
    await store.transaction((tx) => setStatus(tx, old, { status: 'superseded', reason: null }))
    const change = { cohort: 'b', site: 'here', tags: { floor: '2' }, firmware: '1.2' }
    assert.equal(await store.transaction((tx) => updateDevice(tx, deviceId, change)), true)
    assert.deepEqual(await findDevice(store.db, deviceId), sampleDevice(1, change))
    assert.equal((await findCertificate(store.db, live))?.cohort, 'b')
    assert.equal((await findCertificate(store.db, live))?.site, 'here')
    assert.equal((await findCertificate(store.db, old))?.cohort, 'a')
    assert.deepEqual(await rolledUp(store), await recount(store))
    const none = 'SN-none' as DeviceId
    assert.equal(await store.transaction((tx) => updateDevice(tx, none, change)), false)
    assert.equal(await store.transaction((tx) => updateDevice(tx, none, {})), false)
  })

  test('the state of a device changes with its sums; a renewal is noted only while it may renew', async () => {
    const store = await open()
    const { id } = sampleDevice(1)
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
    const renew = (at: number) => store.transaction((tx) => setLastRenewal(tx, id, at))
    assert.equal(await renew(start + 1), true)
    assert.equal(await store.transaction((tx) => setDeviceState(tx, id, 'active')), 'registered')
    assert.equal(await renew(start + 2), true)
    assert.equal(await store.transaction((tx) => setDeviceState(tx, id, 'quarantined')), 'active')
    assert.equal(await renew(start + 3), false)
    assert.equal((await findDevice(store.db, id))?.lastRenewalAt, start + 2)
    assert.equal(await store.transaction((tx) => setDeviceState(tx, 'none' as DeviceId, 'active')), null)
    assert.deepEqual(await rolledUp(store), { 'devices.quarantined': 1 })
  })

  // closer together than two visits are
  const noVisits = { gaps: 0, usualGapMs: 0, longestGapMs: 0 }

  test('last-seen only moves forward, in one batch and across batches', async () => {
    const store = await open()
    const [a, b] = [sampleDevice(1).id, sampleDevice(2).id]
    const [one, two] = [11 as CertificateId, 12 as CertificateId]
    await store.transaction((tx) =>
      recordLastSeen(tx, [
        { deviceId: a, certificateId: one, at: start + 5 },
        { deviceId: a, certificateId: two, at: start + 3 },
        { deviceId: b, certificateId: null, at: start + 1 },
      ]),
    )
    await store.transaction((tx) =>
      recordLastSeen(tx, [
        { deviceId: a, certificateId: two, at: start + 4 },
        { deviceId: b, certificateId: two, at: start + 2 },
      ]),
    )
    assert.deepEqual(
      await findLastSeen(store.db, [a, b, 'none' as DeviceId]),
      new Map([
        [a, { at: start + 5, certificateId: one, ...noVisits }],
        [b, { at: start + 2, certificateId: two, ...noVisits }],
      ]),
    )
    assert.deepEqual(
      await findCertificatesLastSeen(store.db, [one, two]),
      new Map([
        [one, start + 5],
        [two, start + 4],
      ]),
    )
    await store.transaction((tx) => recordLastSeen(tx, [{ deviceId: a, certificateId: null, at: start + 6 }]))
    assert.deepEqual((await findLastSeen(store.db, [a])).get(a), {
      at: start + 6,
      certificateId: one,
      ...noVisits,
    })
  })
}

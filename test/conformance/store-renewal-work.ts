/** Attempts, triggers on their way, retirements and what is forgotten: what every engine of the store must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import type { CertificateId } from '../../src/base/id.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import { deleteCertificates, forgettable } from '../../src/store/forgetting.ts'
import { findCertificate, listCertificates } from '../../src/store/inventory.ts'
import {
  attemptByReference,
  attemptsOf,
  queueAttempts,
  setAttemptStatus,
  settleAttempts,
} from '../../src/store/renewal-attempts.ts'
import { findOpenRenewal, insertPlannedRenewals } from '../../src/store/renewals.ts'
import {
  deleteRetirements,
  dueRetirements,
  findRetirement,
  insertRetirements,
  postponeRetirement,
} from '../../src/store/retirements.ts'
import { supersedeSiblings } from '../../src/store/succession.ts'
import { claimTasks } from '../../src/store/tasks.ts'
import { deleteTasks, enqueueTasks, hasDueTask, triggerSubjects } from '../../src/store/trigger-queue.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { renewal, renewalDevice as id, slot, withDevices } from './store-renewals.ts'
import { recount, rolledUp, sampleCertificate, sampleHash, sampleSerial, start } from './store-samples.ts'

export function renewalWorkConformance(open: StoreOpener): void {
  attempts(open)
  triggerQueue(open)
  retirements(open)
  succession(open)
}

function attempts(open: StoreOpener): void {
  test('an attempt is queued once, settled, and a receipt finds it', async () => {
    const store = await open()
    const key = { renewalId: 7, climb: 0, rung: 1, attempt: 2, channel: 'sms' }
    const queued = { ...key, deviceId: id(1), at: start }
    await store.transaction((tx) => queueAttempts(tx, [queued, { ...queued, attempt: 1 }]))
    const settled = {
      ...key,
      status: 'withheld',
      detail: 'paused',
      reference: null,
      updatedAt: start + 1,
    } as const
    await store.transaction((tx) => settleAttempts(tx, [settled]))
    await store.transaction((tx) => queueAttempts(tx, [{ ...queued, at: start + 2 }]))
    await store.transaction((tx) =>
      settleAttempts(tx, [
        { ...settled, status: 'sent', detail: null, reference: 'SM1', updatedAt: start + 3 },
      ]),
    )
    const rows = await attemptsOf(store.db, 7)
    assert.deepEqual(
      rows.map(({ attempt, status, at }) => [attempt, status, at]),
      [
        [1, 'queued', start],
        [2, 'sent', start + 2],
      ],
    )
    const found = await attemptByReference(store.db, 'sms', 'SM1')
    assert.equal(found?.attempt, 2)
    await store.transaction((tx) =>
      setAttemptStatus(tx, { id: found?.id ?? 0, status: 'delivered', detail: null, updatedAt: start + 4 }),
    )
    // the answer to the message comes after the receipt
    await store.transaction((tx) => settleAttempts(tx, [{ ...settled, updatedAt: start + 5 }]))
    assert.equal((await attemptsOf(store.db, 7))[1]?.status, 'delivered')
    assert.equal(await attemptByReference(store.db, 'mqtt', 'SM1'), null)

    // the same attempt of the next climb is another one
    await store.transaction((tx) => queueAttempts(tx, [{ ...queued, climb: 1, at: start + 6 }]))
    await store.transaction((tx) =>
      settleAttempts(tx, [{ ...settled, climb: 1, status: 'failed', updatedAt: start + 7 }]),
    )
    assert.deepEqual(
      (await attemptsOf(store.db, 7)).map(({ climb, attempt, status }) => [climb, attempt, status]),
      [
        [0, 1, 'queued'],
        [0, 2, 'delivered'],
        [1, 2, 'failed'],
      ],
    )
  })
}

function triggerQueue(open: StoreOpener): void {
  test('triggers are written, claimed and ended by the hundred; a lost claim ends nothing', async () => {
    const store = await open()
    const task = (n: number) => ({
      kind: 'trigger.mqtt',
      key: `${n}`,
      payload: `{"n":${n}}`,
      runAt: start,
      createdAt: start,
    })
    const tasks = Array.from({ length: 130 }, (_, n) => task(n))
    await store.transaction((tx) => enqueueTasks(tx, tasks))
    await store.transaction((tx) => enqueueTasks(tx, tasks))
    assert.equal(await hasDueTask(store.db, 'trigger.mqtt', start - 1), false)
    assert.equal(await hasDueTask(store.db, 'trigger.mqtt', start), true)
    const claim = (now: number) =>
      store.transaction((tx) => claimTasks(tx, { kinds: ['trigger.mqtt'], now, limit: 500, lockMs: 100 }))
    const first = await claim(start)
    assert.equal(first.length, 130)
    const [slow, ...quick] = first
    await store.transaction((tx) => deleteTasks(tx, quick))
    const second = await claim(start + 100)
    assert.deepEqual(
      second.map((one) => one.id),
      [slow?.id],
    )
    await store.transaction((tx) => deleteTasks(tx, slow ? [slow] : []))
    assert.equal(await hasDueTask(store.db, 'trigger.mqtt', start + 1_000), true)
    await store.transaction((tx) => deleteTasks(tx, second))
    assert.equal(await hasDueTask(store.db, 'trigger.mqtt', start + 1_000), false)
  })

  test('a trigger is made from the renewal, its device and its certificate', async () => {
    const store = await open()
    const ids = await withDevices(store, 2)
    await store.transaction((tx) =>
      insertPlannedRenewals(tx, [renewal(1, { certificateId: ids[0] as CertificateId }), renewal(2)]),
    )
    const open1 = await findOpenRenewal(store.db, id(1), slot)
    const subjects = await triggerSubjects(store.db, [open1?.id ?? 0, 999])
    assert.equal(subjects.size, 1)
    const subject = subjects.get(open1?.id ?? 0)
    assert.deepEqual(subject?.tags, { msisdn: '+431' })
    assert.deepEqual(subject?.certificate, {
      issuerId: 'issuing',
      serialNumber: sampleSerial(1),
      status: 'issued',
    })
  })
}

function retirements(open: StoreOpener): void {
  test('a retirement keeps the instant that it was given first, unless it is put off', async () => {
    const store = await open()
    const retirement = (certificateId: number, dueAt: number) => ({
      certificateId: certificateId as CertificateId,
      deviceId: id(1),
      slot,
      replacedBy: 99 as CertificateId,
      dueAt,
    })
    await store.transaction((tx) =>
      insertRetirements(tx, [retirement(1, start + 5), retirement(2, start + 3)]),
    )
    await store.transaction((tx) => insertRetirements(tx, [retirement(1, start + 900)]))
    const due = async (now: number) =>
      (await store.transaction((tx) => dueRetirements(tx, { now, limit: 10 }))).map(
        (one) => one.certificateId,
      )
    assert.deepEqual(await due(start + 4), [2])
    assert.deepEqual(await due(start + 5), [2, 1])
    await store.transaction((tx) => postponeRetirement(tx, 2 as CertificateId, start + 7))
    await store.transaction((tx) => deleteRetirements(tx, [1 as CertificateId]))
    assert.deepEqual(await due(start + 6), [])
    assert.equal((await findRetirement(store.db, 2 as CertificateId))?.dueAt, start + 7)
    assert.equal(await findRetirement(store.db, 1 as CertificateId), null)
  })
}

function succession(open: StoreOpener): void {
  test('of the certificates in place of one, those never used end', async () => {
    const store = await open()
    const [first] = await withDevices(store, 1)
    const predecessorId = first as CertificateId
    await store.transaction((tx) =>
      insertCertificates(tx, [
        sampleCertificate(11, { deviceId: id(1), predecessorId }),
        sampleCertificate(12, { deviceId: id(1), predecessorId, status: 'confirmed', confirmedAt: start }),
        sampleCertificate(13, { deviceId: id(1), predecessorId }),
      ]),
    )
    const { rows } = await listCertificates(store.db, { limit: 10 })
    const last = rows.at(-1)?.id as CertificateId
    const ended = await store.transaction((tx) =>
      supersedeSiblings(tx, { deviceId: id(1), slot, predecessorId, id: last }),
    )
    assert.deepEqual(
      ended.map((one) => one.serialNumber),
      [sampleSerial(11)],
    )
    const statuses = (await listCertificates(store.db, { limit: 10 })).rows.map((row) => row.status)
    assert.deepEqual(statuses, ['issued', 'superseded', 'confirmed', 'issued'])
  })

  test('what ended long ago is deleted with everything that hangs on it; what a renewal speaks of stays', async () => {
    const store = await open()
    const [first, second] = await withDevices(store, 2)
    await store.transaction(async (tx) => {
      // the same key again: its place without a predecessor becomes free
      const successor = { deviceId: id(1), predecessorId: first ?? null, spkiHash: sampleHash(1) }
      await insertCertificates(tx, [
        sampleCertificate(21, { ...successor, notAfter: start + 800 * dayMs }),
        sampleCertificate(22, { deviceId: id(1), status: 'superseded', predecessorId: second ?? null }),
      ])
      await insertPlannedRenewals(tx, [renewal(2)])
    })
    const before = start + 400 * dayMs
    const candidates = async (isLive: boolean) =>
      await store.transaction((tx) =>
        forgettable(tx, { before, after: { notAfter: 0, id: 0 }, isLive, limit: 10 }),
      )
    const live = await candidates(true)
    assert.deepEqual(
      live.map((one) => one.id),
      [first],
    )
    const ended = await candidates(false)
    const gone = await store.transaction((tx) => deleteCertificates(tx, [...ended, ...live]))
    assert.equal(gone.length, 2)
    assert.equal(await findCertificate(store.db, first as CertificateId), null)
    const { rows } = await listCertificates(store.db, { limit: 10 })
    assert.deepEqual(
      rows.map(({ serialNumber, predecessorId }) => [serialNumber, predecessorId]),
      [
        [sampleSerial(2), null],
        [sampleSerial(21), null],
      ],
    )
    assert.deepEqual(await rolledUp(store), await recount(store))
  })
}

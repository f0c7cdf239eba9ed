import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { dayMs } from '../../src/base/clock.ts'
import type { CertificateId, IssuerId } from '../../src/base/id.ts'
import {
  abandonCertificate,
  confirmCertificate,
  insertCertificates,
  markIssued,
  reserveCertificate,
  setStatus,
  supersedeOlder,
  type NewCertificate,
  type StatusChange,
} from '../../src/store/certificates.ts'
import { expiryHistogram, readCounters } from '../../src/store/counters.ts'
import { findDevice, insertDevice, insertDevices } from '../../src/store/devices.ts'
import {
  findByIssuerAndSerial,
  findByKey,
  findBySerial,
  standingsOf,
  findCertificate,
  findCurrent,
  findReserved,
} from '../../src/store/inventory.ts'
import { withIndexesLast } from '../../src/store/indexes-last.ts'
import type { Store } from '../../src/store/open.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import {
  recount,
  rolledUp,
  sampleCertificate,
  sampleDevice,
  sampleHash,
  sampleReservation,
  sampleSerial,
  start,
} from './store-samples.ts'

const der = Uint8Array.of(0x30, 0x01)

async function reserved(store: Store, certificate: NewCertificate): Promise<CertificateId> {
  const outcome = await store.transaction((tx) => reserveCertificate(tx, certificate))
  assert.ok('id' in outcome, 'the reservation is new')
  return outcome.id
}

export async function issued(store: Store, certificate: NewCertificate): Promise<CertificateId> {
  const id = await reserved(store, certificate)
  assert.equal(await store.transaction((tx) => markIssued(tx, { ...certificate, id }, der, start + 1)), true)
  return id
}

export function inventoryConformance(open: StoreOpener): void {
  reservationConformance(open)
  statusConformance(open)
  importConformance(open)
}

function reservationConformance(open: StoreOpener): void {
  const device = sampleDevice(1)
  async function withDevice(): Promise<Store> {
    const store = await open()
    await store.transaction((tx) => insertDevice(tx, device))
    return store
  }

  test('a reservation comes back as it went in', async () => {
    const store = await withDevice()
    const wanted = sampleReservation(5, {
      deviceId: device.id,
      cohort: 'c',
      batch: 'b',
      site: 's',
      crlShard: 3,
    })
    const id = await reserved(store, wanted)
    assert.deepEqual(await findCertificate(store.db, id), {
      ...wanted,
      id,
      status: 'reserved',
      reason: null,
      revokedAt: null,
      issuedAt: null,
      confirmedAt: null,
      der: null,
    })
  })

  test('parallel reservations of the same key for the same device give one, and the others its row', async () => {
    const store = await withDevice()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.transaction((tx) =>
          reserveCertificate(
            tx,
            sampleReservation(1, { deviceId: device.id, serialNumber: sampleSerial(100 + n) }),
          ),
        ),
      ),
    )
    const made = outcomes.filter((outcome) => 'id' in outcome)
    assert.equal(made.length, 1)
    for (const outcome of outcomes) {
      if ('conflict' in outcome) assert.equal(outcome.conflict.id, made[0]?.id)
    }
    assert.deepEqual(await rolledUp(store), await recount(store))
  })

  test('another predecessor, slot or device makes the same key a new reservation', async () => {
    const store = await withDevice()
    const other = sampleDevice(2)
    await store.transaction((tx) => insertDevice(tx, other))
    const first = await issued(store, sampleReservation(1, { deviceId: device.id }))
    const again = { deviceId: device.id, spkiHash: sampleHash(1) }
    await reserved(store, sampleReservation(2, { ...again, predecessorId: first }))
    await reserved(store, sampleReservation(3, { ...again, slot: 'second' }))
    await reserved(store, sampleReservation(4, { ...again, deviceId: other.id }))
    const repeat = sampleReservation(5, { ...again, predecessorId: first })
    const outcome = await store.transaction((tx) => reserveCertificate(tx, repeat))
    assert.ok('conflict' in outcome)
    assert.equal(outcome.conflict.predecessorId, first)
  })

  test('certificates without a device never collide by key', async () => {
    const store = await withDevice()
    await reserved(store, sampleReservation(1))
    await reserved(store, sampleReservation(2, { spkiHash: sampleHash(1) }))
    assert.equal((await findByKey(store.db, sampleHash(1))).length, 2)
  })

  test('an abandoned reservation frees its key and cannot be issued', async () => {
    const store = await withDevice()
    const id = await reserved(store, sampleReservation(1, { deviceId: device.id }))
    assert.equal(await store.transaction((tx) => abandonCertificate(tx, id, 'no signature')), true)
    assert.equal(await store.transaction((tx) => abandonCertificate(tx, id, 'again')), false)
    assert.equal(
      await store.transaction((tx) => markIssued(tx, { ...sampleReservation(1), id }, der, start)),
      false,
    )
    assert.equal((await findCertificate(store.db, id))?.reason, 'no signature')
    assert.deepEqual(await findByKey(store.db, sampleHash(1)), [])
    await reserved(store, sampleReservation(2, { deviceId: device.id, spkiHash: sampleHash(1) }))
    assert.deepEqual(await rolledUp(store), await recount(store))
  })

  test('refuses a serial number twice under one issuer, abandoned or not', async () => {
    const store = await withDevice()
    const id = await reserved(store, sampleReservation(1))
    const twice = sampleReservation(2, { serialNumber: sampleSerial(1) })
    await assert.rejects(
      store.transaction((tx) => reserveCertificate(tx, twice)),
      /unique/i,
    )
    await store.transaction((tx) => abandonCertificate(tx, id, 'no signature'))
    await assert.rejects(
      store.transaction((tx) => reserveCertificate(tx, twice)),
      /unique/i,
    )
    await reserved(store, { ...twice, issuerId: 'other' as IssuerId })
    assert.equal((await findBySerial(store.db, sampleSerial(1))).length, 2)
    const found = await findByIssuerAndSerial(store.db, 'other' as IssuerId, sampleSerial(1))
    assert.equal(found?.spkiHash, sampleHash(2))
    assert.equal(await findByIssuerAndSerial(store.db, 'none' as IssuerId, sampleSerial(1)), null)
  })

  test('says of many devices how their certificates stand', async () => {
    const store = await withDevice()
    const first = await reserved(store, sampleReservation(1, { deviceId: device.id }))
    await store.transaction((tx) => abandonCertificate(tx, first, 'no signature'))
    const second = await reserved(store, sampleReservation(2, { deviceId: device.id }))
    const unknown = 'unknown' as typeof device.id
    const standings = await standingsOf(store.db, [device.id, unknown])
    const own = [...(standings.get(device.id) ?? [])].sort((a, b) => a.id - b.id)
    assert.deepEqual(own, [
      { id: first, serialNumber: sampleSerial(1), status: 'abandoned', predecessorId: null },
      { id: second, serialNumber: sampleSerial(2), status: 'reserved', predecessorId: null },
    ])
    assert.deepEqual(standings.get(unknown), [])
  })

  test('refuses a certificate of a device that is not registered', async () => {
    const store = await open()
    await assert.rejects(
      store.transaction((tx) => reserveCertificate(tx, sampleReservation(1, { deviceId: device.id }))),
      /foreign key/i,
    )
  })

  test('reservations without a signature are found once they are old enough', async () => {
    const store = await withDevice()
    const old = await reserved(store, sampleReservation(1, { createdAt: start }))
    await reserved(store, sampleReservation(2, { createdAt: start + 10 }))
    await issued(store, sampleReservation(3, { createdAt: start }))
    const ids = async (olderThan: number): Promise<number[]> =>
      (await findReserved(store.db, { olderThan, limit: 10 })).map((certificate) => certificate.id)
    assert.deepEqual(await ids(start), [])
    assert.deepEqual(await ids(start + 1), [old])
    assert.equal((await ids(start + 11)).length, 2)
  })
}

function statusConformance(open: StoreOpener): void {
  const changes = {
    confirmed: { status: 'confirmed', confirmedAt: start + 5 },
    superseded: { status: 'superseded', reason: null },
    revoked: { status: 'revoked', reason: 'keyCompromise', revokedAt: start + 6 },
  } as const satisfies Record<string, StatusChange>

  test('a status is entered only from where it may be, and sums follow', async () => {
    const store = await open()
    const legal: Readonly<Record<string, readonly string[]>> = {
      issued: ['confirmed', 'superseded', 'revoked'],
      confirmed: ['superseded', 'revoked'],
      superseded: ['revoked'],
      revoked: [],
    }
    let n = 0
    for (const [from, allowed] of Object.entries(legal)) {
      for (const [to, change] of Object.entries(changes)) {
        const id = await issued(store, sampleReservation(++n))
        if (from !== 'issued') {
          await store.transaction((tx) => setStatus(tx, id, changes[from as keyof typeof changes]))
        }
        const moved = await store.transaction((tx) => setStatus(tx, id, change))
        assert.equal(moved, allowed.includes(to), `${from} → ${to}`)
        assert.equal((await findCertificate(store.db, id))?.status, moved ? to : from)
      }
    }
    assert.deepEqual(await rolledUp(store), await recount(store))
  })

  test('a reserved certificate can be neither confirmed nor revoked', async () => {
    const store = await open()
    const id = await reserved(store, sampleReservation(1))
    for (const change of Object.values(changes)) {
      assert.equal(await store.transaction((tx) => setStatus(tx, id, change)), false)
    }
  })

  test('issuing sets the DER, forgets what was to be signed, and happens once', async () => {
    const store = await open()
    const id = await issued(store, sampleReservation(1))
    assert.equal(
      await store.transaction((tx) => markIssued(tx, { ...sampleReservation(1), id }, der, start + 9)),
      false,
    )
    const certificate = await findCertificate(store.db, id)
    assert.deepEqual(certificate?.der, der)
    assert.equal(certificate?.tbs, null)
    assert.equal(certificate?.issuedAt, start + 1)
  })

  test('the current certificate of a slot is the newest live one', async () => {
    const store = await open()
    const { id: deviceId } = sampleDevice(1)
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
    const current = async (slot = 'default'): Promise<number | undefined> =>
      (await findCurrent(store.db, deviceId, slot))?.id
    assert.equal(await current(), undefined)
    const first = await issued(store, sampleReservation(1, { deviceId }))
    const second = await issued(store, sampleReservation(2, { deviceId, predecessorId: first }))
    await reserved(store, sampleReservation(3, { deviceId, predecessorId: second }))
    assert.equal(await current(), second)
    assert.equal(await current('second'), undefined)
    await store.transaction((tx) => confirmCertificate(tx, { id: second, at: start + 2 }))
    const retired = await store.transaction((tx) =>
      supersedeOlder(tx, { deviceId, slot: 'default', beforeId: second }),
    )
    assert.deepEqual(
      retired.map((certificate) => [certificate.id, certificate.status]),
      [[first, 'issued']],
    )
    assert.equal((await findCertificate(store.db, first))?.status, 'superseded')
    assert.equal(await current(), second)
    await store.transaction((tx) => setStatus(tx, second, changes.revoked))
    assert.equal(await current(), undefined)
    assert.deepEqual(await rolledUp(store), await recount(store))
  })
}

async function indexes(store: Store): Promise<string[]> {
  const query =
    store.engine === 'sqlite'
      ? sql<{ text: string }>`select sql as text from sqlite_schema where type = 'index' and sql is not null`
      : sql<{ text: string }>`select indexdef as text from pg_indexes where schemaname = 'public'`
  return (await query.execute(store.db)).rows.map(({ text }) => text).toSorted()
}

function importConformance(open: StoreOpener): void {
  test('an import leaves out what is there, twice in the batch or stored before, and keeps all others', async () => {
    const store = await open()
    const devices = Array.from({ length: 150 }, (_, n) => sampleDevice(n))
    assert.deepEqual(await store.transaction((tx) => insertDevices(tx, devices.slice(0, 3))), [])
    const known = await store.transaction((tx) => insertDevices(tx, [...devices, sampleDevice(149)]))
    assert.deepEqual(
      known,
      [0, 1, 2, 149].map((n) => sampleDevice(n).id),
    )
    const certificates = devices.map((device, n) => sampleCertificate(n, { deviceId: device.id }))
    assert.deepEqual(await store.transaction((tx) => insertCertificates(tx, certificates.slice(5, 7))), [])
    const twin = sampleCertificate(500, { serialNumber: sampleSerial(20) })
    const sameKey = sampleCertificate(30, {
      deviceId: devices[30]?.id ?? null,
      serialNumber: sampleSerial(501),
    })
    const left = await store.transaction((tx) => insertCertificates(tx, [...certificates, twin, sameKey]))
    assert.deepEqual(left, [certificates[5], certificates[6], twin, sameKey])
    const counters = await readCounters(store.db, 'certificates.')
    assert.equal(counters.get('certificates.issued'), 150)
    assert.deepEqual(await rolledUp(store), await recount(store))
  })

  test('an import with its indexes built last ends with the same indexes, or refuses a collision as a whole', async () => {
    const store = await open()
    const load = (certificates: Parameters<typeof insertCertificates>[1]) =>
      store.transaction((tx) =>
        withIndexesLast(tx, async () => {
          await insertDevices(tx, [sampleDevice(1), sampleDevice(2)])
          await insertCertificates(tx, certificates)
        }),
      )
    const twins = [sampleCertificate(1), sampleCertificate(2, { serialNumber: sampleSerial(1) })]
    await assert.rejects(load(twins), { code: 'already-exists' })
    assert.equal(await findDevice(store.db, sampleDevice(1).id), null)
    assert.deepEqual(await rolledUp(store), {})
    const before = await indexes(store)
    await load([sampleCertificate(1), sampleCertificate(2)])
    assert.ok(before.length >= 8)
    assert.deepEqual(await indexes(store), before)
    assert.deepEqual(await rolledUp(store), await recount(store))
    const twice = store.transaction((tx) =>
      reserveCertificate(tx, sampleReservation(3, { serialNumber: sampleSerial(1) })),
    )
    await assert.rejects(twice, /unique/i)
    assert.equal((await findBySerial(store.db, sampleSerial(2))).length, 1)
  })

  test('the histogram counts live certificates by day of notAfter, both ends of the range exact', async () => {
    const store = await open()
    const day = start / dayMs
    const at = (n: number, notAfter: number, change = {}) => sampleCertificate(n, { notAfter, ...change })
    await store.transaction((tx) =>
      insertCertificates(tx, [
        at(1, start + dayMs - 1000),
        at(2, start + dayMs, { cohort: 'a' }),
        at(3, start + 2 * dayMs - 1000, { cohort: 'b' }),
        at(4, start + 2 * dayMs),
        at(5, start + dayMs, { status: 'superseded' }),
        at(6, start + dayMs, { status: 'revoked' }),
      ]),
    )
    const histogram = (request = {}) => expiryHistogram(store.db, { fromDay: day + 1, days: 1, ...request })
    assert.deepEqual(await histogram(), [{ day: day + 1, key: '', count: 2 }])
    assert.deepEqual(await histogram({ by: 'cohort' }), [
      { day: day + 1, key: 'a', count: 1 },
      { day: day + 1, key: 'b', count: 1 },
    ])
    assert.deepEqual(await histogram({ cohort: 'b' }), [{ day: day + 1, key: '', count: 1 }])
    assert.deepEqual(await histogram({ profile: 'other' }), [])
    assert.equal((await histogram({ fromDay: day, days: 3 })).length, 3)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import { insertDevice, insertDevices, listDevices, type DeviceFilter } from '../../src/store/devices.ts'
import { listCertificates, listExpiring, type ExpiringRequest } from '../../src/store/inventory.ts'
import type { Page, PageRequest } from '../../src/store/page.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { sampleCertificate, sampleDevice, start } from './store-samples.ts'

/** Reads to the end. @param between what happens after each page */
async function pages<Row>(
  read: (request: PageRequest) => Promise<Page<Row>>,
  limit: number,
  between: () => Promise<unknown> = async () => {},
): Promise<Row[][]> {
  const all: Row[][] = []
  let after: string | null = null
  do {
    const page: Page<Row> = await read({ after, limit })
    all.push(page.rows)
    after = page.next
    await between()
  } while (after !== null && all.length < 1000)
  return all
}

export function pagingConformance(open: StoreOpener): void {
  test('pages of devices are complete, in order of ids by code unit, and the last one says so', async () => {
    const store = await open()
    const ids = ['B', 'a', 'A.1', 'A-1', 'A:1', 'A_1', 'A1', 'a-1', 'Z', '0', '10', '2'] as DeviceId[]
    await store.transaction((tx) =>
      insertDevices(
        tx,
        ids.map((id) => sampleDevice(0, { id })),
      ),
    )
    for (const limit of [1, 5, 11, 12, 13]) {
      const read = await pages((request) => listDevices(store.db, request), limit)
      assert.deepEqual(
        read.flat().map((device) => device.id),
        ids.toSorted(),
      )
      assert.equal(read.length, Math.ceil(ids.length / limit))
    }
  })

  test('rows that appear behind the cursor are not seen, those before it are, and none is skipped or seen twice', async () => {
    const store = await open()
    for (const n of [10, 20, 30, 40]) await store.transaction((tx) => insertDevice(tx, sampleDevice(n)))
    let added = false
    const read = await pages(
      (request) => listDevices(store.db, request),
      2,
      async () => {
        if (added) return
        added = true
        for (const n of [15, 25]) await store.transaction((tx) => insertDevice(tx, sampleDevice(n)))
      },
    )
    assert.deepEqual(
      read.flat().map((device) => device.id),
      [10, 20, 25, 30, 40].map((n) => sampleDevice(n).id),
    )
  })

  test('filters of devices combine', async () => {
    const store = await open()
    const one = {
      cohort: 'a',
      batch: 'x',
      site: 's',
      profile: 'meter',
      connectivity: 'weekly',
      state: 'active',
    } as const
    await store.transaction((tx) =>
      insertDevices(tx, [
        sampleDevice(1, one),
        sampleDevice(2, { cohort: 'a' }),
        sampleDevice(3, { batch: 'x' }),
      ]),
    )
    const ids = async (filter: DeviceFilter): Promise<DeviceId[]> =>
      (await listDevices(store.db, { filter, limit: 10 })).rows.map((device) => device.id)
    for (const [name, value] of Object.entries(one)) {
      assert.ok((await ids({ [name]: value })).includes(sampleDevice(1).id), name)
      assert.deepEqual(await ids({ ...one, [name]: 'other' } as DeviceFilter), [], name)
    }
    assert.deepEqual(await ids({ cohort: 'a' }), [sampleDevice(1).id, sampleDevice(2).id])
    assert.deepEqual(await ids({ cohort: 'a', batch: 'x' }), [sampleDevice(1).id])
  })

  test('what expires next is complete and in order, also when many certificates end at the same instant', async () => {
    const store = await open()
    const certificates = Array.from({ length: 40 }, (_, n) =>
      sampleCertificate(n, {
        // three instants, so that each is shared by more rows than a page has
        notAfter: start + (1 + (n % 3)) * dayMs,
        cohort: n % 2 ? 'odd' : null,
        status: n === 9 ? 'revoked' : 'confirmed',
      }),
    )
    await store.transaction((tx) => insertCertificates(tx, certificates))
    const all: Omit<ExpiringRequest, 'limit'> = { from: 0, to: start + 9 * dayMs }
    for (const request of [all, { ...all, cohort: 'odd' }]) {
      for (const limit of [1, 4, 13, 100]) {
        const read = (await pages((page) => listExpiring(store.db, { ...request, ...page }), limit)).flat()
        const wanted = certificates.filter(
          ({ status, cohort }) => status === 'confirmed' && ('cohort' in request ? cohort === 'odd' : true),
        )
        assert.equal(new Set(read.map(({ id }) => id)).size, wanted.length)
        assert.equal(read.length, wanted.length)
        const keys = read.map(({ notAfter, id }) => notAfter * 1000 + id)
        assert.deepEqual(
          keys,
          keys.toSorted((a, b) => a - b),
        )
      }
    }
  })

  test('the range of what expires includes its beginning and excludes its end, on later pages too', async () => {
    const store = await open()
    await store.transaction((tx) =>
      insertCertificates(
        tx,
        [0, 1, 2, 3].map((n) => sampleCertificate(n + 1, { notAfter: start + n * dayMs })),
      ),
    )
    const read = await pages(
      (page) => listExpiring(store.db, { from: start + dayMs, to: start + 3 * dayMs, ...page }),
      1,
    )
    assert.deepEqual(
      read.flat().map(({ notAfter }) => notAfter),
      [start + dayMs, start + 2 * dayMs],
    )
    const other = await listExpiring(store.db, { from: 0, to: start * 2, profile: 'other', limit: 9 })
    assert.deepEqual(other, { rows: [], next: null })
  })

  test('certificates are listed by row number, with filters', async () => {
    const store = await open()
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
    const { id: deviceId } = sampleDevice(1)
    await store.transaction((tx) =>
      insertCertificates(tx, [
        sampleCertificate(1, { deviceId, batch: 'b' }),
        sampleCertificate(2, { batch: 'b', status: 'revoked' }),
        sampleCertificate(3, { cohort: 'c', site: 's', profile: 'meter' }),
      ]),
    )
    const list = async (filter = {}, limit = 2): Promise<string[]> => {
      const read = await pages((page) => listCertificates(store.db, { filter, ...page }), limit)
      return read.flat().map(({ subject }) => subject)
    }
    assert.deepEqual(await list(), ['CN=SN-1', 'CN=SN-2', 'CN=SN-3'])
    assert.deepEqual(await list({ deviceId }), ['CN=SN-1'])
    assert.deepEqual(await list({ batch: 'b' }, 1), ['CN=SN-1', 'CN=SN-2'])
    assert.deepEqual(await list({ batch: 'b', status: 'revoked' }), ['CN=SN-2'])
    assert.deepEqual(await list({ cohort: 'c', site: 's', profile: 'meter', slot: 'default' }), ['CN=SN-3'])
    assert.deepEqual(await list({ issuerId: 'other' }), [])
  })

  test('refuses cursors that are not ours and pages without or with too many rows', async () => {
    const store = await open()
    const range = { from: 0, to: 1 }
    for (const after of ['x', '1.', '-1', '1;drop', '1.2.3', ' 1']) {
      await assert.rejects(listCertificates(store.db, { after, limit: 1 }), { code: 'invalid-input' })
      await assert.rejects(listExpiring(store.db, { ...range, after, limit: 1 }), { code: 'invalid-input' })
    }
    for (const limit of [0, -1, 1.5, 10_001, Number.NaN]) {
      await assert.rejects(listDevices(store.db, { limit }), { code: 'invalid-input' })
    }
    await listDevices(store.db, { limit: 10_000 })
  })
}

/** Renewals, alone and by the hundred, and the lists of them: what every engine of the store must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import type { CertificateId, DeviceId } from '../../src/base/id.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import { insertDevices } from '../../src/store/devices.ts'
import { certificatesByEnd } from '../../src/store/due-certificates.ts'
import { listCertificates } from '../../src/store/inventory.ts'
import type { Store } from '../../src/store/open.ts'
import {
  countersOfCampaign,
  countersWithoutCampaign,
  listEscalated,
  listRenewals,
  renewalsOfDevice,
} from '../../src/store/renewal-lists.ts'
import { renewalStatuses } from '../../src/store/renewal-record.ts'
import {
  admitPlanned,
  dueRenewals,
  findOpenRenewal,
  insertPlannedRenewals,
  lockOpenRenewal,
  lockOpenRenewalsOf,
  updateRenewal,
  updateRenewals,
  type NewRenewal,
} from '../../src/store/renewals.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { sampleCertificate, sampleDevice, start } from './store-samples.ts'

export const slot = 'default'

export function renewalDevice(n: number): DeviceId {
  return sampleDevice(n).id
}

const id = renewalDevice

export function renewal(n: number, change: Partial<NewRenewal> = {}): NewRenewal {
  return {
    campaignId: '',
    wave: 0,
    deviceId: id(n),
    slot,
    certificateId: n as CertificateId,
    notAfter: start + 90 * dayMs,
    connectivity: 'daily',
    site: null,
    nextAt: start,
    createdAt: start,
    ...change,
  }
}

/** Devices 1 to `count`, each with one certificate. @returns the certificates' row numbers */
export async function withDevices(store: Store, count: number): Promise<CertificateId[]> {
  const numbers = Array.from({ length: count }, (_, n) => n + 1)
  await store.transaction(async (tx) => {
    await insertDevices(
      tx,
      numbers.map((n) => sampleDevice(n, { tags: { msisdn: `+43${n}` }, connectivity: 'daily' })),
    )
    await insertCertificates(
      tx,
      numbers.map((n) => sampleCertificate(n, { deviceId: id(n) })),
    )
  })
  return (await listCertificates(store.db, { limit: 10_000 })).rows.map((row) => row.id)
}

export function renewalConformance(open: StoreOpener): void {
  renewalRows(open)
  lists(open)
}

function renewalRows(open: StoreOpener): void {
  test('one open renewal for one slot; the next one when it has ended', async () => {
    const store = await open()
    const first = await store.transaction((tx) => insertPlannedRenewals(tx, [renewal(1), renewal(2)]))
    assert.deepEqual(first, [])
    const again = renewal(1, { campaignId: 'spring' })
    const left = await store.transaction((tx) => insertPlannedRenewals(tx, [again, renewal(3)]))
    assert.deepEqual(left, [again])
    await store.transaction(async (tx) => {
      for (const one of await lockOpenRenewalsOf(tx, id(1)))
        await updateRenewal(tx, one, { status: 'abandoned' })
    })
    assert.equal(await findOpenRenewal(store.db, id(1), slot), null)
    assert.deepEqual(await store.transaction((tx) => insertPlannedRenewals(tx, [again])), [])
    assert.equal((await findOpenRenewal(store.db, id(1), slot))?.campaignId, 'spring')
    const history = await renewalsOfDevice(store.db, id(1), 10)
    assert.deepEqual(
      history.map(({ status }) => status),
      ['planned', 'abandoned'],
    )
  })

  test('due are those of the campaign whose instant has come, the longest overdue first', async () => {
    const store = await open()
    await withDevices(store, 5)
    await store.transaction((tx) =>
      insertPlannedRenewals(tx, [
        renewal(1, { nextAt: start + 2 }),
        renewal(2, { nextAt: start + 1 }),
        renewal(3, { nextAt: start + 3 }),
        renewal(4, { nextAt: null }),
        renewal(5, { nextAt: start, campaignId: 'spring' }),
      ]),
    )
    const due = async (campaignId: string, now: number, limit = 10) =>
      (await store.transaction((tx) => dueRenewals(tx, { campaignId, now, limit }))).map(
        (one) => one.deviceId,
      )
    assert.deepEqual(await due('', start), [])
    assert.deepEqual(await due('', start + 2), [id(2), id(1)])
    assert.deepEqual(await due('', start + 9, 1), [id(2)])
    assert.deepEqual(await due('spring', start), [id(5)])
    const [one] = await store.transaction((tx) =>
      dueRenewals(tx, { campaignId: '', now: start + 9, limit: 1 }),
    )
    assert.deepEqual([one?.deviceState, one?.certificateStatus], ['registered', 'issued'])
  })

  test('any number of renewals is changed at once, and the sums follow the rows', async () => {
    const store = await open()
    const count = 150
    await withDevices(store, count)
    await store.transaction((tx) =>
      insertPlannedRenewals(
        tx,
        Array.from({ length: count }, (_, n) => renewal(n + 1, { campaignId: 'spring', wave: n % 3 })),
      ),
    )
    await store.transaction(async (tx) => {
      const due = await dueRenewals(tx, { campaignId: 'spring', now: start, limit: count })
      const changes = due.map((before, n) => ({
        before,
        change: {
          status: renewalStatuses[n % renewalStatuses.length] as (typeof renewalStatuses)[number],
          rung: n,
          nextAt: n % 2 === 0 ? null : start + n,
          reason: `reason ${n}`,
        },
      }))
      await updateRenewals(tx, changes)
    })
    const { rows } = await listRenewals(store.db, { campaignId: 'spring', limit: 1_000 })
    assert.equal(rows.length, count)
    const counted = new Map<string, number>()
    for (const [n, row] of rows.entries()) {
      const name = `${row.wave} ${row.status}`
      counted.set(name, (counted.get(name) ?? 0) + 1)
      assert.deepEqual([row.rung, row.nextAt, row.reason], [n, n % 2 === 0 ? null : start + n, `reason ${n}`])
    }
    for (const [wave, counts] of await countersOfCampaign(store.db, 'spring')) {
      for (const status of renewalStatuses)
        assert.equal(counts[status], counted.get(`${wave} ${status}`) ?? 0)
    }
  })

  test('a wave lets in those that wait, in their order, and no others', async () => {
    const store = await open()
    await store.transaction((tx) =>
      insertPlannedRenewals(
        tx,
        Array.from({ length: 6 }, (_, n) =>
          renewal(n + 1, { campaignId: 'spring', wave: n === 5 ? 1 : 0, nextAt: n === 0 ? start - 5 : null }),
        ),
      ),
    )
    const admit = () =>
      store.transaction((tx) => admitPlanned(tx, { campaignId: 'spring', wave: 0, limit: 3, nextAt: start }))
    assert.deepEqual([await admit(), await admit(), await admit()], [3, 1, 0])
    const { rows } = await listRenewals(store.db, { campaignId: 'spring', limit: 10 })
    assert.deepEqual(
      rows.map((row) => row.nextAt),
      [start - 5, start, start, start, start, null],
    )
  })
}

function lists(open: StoreOpener): void {
  test('the field list begins with the most urgent, and pages over equal ends', async () => {
    const store = await open()
    const ends = [5, 3, 3, 3, 9]
    await store.transaction((tx) =>
      insertPlannedRenewals(
        tx,
        ends.map((days, n) =>
          renewal(n + 1, { notAfter: start + days * dayMs, site: n === 4 ? 'vienna' : null }),
        ),
      ),
    )
    await store.transaction(async (tx) => {
      for (let n = 1; n <= ends.length; n++) {
        for (const one of await lockOpenRenewalsOf(tx, id(n)))
          await updateRenewal(tx, one, { status: 'escalated' })
      }
    })
    const seen: string[] = []
    for (let after: string | null = null, pages = 0; pages < 9; pages++) {
      const page = await listEscalated(store.db, { after, limit: 2 })
      seen.push(...page.rows.map((row) => row.deviceId))
      after = page.next
      if (after === null) break
    }
    assert.deepEqual(seen, [id(2), id(3), id(4), id(1), id(5)])
    const inVienna = await listEscalated(store.db, { site: 'vienna', limit: 10 })
    assert.deepEqual(
      inVienna.rows.map((row) => row.deviceId),
      [id(5)],
    )
    assert.equal((await countersWithoutCampaign(store.db)).escalated, 5)
  })

  test('live certificates come by their end, with what stands in the way of a renewal', async () => {
    const store = await open()
    const [first] = await withDevices(store, 4)
    await store.transaction(async (tx) => {
      await insertPlannedRenewals(tx, [renewal(1)])
      // a newer live one in the slot of device 2
      await insertCertificates(tx, [
        sampleCertificate(9, {
          deviceId: id(2),
          notAfter: start + 800 * dayMs,
          predecessorId: first ?? null,
        }),
      ])
    })
    const to = start + 400 * dayMs
    const page = (after: { notAfter: number; id: number }, limit: number) =>
      certificatesByEnd(store.db, { after, to, limit })
    const begin = { notAfter: start, id: 0 }
    const all = await page(begin, 10)
    assert.deepEqual(
      all.map((one) => [one.deviceId, one.isHandled]),
      [
        [id(1), true],
        [id(2), true],
        [id(3), false],
        [id(4), false],
      ],
    )
    const paged = [...(await page(begin, 3)), ...(await page(all[2] ?? begin, 3))]
    assert.deepEqual(paged, all)
    // the way to a certificate that is in use does not stand in the way of the next one, that of another one does
    await store.transaction(async (tx) => {
      const held = await lockOpenRenewal(tx, id(1), 'default')
      assert.ok(held && first)
      await updateRenewal(tx, held, { status: 'confirmed', newCertificateId: first })
    })
    const [confirmed] = await page(begin, 1)
    assert.deepEqual([confirmed?.isHandled, confirmed?.isNew], [false, true])
    await store.transaction(async (tx) => {
      const held = await lockOpenRenewal(tx, id(1), 'default')
      assert.ok(held)
      await updateRenewal(tx, held, { newCertificateId: 99_999 as CertificateId })
    })
    const [other] = await page(begin, 1)
    assert.deepEqual([other?.isHandled, other?.isNew], [true, false])
  })
}

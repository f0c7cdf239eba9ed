/** Lists by filter against a fleet drawn at random: each must show what a plain look at every row shows, in its order. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { start } from '../../test/conformance/store-samples.ts'
import {
  certificateFilters,
  certificates,
  deviceFilters,
  devices,
  fill,
  newestLive,
  now,
  renewalFilters,
  renewals,
  type CertificateSample,
  type DeviceSample,
  type RenewalSample,
} from '../../test/helpers/listing-fleet.ts'
import { forEachStore } from '../../test/helpers/stores.ts'
import { dayMs } from '../base/clock.ts'
import type { CertificateId } from '../base/id.ts'
import { parseFilter, type Filter } from '../filter/filter.ts'
import type { FilterResource } from '../filter/field.ts'
import { certificateResource, deviceResource, factResource, renewalResource } from '../filter/resources.ts'
import { listCertificatesBy, certificateFilterColumns } from './certificate-listing.ts'
import type { CertificateRecord } from './certificate-record.ts'
import { deviceFilterColumns, listDevicesBy } from './device-listing.ts'
import { factFilterColumns, listFactsBy } from './fact-listing.ts'
import type { ListRequest } from './listing.ts'
import type { Store } from './open.ts'
import type { Page } from './page.ts'
import { listRenewalsBy, renewalFilterColumns } from './renewal-listing.ts'

/** Every page to the end, each with a small budget, so that pages end early. */
async function readAll<Row>(
  list: (request: ListRequest) => Promise<Page<Row>>,
  request: Omit<ListRequest, 'limit' | 'now'>,
  limit: number,
): Promise<Row[]> {
  const rows: Row[] = []
  let after: string | null = null
  for (let pages = 0; pages < 2_000; pages++) {
    const page: Page<Row> = await list({ ...request, after, limit, now })
    assert.ok(page.rows.length <= limit)
    rows.push(...page.rows)
    after = page.next
    if (after === null) return rows
  }
  assert.fail('the pages do not end')
}

const filterOf = (text: string, resource: FilterResource): Filter => parseFilter(text, resource)
const scopes = [
  null,
  { cohorts: ['a'], sites: ['kl', 'berlin'] },
  { cohorts: [], sites: ['kl'] },
  { cohorts: [], sites: [] },
]

forEachStore((_, open) => {
  let store: Store
  before(async () => {
    store = await open()
    await fill(store)
  })

  for (const [text, matches] of deviceFilters) {
    test(`devices: ${text === '' ? 'all' : text}`, async () => {
      const filter = filterOf(text, deviceResource)
      for (const scope of scopes) {
        const inScope = ({ cohort, site }: DeviceSample): boolean =>
          scope === null || scope.cohorts.includes(cohort ?? '') || scope.sites.includes(site ?? '')
        const wanted = devices.filter((device) => inScope(device) && matches(device)).map(({ id }) => id)
        for (const [sort, limit, budget] of [
          ['id', 7, 10],
          ['-id', 1_000, 5_000],
        ] as const) {
          const list = (request: ListRequest) => listDevicesBy(store.db, request)
          const found = await readAll(list, { filter, sort, scope, budget }, limit)
          const ids = found.map(({ id }) => id)
          assert.deepEqual(ids, sort === 'id' ? wanted.toSorted() : wanted.toSorted().toReversed())
        }
        if (text.includes('none')) continue
        for (const [sort, limit, budget] of [
          ['expires', 7, 10],
          ['-expires', 1_000, 5_000],
        ] as const) {
          const list = (request: ListRequest) => listDevicesBy(store.db, request)
          const found = await readAll(list, { filter, sort, scope, budget }, limit)
          const ends = found.map(({ id }) => newestLive.get(id)?.notAfter ?? NaN)
          assert.deepEqual(
            ends,
            ends.toSorted((a, b) => (sort === 'expires' ? a - b : b - a)),
          )
          assert.deepEqual(
            found.map(({ id }) => id).toSorted(),
            wanted.filter((id) => newestLive.has(id)).toSorted(),
          )
        }
      }
    })
  }

  for (const [text, matches] of certificateFilters) {
    test(`certificates: ${text === '' ? 'all' : text}`, async () => {
      const filter = filterOf(text, certificateResource)
      for (const scope of scopes) {
        const inScope = ({ cohort, site }: CertificateSample): boolean =>
          scope === null || scope.cohorts.includes(cohort ?? '') || scope.sites.includes(site ?? '')
        const wanted = certificates.filter((each) => inScope(each) && matches(each))
        for (const [sort, limit, budget] of [
          ['id', 7, 10],
          ['-expires', 9, 12],
          ['expires', 1_000, 5_000],
        ] as const) {
          const list = (request: ListRequest) => listCertificatesBy(store.db, request)
          const found = await readAll(list, { filter, sort, scope, budget }, limit)
          const key =
            sort === 'id'
              ? ({ id }: { id: CertificateId }) => id
              : ({ notAfter }: CertificateRecord) => notAfter
          const keys = found.map(key)
          assert.deepEqual(
            keys,
            keys.toSorted((a, b) => (sort === '-expires' ? b - a : a - b)),
          )
          assert.deepEqual(
            found.map(({ serialNumber }) => serialNumber).toSorted(),
            wanted.map(({ serialNumber }) => serialNumber).toSorted(),
          )
        }
      }
    })
  }

  for (const [text, matches] of renewalFilters) {
    test(`renewals: ${text === '' ? 'all' : text}`, async () => {
      const filter = filterOf(text, renewalResource)
      for (const scope of scopes) {
        const visible = new Set<string>(
          devices.flatMap(({ id, cohort, site }) =>
            scope === null || scope.cohorts.includes(cohort ?? '') || scope.sites.includes(site ?? '')
              ? [id]
              : [],
          ),
        )
        const wanted = renewals.filter((each) => visible.has(each.deviceId) && matches(each))
        for (const [limit, budget] of [
          [7, 10],
          [1_000, 5_000],
        ] as const) {
          const list = (request: ListRequest) => listRenewalsBy(store.db, request)
          const found = await readAll(list, { filter, scope, budget }, limit)
          const key = ({ deviceId, status, notAfter }: RenewalSample): string =>
            `${deviceId} ${status} ${notAfter}`
          assert.deepEqual(found.map(key).toSorted(), wanted.map(key).toSorted())
          if (!text.startsWith('state=escalated')) continue
          assert.deepEqual(
            found.map(({ notAfter }) => notAfter),
            found.map(({ notAfter }) => notAfter).toSorted((a, b) => a - b),
          )
        }
      }
    })
  }

  test('facts: by subject, action, actor and time, the newest first', async () => {
    const count = async (text: string): Promise<number> => {
      const list = (request: ListRequest) => listFactsBy(store.db, request)
      const found = await readAll(list, { filter: filterOf(text, factResource), budget: 10 }, 7)
      const ids = found.map(({ id }) => id)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => b - a),
      )
      return found.length
    }
    assert.equal(await count(''), 60)
    assert.equal(await count('device:3'), 12)
    assert.equal(await count('subject=device:3,device:4'), 24)
    assert.equal(await count('action=device.added'), 30)
    assert.equal(await count('action=device.*'), 60)
    assert.equal(await count('actor=cli:1'), 15)
    assert.equal(await count('actor=cli:9'), 0)
    assert.equal(await count(`at<${new Date(start + 10 * dayMs).toISOString().slice(0, 10)}`), 10)
  })

  test('refuses an order without an index, and a cursor of another order', async () => {
    const request = { limit: 5, now }
    for (const sort of ['site', 'id;drop table devices', '--id', ''])
      await assert.rejects(listDevicesBy(store.db, { ...request, sort }), { code: 'invalid-input' })
    await assert.rejects(listRenewalsBy(store.db, { ...request, sort: 'expires' }), { code: 'invalid-input' })
    for (const after of ['expires~1~2', 'id', '-id~SN-1', 'id~a~b', 'x'.repeat(400)])
      await assert.rejects(listDevicesBy(store.db, { ...request, after, sort: 'id' }), {
        code: 'invalid-input',
      })
    for (const after of ['id~x', 'id~-1', "id~1' or 1=1", 'id~99999999999999999999'])
      await assert.rejects(listCertificatesBy(store.db, { ...request, after }), { code: 'invalid-input' })
  })

  test('the values of a filter are values, whatever they look like', async () => {
    for (const value of ["x' or '1'='1", '%', '_', "');drop table devices;--", '"', '\\']) {
      const quoted = `"${value.replace(/["\\]/g, '\\$&')}"`
      for (const term of [`site=${quoted}`, `tag.line=${quoted}`, `id~${quoted}`, quoted]) {
        const page = await listDevicesBy(store.db, { filter: filterOf(term, deviceResource), limit: 10, now })
        assert.deepEqual(page.rows, [])
      }
    }
  })

  test('each field of a list has its column', () => {
    const pairs = [
      [deviceResource, deviceFilterColumns],
      [certificateResource, certificateFilterColumns],
      [renewalResource, renewalFilterColumns],
      [factResource, factFilterColumns(store.db)],
    ] as const
    for (const [{ fields }, columns] of pairs) {
      assert.deepEqual(fields.map(({ name }) => name).toSorted(), Object.keys(columns).toSorted())
      for (const { name, type } of fields) assert.equal(columns[name]?.kind, type.kind, name)
    }
  })
})

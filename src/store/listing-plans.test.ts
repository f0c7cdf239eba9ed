/** Every list by filter walks an index in its order, whatever the filter: SQLite is asked for the plans. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Kysely, type CompiledQuery, type QueryResult } from 'kysely'
import { start } from '../../test/conformance/store-samples.ts'
import type { FilterResource } from '../filter/field.ts'
import { parseFilter } from '../filter/filter.ts'
import { certificateResource, deviceResource, factResource, renewalResource } from '../filter/resources.ts'
import { listCertificatesBy } from './certificate-listing.ts'
import { listDevicesBy } from './device-listing.ts'
import { kyselyOn, SqliteConnection } from './dialects/sqlite.ts'
import { listFactsBy } from './fact-listing.ts'
import type { ListRequest } from './listing.ts'
import { schemaStatements } from './migrations.ts'
import { listRenewalsBy } from './renewal-listing.ts'
import type { Db, Queries, Schema } from './schema.ts'

class Recording extends SqliteConnection {
  readonly texts = new Set<string>()

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.texts.add(query.sql)
    return super.executeQuery<Row>(query)
  }
}

const database = new DatabaseSync(':memory:')
for (const statement of schemaStatements('sqlite')) database.exec(statement)
const connection = new Recording(database, {
  isReadOnly: false,
  gate: () => null,
  whenFree: (action) => action(),
})
const q: Db = new Kysely<Schema>(kyselyOn(connection))

type List = (q: Queries, request: ListRequest) => Promise<unknown>

/** Filter, order and the index that must walk. */
const plans: readonly (readonly [List, FilterResource, string, string, RegExp])[] = [
  [listDevicesBy, deviceResource, '', 'id', /SEARCH d USING PRIMARY KEY \(id>\?\)/],
  [
    listDevicesBy,
    deviceResource,
    'profile=meter firmware~2 tag.a=b',
    '-id',
    /SEARCH d USING PRIMARY KEY \(id<\?\)/,
  ],
  [listDevicesBy, deviceResource, 'lastSeen>7d', 'id', /SEARCH d USING PRIMARY KEY \(id>\?\)/],
  [listDevicesBy, deviceResource, 'lastSeen<7d', 'id', /SEARCH d USING PRIMARY KEY \(id/],
  [
    listDevicesBy,
    deviceResource,
    'renewal=escalated',
    'id',
    /SEARCH o USING INDEX renewals_open \(device_id=\? AND slot=\?\)/,
  ],
  [listDevicesBy, deviceResource, 'issuer=a expires<30d', 'id', /SEARCH n USING INDEX certificates_device/],
  [listDevicesBy, deviceResource, 'SN-00', 'id', /SEARCH d USING PRIMARY KEY \(id>\? AND id<\?\)/],
  [listDevicesBy, deviceResource, 'id=a,b', 'id', /SEARCH d USING PRIMARY KEY \(id=\?\)/],
  [listDevicesBy, deviceResource, 'batch=a state=active', 'id', /devices_by_batch \(batch=\? AND id>\?\)/],
  [listDevicesBy, deviceResource, 'site=a', 'id', /devices_by_site \(site=\? AND id>\?\)/],
  [listDevicesBy, deviceResource, 'cohort=a', 'id', /devices_by_cohort \(cohort=\? AND id>\?\)/],
  [listDevicesBy, deviceResource, 'state=quarantined', 'id', /devices_by_state \(state=\? AND id>\?\)/],
  [
    listDevicesBy,
    deviceResource,
    'expires<30d',
    'expires',
    /SEARCH c USING INDEX certificates_expiry \(not_after>\? AND not_after<\?\)/,
  ],
  [
    listDevicesBy,
    deviceResource,
    'expires<30d site=a',
    'expires',
    /certificates_site_expiry \(site=\? AND not_after>\? AND not_after<\?\)/,
  ],
  [
    listDevicesBy,
    deviceResource,
    'cohort=a',
    '-expires',
    /certificates_cohort_expiry \(cohort=\? AND not_after<\?\)/,
  ],
  [listCertificatesBy, certificateResource, '', 'id', /INTEGER PRIMARY KEY \(rowid>\?\)/],
  [
    listCertificatesBy,
    certificateResource,
    'issuer=a status=revoked',
    '-id',
    /INTEGER PRIMARY KEY \(rowid<\?\)/,
  ],
  [listCertificatesBy, certificateResource, 'batch=a', 'id', /certificates_batch \(batch=\? AND id>\?\)/],
  [
    listCertificatesBy,
    certificateResource,
    'expires<30d',
    'expires',
    /certificates_expiry \(not_after>\? AND not_after<\?\)/,
  ],
  [
    listCertificatesBy,
    certificateResource,
    'notAfter<30d status=revoked',
    'expires',
    /certificates_ended \(not_after>\? AND not_after<\?\)/,
  ],
  [
    listCertificatesBy,
    certificateResource,
    'site=a status=live',
    'expires',
    /certificates_site_expiry \(site=\? AND not_after>\?\)/,
  ],
  [
    listRenewalsBy,
    renewalResource,
    'campaign=a state=triggered',
    'id',
    /renewals_campaign \(campaign_id=\? AND id>\?\)/,
  ],
  [listRenewalsBy, renewalResource, 'a', 'id', /renewals_device \(device_id=\? AND id>\?\)/],
  [listRenewalsBy, renewalResource, 'state=open', '-id', /INTEGER PRIMARY KEY \(rowid<\?\)/],
  [
    listRenewalsBy,
    renewalResource,
    'state=escalated tag.site=kl expires<30d',
    'expires',
    /renewals_escalated \(not_after>\? AND not_after<\?\)/,
  ],
  [listFactsBy, factResource, 'action=device.* actor=a at<7d', '-id', /INTEGER PRIMARY KEY \(rowid<\?\)/],
  [listFactsBy, factResource, 'device:a', '-id', /facts_subject \(subject=\? AND id<\?\)/],
]

async function planOf(list: List, request: Omit<ListRequest, 'limit' | 'now'>): Promise<string[]> {
  connection.texts.clear()
  await list(q, { ...request, limit: 10, now: start })
  return [...connection.texts].flatMap((statement) =>
    database
      .prepare(`explain query plan ${statement}`)
      .all()
      .map((row) => String(row['detail'])),
  )
}

for (const [list, resource, text, sort, wanted] of plans) {
  test(`${resource.name}: ${text === '' ? 'all' : text}, by ${sort}`, async () => {
    const steps = await planOf(list, { filter: parseFilter(text, resource), sort })
    assert.ok(
      steps.some((step) => wanted.test(step)),
      steps.join('\n'),
    )
    assert.deepEqual(
      steps.filter((step) => /^SCAN|^USE TEMP B-TREE/.test(step)),
      [],
    )
  })
}

for (const [text, wanted] of [
  ['device=a', /certificates_device \(device_id=\?\)/],
  ['serial=ab', /certificates_serial \(serial_number=\?\)/],
] as const) {
  test(`${text} has a handful of certificates, which may be sorted`, async () => {
    const steps = await planOf(listCertificatesBy, { filter: parseFilter(text, certificateResource) })
    assert.ok(
      steps.some((step) => wanted.test(step)),
      steps.join('\n'),
    )
  })
}

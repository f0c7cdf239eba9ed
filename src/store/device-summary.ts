/** What a list shows of each device besides its own record, read for a page at once. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { isLive } from './certificates.ts'
import { prepared, preparedRows } from './prepared.ts'
import { noCampaign, type RenewalStatus } from './renewal-record.ts'
import type { RenewalTable } from './schema-campaigns.ts'
import type { CertificateTable, Queries } from './schema.ts'

export interface DeviceSummaries {
  /** The newest live certificate of the slot `default`. */
  readonly certificates: ReadonlyMap<string, { readonly notAfter: Instant; readonly issuerId: string }>
  /** The open renewal of the slot `default`. */
  readonly renewals: ReadonlyMap<string, OpenRenewal>
}

interface OpenRenewal {
  readonly id: number
  readonly status: RenewalStatus
  readonly campaignId: string | null
}

type CertificateSummaryRow = Pick<CertificateTable, 'device_id' | 'not_after' | 'issuer_id'>
type RenewalSummaryRow = Pick<RenewalTable, 'device_id' | 'status' | 'campaign_id'> & { readonly id: number }

// index: certificates_device; the order makes the newest the last
const selectCertificates = preparedRows<{ id: string }, CertificateSummaryRow>((db, rows) =>
  db
    .selectFrom('certificates')
    .select(['device_id', 'not_after', 'issuer_id'])
    .where(
      'device_id',
      'in',
      rows.map(({ id }) => id),
    )
    .where('slot', '=', sql.lit('default'))
    .where(isLive)
    .orderBy('id'),
)

// index: renewals_open
const selectRenewals = preparedRows<{ id: string }, RenewalSummaryRow>((db, rows) =>
  db
    .selectFrom('renewals')
    .select(['id', 'device_id', 'status', 'campaign_id'])
    .where(
      'device_id',
      'in',
      rows.map(({ id }) => id),
    )
    .where('slot', '=', sql.lit('default'))
    .where(sql<boolean>`status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`),
)

// the same for all devices between two ids: one walk through each index instead of a look-up for each device
// index: certificates_device
const selectCertificatesBetween = prepared((db, p: { first: string; last: string }) =>
  db
    .selectFrom('certificates')
    .select(['device_id', 'not_after', 'issuer_id'])
    .where('device_id', '>=', p.first)
    .where('device_id', '<=', p.last)
    .where('slot', '=', sql.lit('default'))
    .where(isLive)
    .orderBy('device_id')
    .orderBy('slot')
    .orderBy('id'),
)

// index: renewals_open
const selectRenewalsBetween = prepared((db, p: { first: string; last: string }) =>
  db
    .selectFrom('renewals')
    .select(['id', 'device_id', 'status', 'campaign_id'])
    .where('device_id', '>=', p.first)
    .where('device_id', '<=', p.last)
    .where('slot', '=', sql.lit('default'))
    .where(sql<boolean>`status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`),
)

// index: primary key
const selectSeenBetween = prepared((db, p: { first: string; last: string }) =>
  db
    .selectFrom('device_last_seen')
    .select(['device_id', 'at'])
    .where('device_id', '>=', p.first)
    .where('device_id', '<=', p.last),
)

/** For whole lists in the order of ids. @param range both ends inclusive; `devices` in it are most of those that there are */
export async function currentBetween(
  q: Queries,
  range: { readonly first: DeviceId; readonly last: DeviceId },
): Promise<DeviceSummaries & { readonly seen: ReadonlyMap<string, Instant> }> {
  const [certificates, renewals, seen] = [
    await selectCertificatesBetween(q, range),
    await selectRenewalsBetween(q, range),
    await selectSeenBetween(q, range),
  ]
  return {
    ...summariesOf([certificates], [renewals]),
    seen: new Map(seen.rows.map((row) => [row.device_id, row.at])),
  }
}

/** Devices without one are missing from the answer. */
export async function currentOfDevices(q: Queries, deviceIds: readonly DeviceId[]): Promise<DeviceSummaries> {
  const ids = deviceIds.map((id) => ({ id }))
  return summariesOf(await selectCertificates(q, ids), await selectRenewals(q, ids))
}

interface Rows<Row> {
  readonly rows: readonly Row[]
}

function summariesOf(
  certificates: readonly Rows<CertificateSummaryRow>[],
  renewals: readonly Rows<RenewalSummaryRow>[],
): DeviceSummaries {
  const newest = new Map<string, { readonly notAfter: Instant; readonly issuerId: string }>()
  for (const { rows } of certificates) {
    for (const row of rows)
      newest.set(row.device_id ?? '', { notAfter: row.not_after, issuerId: row.issuer_id })
  }
  const open = new Map<string, OpenRenewal>()
  for (const { rows } of renewals) {
    for (const { id, device_id: deviceId, status, campaign_id: campaignId } of rows) {
      open.set(deviceId, {
        id,
        status: status as RenewalStatus,
        campaignId: campaignId === noCampaign ? null : campaignId,
      })
    }
  }
  return { certificates: newest, renewals: open }
}

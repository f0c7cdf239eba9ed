/** What a list shows of each device besides its own record, read for a page at once. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { isLive } from './certificates.ts'
import { preparedRows } from './prepared.ts'
import { noCampaign, type RenewalStatus } from './renewal-record.ts'
import type { Queries } from './schema.ts'

export interface DeviceSummaries {
  /** The newest live certificate of the slot `default`. */
  readonly certificates: ReadonlyMap<string, { readonly notAfter: Instant; readonly issuerId: string }>
  /** The open renewal of the slot `default`. */
  readonly renewals: ReadonlyMap<
    string,
    { readonly id: number; readonly status: RenewalStatus; readonly campaignId: string | null }
  >
}

// index: certificates_device; the order makes the newest the last
const selectCertificates = preparedRows<
  { id: string },
  { device_id: string | null; not_after: number; issuer_id: string }
>((db, rows) =>
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
const selectRenewals = preparedRows<
  { id: string },
  { id: number; device_id: string; status: string; campaign_id: string }
>((db, rows) =>
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

/** Devices without one are missing from the answer. */
export async function currentOfDevices(q: Queries, deviceIds: readonly DeviceId[]): Promise<DeviceSummaries> {
  const ids = deviceIds.map((id) => ({ id }))
  const certificates = await selectCertificates(q, ids)
  const renewals = await selectRenewals(q, ids)
  return {
    certificates: new Map(
      certificates.flatMap(({ rows }) =>
        rows.map((row) => [row.device_id ?? '', { notAfter: row.not_after, issuerId: row.issuer_id }]),
      ),
    ),
    renewals: new Map(
      renewals.flatMap(({ rows }) =>
        rows.map((row) => [
          row.device_id,
          {
            id: row.id,
            status: row.status as RenewalStatus,
            campaignId: row.campaign_id === noCampaign ? null : row.campaign_id,
          },
        ]),
      ),
    ),
  }
}

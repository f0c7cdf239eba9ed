/** Renewals whose trigger may still stand at a broker: asked, and not answered. */
import { sql } from 'kysely'
import type { DeviceId } from '../base/id.ts'
import { prepared } from './prepared.ts'
import { isOpen } from './renewals.ts'
import type { Queries } from './schema.ts'

export interface AskedRenewal {
  readonly id: number
  readonly deviceId: DeviceId
  /** '' when no campaign asked. */
  readonly campaignId: string
}

// index: renewals_open, by its first column
const selectAsked = prepared((db, p: { after: string; limit: number }) =>
  db
    .selectFrom('renewals')
    .select(['id', 'device_id', 'campaign_id'])
    .where('device_id', '>', p.after)
    .where(isOpen)
    .where('status', '=', sql.lit('triggered'))
    .orderBy('device_id')
    .orderBy('slot')
    .limit(p.limit),
)

/**
 * In the order of the devices. A device with several slots is not torn apart as long as it has fewer than `limit`.
 * @param after the last device of the page before, '' for the first
 */
export async function askedRenewals(
  q: Queries,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<AskedRenewal[]> {
  const { rows } = await selectAsked(q, { after, limit })
  return rows.map(({ id, device_id, campaign_id }) => ({
    id,
    deviceId: device_id as DeviceId,
    campaignId: campaign_id,
  }))
}

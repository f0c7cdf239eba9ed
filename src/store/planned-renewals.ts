/** Renewals that wait to be asked, for the hints that are published about them. */
import { sql } from 'kysely'
import { prepared } from './prepared.ts'
import { renewalColumns, toRenewal, type RenewalRecord } from './renewal-record.ts'
import type { Queries } from './schema.ts'

// index: renewals_planned
const selectPlanned = prepared((db, p: { campaignId: string; wave: number; after: number; limit: number }) =>
  db
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('campaign_id', '=', p.campaignId)
    .where('wave', '=', p.wave)
    .where('status', '=', sql.lit('planned'))
    .where('id', '>', p.after)
    .orderBy('id')
    .limit(p.limit),
)

/** Of one wave, in the order in which they were drawn; '' and wave 0 for those without a campaign. */
export async function plannedRenewals(
  q: Queries,
  page: {
    readonly campaignId: string
    readonly wave: number
    readonly after: number
    readonly limit: number
  },
): Promise<RenewalRecord[]> {
  return (await selectPlanned(q, page)).rows.map(toRenewal)
}

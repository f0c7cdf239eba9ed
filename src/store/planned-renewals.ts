/** Renewals that wait to be asked, for the hints that are published about them. */
import { sql } from 'kysely'
import { prepared } from './prepared.ts'
import { noCampaign, renewalColumns, toRenewal, type RenewalRecord } from './renewal-record.ts'
import type { Queries } from './schema.ts'

interface Page {
  readonly campaignId: string
  readonly wave: number
  readonly after: number
  readonly limit: number
}

// index: renewals_planned
const selectWaiting = prepared((db, p: Page) =>
  db
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('campaign_id', '=', p.campaignId)
    .where('wave', '=', p.wave)
    .where('status', '=', sql.lit('planned'))
    .where('next_at', 'is', null)
    .where('id', '>', p.after)
    .orderBy('id')
    .limit(p.limit),
)

// index: renewals_planned_alone
const selectAlone = prepared((db, p: Pick<Page, 'after' | 'limit'>) =>
  db
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('campaign_id', '=', sql.lit(noCampaign))
    .where('status', '=', sql.lit('planned'))
    .where('id', '>', p.after)
    .orderBy('id')
    .limit(p.limit),
)

/**
 * Of one wave those that it has not let in, in the order in which they were drawn; '' and wave 0 for all without a campaign.
 * @param page after: a row number; 0 for the first page
 */
export async function plannedRenewals(q: Queries, page: Page): Promise<RenewalRecord[]> {
  const { campaignId, after, limit } = page
  const { rows } =
    campaignId === noCampaign ? await selectAlone(q, { after, limit }) : await selectWaiting(q, page)
  return rows.map(toRenewal)
}

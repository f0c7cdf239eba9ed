/** What rehearsals of campaigns foresaw. */
import type { Instant } from '../base/clock.ts'
import type { Queries, Tx } from './schema.ts'

export interface RehearsalRecord {
  readonly id: number
  readonly campaignId: string
  readonly createdAt: Instant
  readonly createdBy: string
  /** JSON, as the engine wrote it. */
  readonly forecast: string
}

export async function insertRehearsal(tx: Tx, rehearsal: Omit<RehearsalRecord, 'id'>): Promise<void> {
  await tx
    .insertInto('rehearsals')
    .values({
      campaign_id: rehearsal.campaignId,
      created_at: rehearsal.createdAt,
      created_by: rehearsal.createdBy,
      forecast: rehearsal.forecast,
    })
    .execute()
}

/** Index: rehearsals_campaign. */
export async function findLatestRehearsal(q: Queries, campaignId: string): Promise<RehearsalRecord | null> {
  const row = await q
    .selectFrom('rehearsals')
    .select(['id', 'campaign_id', 'created_at', 'created_by', 'forecast'])
    .where('campaign_id', '=', campaignId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (!row) return null
  return {
    id: row.id,
    campaignId: row.campaign_id,
    createdAt: row.created_at,
    createdBy: row.created_by,
    forecast: row.forecast,
  }
}

/** Campaigns and their waves. The targets are renewals: campaign-targets.ts. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import { locked, prepared } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'
import type { CampaignTable, CampaignWaveTable } from './schema-campaigns.ts'

export const campaignStatuses = ['draft', 'running', 'paused', 'completed', 'aborted'] as const
export type CampaignStatus = (typeof campaignStatuses)[number]

export interface CampaignRecord {
  readonly id: string
  readonly name: string
  readonly status: CampaignStatus
  /** JSON, as the engine wrote it: the definition, and what was measured when the targets were drawn. */
  readonly definition: string
  /** Grows with each edit, from 1. */
  readonly revision: number
  /** Why it is paused or was aborted. */
  readonly reason: string | null
  readonly createdAt: Instant
  readonly createdBy: string
  readonly startedAt: Instant | null
  readonly pausedAt: Instant | null
  readonly endedAt: Instant | null
  /** What the rate is counted from. */
  readonly tickedAt: Instant | null
  /** Devices let in so far. */
  readonly admitted: number
}

/**
 * `waiting` for its turn, or for `approval`; `open`: its devices are let in; `soaking`: all are in, and are watched;
 * `done`: the next may come.
 */
export type WaveStatus = 'waiting' | 'approval' | 'open' | 'soaking' | 'done'

export interface WaveRecord {
  readonly campaignId: string
  /** From 0. */
  readonly wave: number
  /** Targets drawn. */
  readonly size: number
  readonly status: WaveStatus
  readonly openedAt: Instant | null
  readonly soakUntil: Instant | null
  readonly closedAt: Instant | null
  readonly approvedBy: string | null
  readonly approvedAt: Instant | null
}

const columns = [
  'id',
  'name',
  'status',
  'definition',
  'revision',
  'reason',
  'created_at',
  'created_by',
  'started_at',
  'paused_at',
  'ended_at',
  'ticked_at',
  'admitted',
] as const

const waveColumns = [
  'campaign_id',
  'wave',
  'size',
  'status',
  'opened_at',
  'soak_until',
  'closed_at',
  'approved_by',
  'approved_at',
] as const

/** @returns false when there is a campaign of this name */
export async function insertCampaign(tx: Tx, campaign: CampaignRecord): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('campaigns')
    .values(toRow(campaign))
    .onConflict((on) => on.column('id').doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

const selectCampaign = prepared((db, p: { id: string }) =>
  db.selectFrom('campaigns').select(columns).where('id', '=', p.id),
)
const selectCampaignLocked = prepared((db, p: { id: string }) =>
  locked(db, db.selectFrom('campaigns').select(columns).where('id', '=', p.id)),
)

export async function findCampaign(q: Queries, id: string): Promise<CampaignRecord | null> {
  const { rows } = await selectCampaign(q, { id })
  return rows[0] ? toRecord(rows[0]) : null
}

/** The same, kept as it is until the transaction ends: what decides on the status reads it this way. */
export async function lockCampaign(tx: Tx, id: string): Promise<CampaignRecord | null> {
  const { rows } = await selectCampaignLocked(tx, { id })
  return rows[0] ? toRecord(rows[0]) : null
}

const selectStatus = prepared((db, p: { id: string }) =>
  db.selectFrom('campaigns').select('status').where('id', '=', p.id),
)

/** Whether triggers may leave. Cheap: asked before each one. Null when there is no such campaign. */
export async function campaignStatus(q: Queries, id: string): Promise<CampaignStatus | null> {
  return ((await selectStatus(q, { id })).rows[0]?.status as CampaignStatus | undefined) ?? null
}

// index: campaigns_open
const selectOpen = prepared((db) =>
  db
    .selectFrom('campaigns')
    .select(columns)
    .where(sql<boolean>`status in ('running', 'paused')`)
    .orderBy('id'),
)

/** Running and paused ones, in the order of their names: a handful. */
export async function openCampaigns(q: Queries): Promise<CampaignRecord[]> {
  return (await selectOpen(q, {})).rows.map(toRecord)
}

const selectEnding = prepared((db) =>
  db
    .selectFrom('campaigns')
    .select(columns)
    .where('status', '=', sql.lit('aborted'))
    .where('ended_at', 'is', null)
    .orderBy('id'),
)

/** Aborted ones that still hold devices. The table has a row for each campaign ever, which is not many. */
export async function endingCampaigns(q: Queries): Promise<CampaignRecord[]> {
  return (await selectEnding(q, {})).rows.map(toRecord)
}

/** In the order of their names. */
export async function listCampaigns(
  q: Queries,
  { after, limit, status }: PageRequest & { readonly status?: CampaignStatus },
): Promise<Page<CampaignRecord>> {
  assertLimit(limit)
  let query = q
    .selectFrom('campaigns')
    .select(columns)
    .where('id', '>', after ?? '')
  if (status !== undefined) query = query.where('status', '=', status)
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ id }) => id)
}

export type CampaignChange = Partial<Omit<CampaignRecord, 'id' | 'createdAt' | 'createdBy'>>

export async function updateCampaign(tx: Tx, id: string, change: CampaignChange): Promise<void> {
  const { startedAt, pausedAt, endedAt, tickedAt, ...alike } = change
  const values = {
    ...alike,
    ...(startedAt === undefined ? {} : { started_at: startedAt }),
    ...(pausedAt === undefined ? {} : { paused_at: pausedAt }),
    ...(endedAt === undefined ? {} : { ended_at: endedAt }),
    ...(tickedAt === undefined ? {} : { ticked_at: tickedAt }),
  }
  if (Object.keys(values).length === 0) return
  await tx.updateTable('campaigns').set(values).where('id', '=', id).execute()
}

/** The row, its waves and its rehearsals. Its targets go before: campaign-targets.ts. */
export async function deleteCampaign(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('campaign_waves').where('campaign_id', '=', id).execute()
  await tx.deleteFrom('rehearsals').where('campaign_id', '=', id).execute()
  await tx.deleteFrom('campaigns').where('id', '=', id).execute()
}

export async function putWaves(tx: Tx, waves: readonly WaveRecord[]): Promise<void> {
  for (const wave of waves) {
    const row = toWaveRow(wave)
    await tx
      .insertInto('campaign_waves')
      .values(row)
      .onConflict((on) => on.columns(['campaign_id', 'wave']).doUpdateSet(row))
      .execute()
  }
}

const selectWaves = prepared((db, p: { id: string }) =>
  db.selectFrom('campaign_waves').select(waveColumns).where('campaign_id', '=', p.id).orderBy('wave'),
)

export async function listWaves(q: Queries, campaignId: string): Promise<WaveRecord[]> {
  return (await selectWaves(q, { id: campaignId })).rows.map(toWave)
}

function toRecord(row: CampaignTable): CampaignRecord {
  return {
    id: row.id,
    name: row.name,
    status: row.status as CampaignStatus,
    definition: row.definition,
    revision: row.revision,
    reason: row.reason,
    createdAt: row.created_at,
    createdBy: row.created_by,
    startedAt: row.started_at,
    pausedAt: row.paused_at,
    endedAt: row.ended_at,
    tickedAt: row.ticked_at,
    admitted: row.admitted,
  }
}

function toRow(campaign: CampaignRecord): CampaignTable {
  return {
    id: campaign.id,
    name: campaign.name,
    status: campaign.status,
    definition: campaign.definition,
    revision: campaign.revision,
    reason: campaign.reason,
    created_at: campaign.createdAt,
    created_by: campaign.createdBy,
    started_at: campaign.startedAt,
    paused_at: campaign.pausedAt,
    ended_at: campaign.endedAt,
    ticked_at: campaign.tickedAt,
    admitted: campaign.admitted,
  }
}

function toWave(row: CampaignWaveTable): WaveRecord {
  return {
    campaignId: row.campaign_id,
    wave: row.wave,
    size: row.size,
    status: row.status as WaveStatus,
    openedAt: row.opened_at,
    soakUntil: row.soak_until,
    closedAt: row.closed_at,
    approvedBy: row.approved_by,
    approvedAt: row.approved_at,
  }
}

function toWaveRow(wave: WaveRecord): CampaignWaveTable {
  return {
    campaign_id: wave.campaignId,
    wave: wave.wave,
    size: wave.size,
    status: wave.status,
    opened_at: wave.openedAt,
    soak_until: wave.soakUntil,
    closed_at: wave.closedAt,
    approved_by: wave.approvedBy,
    approved_at: wave.approvedAt,
  }
}

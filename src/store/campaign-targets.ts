/** The targets of campaigns: renewals with the name of a campaign. What a campaign does to many of them at a time. */
import { sql, type SqlBool } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { addCounters, readCounters } from './counters.ts'
import { prepared, preparedInsert } from './prepared.ts'
import type { Queries, RenewalTable, Tx } from './schema.ts'

export interface NewTarget {
  readonly campaignId: string
  readonly wave: number
  readonly deviceId: DeviceId
  readonly slot: string
  readonly certificateId: CertificateId
  readonly notAfter: Instant
  readonly connectivity: string
  readonly site: string | null
  readonly createdAt: Instant
}

type Row = Omit<RenewalTable, 'id'>

const insertRows = preparedInsert<Row>((db, rows) =>
  db
    .insertInto('renewals')
    .values(
      rows.map((row) => ({
        campaign_id: row.campaign_id,
        wave: row.wave,
        device_id: row.device_id,
        slot: row.slot,
        certificate_id: row.certificate_id,
        not_after: row.not_after,
        connectivity: row.connectivity,
        site: row.site,
        status: row.status,
        rung: row.rung,
        attempt: row.attempt,
        next_at: row.next_at,
        created_at: row.created_at,
      })),
    )
    // index: renewals_open
    .onConflict((at) => at.doNothing()),
)

/** @returns how many were inserted; the others have an open renewal already */
export async function insertTargets(tx: Tx, targets: readonly NewTarget[]): Promise<number> {
  const rows = targets.map(toRow)
  const left = await insertRows(tx, rows)
  for (const row of rows) if (!left.has(row)) addCounters(tx, count(row.campaign_id, row.wave, 'planned', 1))
  return rows.length - left.size
}

function toRow(target: NewTarget): Row {
  return {
    campaign_id: target.campaignId,
    wave: target.wave,
    device_id: target.deviceId,
    slot: target.slot,
    certificate_id: target.certificateId,
    not_after: target.notAfter,
    connectivity: target.connectivity,
    site: target.site,
    status: 'planned',
    rung: 0,
    attempt: 0,
    next_at: null,
    new_certificate_id: null,
    triggered_at: null,
    issued_at: null,
    delivered_at: null,
    stored_at: null,
    confirmed_at: null,
    ended_at: null,
    reason: null,
    assignee: null,
    created_at: target.createdAt,
  }
}

const updateAdopted = prepared((db, p: { id: number; campaignId: string; wave: number }) =>
  db
    .updateTable('renewals')
    .set({ campaign_id: p.campaignId, wave: p.wave, next_at: null, rung: 0, attempt: 0 })
    .where('id', '=', p.id)
    .where('campaign_id', '=', '')
    .where('status', '=', sql.lit('planned')),
)

/** Takes over a renewal that was opened because it is due. @returns false when it has asked meanwhile */
export async function adoptTarget(
  tx: Tx,
  target: { readonly id: number; readonly campaignId: string; readonly wave: number },
): Promise<boolean> {
  const { numAffectedRows } = await updateAdopted(tx, target)
  if (numAffectedRows !== 1n) return false
  addCounters(tx, count('', 0, 'planned', -1))
  addCounters(tx, count(target.campaignId, target.wave, 'planned', 1))
  return true
}

/** Deletes up to `limit` targets of a draft. @returns how many; 0 when none is left */
export async function deleteTargets(tx: Tx, campaignId: string, limit: number): Promise<number> {
  // index: renewals_campaign
  const rows = await tx
    .selectFrom('renewals')
    .select(['id', 'wave', 'status'])
    .where('campaign_id', '=', campaignId)
    .where(sql<SqlBool>`campaign_id <> ''`)
    .orderBy('id')
    .limit(limit)
    .execute()
  if (rows.length === 0) return 0
  await tx
    .deleteFrom('renewals')
    .where(
      'id',
      'in',
      rows.map(({ id }) => id),
    )
    .execute()
  for (const { wave, status } of rows) addCounters(tx, count(campaignId, wave, status, -1))
  return rows.length
}

/** A planned target that was not let in yet, and what its device is now. */
export interface WaitingTarget {
  readonly id: number
  readonly campaignId: string
  readonly wave: number
  readonly deviceId: DeviceId
  readonly slot: string
  readonly certificateId: CertificateId
  readonly device: {
    readonly state: string
    readonly profile: string
    readonly cohort: string | null
    readonly batch: string | null
    readonly site: string | null
    readonly tags: Readonly<Record<string, string>>
  } | null
  /** The newest live certificate of the slot. */
  readonly current: {
    readonly id: CertificateId
    readonly status: string
    readonly issuedAt: Instant | null
  } | null
}

export interface WaitingRequest {
  readonly campaignId: string
  readonly wave: number
  /** Row number after which to go on; 0 for the first. */
  readonly afterId: number
  readonly limit: number
  /** Sites where it is not the time now, or the only ones where it is; null = any site. */
  readonly sites: { readonly isOnly: boolean; readonly names: readonly string[] } | null
}

/** In the order in which they are let in. Index: renewals_planned. */
export async function waitingTargets(q: Queries, request: WaitingRequest): Promise<WaitingTarget[]> {
  const { campaignId, wave, afterId, limit, sites } = request
  let query = q
    .selectFrom('renewals as r')
    .leftJoin('devices as d', 'd.id', 'r.device_id')
    .leftJoin('certificates as c', (join) =>
      join.onRef('c.id', '=', (each) =>
        each
          .selectFrom('certificates as n')
          .whereRef('n.device_id', '=', 'r.device_id')
          .whereRef('n.slot', '=', 'r.slot')
          .where(sql<SqlBool>`n.status in ('issued', 'confirmed')`)
          .select((max) => max.fn.max('n.id').as('id')),
      ),
    )
    .where('r.campaign_id', '=', campaignId)
    .where('r.wave', '=', wave)
    .where('r.status', '=', sql.lit('planned'))
    .where('r.next_at', 'is', null)
    .where('r.id', '>', afterId)
  if (sites?.isOnly === true) query = query.where('r.site', 'in', [...sites.names])
  if (sites?.isOnly === false && sites.names.length > 0) {
    const { names } = sites
    query = query.where((each) => each.or([each('r.site', 'is', null), each('r.site', 'not in', [...names])]))
  }
  const rows = await query
    .select([
      'r.id',
      'r.device_id',
      'r.slot',
      'r.certificate_id',
      'd.state',
      'd.profile',
      'd.cohort',
      'd.batch',
      'd.site',
      'd.tags',
      'c.id as current_id',
      'c.status as current_status',
      'c.issued_at as current_issued_at',
    ])
    .orderBy('r.id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    campaignId,
    wave,
    deviceId: row.device_id as DeviceId,
    slot: row.slot,
    certificateId: row.certificate_id as CertificateId,
    device:
      row.state === null || row.profile === null
        ? null
        : {
            state: row.state,
            profile: row.profile,
            cohort: row.cohort,
            batch: row.batch,
            site: row.site,
            tags: JSON.parse(row.tags ?? '{}') as Record<string, string>,
          },
    current:
      row.current_id === null
        ? null
        : {
            id: row.current_id as CertificateId,
            status: row.current_status ?? '',
            issuedAt: row.current_issued_at,
          },
  }))
}

const updateAdmitted = prepared((db, p: { id: number; at: Instant }) =>
  db
    .updateTable('renewals')
    .set({ next_at: p.at })
    .where('id', '=', p.id)
    .where('status', '=', sql.lit('planned'))
    .where('next_at', 'is', null),
)

/** Its turn has come: the next pass asks the device. @returns false when something else moved it meanwhile */
export async function admitTarget(tx: Tx, id: number, at: Instant): Promise<boolean> {
  return (await updateAdmitted(tx, { id, at })).numAffectedRows === 1n
}

/** `campaign.<name>.<wave>.<status>`, or `renewals.<status>` without a campaign. */
export function count(campaignId: string, wave: number, status: string, by: number): Record<string, number> {
  return { [campaignId === '' ? `renewals.${status}` : `campaign.${campaignId}.${wave}.${status}`]: by }
}

/** What a campaign counts besides statuses: `campaign.<name>.outcome.<word>`. */
export function countOutcome(campaignId: string, word: string, by = 1): Record<string, number> {
  return { [`campaign.${campaignId}.outcome.${word}`]: by }
}

export interface CampaignCounts {
  /** By wave, then by status of the renewal. */
  readonly waves: ReadonlyMap<number, ReadonlyMap<string, number>>
  /** By word: `failed`, `rejected`, `removed`. */
  readonly outcomes: ReadonlyMap<string, number>
}

/** From the sums, not from the rows. */
export async function campaignCounts(q: Queries, campaignId: string): Promise<CampaignCounts> {
  const prefix = `campaign.${campaignId}.`
  const waves = new Map<number, Map<string, number>>()
  const outcomes = new Map<string, number>()
  for (const [name, value] of await readCounters(q, prefix)) {
    const [first = '', word = ''] = name.slice(prefix.length).split('.')
    if (first === 'outcome') outcomes.set(word, value)
    else if (/^[0-9]+$/.test(first)) {
      const wave = waves.get(Number(first)) ?? new Map<string, number>()
      waves.set(Number(first), wave.set(word, value))
    }
  }
  return { waves, outcomes }
}

/** The targets of campaigns: renewals with the name of a campaign. What a campaign does to many of them at a time. */
import { sql, type SqlBool } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId } from '../base/id.ts'
import { addCounters, readCounters } from './counters.ts'
import { prepared } from './prepared.ts'
import {
  noCampaign,
  renewalColumns,
  renewalCounter,
  toRenewal,
  type RenewalRecord,
  type RenewalStatus,
} from './renewal-record.ts'
import { isOpen } from './renewals.ts'
import type { Queries, Tx } from './schema.ts'

// index: renewals_open
const updateOwner = prepared(
  (db, p: { campaignId: string; wave: number; certificateId: number; deviceId: string; slot: string }) =>
    db
      .updateTable('renewals')
      .set({
        campaign_id: p.campaignId,
        wave: p.wave,
        certificate_id: p.certificateId,
        // not before the campaign lets it in
        next_at: null,
      })
      .where('device_id', '=', p.deviceId)
      .where('slot', '=', p.slot)
      .where('status', '=', sql.lit('planned'))
      .where('campaign_id', '=', sql.lit(noCampaign))
      .where(isOpen),
)

/** Takes over a renewal that was opened because it is due and has not asked. @returns false when it has, or is another's */
export async function adoptTarget(
  tx: Tx,
  target: Pick<RenewalRecord, 'campaignId' | 'wave' | 'deviceId' | 'slot' | 'certificateId'>,
): Promise<boolean> {
  const { campaignId, wave, deviceId, slot, certificateId } = target
  const { numAffectedRows } = await updateOwner(tx, { campaignId, wave, deviceId, slot, certificateId })
  if (numAffectedRows !== 1n) return false
  addCounters(tx, {
    [renewalCounter({ campaignId: noCampaign, wave: 0 }, 'planned')]: -1,
    [renewalCounter({ campaignId, wave }, 'planned')]: 1,
  })
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
  for (const { wave, status } of rows)
    addCounters(tx, { [renewalCounter({ campaignId, wave }, status as RenewalStatus)]: -1 })
  return rows.length
}

/** A planned target that was not let in yet, and what its device is now. */
export interface WaitingTarget {
  readonly renewal: RenewalRecord
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
    readonly confirmedAt: Instant | null
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
    .select(renewalColumns.map((name) => `r.${name}` as const))
    .select([
      'd.state',
      'd.profile',
      'd.cohort',
      'd.batch',
      'd.site as device_site',
      'd.tags',
      'c.id as current_id',
      'c.status as current_status',
      'c.issued_at as current_issued_at',
      'c.confirmed_at as current_confirmed_at',
    ])
    .orderBy('r.id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    renewal: toRenewal(row),
    device:
      row.state === null || row.profile === null
        ? null
        : {
            state: row.state,
            profile: row.profile,
            cohort: row.cohort,
            batch: row.batch,
            site: row.device_site,
            tags: JSON.parse(row.tags ?? '{}') as Record<string, string>,
          },
    current:
      row.current_id === null
        ? null
        : {
            id: row.current_id as CertificateId,
            status: row.current_status ?? '',
            issuedAt: row.current_issued_at,
            confirmedAt: row.current_confirmed_at,
          },
  }))
}

/** `waiting` and `admitted` are both planned: before and after the campaign has let them in. */
export const unfinishedStates = ['waiting', 'triggered', 'issued', 'escalated', 'admitted'] as const
export type UnfinishedState = (typeof unfinishedStates)[number]

/** As SQL, because the partial index renewals_unfinished needs it: SQLite does not see that one status is one of three. */
const isUnfinished = sql<SqlBool>`status in ('triggered', 'issued', 'escalated')`

// A statement for each, so that its partial index is found. Indexes: renewals_planned, renewals_unfinished, renewals_due.
const selectUnfinished = new Map(
  unfinishedStates.map((state) => [
    state,
    prepared((db, p: { campaignId: string; limit: number }) => {
      const isPlanned = state === 'waiting' || state === 'admitted'
      const query = db
        .selectFrom('renewals')
        .select(renewalColumns)
        .where('campaign_id', '=', p.campaignId)
        .where('status', '=', sql.lit(isPlanned ? 'planned' : state))
        .limit(p.limit)
      if (state === 'waiting') return query.where('next_at', 'is', null).orderBy('wave').orderBy('id')
      return state === 'admitted' ? query.where('next_at', 'is not', null) : query.where(isUnfinished)
    }),
  ]),
)

/**
 * Some that use no new certificate, for a campaign that lets them go. `admitted` reads past every other one that waits for an
 * instant: ask for it when the others have gone.
 */
export async function unfinishedTargets(
  tx: Tx,
  campaignId: string,
  state: UnfinishedState,
  limit: number,
): Promise<RenewalRecord[]> {
  const found = await selectUnfinished.get(state)?.(tx, { campaignId, limit })
  return (found?.rows ?? []).map(toRenewal)
}

export interface OverdueRequest {
  readonly campaignId: string
  /** By connectivity: asked before this instant, and after `since`, it should have answered. */
  readonly askedBefore: ReadonlyMap<string, Instant>
  /** By connectivity: with a certificate issued before this instant, it should have been heard from. */
  readonly issuedBefore: ReadonlyMap<string, Instant>
  /** Epoch ms: nothing from before counts. */
  readonly since: Instant
}

export interface OverdueCounts {
  /** Asked, without a new certificate in time; on the field list included. */
  readonly timedOut: number
  /** With a new certificate that was not used in time; on the field list included. */
  readonly silent: number
}

const wholeCount = sql<number>`cast(count(*) as bigint)`.as('count')

// index: renewals_unfinished, without the rows
const countTriggered = prepared(
  (db, p: { campaignId: string; connectivity: string; since: Instant; before: Instant }) =>
    db
      .selectFrom('renewals')
      .select(wholeCount)
      .where('campaign_id', '=', p.campaignId)
      .where('status', '=', sql.lit('triggered'))
      .where(isUnfinished)
      .where('connectivity', '=', p.connectivity)
      .where('triggered_at', '>=', p.since)
      .where('triggered_at', '<', p.before),
)
const countIssued = prepared(
  (db, p: { campaignId: string; connectivity: string; since: Instant; before: Instant }) =>
    db
      .selectFrom('renewals')
      .select(wholeCount)
      .where('campaign_id', '=', p.campaignId)
      .where('status', '=', sql.lit('issued'))
      .where(isUnfinished)
      .where('connectivity', '=', p.connectivity)
      .where('issued_at', '>=', p.since)
      .where('issued_at', '<', p.before),
)
const countEscalated = prepared((db, p: { campaignId: string; since: Instant }) =>
  db
    .selectFrom('renewals')
    .select([wholeCount, sql<number>`cast(count(issued_at) as bigint)`.as('with_certificate')])
    .where('campaign_id', '=', p.campaignId)
    .where('status', '=', sql.lit('escalated'))
    .where(isUnfinished)
    .where(sql<SqlBool>`coalesce(issued_at, triggered_at, ${p.since}) >= ${p.since}`),
)

/** Counts from an index of the unfinished alone: what has ended costs nothing. */
export async function countOverdue(q: Queries, request: OverdueRequest): Promise<OverdueCounts> {
  const { campaignId, askedBefore, issuedBefore, since } = request
  let timedOut = 0
  let silent = 0
  for (const [connectivity, before] of askedBefore) {
    const { rows } = await countTriggered(q, { campaignId, connectivity, since, before })
    timedOut += rows[0]?.count ?? 0
  }
  for (const [connectivity, before] of issuedBefore) {
    const { rows } = await countIssued(q, { campaignId, connectivity, since, before })
    silent += rows[0]?.count ?? 0
  }
  const escalated = (await countEscalated(q, { campaignId, since })).rows[0]
  const withCertificate = escalated?.with_certificate ?? 0
  return {
    timedOut: timedOut + (escalated?.count ?? 0) - withCertificate,
    silent: silent + withCertificate,
  }
}

/** What devices and enrolment report: `failed`, `rejected`. By target once. */
export type TargetOutcome = 'failed' | 'rejected'

/** `campaign-outcome.<id>.<wave>.<outcome>`. */
export function countOutcome(
  tx: Tx,
  { campaignId, wave }: Pick<RenewalRecord, 'campaignId' | 'wave'>,
  outcome: TargetOutcome,
): void {
  addCounters(tx, { [`campaign-outcome.${campaignId}.${wave}.${outcome}`]: 1 })
}

/** By wave. From the sums, not from the rows. */
export async function outcomesOf(
  q: Queries,
  campaignId: string,
): Promise<ReadonlyMap<number, Readonly<Record<TargetOutcome, number>>>> {
  const prefix = `campaign-outcome.${campaignId}.`
  const waves = new Map<number, Record<TargetOutcome, number>>()
  for (const [name, value] of await readCounters(q, prefix)) {
    const [wave = '', outcome = ''] = name.slice(prefix.length).split('.')
    const counts = waves.get(Number(wave)) ?? { failed: 0, rejected: 0 }
    if (outcome === 'failed' || outcome === 'rejected') counts[outcome] = value
    waves.set(Number(wave), counts)
  }
  return waves
}

const insertFailure = prepared(
  (
    db,
    p: {
      renewalId: number
      deviceId: string
      climb: number
      channel: string
      detail: string
      at: Instant
    },
  ) =>
    db
      .insertInto('renewal_attempts')
      .values({
        renewal_id: p.renewalId,
        device_id: p.deviceId,
        climb: p.climb,
        rung: 0,
        attempt: 0,
        channel: p.channel,
        status: 'failed',
        detail: p.detail,
        at: p.at,
        updated_at: p.at,
      })
      .onConflict((on) => on.columns(['renewal_id', 'climb', 'rung', 'attempt', 'channel']).doNothing()),
)

/**
 * Puts a failure that the device or the enrolment reports beside the attempts of its renewal, where people look for what
 * happened; attempt 0 of rung 0 is none of the ladder's own.
 * @returns false when one was on record already
 */
export async function noteFailure(
  tx: Tx,
  failure: {
    readonly renewal: Pick<RenewalRecord, 'id' | 'deviceId' | 'climb'>
    /** Who reports it. */
    readonly channel: 'device' | 'enrolment'
    readonly detail: string
    readonly at: Instant
  },
): Promise<boolean> {
  const { renewal, channel, detail, at } = failure
  const { numAffectedRows } = await insertFailure(tx, {
    renewalId: renewal.id,
    deviceId: renewal.deviceId,
    climb: renewal.climb,
    channel,
    detail,
    at,
  })
  return numAffectedRows === 1n
}

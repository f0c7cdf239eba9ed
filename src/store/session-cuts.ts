/** Sessions that are to be cut, who has done it, and how far each broker of ours has read. */
import type { Instant } from '../base/clock.ts'
import type { DeviceId, IssuerId } from '../base/id.ts'
import { prepared } from './prepared.ts'
import type { Queries, SessionCutTable, Tx } from './schema.ts'

/** `released`: it may come back. */
export type CutReason = 'revoked' | 'quarantined' | 'expired' | 'released'

export interface SessionCut {
  readonly id: number
  /** One of the two: a device, or everybody whose certificate this issuer has signed. */
  readonly deviceId: DeviceId | null
  readonly issuerId: IssuerId | null
  readonly why: CutReason
  readonly createdAt: Instant
}

const columns = ['id', 'device_id', 'issuer_id', 'why', 'created_at'] as const

function toRecord(row: Omit<SessionCutTable, 'id'> & { id: number }): SessionCut {
  return {
    id: row.id,
    deviceId: row.device_id as DeviceId | null,
    issuerId: row.issuer_id as IssuerId | null,
    why: row.why as CutReason,
    createdAt: row.created_at,
  }
}

const insertNew = prepared((db, p: Omit<SessionCut, 'id'>) =>
  db
    .insertInto('session_cuts')
    .values({ device_id: p.deviceId, issuer_id: p.issuerId, why: p.why, created_at: p.createdAt })
    .returning('id'),
)

/** @returns its number */
export async function insertSessionCut(tx: Tx, cut: Omit<SessionCut, 'id'>): Promise<number> {
  return (await insertNew(tx, cut)).rows[0]?.id as number
}

export async function findSessionCut(q: Queries, id: number): Promise<SessionCut | null> {
  const row = await q.selectFrom('session_cuts').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

// index: primary key of session_cuts
const selectAfter = prepared((db, p: { after: number; limit: number }) =>
  db.selectFrom('session_cuts').select(columns).where('id', '>', p.after).orderBy('id').limit(p.limit),
)

/** In order. A cut whose transaction commits late may have a lower number than one that was seen: read with an overlap. */
export async function sessionCutsAfter(q: Queries, after: number, limit: number): Promise<SessionCut[]> {
  return (await selectAfter(q, { after, limit })).rows.map(toRecord)
}

/** The number of the newest; 0 when there is none. */
export async function lastSessionCut(q: Queries): Promise<number> {
  const row = await q
    .selectFrom('session_cuts')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.id ?? 0
}

/** The newest of a device that took it out, or let it in. Index: session_cuts_device. */
export async function latestCutOf(q: Queries, deviceId: DeviceId): Promise<SessionCut | null> {
  const row = await q
    .selectFrom('session_cuts')
    .select(columns)
    .where('device_id', '=', deviceId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? toRecord(row) : null
}

/** The newest about everybody under an issuer. They are a handful in the life of an installation. */
export async function latestCutUnder(q: Queries, issuerId: IssuerId): Promise<SessionCut | null> {
  const row = await q
    .selectFrom('session_cuts')
    .select(columns)
    .where('issuer_id', '=', issuerId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? toRecord(row) : null
}

export interface CutResult {
  readonly surface: string
  readonly at: Instant
  /** How many were ended; null when the other side does not say. */
  readonly sessions: number | null
}

/** Done again: the first time stays. */
export async function putCutResult(
  tx: Tx,
  cutId: number,
  { surface, at, sessions }: CutResult,
): Promise<void> {
  await tx
    .insertInto('session_cut_results')
    .values({ cut_id: cutId, surface, at, sessions })
    .onConflict((on) => on.columns(['cut_id', 'surface']).doNothing())
    .execute()
}

export async function cutResults(q: Queries, cutId: number): Promise<CutResult[]> {
  const rows = await q
    .selectFrom('session_cut_results')
    .select(['surface', 'at', 'sessions'])
    .where('cut_id', '=', cutId)
    .orderBy('surface')
    .execute()
  return rows.map(({ surface, at, sessions }) => ({ surface, at, sessions }))
}

export interface SessionWatcher {
  readonly name: string
  /** The last cut that it has acted on. */
  readonly cutId: number
  readonly at: Instant
}

export async function putSessionWatcher(tx: Tx, { name, cutId, at }: SessionWatcher): Promise<void> {
  await tx
    .insertInto('session_watchers')
    .values({ name, cut_id: cutId, at })
    .onConflict((on) => on.column('name').doUpdateSet({ cut_id: cutId, at }))
    .execute()
}

/** A handful: one for each process with a broker; those that are gone stop moving. */
export async function sessionWatchers(q: Queries): Promise<SessionWatcher[]> {
  const rows = await q
    .selectFrom('session_watchers')
    .select(['name', 'cut_id', 'at'])
    .orderBy('name')
    .execute()
  return rows.map(({ name, cut_id: cutId, at }) => ({ name, cutId, at }))
}

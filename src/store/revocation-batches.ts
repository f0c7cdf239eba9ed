/** Batches of revocations: what was asked, how far it is. A batch outlives the process that works on it. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { locked, prepared } from './prepared.ts'
import type { Queries, RevocationBatchTable, Tx } from './schema.ts'

export interface RevocationBatch {
  readonly id: number
  /** Canonical JSON. */
  readonly selection: string
  /** A name of RFC 5280 §5.3.1. */
  readonly reason: string
  readonly note: string | null
  readonly actor: string
  readonly status: 'waiting' | 'running' | 'done' | 'cancelled'
  /** The last device that is done; null before the first. */
  readonly position: string | null
  readonly devices: number
  readonly certificates: number
  readonly createdAt: Instant
  readonly startsAt: Instant
  readonly endedAt: Instant | null
}

const columns = [
  'id',
  'selection',
  'reason',
  'note',
  'actor',
  'status',
  'position',
  'devices',
  'certificates',
  'created_at',
  'starts_at',
  'ended_at',
] as const

function toRecord(row: Omit<RevocationBatchTable, 'id'> & { id: number }): RevocationBatch {
  const { created_at: createdAt, starts_at: startsAt, ended_at: endedAt, ...rest } = row
  return { ...rest, status: row.status as RevocationBatch['status'], createdAt, startsAt, endedAt }
}

export type NewRevocationBatch = Pick<
  RevocationBatch,
  'selection' | 'reason' | 'note' | 'actor' | 'createdAt' | 'startsAt'
>

/** @returns its number */
export async function insertRevocationBatch(tx: Tx, batch: NewRevocationBatch): Promise<number> {
  const { id } = await tx
    .insertInto('revocation_batches')
    .values({
      selection: batch.selection,
      reason: batch.reason,
      note: batch.note,
      actor: batch.actor,
      status: 'waiting',
      position: null,
      devices: 0,
      certificates: 0,
      created_at: batch.createdAt,
      starts_at: batch.startsAt,
      ended_at: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function findRevocationBatch(q: Queries, id: number): Promise<RevocationBatch | null> {
  const row = await q.selectFrom('revocation_batches').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** Newest first. */
export async function listRevocationBatches(q: Queries, limit: number): Promise<RevocationBatch[]> {
  const rows = await q
    .selectFrom('revocation_batches')
    .select(columns)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toRecord)
}

// index: revocation_batches_open
const selectDue = prepared((db, p: { now: Instant }) =>
  db
    .selectFrom('revocation_batches')
    .select(columns)
    .where(sql<boolean>`status in ('waiting', 'running')`)
    .where('starts_at', '<=', p.now)
    .orderBy('starts_at')
    .orderBy('id')
    .limit(1),
)

/** The oldest that is due and not at its end. */
export async function findDueRevocationBatch(q: Queries, now: Instant): Promise<RevocationBatch | null> {
  const { rows } = await selectDue(q, { now })
  return rows[0] ? toRecord(rows[0]) : null
}

/** For a step: as it is now, and nobody else can change it before this transaction ends. */
export async function lockRevocationBatch(tx: Tx, id: number): Promise<RevocationBatch | null> {
  const query = tx.selectFrom('revocation_batches').select(columns).where('id', '=', id)
  const row = await locked(tx, query).executeTakeFirst()
  return row ? toRecord(row) : null
}

export type RevocationBatchChange = Partial<
  Pick<RevocationBatch, 'status' | 'position' | 'devices' | 'certificates' | 'endedAt'>
>

export async function updateRevocationBatch(
  tx: Tx,
  id: number,
  { endedAt, ...change }: RevocationBatchChange,
): Promise<void> {
  await tx
    .updateTable('revocation_batches')
    .set({ ...change, ...(endedAt === undefined ? {} : { ended_at: endedAt }) })
    .where('id', '=', id)
    .execute()
}

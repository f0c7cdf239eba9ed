/** States of the sealed log. The row is written with the tree and signed afterwards, outside the transaction. */
import type { Instant } from '../base/clock.ts'
import type { Queries, Tx } from './schema.ts'

export interface CheckpointRecord {
  /** Entries in the log. */
  readonly size: number
  readonly rootHash: Uint8Array
  /** The signed note; null between the tree being durable and its signature. */
  readonly note: string | null
  readonly at: Instant
}

const columns = ['size', 'root_hash', 'note', 'at'] as const

function toRecord(row: {
  size: number
  root_hash: Uint8Array
  note: string | null
  at: number
}): CheckpointRecord {
  return { size: row.size, rootHash: row.root_hash, note: row.note, at: row.at }
}

export async function insertCheckpoint(tx: Tx, checkpoint: Omit<CheckpointRecord, 'note'>): Promise<void> {
  const { size, rootHash, at } = checkpoint
  await tx.insertInto('checkpoints').values({ size, root_hash: rootHash, note: null, at }).execute()
}

/** @returns false when there is no such checkpoint */
export async function setCheckpointNote(tx: Tx, size: number, note: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('checkpoints')
    .set({ note })
    .where('size', '=', size)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function latestCheckpoint(q: Queries): Promise<CheckpointRecord | null> {
  const row = await q
    .selectFrom('checkpoints')
    .select(columns)
    .where('size', '>=', 0)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? toRecord(row) : null
}

/** The latest one that has its signature. */
export async function latestSigned(
  q: Queries,
): Promise<(CheckpointRecord & { readonly note: string }) | null> {
  const row = await q
    .selectFrom('checkpoints')
    .select(columns)
    .where('note', 'is not', null)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.note === undefined || row.note === null ? null : { ...toRecord(row), note: row.note }
}

/** Smallest first. @param after the size of the last one seen */
export async function listCheckpoints(
  q: Queries,
  { after, limit }: { readonly after: number | null; readonly limit: number },
): Promise<CheckpointRecord[]> {
  const rows = await q
    .selectFrom('checkpoints')
    .select(columns)
    .where('size', '>', after ?? -1)
    .orderBy('size')
    .limit(limit)
    .execute()
  return rows.map(toRecord)
}

/** Those of fewer entries than `size`, the largest first. Primary key. */
export async function checkpointsBefore(
  q: Queries,
  size: number,
  limit: number,
): Promise<CheckpointRecord[]> {
  const rows = await q
    .selectFrom('checkpoints')
    .select(columns)
    .where('size', '<', size)
    .orderBy('size', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toRecord)
}

/** For a log that starts anew on what is there. */
export async function deleteCheckpoints(tx: Tx): Promise<void> {
  await tx.deleteFrom('checkpoints').execute()
}

/** Public keys that never get a certificate: known to be compromised, or taken out of service. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { hexToBytes } from './columns.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import { prepared } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'

export interface BlockedKeyRecord {
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  readonly spkiHash: string
  readonly reason: string
  readonly createdAt: Instant
}

const columns = ['spki_hash', 'reason', 'created_at'] as const

function toRecord(row: { spki_hash: Uint8Array; reason: string; created_at: number }): BlockedKeyRecord {
  return { spkiHash: toHex(row.spki_hash), reason: row.reason, createdAt: row.created_at }
}

/** Blocking a blocked key again keeps the first reason. @returns whether it is new */
export async function blockKey(tx: Tx, key: BlockedKeyRecord): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('blocked_keys')
    .values({ spki_hash: hexToBytes(key.spkiHash), reason: key.reason, created_at: key.createdAt })
    .onConflict((on) => on.column('spki_hash').doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

const selectBlocked = prepared((db, p: { spkiHash: Uint8Array }) =>
  db.selectFrom('blocked_keys').select(columns).where('spki_hash', '=', p.spkiHash),
)

export async function findBlockedKey(q: Queries, spkiHash: string): Promise<BlockedKeyRecord | null> {
  const row = (await selectBlocked(q, { spkiHash: hexToBytes(spkiHash) })).rows[0]
  return row ? toRecord(row) : null
}

/** In order of hashes. */
export async function listBlockedKeys(
  q: Queries,
  { after, limit }: PageRequest,
): Promise<Page<BlockedKeyRecord>> {
  assertLimit(limit)
  const rows = await q
    .selectFrom('blocked_keys')
    .select(columns)
    .where('spki_hash', '>', hexToBytes(after ?? ''))
    .orderBy('spki_hash')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, (key) => key.spkiHash)
}

/** @returns false when it was not blocked */
export async function unblockKey(tx: Tx, spkiHash: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('blocked_keys')
    .where('spki_hash', '=', hexToBytes(spkiHash))
    .executeTakeFirst()
  return numDeletedRows === 1n
}

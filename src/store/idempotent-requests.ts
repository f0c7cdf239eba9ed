/** What was answered to requests that carry an Idempotency-Key, so that a repeat gets the same answer. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { hexToBytes } from './columns.ts'
import type { Queries, Tx } from './schema.ts'

export interface IdempotentRequest {
  readonly caller: string
  readonly key: string
  /** SHA-256 of method, path, query and body, hex. */
  readonly requestHash: string
  /** Null while it is at work. */
  readonly status: number | null
  /** JSON object. */
  readonly headers: string | null
  /** Null for an answer that is not kept. */
  readonly body: string | null
  readonly at: Instant
}

/** @returns false when the caller has used the key */
export async function insertIdempotentRequest(
  tx: Tx,
  { caller, key, requestHash, at }: Pick<IdempotentRequest, 'caller' | 'key' | 'requestHash' | 'at'>,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('idempotent_requests')
    .values({
      caller,
      key,
      request_hash: hexToBytes(requestHash),
      status: null,
      headers: null,
      body: null,
      at,
    })
    .onConflict((on) => on.columns(['caller', 'key']).doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

export async function findIdempotentRequest(
  q: Queries,
  { caller, key }: Pick<IdempotentRequest, 'caller' | 'key'>,
): Promise<IdempotentRequest | null> {
  const row = await q
    .selectFrom('idempotent_requests')
    .select(['request_hash', 'status', 'headers', 'body', 'at'])
    .where('caller', '=', caller)
    .where('key', '=', key)
    .executeTakeFirst()
  if (!row) return null
  const { request_hash: hash, ...rest } = row
  return { caller, key, requestHash: toHex(hash), ...rest }
}

export async function updateIdempotentRequest(tx: Tx, request: IdempotentRequest): Promise<void> {
  const { caller, key, status, headers, body, at } = request
  await tx
    .updateTable('idempotent_requests')
    .set({ status, headers, body, at })
    .where('caller', '=', caller)
    .where('key', '=', key)
    .execute()
}

export async function deleteIdempotentRequest(
  tx: Tx,
  { caller, key }: Pick<IdempotentRequest, 'caller' | 'key'>,
): Promise<void> {
  await tx.deleteFrom('idempotent_requests').where('caller', '=', caller).where('key', '=', key).execute()
}

/** Index: idempotent_requests_at. @returns how many there were */
export async function deleteOldRequests(tx: Tx, before: Instant): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('idempotent_requests')
    .where('at', '<', before)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

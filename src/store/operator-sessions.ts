/** Sessions of people in browsers, and API tokens: what a request shows instead of a password. Both are kept as hashes. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { hexToBytes } from './columns.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import { prepared } from './prepared.ts'
import type { ApiTokenTable } from './operator-tables.ts'
import type { Queries, Tx } from './schema.ts'

export interface SessionRecord {
  /** SHA-256 of the session id, hex. */
  readonly hash: string
  readonly operator: string
  readonly createdAt: Instant
  readonly usedAt: Instant
  readonly expiresAt: Instant
  readonly provedAt: Instant
}

export async function insertSession(tx: Tx, session: SessionRecord): Promise<void> {
  await tx
    .insertInto('operator_sessions')
    .values({
      hash: hexToBytes(session.hash),
      operator: session.operator,
      created_at: session.createdAt,
      used_at: session.usedAt,
      expires_at: session.expiresAt,
      proved_at: session.provedAt,
    })
    .execute()
}

const selectSession = prepared((db, p: { hash: Uint8Array }) =>
  db
    .selectFrom('operator_sessions')
    .select(['operator', 'created_at', 'used_at', 'expires_at', 'proved_at'])
    .where('hash', '=', p.hash),
)

export async function findSession(q: Queries, hash: string): Promise<SessionRecord | null> {
  const row = (await selectSession(q, { hash: hexToBytes(hash) })).rows[0]
  if (!row) return null
  return {
    hash,
    operator: row.operator,
    createdAt: row.created_at,
    usedAt: row.used_at,
    expiresAt: row.expires_at,
    provedAt: row.proved_at,
  }
}

const updateUsed = prepared((db, p: { hash: Uint8Array; at: Instant }) =>
  db.updateTable('operator_sessions').set({ used_at: p.at }).where('hash', '=', p.hash),
)

export async function touchSession(tx: Tx, hash: string, at: Instant): Promise<void> {
  await updateUsed(tx, { hash: hexToBytes(hash), at })
}

/** @returns false when there was none */
export async function deleteSession(tx: Tx, hash: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('operator_sessions')
    .where('hash', '=', hexToBytes(hash))
    .executeTakeFirst()
  return numDeletedRows === 1n
}

/** Index: operator_sessions_operator. @returns how many there were */
export async function deleteSessionsOf(tx: Tx, operator: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('operator_sessions')
    .where('operator', '=', operator)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** Index: operator_sessions_expiry. @returns how many there were */
export async function deleteEndedSessions(tx: Tx, now: Instant): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('operator_sessions')
    .where('expires_at', '<=', now)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

export interface TokenRecord {
  readonly id: string
  /** SHA-256 of the token, hex. */
  readonly hash: string
  /** Whose rights it carries, at most. */
  readonly operator: string
  readonly name: string
  /** JSON array. */
  readonly grants: string
  readonly allowsDangerous: boolean
  readonly createdAt: Instant
  readonly createdBy: string
  readonly expiresAt: Instant
  readonly usedAt: Instant | null
  readonly revokedAt: Instant | null
}

const tokenColumns = [
  'id',
  'hash',
  'operator',
  'name',
  'grants',
  'allows_dangerous',
  'created_at',
  'created_by',
  'expires_at',
  'used_at',
  'revoked_at',
] as const

function toToken(row: ApiTokenTable): TokenRecord {
  return {
    id: row.id,
    hash: toHex(row.hash),
    operator: row.operator,
    name: row.name,
    grants: row.grants,
    allowsDangerous: row.allows_dangerous === 1,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
    revokedAt: row.revoked_at,
  }
}

export async function insertToken(tx: Tx, token: TokenRecord): Promise<void> {
  await tx
    .insertInto('api_tokens')
    .values({
      id: token.id,
      hash: hexToBytes(token.hash),
      operator: token.operator,
      name: token.name,
      grants: token.grants,
      allows_dangerous: token.allowsDangerous ? 1 : 0,
      created_at: token.createdAt,
      created_by: token.createdBy,
      expires_at: token.expiresAt,
      used_at: token.usedAt,
      revoked_at: token.revokedAt,
    })
    .execute()
}

const selectToken = prepared((db, p: { hash: Uint8Array }) =>
  db.selectFrom('api_tokens').select(tokenColumns).where('hash', '=', p.hash),
)

/** Index: api_tokens_hash. @param hash SHA-256, hex */
export async function findToken(q: Queries, hash: string): Promise<TokenRecord | null> {
  const row = (await selectToken(q, { hash: hexToBytes(hash) })).rows[0]
  return row ? toToken(row) : null
}

export async function findTokenById(q: Queries, id: string): Promise<TokenRecord | null> {
  const row = await q.selectFrom('api_tokens').select(tokenColumns).where('id', '=', id).executeTakeFirst()
  return row ? toToken(row) : null
}

const updateTokenUsed = prepared((db, p: { id: string; at: Instant }) =>
  db.updateTable('api_tokens').set({ used_at: p.at }).where('id', '=', p.id),
)

export async function touchToken(tx: Tx, id: string, at: Instant): Promise<void> {
  await updateTokenUsed(tx, { id, at })
}

/** @returns false when it was revoked already, or is not there */
export async function markTokenRevoked(tx: Tx, id: string, at: Instant): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('api_tokens')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Index: api_tokens_operator. @returns how many there were */
export async function revokeTokensOf(tx: Tx, operator: string, at: Instant): Promise<number> {
  const { numUpdatedRows } = await tx
    .updateTable('api_tokens')
    .set({ revoked_at: at })
    .where('operator', '=', operator)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** In the order of ids; of one operator, by api_tokens_operator. */
export async function listTokens(
  q: Queries,
  { operator, after, limit }: PageRequest & { readonly operator?: string },
): Promise<Page<TokenRecord>> {
  assertLimit(limit)
  let query = q
    .selectFrom('api_tokens')
    .select(tokenColumns)
    .where('id', '>', after ?? '')
  if (operator !== undefined) query = query.where('operator', '=', operator)
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toToken), limit, ({ id }) => id)
}

/** Accounts of the people and programs that use the platform, and the links on which they set their passwords. */
import type { Instant } from '../base/clock.ts'
import { hexToBytes, hexToBytesOrNull, bytesToHexOrNull } from './columns.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import { locked, prepared } from './prepared.ts'
import type { OperatorTable } from './operator-tables.ts'
import type { Queries, Tx } from './schema.ts'

export type OperatorStatus = 'invited' | 'active' | 'disabled'

export interface OperatorRecord {
  readonly name: string
  readonly status: OperatorStatus
  /** JSON array; engine/operators reads it. */
  readonly grants: string
  /** PHC text of argon2id; null when the account has none. */
  readonly password: string | null
  readonly totpKey: Uint8Array | null
  readonly totpStep: number
  /** `issuer|sub` of an OpenID provider. */
  readonly oidcSubject: string | null
  /** SHA-256 of a client certificate, hex. */
  readonly certificateHash: string | null
  /** Wrong passwords in a row. */
  readonly failures: number
  readonly lockedUntil: Instant | null
  readonly lastLoginAt: Instant | null
  readonly createdAt: Instant
  readonly createdBy: string
}

const columns = [
  'name',
  'status',
  'grants',
  'password',
  'totp_key',
  'totp_step',
  'oidc_subject',
  'certificate_hash',
  'failures',
  'locked_until',
  'last_login_at',
  'created_at',
  'created_by',
] as const

function toRecord(row: OperatorTable): OperatorRecord {
  return {
    name: row.name,
    status: row.status as OperatorStatus,
    grants: row.grants,
    password: row.password,
    totpKey: row.totp_key,
    totpStep: row.totp_step,
    oidcSubject: row.oidc_subject,
    certificateHash: bytesToHexOrNull(row.certificate_hash),
    failures: row.failures,
    lockedUntil: row.locked_until,
    lastLoginAt: row.last_login_at,
    createdAt: row.created_at,
    createdBy: row.created_by,
  }
}

function toRow(operator: OperatorRecord): OperatorTable {
  return {
    name: operator.name,
    status: operator.status,
    grants: operator.grants,
    password: operator.password,
    totp_key: operator.totpKey,
    totp_step: operator.totpStep,
    oidc_subject: operator.oidcSubject,
    certificate_hash: hexToBytesOrNull(operator.certificateHash),
    failures: operator.failures,
    locked_until: operator.lockedUntil,
    last_login_at: operator.lastLoginAt,
    created_at: operator.createdAt,
    created_by: operator.createdBy,
  }
}

/** @returns false when the name is taken */
export async function insertOperator(tx: Tx, operator: OperatorRecord): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('operators')
    .values(toRow(operator))
    .onConflict((on) => on.column('name').doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

const selectOperator = prepared((db, p: { name: string }) =>
  db.selectFrom('operators').select(columns).where('name', '=', p.name),
)

export async function findOperator(q: Queries, name: string): Promise<OperatorRecord | null> {
  const row = (await selectOperator(q, { name })).rows[0]
  return row ? toRecord(row) : null
}

const selectLocked = prepared((db, p: { name: string }) =>
  locked(db, db.selectFrom('operators').select(columns).where('name', '=', p.name)),
)

/** For a change: no other transaction changes it meanwhile. */
export async function lockOperator(tx: Tx, name: string): Promise<OperatorRecord | null> {
  const row = (await selectLocked(tx, { name })).rows[0]
  return row ? toRecord(row) : null
}

/** Index: operators_oidc. */
export async function findOperatorBySubject(q: Queries, subject: string): Promise<OperatorRecord | null> {
  const row = await q
    .selectFrom('operators')
    .select(columns)
    .where('oidc_subject', '=', subject)
    .executeTakeFirst()
  return row ? toRecord(row) : null
}

const selectByCertificate = prepared((db, p: { hash: Uint8Array }) =>
  db.selectFrom('operators').select(columns).where('certificate_hash', '=', p.hash),
)

/** Index: operators_certificate. @param hash SHA-256, hex */
export async function findOperatorByCertificate(q: Queries, hash: string): Promise<OperatorRecord | null> {
  const row = (await selectByCertificate(q, { hash: hexToBytes(hash) })).rows[0]
  return row ? toRecord(row) : null
}

export async function updateOperator(tx: Tx, operator: OperatorRecord): Promise<void> {
  const { name, ...values } = toRow(operator)
  await tx.updateTable('operators').set(values).where('name', '=', name).execute()
}

/** In the order of names. */
export async function listOperators(
  q: Queries,
  { after, limit }: PageRequest,
): Promise<Page<OperatorRecord>> {
  assertLimit(limit)
  const rows = await q
    .selectFrom('operators')
    .select(columns)
    .where('name', '>', after ?? '')
    .orderBy('name')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ name }) => name)
}

export interface OperatorLink {
  /** SHA-256 of its token, hex. */
  readonly hash: string
  /** '' when it makes the first account. */
  readonly operator: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
}

/** A new link makes those before it worthless. */
export async function replaceOperatorLink(tx: Tx, link: OperatorLink): Promise<void> {
  await deleteOperatorLinks(tx, link.operator)
  await tx
    .insertInto('operator_links')
    .values({
      hash: hexToBytes(link.hash),
      operator: link.operator,
      created_at: link.createdAt,
      expires_at: link.expiresAt,
    })
    .execute()
}

export async function findOperatorLink(q: Queries, hash: string): Promise<OperatorLink | null> {
  const row = await q
    .selectFrom('operator_links')
    .select(['operator', 'created_at', 'expires_at'])
    .where('hash', '=', hexToBytes(hash))
    .executeTakeFirst()
  return row ? { hash, operator: row.operator, createdAt: row.created_at, expiresAt: row.expires_at } : null
}

/** @returns false when it was used meanwhile */
export async function deleteOperatorLink(tx: Tx, hash: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('operator_links')
    .where('hash', '=', hexToBytes(hash))
    .executeTakeFirst()
  return numDeletedRows === 1n
}

/** Index: operator_links_operator. */
export async function deleteOperatorLinks(tx: Tx, operator: string): Promise<void> {
  await tx.deleteFrom('operator_links').where('operator', '=', operator).execute()
}

/** What is revoked: the marks by which publishers see that something has changed, and the entries of CRLs. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, IssuerId, SerialNumber } from '../base/id.ts'
import type { CertificateRecord } from './certificate-record.ts'
import { setStatus } from './certificates.ts'
import { hexToBytes } from './columns.ts'
import { prepared } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'

export interface Revocation {
  /** A name of RFC 5280 §5.3.1. */
  readonly reason: string
  readonly revokedAt: Instant
}

/**
 * Revokes those that can be: a reservation has no certificate, and what is revoked stays as it was revoked, unless that was a
 * hold. Their shards
 * are marked in the same transaction, in one order, so that two writers cannot wait for each other in a circle.
 * @returns those that are revoked now and were not before
 */
export async function revokeCertificates<Row extends Pick<CertificateRecord, 'id' | 'issuerId' | 'crlShard'>>(
  tx: Tx,
  certificates: readonly Row[],
  { reason, revokedAt }: Revocation,
): Promise<Row[]> {
  const done: Row[] = []
  for (const row of certificates) {
    const isDone =
      (await setStatus(tx, row.id, { status: 'revoked', reason, revokedAt })) ||
      (await endHold(tx, row.id, { reason, revokedAt }))
    if (isDone) done.push(row)
  }
  await markShards(tx, done)
  return done
}

const updateHeld = prepared((db, p: { id: number; reason: string; at: Instant }) =>
  db
    .updateTable('certificates')
    .set({ reason: p.reason, revoked_at: p.at })
    .where('id', '=', p.id)
    .where('status', '=', sql.lit('revoked'))
    .where('reason', '=', sql.lit('certificateHold')),
)

/** A hold becomes a revocation that stays (RFC 5280 §5.3.1). */
async function endHold(tx: Tx, id: CertificateId, { reason, revokedAt }: Revocation): Promise<boolean> {
  if (reason === 'certificateHold') return false
  const { numAffectedRows } = await updateHeld(tx, { id, reason, at: revokedAt })
  return numAffectedRows === 1n
}

/** What publishers look at. */
export async function markShards(
  tx: Tx,
  certificates: readonly Pick<CertificateRecord, 'issuerId' | 'crlShard'>[],
): Promise<void> {
  const shards = new Map(certificates.map((row) => [`${row.issuerId} ${row.crlShard}`, row]))
  for (const [, { issuerId, crlShard }] of [...shards].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await markShard(tx, { issuerId, shard: crlShard })
  }
}

const markShard = prepared((db, p: { issuerId: string; shard: number }) =>
  db
    .insertInto('revoked_shards')
    .values({ issuer_id: p.issuerId, shard: p.shard, revision: 1 })
    .onConflict((on) =>
      on.columns(['issuer_id', 'shard']).doUpdateSet({ revision: sql`revoked_shards.revision + 1` }),
    ),
)

/** How often each shard of the issuer has changed; shards without a revocation are missing. */
export async function shardRevisions(q: Queries, issuerId: IssuerId): Promise<Map<number, number>> {
  const rows = await q
    .selectFrom('revoked_shards')
    .select(['shard', 'revision'])
    .where('issuer_id', '=', issuerId)
    .orderBy('shard')
    .execute()
  return new Map(rows.map(({ shard, revision }) => [shard, revision]))
}

const selectRevision = prepared((db, p: { issuerId: string }) =>
  db
    .selectFrom('revoked_shards')
    .select(sql<number>`cast(coalesce(sum(revision), 0) as bigint)`.as('revision'))
    .where('issuer_id', '=', p.issuerId),
)

/** The sum of them: grows with every change. */
export async function issuerRevision(q: Queries, issuerId: IssuerId): Promise<number> {
  return (await selectRevision(q, { issuerId })).rows[0]?.revision ?? 0
}

/** A line of a CRL. */
export interface RevokedRow {
  readonly id: CertificateId
  readonly serial_number: Uint8Array
  readonly revoked_at: Instant
  readonly reason: string | null
}

export interface RevokedRequest {
  readonly issuerId: IssuerId
  readonly shard: number
  /** Certificates that ended before this instant are left out. */
  readonly notAfterFrom: Instant
  /** Only what was revoked then or later; default: all. */
  readonly revokedFrom?: Instant
}

interface RevokedPage {
  issuerId: string
  shard: number
  notAfterFrom: Instant
  revokedAt: Instant
  id: number
  limit: number
}

const pageRows = 5_000

// index: certificates_revoked, which holds every column
const selectLater = prepared((db, p: Omit<RevokedPage, 'id'>) =>
  revokedRows(db, p).where('revoked_at', '>', p.revokedAt).orderBy('revoked_at').orderBy('id').limit(p.limit),
)
const selectSameInstant = prepared((db, p: RevokedPage) =>
  revokedRows(db, p)
    .where('revoked_at', '=', p.revokedAt)
    .where('id', '>', p.id)
    .orderBy('id')
    .limit(p.limit),
)

function revokedRows(db: Queries, p: Pick<RevokedPage, 'issuerId' | 'shard' | 'notAfterFrom'>) {
  return db
    .selectFrom('certificates')
    .select(['id', 'serial_number', 'revoked_at', 'reason'])
    .$castTo<RevokedRow>()
    .where('issuer_id', '=', p.issuerId)
    .where('crl_shard', '=', p.shard)
    .where('status', '=', sql.lit('revoked'))
    .where('not_after', '>=', p.notAfterFrom)
}

/**
 * The entries of one shard in order of their revocation, page by page. What is revoked while it is read may be missing: its
 * mark is then newer than the one read before.
 */
export async function* revokedEntries(
  q: Queries,
  { issuerId, shard, notAfterFrom, revokedFrom = 0 }: RevokedRequest,
): AsyncGenerator<readonly RevokedRow[]> {
  const scope = { issuerId, shard, notAfterFrom }
  let at = { revokedAt: revokedFrom - 1, id: Number.MAX_SAFE_INTEGER }
  for (;;) {
    // SQLite seeks in the index by the first column of a pair only, so a page begins with the rest of its first instant
    const same =
      at.id === Number.MAX_SAFE_INTEGER
        ? []
        : (await selectSameInstant(q, { ...scope, ...at, limit: pageRows })).rows
    const limit = pageRows - same.length
    const later = limit === 0 ? [] : (await selectLater(q, { ...scope, revokedAt: at.revokedAt, limit })).rows
    if (same.length > 0) yield same
    if (later.length > 0) yield later
    const last = later.at(-1) ?? same.at(-1)
    if (!last || same.length + later.length < pageRows) return
    at = { revokedAt: last.revoked_at, id: last.id }
  }
}

interface SerialPage {
  readonly issuerId: string
  readonly notAfterFrom: Instant
  readonly after: number
  readonly limit: number
}

// index: the primary key: every certificate is looked at, once for each set that is made
const selectSerials = prepared((db, p: SerialPage) =>
  db
    .selectFrom('certificates')
    .select(['id', 'serial_number', 'status'])
    .where('id', '>', p.after)
    .where('issuer_id', '=', p.issuerId)
    .where('not_after', '>=', p.notAfterFrom)
    .where(sql<boolean>`status in ('issued', 'confirmed', 'superseded', 'revoked')`)
    .orderBy('id')
    .limit(p.limit),
)

/** Every certificate that the issuer has handed out and that has not ended, page by page. */
export async function* issuedSerials(
  q: Queries,
  { issuerId, notAfterFrom }: Pick<SerialPage, 'notAfterFrom'> & { readonly issuerId: IssuerId },
): AsyncGenerator<readonly { readonly serial_number: Uint8Array; readonly status: string }[]> {
  for (let after = 0; ;) {
    const { rows } = await selectSerials(q, { issuerId, notAfterFrom, after, limit: pageRows })
    const last = rows.at(-1)
    if (!last) return
    yield rows
    if (rows.length < pageRows) return
    after = last.id
  }
}

/** What a verifier is told about a certificate. */
export interface CertificateStanding {
  readonly status: string
  readonly reason: string | null
  readonly revokedAt: Instant | null
}

// index: certificates_serial
const selectStanding = prepared((db, p: { issuerId: string; serialNumber: Uint8Array }) =>
  db
    .selectFrom('certificates')
    .select(['status', 'reason', 'revoked_at'])
    .where('serial_number', '=', p.serialNumber)
    .where('issuer_id', '=', p.issuerId),
)

/** Null for a serial number that this issuer has never used. */
export async function findStanding(
  q: Queries,
  issuerId: IssuerId,
  serialNumber: SerialNumber,
): Promise<CertificateStanding | null> {
  const row = (await selectStanding(q, { issuerId, serialNumber: hexToBytes(serialNumber) })).rows[0]
  return row ? { status: row.status, reason: row.reason, revokedAt: row.revoked_at } : null
}

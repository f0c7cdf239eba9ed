/** Published CRLs. The newest few of each scope keep their bytes; the audit log remembers every one. */
import { sql } from 'kysely'
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { IssuerId } from '../base/id.ts'
import { hexToBytes } from './columns.ts'
import { prepared } from './prepared.ts'
import type { CrlTable, Queries, Tx } from './schema.ts'

export type CrlKind = 'complete' | 'delta' | 'shard'

export interface CrlScope {
  readonly issuerId: IssuerId
  readonly kind: CrlKind
  /** 0 but for a shard. */
  readonly shard: number
}

export interface CrlRecord extends CrlScope {
  readonly id: number
  readonly number: number
  /** Of a delta CRL: the complete one that it completes. */
  readonly baseNumber: number | null
  /** Which changes it covers: compare with `shardRevisions`. */
  readonly revision: number
  readonly thisUpdate: Instant
  readonly nextUpdate: Instant
  readonly entries: number
  /** Bytes. */
  readonly size: number
  /** Hex. */
  readonly sha256: string
}

const columns = [
  'id',
  'issuer_id',
  'kind',
  'shard',
  'number',
  'base_number',
  'revision',
  'this_update',
  'next_update',
  'entries',
  'size',
  'sha256',
] as const

function toRecord(row: Omit<CrlTable, 'id'> & { id: number }): CrlRecord {
  return {
    id: row.id,
    issuerId: row.issuer_id as IssuerId,
    kind: row.kind as CrlKind,
    shard: row.shard,
    number: row.number,
    baseNumber: row.base_number,
    revision: row.revision,
    thisUpdate: row.this_update,
    nextUpdate: row.next_update,
    entries: row.entries,
    size: row.size,
    sha256: toHex(row.sha256),
  }
}

// index: crls_scope
const selectLatest = prepared((db, p: { issuerId: string; kind: string; shard: number }) =>
  db
    .selectFrom('crls')
    .select(columns)
    .where('issuer_id', '=', p.issuerId)
    .where('kind', '=', p.kind)
    .where('shard', '=', p.shard)
    .orderBy('number', 'desc')
    .limit(1),
)

export async function findLatestCrl(q: Queries, scope: CrlScope): Promise<CrlRecord | null> {
  const { rows } = await selectLatest(q, scope)
  return rows[0] ? toRecord(rows[0]) : null
}

// index: crls_number
const selectNumber = prepared((db, p: { issuerId: string; number: number }) =>
  db.selectFrom('crls').select(columns).where('issuer_id', '=', p.issuerId).where('number', '=', p.number),
)

export async function findCrl(q: Queries, issuerId: IssuerId, number: number): Promise<CrlRecord | null> {
  const { rows } = await selectNumber(q, { issuerId, number })
  return rows[0] ? toRecord(rows[0]) : null
}

/** Every CRL that is on record, of one issuer or of all: by issuer, kind and shard, newest first. */
export async function listCrls(q: Queries, issuerId?: IssuerId): Promise<CrlRecord[]> {
  let query = q.selectFrom('crls').select(columns)
  if (issuerId !== undefined) query = query.where('issuer_id', '=', issuerId)
  const rows = await query
    .orderBy('issuer_id')
    .orderBy('kind')
    .orderBy('shard')
    .orderBy('number', 'desc')
    .execute()
  return rows.map(toRecord)
}

// index: crls_number
const selectLast = prepared((db, p: { issuerId: string }) =>
  db
    .selectFrom('crls')
    .select(sql<number | null>`max(number)`.as('number'))
    .where('issuer_id', '=', p.issuerId),
)

/** The highest number that a CRL of this issuer has; 0 when there is none. */
export async function lastCrlNumber(q: Queries, issuerId: IssuerId): Promise<number> {
  return (await selectLast(q, { issuerId })).rows[0]?.number ?? 0
}

/** CRLs of one scope that keep their bytes, the newest included; their records stay longer, as bases of delta CRLs. */
export const keptCrls = 4
const keptRecords = 1_000

/**
 * Puts a CRL in the place of the one before it, all of it or nothing. A number that is taken is a broken invariant of the
 * caller and fails at the unique index.
 */
export async function insertCrl(
  tx: Tx,
  crl: Omit<CrlRecord, 'id'>,
  parts: readonly Uint8Array[],
): Promise<void> {
  const { id } = await tx
    .insertInto('crls')
    .values({
      issuer_id: crl.issuerId,
      kind: crl.kind,
      shard: crl.shard,
      number: crl.number,
      base_number: crl.baseNumber,
      revision: crl.revision,
      this_update: crl.thisUpdate,
      next_update: crl.nextUpdate,
      entries: crl.entries,
      size: crl.size,
      sha256: hexToBytes(crl.sha256),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  for (const [part, bytes] of parts.entries()) await insertPart(tx, { id, part, bytes })
  await dropOld(tx, crl)
}

const insertPart = prepared((db, p: { id: number; part: number; bytes: Uint8Array }) =>
  db.insertInto('crl_parts').values({ crl_id: p.id, part: p.part, bytes: p.bytes }),
)

// index: crls_scope
const selectOld = prepared((db, p: { issuerId: string; kind: string; shard: number; from: number }) =>
  db
    .selectFrom('crls')
    .select('id')
    .where('issuer_id', '=', p.issuerId)
    .where('kind', '=', p.kind)
    .where('shard', '=', p.shard)
    .orderBy('number', 'desc')
    .limit(1)
    .offset(p.from),
)
const deleteParts = prepared((db, p: { id: number }) => db.deleteFrom('crl_parts').where('crl_id', '=', p.id))
const deleteCrl = prepared((db, p: { id: number }) => db.deleteFrom('crls').where('id', '=', p.id))

/** Each CRL that comes makes one more of its scope old. */
async function dropOld(tx: Tx, { issuerId, kind, shard }: CrlScope): Promise<void> {
  const old = await selectOld(tx, { issuerId, kind, shard, from: keptCrls })
  for (const { id } of old.rows) await deleteParts(tx, { id })
  const older = await selectOld(tx, { issuerId, kind, shard, from: keptRecords })
  for (const { id } of older.rows) await deleteCrl(tx, { id })
}

// index: primary key of crl_parts
const selectParts = prepared((db, p: { id: number }) =>
  db.selectFrom('crl_parts').select('bytes').where('crl_id', '=', p.id).orderBy('part'),
)

/** DER in pieces; none when newer ones have taken its place. */
export async function readCrlParts(q: Queries, id: number): Promise<Uint8Array[]> {
  return (await selectParts(q, { id })).rows.map(({ bytes }) => bytes)
}

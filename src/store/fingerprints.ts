/** Certificates by SHA-256 of their DER: a narrow table of hash prefixes, written behind the issuing path. */
import { sha256 } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { CertificateId } from '../base/id.ts'
import {
  certificateColumns,
  toCertificateRecord,
  type CertificateRecord,
  type CertificateRow,
} from './certificate-record.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Queries, Schema, Tx } from './schema.ts'

/** The first 48 bits of a hash, which a double holds exactly. */
export function fingerprintPrefix(hash: Uint8Array): number {
  return Buffer.from(hash.buffer, hash.byteOffset, 6).readUIntBE(0, 6)
}

// primary key: the rows behind the cursor
const selectAfter = prepared((db, p: { after: number; limit: number }) =>
  db
    .selectFrom('certificates')
    .select(['id', 'status', 'created_at', 'der'])
    .where('id', '>', p.after)
    .orderBy('id')
    .limit(p.limit),
)

const insertRows = preparedRows<Schema['certificate_fingerprints'], never>((db, rows) =>
  db
    .insertInto('certificate_fingerprints')
    .values(rows.map((row) => ({ prefix: row.prefix, certificate_id: row.certificate_id })))
    .onConflict((on) => on.doNothing()),
)

export interface Indexed {
  /** The last row number that was looked at. */
  readonly seen: number
  /** The last one before the first reservation, whose bytes are still to come; `seen` when there is none. */
  readonly complete: number
  /** The last row number up to which nothing can be missing any more. */
  readonly done: number
  /** Rows that were looked at. */
  readonly count: number
}

/**
 * Enters the certificates with row numbers above `after`, however often. Rows made after `settledBefore` and reservations
 * are not `done`: a row with a smaller number may still be on its way to its commit, and a reservation to its bytes.
 */
export async function indexFingerprints(
  tx: Tx,
  {
    after,
    limit,
    settledBefore,
  }: { readonly after: number; readonly limit: number; readonly settledBefore: Instant },
): Promise<Indexed> {
  const { rows } = await selectAfter(tx, { after, limit })
  await insertRows(tx, fingerprintRows(rows))
  const lastBefore = (isOpen: (row: (typeof rows)[number]) => boolean) => {
    const open = rows.findIndex(isOpen)
    return (open === -1 ? rows : rows.slice(0, open)).at(-1)?.id ?? after
  }
  return {
    seen: rows.at(-1)?.id ?? after,
    complete: lastBefore(({ status }) => status === 'reserved'),
    done: lastBefore(({ status, created_at }) => status === 'reserved' || created_at >= settledBefore),
    count: rows.length,
  }
}

function fingerprintRows(
  certificates: readonly { readonly id: number; readonly der: Uint8Array | null }[],
): Schema['certificate_fingerprints'][] {
  return certificates.flatMap(({ id, der }) =>
    der === null ? [] : [{ prefix: fingerprintPrefix(sha256(der)), certificate_id: id }],
  )
}

const selectByPrefix = preparedRows<{ prefix: number }, CertificateRow>((db, rows) =>
  db
    .selectFrom('certificate_fingerprints')
    .innerJoin('certificates', 'certificates.id', 'certificate_fingerprints.certificate_id')
    .select(certificateColumns)
    .where(
      'certificate_fingerprints.prefix',
      'in',
      rows.map(({ prefix }) => prefix),
    ),
)

/** Certificates whose hash begins with one of the prefixes; the caller compares the whole hash. */
export async function findByFingerprints(
  q: Queries,
  prefixes: readonly number[],
): Promise<CertificateRecord[]> {
  const results = await selectByPrefix(
    q,
    prefixes.map((prefix) => ({ prefix })),
  )
  return results.flatMap(({ rows }) => rows.map(toCertificateRecord))
}

// index: certificates_serial
const selectBySerials = preparedRows<{ serial: Uint8Array }, CertificateRow>((db, rows) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where(
      'serial_number',
      'in',
      rows.map(({ serial }) => serial),
    ),
)

/** Certificates of any issuer with one of the serial numbers, as bytes. */
export async function findBySerials(
  q: Queries,
  serials: readonly Uint8Array[],
): Promise<CertificateRecord[]> {
  const results = await selectBySerials(
    q,
    serials.map((serial) => ({ serial })),
  )
  return results.flatMap(({ rows }) => rows.map(toCertificateRecord))
}

const removeRows = preparedRows<{ prefix: number; certificate_id: number }, never>((db, rows) =>
  db
    .deleteFrom('certificate_fingerprints')
    .where((where) =>
      where.or(
        rows.map((row) =>
          where.and([where('prefix', '=', row.prefix), where('certificate_id', '=', row.certificate_id)]),
        ),
      ),
    ),
)

/** For certificates that leave the inventory. */
export async function forgetFingerprints(
  tx: Tx,
  certificates: readonly { readonly id: CertificateId; readonly der: Uint8Array | null }[],
): Promise<void> {
  await removeRows(tx, fingerprintRows(certificates))
}

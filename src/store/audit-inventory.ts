/** What the check of the audit log reads besides the log: waiting facts, certificates and the facts of their origin. */
import { sql } from 'kysely'
import { sha256Hex, toHex } from '../base/bytes.ts'
import type { IssuerId, SerialNumber } from '../base/id.ts'
import type { CertificateStatus } from './certificate-record.ts'
import { hexToBytes } from './columns.ts'
import type { FactRecord } from './facts.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { CertificateTable, Queries } from './schema.ts'

/** A certificate as far as the audit log has something to say about it. */
export interface AuditedCertificate {
  readonly id: number
  readonly issuerId: IssuerId
  readonly serialNumber: SerialNumber
  readonly status: CertificateStatus
  /** SHA-256 of the DER, hex; null when the row has none. */
  readonly sha256: string | null
}

export interface OriginFact {
  readonly subject: string
  readonly logIndex: number | null
  readonly entry: Uint8Array
}

type Row = Pick<CertificateTable, 'issuer_id' | 'serial_number' | 'status' | 'der'> & { readonly id: number }

const columns = ['id', 'issuer_id', 'serial_number', 'status', 'der'] as const

// index: the primary key
const selectPage = prepared((db, p: { afterId: number; limit: number }) =>
  db.selectFrom('certificates').select(columns).where('id', '>', p.afterId).orderBy('id').limit(p.limit),
)

// index: certificates_serial
const selectBySerials = preparedRows<{ serial: Uint8Array }, Row>((db, rows) =>
  db
    .selectFrom('certificates')
    .select(columns)
    .where(
      'serial_number',
      'in',
      rows.map((row) => row.serial),
    ),
)

// index: facts_subject
const selectOrigins = preparedRows<
  { subject: string },
  { subject: string; log_index: number | null; entry: Uint8Array }
>((db, rows) =>
  db
    .selectFrom('facts')
    .select(['subject', 'log_index', 'entry'])
    .where(
      'subject',
      'in',
      rows.map((row) => row.subject),
    )
    .where('action', 'in', [sql.lit('certificate.issued'), sql.lit('certificate.imported')]),
)

// index: facts_unsealed
const selectUnsealed = prepared((db, p: { afterId: number; limit: number }) =>
  db
    .selectFrom('facts')
    .select(['id', 'at', 'action', 'subject', 'entry'])
    .where('log_index', 'is', null)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

/** Facts that wait to be sealed, in order of their row numbers. */
export async function waitingFacts(
  q: Queries,
  { afterId, limit }: { readonly afterId: number; readonly limit: number },
): Promise<FactRecord[]> {
  return (await selectUnsealed(q, { afterId, limit })).rows.map((row) =>
    Object.assign(row, { logIndex: null }),
  )
}

/** Certificates of any status in order of their row numbers. */
export async function auditedCertificates(
  q: Queries,
  { afterId, limit }: { readonly afterId: number; readonly limit: number },
): Promise<AuditedCertificate[]> {
  return (await selectPage(q, { afterId, limit })).rows.map(toAudited)
}

/** Certificates with these serial numbers, of every issuer that used one of them. */
export async function auditedBySerials(
  q: Queries,
  serialNumbers: readonly SerialNumber[],
): Promise<AuditedCertificate[]> {
  const results = await selectBySerials(
    q,
    serialNumbers.map((serial) => ({ serial: hexToBytes(serial) })),
  )
  return results.flatMap(({ rows }) => rows.map(toAudited))
}

/** The facts that say how these certificates came to be, sealed or not. */
export async function originFacts(q: Queries, subjects: readonly string[]): Promise<OriginFact[]> {
  const results = await selectOrigins(
    q,
    subjects.map((subject) => ({ subject })),
  )
  return results.flatMap(({ rows }) =>
    rows.map((row) => ({ subject: row.subject, logIndex: row.log_index, entry: row.entry })),
  )
}

function toAudited(row: Row): AuditedCertificate {
  return {
    id: row.id,
    issuerId: row.issuer_id as IssuerId,
    serialNumber: toHex(row.serial_number) as SerialNumber,
    status: row.status as CertificateStatus,
    sha256: row.der === null ? null : sha256Hex(row.der),
  }
}

// index: facts_subject
const selectForgotten = preparedRows<{ subject: string }, { subject: string }>((db, rows) =>
  db
    .selectFrom('facts')
    .select('subject')
    .where(
      'subject',
      'in',
      rows.map((row) => row.subject),
    )
    .where('action', '=', sql.lit('certificate.forgotten')),
)

/** Which of these certificates were deleted on record. */
export async function forgottenSubjects(q: Queries, wanted: readonly string[]): Promise<Set<string>> {
  const results = await selectForgotten(
    q,
    wanted.map((subject) => ({ subject })),
  )
  return new Set(results.flatMap(({ rows }) => rows.map(({ subject }) => subject)))
}

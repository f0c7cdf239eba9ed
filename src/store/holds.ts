/** Certificates on hold: the one kind of revocation that can be taken back (RFC 5280 §5.3.1, certificateHold). */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, IssuerId } from '../base/id.ts'
import type { CertificateRecord } from './certificate-record.ts'
import { expiryKey } from './certificates.ts'
import { hexToBytes } from './columns.ts'
import { prepared } from './prepared.ts'
import { markShards } from './revocations.ts'
import type { Queries, Tx } from './schema.ts'
import { unitEndOf } from './unit-end.ts'

export const hold = 'certificateHold'

export function isHeld({ status, reason }: Pick<CertificateRecord, 'status' | 'reason'>): boolean {
  return status === 'revoked' && reason === hold
}

const updateReleased = prepared((db, p: { id: number }) =>
  db
    .updateTable('certificates')
    .set({
      // what it was before: only certificates in use are put on hold
      status: sql`case when confirmed_at is null then 'issued' else 'confirmed' end`,
      reason: null,
      revoked_at: null,
    })
    .where('id', '=', p.id)
    .where('status', '=', sql.lit('revoked'))
    .where('reason', '=', sql.lit(hold)),
)

/** Makes them what they were. @returns those that were on hold */
export async function releaseHolds(
  tx: Tx,
  certificates: readonly CertificateRecord[],
  releasedAt: Instant,
): Promise<CertificateRecord[]> {
  const released: CertificateRecord[] = []
  const end = unitEndOf(tx)
  for (const row of certificates) {
    const { numAffectedRows } = await updateReleased(tx, { id: row.id })
    if (numAffectedRows !== 1n) continue
    released.push(row)
    end.add('certificates.revoked', -1)
    end.add(`certificates.${row.confirmedAt === null ? 'issued' : 'confirmed'}`, 1)
    const { notAfter: not_after, issuerId: issuer_id, profile, cohort } = row
    end.addExpiry(expiryKey({ not_after, issuer_id, profile, cohort }), 1)
    await tx
      .insertInto('released_certificates')
      .values({
        certificate_id: row.id,
        issuer_id: row.issuerId,
        crl_shard: row.crlShard,
        serial_number: hexToBytes(row.serialNumber),
        not_after: row.notAfter,
        released_at: releasedAt,
      })
      .execute()
  }
  await markShards(tx, released)
  return released
}

export interface ReleasedRow {
  readonly certificateId: CertificateId
  readonly serialNumber: Uint8Array
  readonly releasedAt: Instant
}

/** Released then or later, and not revoked again since; each once. Index: released_certificates_issuer. */
export async function releasedSince(
  q: Queries,
  { issuerId, from }: { readonly issuerId: IssuerId; readonly from: Instant },
): Promise<ReleasedRow[]> {
  const rows = await q
    .selectFrom('released_certificates as r')
    .innerJoin('certificates as c', 'c.id', 'r.certificate_id')
    .select(['r.certificate_id', 'r.serial_number', 'r.released_at'])
    .where('r.issuer_id', '=', issuerId)
    .where('r.released_at', '>=', from)
    .where('c.status', '<>', 'revoked')
    .orderBy('r.released_at')
    .orderBy('r.id')
    .execute()
  const newest = new Map(rows.map((row) => [row.certificate_id, row]))
  return [...newest.values()].map((row) => ({
    certificateId: row.certificate_id as CertificateId,
    serialNumber: row.serial_number,
    releasedAt: row.released_at,
  }))
}

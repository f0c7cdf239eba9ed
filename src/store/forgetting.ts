/** Certificates leave the inventory long after their end. What is known of them afterwards stands in the audit log. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId } from '../base/id.ts'
import {
  certificateColumns,
  toCertificateRecord,
  type CertificateRecord,
  type CertificateRow,
} from './certificate-record.ts'
import { isLive } from './certificates.ts'
import { forgetFingerprints } from './fingerprints.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Db, Tx } from './schema.ts'
import { unitEndOf } from './unit-end.ts'

export interface ForgetRequest {
  /** Those that ended before this instant … */
  readonly before: Instant
  /** … and after these: where the last page stopped. */
  readonly after: { readonly notAfter: Instant; readonly id: number }
  /** Live ones (issued, confirmed), or those that are not. */
  readonly isLive: boolean
  readonly limit: number
}

interface Bounds {
  readonly notAfter: Instant
  readonly id: number
  readonly before: Instant
  readonly limit: number
}

function endedBefore(db: Db, p: Bounds) {
  return (
    db
      .selectFrom('certificates')
      .select(certificateColumns)
      .where('not_after', '>=', p.notAfter)
      .where(sql<boolean>`(not_after > ${p.notAfter} or id > ${p.id})`)
      .where('not_after', '<', p.before)
      .where('device_id', 'is not', null)
      // a renewal that is open still has something to say about it
      .where(
        sql<boolean>`not exists (select 1 from renewals where renewals.device_id = certificates.device_id
          and renewals.slot = certificates.slot
          and renewals.status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated'))`,
      )
      .orderBy('not_after')
      .orderBy('id')
      .limit(p.limit)
  )
}

// index: certificates_ended, then renewals_open
const selectEnded = prepared<Bounds, CertificateRow>((db, p) =>
  endedBefore(db, p).where(sql<boolean>`status in ('superseded', 'revoked', 'abandoned')`),
)
// index: certificates_expiry, then renewals_open
const selectLive = prepared<Bounds, CertificateRow>((db, p) => endedBefore(db, p).where(isLive))

/** The longest ended first. */
export async function forgettable(tx: Tx, request: ForgetRequest): Promise<CertificateRecord[]> {
  const { before, after, limit } = request
  const select = request.isLive ? selectLive : selectEnded
  return (await select(tx, { ...after, before, limit })).rows.map(toCertificateRecord)
}

interface Id {
  readonly id: CertificateId
}

function idsOf(rows: readonly Id[]): CertificateId[] {
  return rows.map(({ id }) => id)
}

// Their claims go first, or a successor with the same key could not take the place without a predecessor.
const releaseKeys = preparedRows<Id, never>((db, rows) =>
  db.updateTable('certificates').set({ holds_key: 0 }).where('id', 'in', idsOf(rows)),
)
// index: certificates_predecessor, then certificates_key
const cutSuccessors = preparedRows<Id, never>((db, rows) =>
  db
    .updateTable('certificates')
    .set({ predecessor_id: null })
    .where('predecessor_id', 'in', idsOf(rows))
    // Another with the same key stands there already: this one stays, and what it replaced with it.
    .where(
      sql<boolean>`not exists (select 1 from certificates as other
        where other.spki_hash = certificates.spki_hash and other.device_id = certificates.device_id
          and other.slot = certificates.slot and coalesce(other.predecessor_id, 0) = 0 and other.holds_key = 1
          and other.id <> certificates.id)`,
    ),
)
// index: the primary key, certificates_predecessor
const deleteRows = preparedRows<Id, { id: number }>((db, rows) =>
  db
    .deleteFrom('certificates')
    .where('id', 'in', idsOf(rows))
    .where(
      sql<boolean>`not exists (select 1 from certificates as successor where successor.predecessor_id = certificates.id)`,
    )
    .returning('id'),
)
const deleteSeen = preparedRows<Id, never>((db, rows) =>
  db.deleteFrom('certificate_last_seen').where('certificate_id', 'in', idsOf(rows)),
)
const deleteRetirements = preparedRows<Id, never>((db, rows) =>
  db.deleteFrom('retirements').where('certificate_id', 'in', idsOf(rows)),
)
const cutDevices = preparedRows<{ id: CertificateId; deviceId: string | null }, never>((db, rows) =>
  db
    .updateTable('device_last_seen')
    .set({ certificate_id: null })
    .where(
      'device_id',
      'in',
      rows.map(({ deviceId }) => deviceId as string),
    )
    .where('certificate_id', 'in', idsOf(rows)),
)

/** Deletes them with everything that hangs on them. @returns those that are gone */
export async function deleteCertificates(
  tx: Tx,
  certificates: readonly CertificateRecord[],
): Promise<CertificateRecord[]> {
  await releaseKeys(tx, certificates)
  await cutSuccessors(tx, certificates)
  const deleted = new Set(
    (await deleteRows(tx, certificates)).flatMap(({ rows }) => rows.map(({ id }) => id)),
  )
  const gone = certificates.filter(({ id }) => deleted.has(id))
  await deleteSeen(tx, gone)
  await deleteRetirements(tx, gone)
  await cutDevices(tx, gone)
  await forgetFingerprints(tx, gone)
  const end = unitEndOf(tx)
  for (const { status, notAfter, issuerId, profile, cohort } of gone) {
    end.add(`certificates.${status}`, -1)
    if (status === 'issued' || status === 'confirmed')
      end.addExpiry({ notAfter, issuerId, profile, cohort }, -1)
  }
  return gone
}

/** The life of a certificate: `reserved → issued → confirmed → superseded`, or `revoked`, or `abandoned`. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import {
  certificateColumns,
  toCertificateRecord,
  toCertificateRow,
  type CertificateRecord,
  type CertificateStatus,
  type NewCertificateRow,
} from './certificate-record.ts'
import { engineOf, locked, prepared, preparedInsert } from './prepared.ts'
import { unitEndOf, type ExpiryKey } from './unit-end.ts'
import type { Tx } from './schema.ts'

export type { CertificateRecord, CertificateStatus }

/** The statuses that count as live: handed out, neither replaced nor revoked. As SQL, because partial indexes need it. */
export const isLive = sql<boolean>`status in ('issued', 'confirmed')`

export type NewCertificate = Omit<
  CertificateRecord,
  'id' | 'status' | 'reason' | 'revokedAt' | 'issuedAt' | 'confirmedAt' | 'der'
> & { readonly tbs: Uint8Array }

/** Columns to insert, from a row that may be a set of holes. */
function insertable(row: NewCertificateRow): NewCertificateRow {
  const names = [...certificateColumns.filter((name) => name !== 'id'), 'holds_key' as const]
  return Object.fromEntries(names.map((name) => [name, row[name]])) as NewCertificateRow
}

const insertReserved = prepared<NewCertificateRow, { id: number }>((db, row) => {
  const insert = db
    .insertInto('certificates')
    .values(insertable(row))
    .onConflict((at) =>
      at
        .expression(sql`spki_hash, device_id, slot, coalesce(predecessor_id, 0)`)
        .where('holds_key', '=', sql.lit(1))
        .doNothing(),
    )
  // SQLite tells the row number anyway, and a returning clause costs it a trigger
  return engineOf(db) === 'postgres' ? insert.returning('id') : insert.$castTo<{ id: number }>()
})

// index: certificates_key
const selectByClaim = prepared(
  (db, p: Pick<NewCertificateRow, 'spki_hash' | 'device_id' | 'slot' | 'predecessor_id'>) =>
    db
      .selectFrom('certificates')
      .select(certificateColumns)
      .where('spki_hash', '=', p.spki_hash)
      .where('device_id', '=', p.device_id)
      .where('slot', '=', p.slot)
      .where(sql`coalesce(predecessor_id, 0)`, '=', sql`coalesce(cast(${p.predecessor_id} as bigint), 0)`)
      .where('holds_key', '=', sql.lit(1)),
)

/**
 * Puts on record what is about to be signed. The same key, device, slot and predecessor again, from a repeated or a
 * parallel request, gives the row that is there instead, in whatever status it is by now.
 */
export async function reserveCertificate(
  tx: Tx,
  certificate: NewCertificate,
): Promise<{ id: CertificateId } | { conflict: CertificateRecord }> {
  const row = toCertificateRow({
    ...certificate,
    status: 'reserved',
    reason: null,
    revokedAt: null,
    issuedAt: null,
    confirmedAt: null,
    der: null,
  })
  const { rows, insertId, numAffectedRows } = await insertReserved(tx, row)
  const id = rows[0]?.id ?? (numAffectedRows === 1n ? Number(insertId) : null)
  if (id !== null) {
    unitEndOf(tx).add('certificates.reserved', 1)
    return { id: id as CertificateId }
  }
  const conflict = (await selectByClaim(tx, row)).rows[0]
  assert(conflict, 'a reservation that collides finds the row that it collides with')
  return { conflict: toCertificateRecord(conflict) }
}

interface ExpiryRow {
  readonly not_after: number
  readonly issuer_id: string
  readonly profile: string | null
  readonly cohort: string | null
}

export function expiryKey(row: ExpiryRow): ExpiryKey {
  return {
    notAfter: row.not_after,
    issuerId: row.issuer_id,
    profile: row.profile,
    cohort: row.cohort,
  }
}

const updateIssued = prepared((db, p: { id: number; der: Uint8Array; at: Instant }) =>
  db
    .updateTable('certificates')
    .set({ status: 'issued', der: p.der, tbs: null, issued_at: p.at })
    .where('id', '=', p.id)
    .where('status', '=', sql.lit('reserved')),
)

/**
 * @param certificate as it was reserved
 * @returns false when the reservation is not there any more: the recovery job abandoned it
 */
export async function markIssued(
  tx: Tx,
  certificate: ExpiryKey & { readonly id: CertificateId },
  der: Uint8Array,
  issuedAt: Instant,
): Promise<boolean> {
  const { numAffectedRows } = await updateIssued(tx, { id: certificate.id, der, at: issuedAt })
  if (numAffectedRows !== 1n) return false
  const end = unitEndOf(tx)
  end.add('certificates.reserved', -1)
  end.add('certificates.issued', 1)
  end.addExpiry(certificate, 1)
  return true
}

const updateAbandoned = prepared((db, p: { id: number; reason: string }) =>
  db
    .updateTable('certificates')
    .set({ status: 'abandoned', reason: p.reason, holds_key: 0 })
    .where('id', '=', p.id)
    .where('status', '=', sql.lit('reserved')),
)

/** Gives a reservation up; its key may be used again, its serial number never. @returns false when it was not reserved */
export async function abandonCertificate(tx: Tx, id: CertificateId, reason: string): Promise<boolean> {
  const { numAffectedRows } = await updateAbandoned(tx, { id, reason })
  if (numAffectedRows === 0n) return false
  unitEndOf(tx).add('certificates.reserved', -1)
  unitEndOf(tx).add('certificates.abandoned', 1)
  return true
}

export type StatusChange =
  | { readonly status: 'confirmed'; readonly confirmedAt: Instant }
  | { readonly status: 'superseded'; readonly reason: string | null }
  | { readonly status: 'revoked'; readonly reason: string; readonly revokedAt: Instant }

/** From where each status may be entered. A revoked certificate stays revoked. */
const origins: Readonly<Record<StatusChange['status'], readonly CertificateStatus[]>> = {
  confirmed: ['issued'],
  superseded: ['issued', 'confirmed'],
  revoked: ['issued', 'confirmed', 'superseded'],
}

const selectStatus = prepared((db, p: { id: number }) =>
  locked(
    db,
    db
      .selectFrom('certificates')
      .select(['status', 'not_after', 'issuer_id', 'profile', 'cohort'])
      .where('id', '=', p.id),
  ),
)
const updateConfirmed = prepared((db, p: { id: number; at: Instant }) =>
  db.updateTable('certificates').set({ status: 'confirmed', confirmed_at: p.at }).where('id', '=', p.id),
)
const updateSuperseded = prepared((db, p: { id: number; reason: string | null }) =>
  db.updateTable('certificates').set({ status: 'superseded', reason: p.reason }).where('id', '=', p.id),
)
const updateRevoked = prepared((db, p: { id: number; reason: string; at: Instant }) =>
  db
    .updateTable('certificates')
    .set({ status: 'revoked', reason: p.reason, revoked_at: p.at })
    .where('id', '=', p.id),
)

/** @returns false when the certificate is not in a status from which this change is allowed; then nothing changes */
export async function setStatus(tx: Tx, id: CertificateId, change: StatusChange): Promise<boolean> {
  const row = (await selectStatus(tx, { id })).rows[0]
  const before = row?.status as CertificateStatus | undefined
  if (!row || !before || !origins[change.status].includes(before)) return false
  switch (change.status) {
    case 'confirmed':
      await updateConfirmed(tx, { id, at: change.confirmedAt })
      break
    case 'superseded':
      await updateSuperseded(tx, { id, reason: change.reason })
      break
    case 'revoked':
      await updateRevoked(tx, { id, reason: change.reason, at: change.revokedAt })
      break
  }
  const end = unitEndOf(tx)
  end.add(`certificates.${before}`, -1)
  end.add(`certificates.${change.status}`, 1)
  if (isLiveStatus(before) && change.status !== 'confirmed') end.addExpiry(expiryKey(row), -1)
  return true
}

export function confirmCertificate(
  tx: Tx,
  { id, at }: { readonly id: CertificateId; readonly at: Instant },
): Promise<boolean> {
  return setStatus(tx, id, { status: 'confirmed', confirmedAt: at })
}

// index: certificates_device
const selectOlder = prepared((db, p: { deviceId: string; slot: string; beforeId: number }) =>
  locked(
    db,
    db
      .selectFrom('certificates')
      .select(certificateColumns)
      .where('device_id', '=', p.deviceId)
      .where('slot', '=', p.slot)
      .where('id', '<', p.beforeId)
      .where(isLive)
      .orderBy('id'),
  ),
)

/** Retires every live certificate of the slot that is older than `beforeId`. @returns them, as they were before */
export async function supersedeOlder(
  tx: Tx,
  older: {
    readonly deviceId: DeviceId
    readonly slot: string
    readonly beforeId: CertificateId
    readonly reason?: string
  },
): Promise<CertificateRecord[]> {
  const { rows } = await selectOlder(tx, older)
  for (const row of rows) {
    await setStatus(tx, row.id as CertificateId, { status: 'superseded', reason: older.reason ?? null })
  }
  return rows.map(toCertificateRecord)
}

const insertNew = preparedInsert<NewCertificateRow>((db, rows) =>
  db
    .insertInto('certificates')
    .values(rows.map(insertable))
    .onConflict((at) => at.doNothing()),
)

/**
 * For imports: stores certificates that carry their DER, in any status but `reserved`.
 * @returns those left out because they are there already: same issuer and serial number, or same key for the same
 *   device, slot and predecessor
 */
export async function insertCertificates<Certificate extends Omit<CertificateRecord, 'id'>>(
  tx: Tx,
  certificates: readonly Certificate[],
): Promise<Certificate[]> {
  const rows = certificates.map(toCertificateRow)
  const left = await insertNew(tx, rows)
  const end = unitEndOf(tx)
  for (const row of rows) {
    if (left.has(row)) continue
    end.add(`certificates.${row.status}`, 1)
    if (isLiveStatus(row.status as CertificateStatus)) end.addExpiry(expiryKey(row), 1)
  }
  return left.size === 0 ? [] : certificates.filter((_, i) => left.has(rows[i] as NewCertificateRow))
}

function isLiveStatus(status: CertificateStatus): boolean {
  return status === 'issued' || status === 'confirmed'
}

/** Live certificates of a device follow it to another cohort, batch or site, and so do the sums of what expires. */
export async function moveLiveCertificates(
  tx: Tx,
  deviceId: DeviceId,
  to: { readonly cohort?: string | null; readonly batch?: string | null; readonly site?: string | null },
): Promise<void> {
  // index: certificates_device
  const live = await locked(
    tx,
    tx
      .selectFrom('certificates')
      .select(['id', 'not_after', 'issuer_id', 'profile', 'cohort'])
      .where('device_id', '=', deviceId)
      .where(isLive),
  ).execute()
  if (live.length === 0) return
  const { cohort, batch, site } = to
  await tx
    .updateTable('certificates')
    .set({
      ...(cohort === undefined ? {} : { cohort }),
      ...(batch === undefined ? {} : { batch }),
      ...(site === undefined ? {} : { site }),
    })
    .where(
      'id',
      'in',
      live.map((row) => row.id),
    )
    .execute()
  if (cohort === undefined) return
  const end = unitEndOf(tx)
  for (const row of live) {
    end.addExpiry(expiryKey(row), -1)
    end.addExpiry(expiryKey({ ...row, cohort }), 1)
  }
}

/** Certificates that come one after the other in a slot: what a new one replaces, and what it makes void. */
import { sql } from 'kysely'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { certificateColumns, toCertificateRecord, type CertificateRecord } from './certificate-record.ts'
import { isLive, setStatus } from './certificates.ts'
import { locked, prepared } from './prepared.ts'
import type { Tx } from './schema.ts'

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

/** The live certificates of the slot that are older than `beforeId`, kept as they are until the unit ends. */
export async function lockOlder(
  tx: Tx,
  older: { readonly deviceId: DeviceId; readonly slot: string; readonly beforeId: CertificateId },
): Promise<CertificateRecord[]> {
  return (await selectOlder(tx, older)).rows.map(toCertificateRecord)
}

// index: certificates_device
const selectSiblings = prepared(
  (db, p: { deviceId: string; slot: string; predecessorId: number; id: number }) =>
    locked(
      db,
      db
        .selectFrom('certificates')
        .select(certificateColumns)
        .where('device_id', '=', p.deviceId)
        .where('slot', '=', p.slot)
        .where('status', '=', sql.lit('issued'))
        .where('predecessor_id', '=', p.predecessorId)
        .where('id', '<>', p.id)
        .orderBy('id'),
    ),
)

/**
 * Ends the certificates that were issued in place of the same predecessor and never used: of several answers to one
 * device, the last one counts.
 * @returns them, as they were before
 */
export async function supersedeSiblings(
  tx: Tx,
  sibling: {
    readonly deviceId: DeviceId
    readonly slot: string
    readonly predecessorId: CertificateId
    readonly id: CertificateId
  },
): Promise<CertificateRecord[]> {
  const siblings = (await selectSiblings(tx, sibling)).rows.map(toCertificateRecord)
  for (const { id } of siblings) await setStatus(tx, id, { status: 'superseded', reason: 'never used' })
  return siblings
}

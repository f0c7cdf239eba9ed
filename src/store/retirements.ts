/** Replaced certificates that still work, until their retirement is due. */
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { locked, prepared, preparedRows } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'
import type { RetirementTable } from './schema-campaigns.ts'

export interface RetirementRecord {
  /** The replaced one. */
  readonly certificateId: CertificateId
  readonly deviceId: DeviceId
  readonly slot: string
  readonly replacedBy: CertificateId
  readonly dueAt: Instant
}

const columns = ['certificate_id', 'device_id', 'slot', 'replaced_by', 'due_at'] as const

function toRecord(row: RetirementTable): RetirementRecord {
  return {
    certificateId: row.certificate_id as CertificateId,
    deviceId: row.device_id as DeviceId,
    slot: row.slot,
    replacedBy: row.replaced_by as CertificateId,
    dueAt: row.due_at,
  }
}

const insert = preparedRows<RetirementTable, never>((db, rows) =>
  db
    .insertInto('retirements')
    .values(
      rows.map((row) => ({
        certificate_id: row.certificate_id,
        device_id: row.device_id,
        slot: row.slot,
        replaced_by: row.replaced_by,
        due_at: row.due_at,
      })),
    )
    .onConflict((on) => on.column('certificate_id').doNothing()),
)

/** The first one counts: a certificate that waits for its retirement already goes at the instant it was given then. */
export async function insertRetirements(tx: Tx, retirements: readonly RetirementRecord[]): Promise<void> {
  await insert(
    tx,
    retirements.map((one) => ({
      certificate_id: one.certificateId,
      device_id: one.deviceId,
      slot: one.slot,
      replaced_by: one.replacedBy,
      due_at: one.dueAt,
    })),
  )
}

// index: retirements_due
const selectDue = prepared((db, p: { now: Instant; limit: number }) =>
  locked(
    db,
    db
      .selectFrom('retirements')
      .select(columns)
      .where('due_at', '<=', p.now)
      .orderBy('due_at')
      .orderBy('certificate_id')
      .limit(p.limit),
  ),
)

/** The longest due first, kept until the unit ends. */
export async function dueRetirements(
  tx: Tx,
  due: { readonly now: Instant; readonly limit: number },
): Promise<RetirementRecord[]> {
  return (await selectDue(tx, due)).rows.map(toRecord)
}

const selectOne = prepared((db, p: { id: number }) =>
  db.selectFrom('retirements').select(columns).where('certificate_id', '=', p.id),
)

/** Null when the certificate does not wait for its retirement. */
export async function findRetirement(q: Queries, id: CertificateId): Promise<RetirementRecord | null> {
  const row = (await selectOne(q, { id })).rows[0]
  return row ? toRecord(row) : null
}

const remove = preparedRows<{ id: number }, never>((db, rows) =>
  db.deleteFrom('retirements').where(
    'certificate_id',
    'in',
    rows.map(({ id }) => id),
  ),
)

export async function deleteRetirements(tx: Tx, ids: readonly CertificateId[]): Promise<void> {
  await remove(
    tx,
    ids.map((id) => ({ id })),
  )
}

const updateDue = prepared((db, p: { id: number; dueAt: Instant }) =>
  db.updateTable('retirements').set({ due_at: p.dueAt }).where('certificate_id', '=', p.id),
)

export async function postponeRetirement(tx: Tx, id: CertificateId, dueAt: Instant): Promise<void> {
  await updateDue(tx, { id, dueAt })
}

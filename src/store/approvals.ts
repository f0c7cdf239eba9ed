/** Requests that wait for, or were given, a human's decision. */
import { sql } from 'kysely'
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import type { Brand, CertificateId, DeviceId } from '../base/id.ts'
import { hexToBytes } from './columns.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import { prepared } from './prepared.ts'
import type { ApprovalTable, Queries, Tx } from './schema.ts'

export type ApprovalId = Brand<number, 'ApprovalId'>
/** `used`: the certificate was issued. */
export type ApprovalStatus = 'pending' | 'approved' | 'rejected' | 'used'

export interface ApprovalRecord {
  readonly id: ApprovalId
  readonly deviceId: DeviceId
  readonly slot: string
  readonly spkiHash: string
  readonly subject: string
  readonly profile: string
  readonly protocol: string
  /** DER of the request as it first came. */
  readonly csr: Uint8Array
  readonly predecessorId: CertificateId | null
  readonly status: ApprovalStatus
  readonly createdAt: Instant
  readonly decidedAt: Instant | null
  readonly decidedBy: string | null
}

const columns = [
  'id',
  'device_id',
  'slot',
  'spki_hash',
  'subject',
  'profile',
  'protocol',
  'csr',
  'predecessor_id',
  'status',
  'created_at',
  'decided_at',
  'decided_by',
] as const

function toRecord(row: Omit<ApprovalTable, 'id'> & { id: number }): ApprovalRecord {
  return {
    id: row.id as ApprovalId,
    deviceId: row.device_id as DeviceId,
    slot: row.slot,
    spkiHash: toHex(row.spki_hash),
    subject: row.subject,
    profile: row.profile,
    protocol: row.protocol,
    csr: row.csr,
    predecessorId: row.predecessor_id as CertificateId | null,
    status: row.status as ApprovalStatus,
    createdAt: row.created_at,
    decidedAt: row.decided_at,
    decidedBy: row.decided_by,
  }
}

export type NewApproval = Omit<ApprovalRecord, 'id' | 'status' | 'decidedAt' | 'decidedBy'>
/** What makes two requests the same one: clients sign their request anew at each poll. */
export type ApprovalKey = Pick<ApprovalRecord, 'deviceId' | 'slot' | 'spkiHash' | 'predecessorId'>

/** Files a request, or gives the open (pending or approved) one that it repeats. */
export async function requestApproval(
  tx: Tx,
  approval: NewApproval,
): Promise<{ readonly approval: ApprovalRecord; readonly isNew: boolean }> {
  const row = await tx
    .insertInto('approvals')
    .values({
      device_id: approval.deviceId,
      slot: approval.slot,
      spki_hash: hexToBytes(approval.spkiHash),
      subject: approval.subject,
      profile: approval.profile,
      protocol: approval.protocol,
      csr: approval.csr,
      predecessor_id: approval.predecessorId,
      status: 'pending',
      created_at: approval.createdAt,
      decided_at: null,
      decided_by: null,
    })
    .onConflict((on) =>
      on
        .expression(sql`device_id, slot, spki_hash, coalesce(predecessor_id, 0)`)
        .where(sql<boolean>`status in ('pending', 'approved')`)
        .doNothing(),
    )
    .returning(columns)
    .executeTakeFirst()
  if (row) return { approval: toRecord(row), isNew: true }
  const open = await findOpenApproval(tx, approval)
  assert(open, 'an approval that collides finds the row that it collides with')
  return { approval: open, isNew: false }
}

// index: approvals_open
const selectOpen = prepared(
  (db, p: { deviceId: string; slot: string; spkiHash: Uint8Array; predecessorId: number }) =>
    db
      .selectFrom('approvals')
      .select(columns)
      .where('device_id', '=', p.deviceId)
      .where('slot', '=', p.slot)
      .where('spki_hash', '=', p.spkiHash)
      .where(sql`coalesce(predecessor_id, 0)`, '=', p.predecessorId)
      .where(sql<boolean>`status in ('pending', 'approved')`),
)

export async function findOpenApproval(q: Queries, key: ApprovalKey): Promise<ApprovalRecord | null> {
  const { rows } = await selectOpen(q, {
    deviceId: key.deviceId,
    slot: key.slot,
    spkiHash: hexToBytes(key.spkiHash),
    predecessorId: key.predecessorId ?? 0,
  })
  return rows[0] ? toRecord(rows[0]) : null
}

/** The newest request of this key in whatever status, so that a poll after a rejection learns of it. */
export async function findLatestApproval(q: Queries, key: ApprovalKey): Promise<ApprovalRecord | null> {
  // index: approvals_device
  const row = await q
    .selectFrom('approvals')
    .select(columns)
    .where('device_id', '=', key.deviceId)
    .where('slot', '=', key.slot)
    .where('spki_hash', '=', hexToBytes(key.spkiHash))
    .where(sql`coalesce(predecessor_id, 0)`, '=', key.predecessorId ?? 0)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? toRecord(row) : null
}

export async function findApproval(q: Queries, id: ApprovalId): Promise<ApprovalRecord | null> {
  const row = await q.selectFrom('approvals').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** @returns false when it was not pending any more */
export async function decideApproval(
  tx: Tx,
  decision: {
    readonly id: ApprovalId
    readonly status: 'approved' | 'rejected'
    readonly at: Instant
    readonly by: string
  },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('approvals')
    .set({ status: decision.status, decided_at: decision.at, decided_by: decision.by })
    .where('id', '=', decision.id)
    .where('status', '=', sql.lit('pending'))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** The certificate was issued: the approval does not count again. @returns false when it was not approved */
export async function markApprovalUsed(tx: Tx, id: ApprovalId): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('approvals')
    .set({ status: 'used' })
    .where('id', '=', id)
    .where('status', '=', sql.lit('approved'))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export interface ApprovalFilter {
  readonly deviceId?: DeviceId
  readonly status?: ApprovalStatus
}

/** In the order in which they came. Indexes: approvals_pending, approvals_device; otherwise the primary key. */
export async function listApprovals(
  q: Queries,
  { filter = {}, after, limit }: PageRequest & { readonly filter?: ApprovalFilter },
): Promise<Page<ApprovalRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('approvals').select(columns).where('id', '>', rowCursor(after))
  if (filter.deviceId !== undefined) query = query.where('device_id', '=', filter.deviceId)
  // as a literal, because the partial index needs it
  if (filter.status !== undefined) query = query.where('status', '=', sql.lit(filter.status))
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, (approval) => String(approval.id))
}

/** How many wait for a person; counting ends at `most`. Index: approvals_pending. */
export async function countApprovals(q: Queries, most: number): Promise<number> {
  const row = await q
    .selectFrom(
      q
        .selectFrom('approvals')
        .select('id')
        .where('status', '=', sql.lit('pending'))
        .limit(sql.lit(most))
        .as('waiting'),
    )
    .select(sql<number>`cast(count(*) as bigint)`.as('count'))
    .executeTakeFirst()
  return row?.count ?? 0
}

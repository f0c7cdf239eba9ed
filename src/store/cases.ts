/** Cases: what has to be found out about a device that was taken out of service. Never deleted. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { hexToBytesOrNull } from './columns.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import { locked, prepared } from './prepared.ts'
import type { CaseTable, Queries, Tx } from './schema.ts'

export const verdicts = ['cleared', 'replaced', 'destroyed', 'compromised'] as const
export type Verdict = (typeof verdicts)[number]

export interface CaseRecord {
  readonly id: number
  readonly deviceId: DeviceId
  /** The batch of revocations that opened it; null when one device was meant. */
  readonly revocationId: number | null
  /** A name of RFC 5280 §5.3.1; null when nothing was revoked. */
  readonly reason: string | null
  readonly openedBy: string
  readonly openedAt: Instant
  /** Null while it is open. */
  readonly verdict: Verdict | null
  readonly closedBy: string | null
  readonly closedAt: Instant | null
}

const columns = [
  'id',
  'device_id',
  'revocation_id',
  'reason',
  'opened_by',
  'opened_at',
  'verdict',
  'closed_by',
  'closed_at',
] as const

function toRecord(row: Omit<CaseTable, 'id'> & { id: number }): CaseRecord {
  return {
    id: row.id,
    deviceId: row.device_id as DeviceId,
    revocationId: row.revocation_id,
    reason: row.reason,
    openedBy: row.opened_by,
    openedAt: row.opened_at,
    verdict: row.verdict as Verdict | null,
    closedBy: row.closed_by,
    closedAt: row.closed_at,
  }
}

export type NewCase = Pick<CaseRecord, 'deviceId' | 'revocationId' | 'reason' | 'openedBy' | 'openedAt'>

const insertNew = prepared((db, p: NewCase) =>
  db
    .insertInto('cases')
    .values({
      device_id: p.deviceId,
      revocation_id: p.revocationId,
      reason: p.reason,
      opened_by: p.openedBy,
      opened_at: p.openedAt,
      verdict: null,
      closed_by: null,
      closed_at: null,
    })
    .onConflict((on) => on.column('device_id').where('closed_at', 'is', null).doNothing())
    .returning('id'),
)

/** @returns its number; null when the device has an open case already */
export async function insertCase(tx: Tx, record: NewCase): Promise<number | null> {
  return (await insertNew(tx, record)).rows[0]?.id ?? null
}

export async function findCase(q: Queries, id: number): Promise<CaseRecord | null> {
  const row = await q.selectFrom('cases').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** As it is now, and nobody else can change it before this transaction ends. */
export async function lockCase(tx: Tx, id: number): Promise<CaseRecord | null> {
  const query = tx.selectFrom('cases').select(columns).where('id', '=', id)
  const row = await locked(tx, query).executeTakeFirst()
  return row ? toRecord(row) : null
}

// index: cases_open
const selectOpen = prepared((db, p: { deviceId: string }) =>
  db.selectFrom('cases').select(columns).where('device_id', '=', p.deviceId).where('closed_at', 'is', null),
)

export async function findOpenCase(q: Queries, deviceId: DeviceId): Promise<CaseRecord | null> {
  const row = (await selectOpen(q, { deviceId })).rows[0]
  return row ? toRecord(row) : null
}

export interface CaseFilter {
  readonly deviceId?: DeviceId
  readonly isOpen?: boolean
  readonly revocationId?: number
}

/** Oldest first. Indexes: cases_device for a device, cases_revocation for the open ones of a batch, else the primary key. */
export async function listCases(
  q: Queries,
  { filter = {}, after, limit }: PageRequest & { readonly filter?: CaseFilter },
): Promise<Page<CaseRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('cases').select(columns).where('id', '>', rowCursor(after))
  const { deviceId, isOpen, revocationId } = filter
  if (deviceId !== undefined) query = query.where('device_id', '=', deviceId)
  if (revocationId !== undefined) query = query.where('revocation_id', '=', revocationId)
  if (isOpen !== undefined) query = query.where('closed_at', isOpen ? 'is' : 'is not', null)
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ id }) => String(id))
}

export async function closeCaseRow(
  tx: Tx,
  id: number,
  { verdict, by, at }: { readonly verdict: Verdict; readonly by: string; readonly at: Instant },
): Promise<void> {
  await tx.updateTable('cases').set({ verdict, closed_by: by, closed_at: at }).where('id', '=', id).execute()
}

export interface CaseEntry {
  readonly at: Instant
  readonly actor: string
  readonly note: string | null
  /** Of evidence: what it was called, and the SHA-256 of its bytes, hex. The file itself is kept elsewhere. */
  readonly file: { readonly name: string; readonly sha256: string; readonly size: number } | null
}

export async function insertCaseEntry(
  tx: Tx,
  caseId: number,
  { at, actor, note, file }: CaseEntry,
): Promise<void> {
  await tx
    .insertInto('case_entries')
    .values({
      case_id: caseId,
      at,
      actor,
      note,
      file_name: file?.name ?? null,
      file_sha256: hexToBytesOrNull(file?.sha256 ?? null),
      file_size: file?.size ?? null,
    })
    .execute()
}

/** In order of time. Index: case_entries_case. */
export async function caseEntries(q: Queries, caseId: number): Promise<CaseEntry[]> {
  const rows = await q
    .selectFrom('case_entries')
    .select(['at', 'actor', 'note', 'file_name', 'file_sha256', 'file_size'])
    .where('case_id', '=', caseId)
    .orderBy('id')
    .execute()
  return rows.map(({ at, actor, note, file_name: name, file_sha256: sha256, file_size: size }) => ({
    at,
    actor,
    note,
    file: name === null || sha256 === null ? null : { name, sha256: toHex(sha256), size: size ?? 0 },
  }))
}

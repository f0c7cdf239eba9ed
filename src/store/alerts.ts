/** Alerts: what is wrong and who knows of it. One row for each cause while it lasts; resolved ones stay as history. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import { locked, prepared } from './prepared.ts'
import type { AlertTable } from './schema-alerts.ts'
import type { Queries, Tx } from './schema.ts'

export const severities = ['notice', 'warning', 'critical'] as const
export type Severity = (typeof severities)[number]

export interface AlertRecord {
  readonly id: number
  /** Name of the rule. */
  readonly rule: string
  /** What it is about, within its rule. */
  readonly key: string
  readonly severity: Severity
  readonly status: 'open' | 'resolved'
  /** How many things are concerned: devices, tasks. */
  readonly count: number
  readonly summary: string
  /** JSON object, canonical. */
  readonly details: string
  readonly openedAt: Instant
  readonly updatedAt: Instant
  /** Since when its cause is gone. */
  readonly clearedAt: Instant | null
  readonly resolvedAt: Instant | null
  readonly acknowledgedAt: Instant | null
  readonly acknowledgedBy: string | null
  readonly note: string | null
  /** Steps of its escalation that were taken. */
  readonly step: number
  /** When a pass must look at its escalation; null when nothing is left to do. */
  readonly nextAt: Instant | null
  /** The notifiers that were told. */
  readonly notified: readonly string[]
  /** How many things were concerned when they were told. */
  readonly notifiedCount: number
}

const columns = [
  'id',
  'rule',
  'key',
  'severity',
  'status',
  'count',
  'summary',
  'details',
  'opened_at',
  'updated_at',
  'cleared_at',
  'resolved_at',
  'acknowledged_at',
  'acknowledged_by',
  'note',
  'step',
  'next_at',
  'notified',
  'notified_count',
] as const

type Row = Omit<AlertTable, 'id'> & { id: number }

function toRecord(row: Row): AlertRecord {
  return {
    id: row.id,
    rule: row.rule,
    key: row.key,
    severity: row.severity as Severity,
    status: row.status as AlertRecord['status'],
    count: row.count,
    summary: row.summary,
    details: row.details,
    openedAt: row.opened_at,
    updatedAt: row.updated_at,
    clearedAt: row.cleared_at,
    resolvedAt: row.resolved_at,
    acknowledgedAt: row.acknowledged_at,
    acknowledgedBy: row.acknowledged_by,
    note: row.note,
    step: row.step,
    nextAt: row.next_at,
    notified: JSON.parse(row.notified) as string[],
    notifiedCount: row.notified_count,
  }
}

function toRow(alert: Omit<AlertRecord, 'id'>): Omit<AlertTable, 'id'> {
  return {
    rule: alert.rule,
    key: alert.key,
    severity: alert.severity,
    status: alert.status,
    count: alert.count,
    summary: alert.summary,
    details: alert.details,
    opened_at: alert.openedAt,
    updated_at: alert.updatedAt,
    cleared_at: alert.clearedAt,
    resolved_at: alert.resolvedAt,
    acknowledged_at: alert.acknowledgedAt,
    acknowledged_by: alert.acknowledgedBy,
    note: alert.note,
    step: alert.step,
    next_at: alert.nextAt,
    notified: JSON.stringify(alert.notified),
    notified_count: alert.notifiedCount,
  }
}

/** @returns its number; null when an alert of this rule and key is open already */
export async function insertAlert(tx: Tx, alert: Omit<AlertRecord, 'id'>): Promise<number | null> {
  const row = await tx
    .insertInto('alerts')
    .values(toRow(alert))
    .onConflict((on) =>
      on
        .columns(['rule', 'key'])
        .where(sql<boolean>`status = 'open'`)
        .doNothing(),
    )
    .returning('id')
    .executeTakeFirst()
  return row?.id ?? null
}

/** The whole row as it is to be. */
export async function updateAlert(tx: Tx, alert: AlertRecord): Promise<void> {
  await tx.updateTable('alerts').set(toRow(alert)).where('id', '=', alert.id).execute()
}

// index: alerts_open
const selectOpen = prepared((db) =>
  db
    .selectFrom('alerts')
    .select(columns)
    .where('status', '=', sql.lit('open'))
    .orderBy('rule')
    .orderBy('key'),
)

/** By rule and key. */
export async function openAlerts(q: Queries): Promise<AlertRecord[]> {
  return (await selectOpen(q, {})).rows.map(toRecord)
}

const selectOpenLocked = prepared((db) =>
  locked(
    db,
    db
      .selectFrom('alerts')
      .select(columns)
      .where('status', '=', sql.lit('open'))
      .orderBy('rule')
      .orderBy('key'),
  ),
)

/** The same, kept as they are until the transaction ends. */
export async function lockOpenAlerts(tx: Tx): Promise<AlertRecord[]> {
  return (await selectOpenLocked(tx, {})).rows.map(toRecord)
}

export async function findAlert(q: Queries, id: number): Promise<AlertRecord | null> {
  const row = await q.selectFrom('alerts').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

const selectLocked = prepared((db, p: { id: number }) =>
  locked(db, db.selectFrom('alerts').select(columns).where('id', '=', p.id)),
)

export async function lockAlert(tx: Tx, id: number): Promise<AlertRecord | null> {
  const row = (await selectLocked(tx, { id })).rows[0]
  return row ? toRecord(row) : null
}

/** Every alert, open or not, newest first: primary key. */
export async function listAlerts(q: Queries, { after, limit }: PageRequest): Promise<Page<AlertRecord>> {
  assertLimit(limit)
  const query = q.selectFrom('alerts').select(columns)
  const rows = await query
    .where('id', '<', rowCursor(after) || Number.MAX_SAFE_INTEGER)
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ id }) => String(id))
}

export interface SilenceRecord {
  readonly id: number
  /** Null: every rule. The same for key and severity. */
  readonly rule: string | null
  readonly key: string | null
  readonly severity: Severity | null
  readonly reason: string
  readonly createdBy: string
  readonly createdAt: Instant
  readonly endsAt: Instant
  /** Who ended it before its end. */
  readonly endedBy: string | null
}

const silenceColumns = [
  'id',
  'rule',
  'key',
  'severity',
  'reason',
  'created_by',
  'created_at',
  'ends_at',
  'ended_by',
] as const

export async function insertSilence(tx: Tx, silence: Omit<SilenceRecord, 'id' | 'endedBy'>): Promise<number> {
  const { id } = await tx
    .insertInto('alert_silences')
    .values({
      rule: silence.rule,
      key: silence.key,
      severity: silence.severity,
      reason: silence.reason,
      created_by: silence.createdBy,
      created_at: silence.createdAt,
      ends_at: silence.endsAt,
      ended_by: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Those in force: primary use of each pass. Index: alert_silences_end. */
export async function silencesAt(q: Queries, now: Instant): Promise<SilenceRecord[]> {
  const rows = await q
    .selectFrom('alert_silences')
    .select(silenceColumns)
    .where('ends_at', '>', now)
    .orderBy('ends_at')
    .orderBy('id')
    .execute()
  return rows.map((row) => ({
    id: row.id,
    rule: row.rule,
    key: row.key,
    severity: row.severity as Severity | null,
    reason: row.reason,
    createdBy: row.created_by,
    createdAt: row.created_at,
    endsAt: row.ends_at,
    endedBy: row.ended_by,
  }))
}

/** @returns false when there is none of this number in force */
export async function endSilence(
  tx: Tx,
  { id, now, by }: { readonly id: number; readonly now: Instant; readonly by: string },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('alert_silences')
    .set({ ends_at: now, ended_by: by })
    .where('id', '=', id)
    .where('ends_at', '>', now)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** What was sent to people and programs about alerts, and what became of it. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { addCounters } from './counters.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import type { NotificationTable } from './schema-alerts.ts'
import type { Queries, Tx } from './schema.ts'

export interface NotificationRecord {
  readonly id: number
  readonly notifier: string
  /** `opened`, `raised`, … */
  readonly event: string
  readonly alertId: number | null
  /** JSON: what is handed to the notifier, the same at each repeat. */
  readonly message: string
  readonly status: 'waiting' | 'sent' | 'failed'
  readonly attempts: number
  /** Of the last attempt: the notifier's words, or why it failed. */
  readonly detail: string | null
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

const columns = [
  'id',
  'notifier',
  'event',
  'alert_id',
  'message',
  'status',
  'attempts',
  'detail',
  'created_at',
  'updated_at',
] as const

function toRecord(row: Omit<NotificationTable, 'id'> & { id: number }): NotificationRecord {
  return {
    id: row.id,
    notifier: row.notifier,
    event: row.event,
    alertId: row.alert_id,
    message: row.message,
    status: row.status as NotificationRecord['status'],
    attempts: row.attempts,
    detail: row.detail,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function insertNotification(
  tx: Tx,
  notification: Pick<NotificationRecord, 'notifier' | 'event' | 'alertId' | 'message' | 'createdAt'>,
): Promise<number> {
  const { notifier, event, alertId, message, createdAt } = notification
  const { id } = await tx
    .insertInto('notifications')
    .values({
      notifier,
      event,
      alert_id: alertId,
      message,
      status: 'waiting',
      attempts: 0,
      detail: null,
      created_at: createdAt,
      updated_at: createdAt,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function findNotification(q: Queries, id: number): Promise<NotificationRecord | null> {
  const row = await q.selectFrom('notifications').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** One more attempt was made, with this end. */
export async function settleNotification(
  tx: Tx,
  end: Pick<NotificationRecord, 'id' | 'notifier' | 'status' | 'detail'> & { readonly now: Instant },
): Promise<void> {
  if (end.status !== 'waiting') addCounters(tx, { [`notifications.${end.status}.${end.notifier}`]: 1 })
  await tx
    .updateTable('notifications')
    .set({ status: end.status, detail: end.detail, updated_at: end.now, attempts: sql`attempts + 1` })
    .where('id', '=', end.id)
    .execute()
}

/** To be sent again. */
export async function reopenNotification(tx: Tx, id: number, now: Instant): Promise<void> {
  await tx
    .updateTable('notifications')
    .set({ status: 'waiting', attempts: 0, updated_at: now })
    .where('id', '=', id)
    .execute()
}

export interface NotificationFilter {
  readonly notifier?: string
  readonly alertId?: number
}

/** Newest first. Indexes: notifications_notifier, notifications_alert, the primary key. */
export async function listNotifications(
  q: Queries,
  { after, limit, notifier, alertId }: PageRequest & NotificationFilter,
): Promise<Page<NotificationRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('notifications').select(columns)
  if (notifier !== undefined) query = query.where('notifier', '=', notifier)
  if (alertId !== undefined) query = query.where('alert_id', '=', alertId)
  const rows = await query
    .where('id', '<', rowCursor(after) || Number.MAX_SAFE_INTEGER)
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ id }) => String(id))
}

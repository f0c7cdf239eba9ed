/** From an alert to a message: kept with the decision, sent by a task, at least once. */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { AlertRecord } from '../../store/alerts.ts'
import {
  findNotification,
  insertNotification,
  listNotifications,
  reopenNotification,
  settleNotification,
  type NotificationRecord,
} from '../../store/notifications.ts'
import type { Queries, Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { NotifiedAlert, NotifierMessage } from '../ports.ts'
import { enqueue, TaskHopeless, type TaskHandler } from '../tasks.ts'
import { alertSettings } from './alert-settings.ts'

type NotifyingEngine = Pick<Engine, 'settings' | 'notifiers'>
type Event = NotifierMessage['event']

export interface Outgoing {
  readonly notifier: string
  readonly event: Event
  readonly alert: AlertRecord
}

const taskKind = 'notify'

/** Alerts of one moment for one notifier go out together, but for incident tools. @returns how many messages */
export async function sendAlerts(
  tx: Tx,
  engine: NotifyingEngine,
  outgoing: readonly Outgoing[],
  now: Instant,
): Promise<number> {
  const together = new Map<string, Outgoing[]>()
  for (const each of outgoing) {
    const isPerAlert = engine.notifiers.get(each.notifier)?.isPerAlert ?? false
    const key = JSON.stringify([each.notifier, each.event, isPerAlert ? each.alert.id : 0])
    together.set(key, [...(together.get(key) ?? []), each])
  }
  for (const group of together.values()) {
    const [first] = group
    if (!first) continue
    const alerts = group.map(({ alert }) => notifiedAlert(engine, alert))
    const alertId = group.length === 1 ? first.alert.id : null
    await queue(tx, engine, { notifier: first.notifier, event: first.event, alerts, alertId }, now)
  }
  return together.size
}

interface Queued {
  readonly notifier: string
  readonly event: Event
  readonly alerts: readonly NotifiedAlert[]
  readonly alertId: number | null
}

async function queue(
  tx: Tx,
  { settings }: NotifyingEngine,
  { notifier, event, alerts, alertId }: Queued,
  now: Instant,
): Promise<number> {
  const message = JSON.stringify({ event, source: settings.organization, at: now, alerts })
  const id = await insertNotification(tx, { notifier, event, alertId, message, createdAt: now })
  await enqueue(tx, now, { kind: taskKind, key: `notification:${id}`, payload: { notification: id } })
  return id
}

function notifiedAlert({ settings }: NotifyingEngine, alert: AlertRecord): NotifiedAlert {
  const { id, rule, key, severity, summary, count, openedAt } = alert
  const { runbookUrl } = alertSettings(settings)
  const details = JSON.parse(alert.details) as NotifiedAlert['details']
  const runbook = runbookUrl === null ? null : `${runbookUrl}/${rule}`
  return { id, rule, key, severity, summary, count, openedAt, details, runbookUrl: runbook }
}

/**
 * One attempt now, in place of the task. @throws Refusal of the notifier; then its task tries again when the platform runs
 */
export async function deliverNow(
  engine: Engine,
  id: number,
  signal: AbortSignal,
): Promise<NotificationRecord> {
  await deliver(engine, await requireNotification(engine.store.db, id), signal)
  return await requireNotification(engine.store.db, id)
}

/** A message that says nothing but that it arrived. @returns its number. @throws Refusal `not-found` */
export async function sendTest(
  engine: Pick<Engine, 'settings' | 'notifiers' | 'store'>,
  notifier: string,
  now: Instant,
): Promise<number> {
  requireNotifier(engine, notifier)
  const alert: NotifiedAlert = {
    id: 0,
    rule: 'test',
    key: 'test',
    severity: 'notice',
    summary: `This is a test of the notifier ${notifier}. Nothing is wrong.`,
    count: 1,
    openedAt: now,
    details: {},
    runbookUrl: null,
  }
  return await engine.store.transaction((tx) =>
    queue(tx, engine, { notifier, event: 'test', alerts: [alert], alertId: null }, now),
  )
}

/** Sends a message of the history again: the same bytes under the same id. @throws Refusal `not-found` */
export async function replayNotification(
  engine: Pick<Engine, 'settings' | 'notifiers' | 'store'>,
  { id, actor, now }: { readonly id: number; readonly actor: string; readonly now: Instant },
): Promise<NotificationRecord> {
  return await engine.store.transaction(async (tx) => {
    const notification = await requireNotification(tx, id)
    requireNotifier(engine, notification.notifier)
    await reopenNotification(tx, id, now)
    await enqueue(tx, now, { kind: taskKind, key: `notification:${id}`, payload: { notification: id } })
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'notification.replayed',
        subject: subjects.notification(id),
        details: { notifier: notification.notifier },
      }),
    )
    return notification
  })
}

function requireNotifier({ notifiers }: Pick<Engine, 'notifiers'>, name: string): void {
  if (notifiers.has(name)) return
  const known = [...notifiers.keys()].join(', ')
  throw new Refusal(
    'not-found',
    `there is no notifier ${name}: ${known === '' ? 'none is configured (notifiers: in perennial.yaml)' : `there are ${known}`}`,
  )
}

async function requireNotification(q: Queries, id: number): Promise<NotificationRecord> {
  const notification = await findNotification(q, id)
  if (notification === null) throw new Refusal('not-found', `there is no notification ${id}`)
  return notification
}

/** With the default backoff, about a day of trying. */
const maxAttempts = 10

export const notifyHandler: TaskHandler = {
  kind: taskKind,
  maxAttempts,
  isForgotten: true,
  run: async (engine, payload, signal) => {
    const { notification: id } = payload as { readonly notification: number }
    await deliver(engine, await requireNotification(engine.store.db, id), signal)
  },
}

/** One attempt; what came of it is in the history. @throws what the notifier throws, for the task to come again */
async function deliver(engine: Engine, notification: NotificationRecord, signal: AbortSignal): Promise<void> {
  const { id, notifier: name, status } = notification
  // a repeat after a crash, or somebody was faster
  if (status === 'sent') return
  const notifier = engine.notifiers.get(name)
  if (!notifier) {
    await settle(engine, notification, {
      status: 'failed',
      detail: 'this notifier is not configured any more',
    })
    throw new TaskHopeless(`the notifier ${name} is not configured any more`)
  }
  try {
    const message = JSON.parse(notification.message) as Omit<NotifierMessage, 'id'>
    const { reference } = await notifier.notify({ ...message, id: `notification-${id}` }, signal)
    await settle(engine, notification, { status: 'sent', detail: reference })
  } catch (error) {
    const isHopeless = error instanceof Refusal && error.code === 'notify-impossible'
    const detail = error instanceof Refusal ? error.message : 'an error of ours: see the log'
    const isLast = isHopeless || notification.attempts + 1 >= maxAttempts
    await settle(engine, notification, { status: isLast ? 'failed' : 'waiting', detail })
    throw isHopeless ? new TaskHopeless(detail) : error
  }
}

async function settle(
  { store, clock }: Engine,
  { id, notifier }: NotificationRecord,
  end: Pick<NotificationRecord, 'status' | 'detail'>,
): Promise<void> {
  await store.transaction((tx) => settleNotification(tx, { id, notifier, ...end, now: clock.now() }))
}

/**
 * From when on a notifier may be written to again, as far as its hourly maximum goes; `now` while there is room.
 */
export async function roomAt(
  q: Queries,
  {
    notifier,
    maximum,
    spanMs,
  }: { readonly notifier: string; readonly maximum: number; readonly spanMs: number },
  now: Instant,
): Promise<Instant> {
  const { rows } = await listNotifications(q, { notifier, limit: maximum })
  const oldest = rows[maximum - 1]
  return oldest === undefined ? now : Math.max(now, oldest.createdAt + spanMs)
}

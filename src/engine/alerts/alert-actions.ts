/** What people do with alerts: look, acknowledge, silence. */
import { iso, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import {
  endSilence as endSilenceRecord,
  findAlert,
  insertSilence,
  listAlerts,
  lockAlert,
  openAlerts,
  silencesAt,
  updateAlert,
  type AlertRecord,
  type Severity,
  type SilenceRecord,
} from '../../store/alerts.ts'
import { listNotifications, type NotificationRecord } from '../../store/notifications.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { goodNews } from './alert-job.ts'
import { isGraver, isRuleName, ruleNames } from './alert-rule.ts'
import { silenceOf } from './escalation.ts'
import { sendAlerts } from './notify.ts'

export type { AlertRecord, NotificationRecord, Severity, SilenceRecord }

export interface AlertView extends AlertRecord {
  /** Until when nobody is told of it; null when it is not silenced. */
  readonly silencedUntil: Instant | null
}

/** Those that are open, the gravest first, then the oldest. */
export async function currentAlerts({ store }: Pick<Engine, 'store'>, now: Instant): Promise<AlertView[]> {
  const silences = await silencesAt(store.db, now)
  const open = await openAlerts(store.db)
  return open
    .map((alert) => viewOf(alert, silences, now))
    .sort((a, b) => {
      if (a.severity === b.severity) return a.openedAt - b.openedAt || a.id - b.id
      return isGraver(a.severity, b.severity) ? -1 : 1
    })
}

function viewOf(alert: AlertRecord, silences: readonly SilenceRecord[], now: Instant): AlertView {
  return { ...alert, silencedUntil: silenceOf(alert, silences, now)?.endsAt ?? null }
}

/** Open and resolved ones, newest first. */
export async function alertPage(
  { store }: Pick<Engine, 'store'>,
  request: PageRequest & { readonly now: Instant },
): Promise<Page<AlertView>> {
  const silences = await silencesAt(store.db, request.now)
  const { rows, next } = await listAlerts(store.db, request)
  const views = rows.map((alert) =>
    alert.status === 'open' ? viewOf(alert, silences, request.now) : viewOf(alert, [], request.now),
  )
  return { rows: views, next }
}

export interface AlertDetails {
  readonly alert: AlertView
  /** Newest first; at most 100. */
  readonly notifications: readonly NotificationRecord[]
}

/** @throws Refusal `not-found` */
export async function alertDetails(
  { store }: Pick<Engine, 'store'>,
  id: number,
  now: Instant,
): Promise<AlertDetails> {
  const alert = found(await findAlert(store.db, id), id)
  const { rows: notifications } = await listNotifications(store.db, { alertId: id, limit: 100 })
  return { alert: viewOf(alert, await silencesAt(store.db, now), now), notifications }
}

export async function notificationPage(
  { store }: Pick<Engine, 'store'>,
  request: PageRequest & { readonly notifier?: string },
): Promise<Page<NotificationRecord>> {
  return await listNotifications(store.db, request)
}

export interface Acknowledgement {
  readonly id: number
  readonly actor: string
  readonly now: Instant
  readonly note?: string | null
}

/**
 * Somebody looks after it: nobody else is told, unless it gets graver. Doing it again changes the note only.
 * @throws Refusal `not-found`, `invalid-input` when it is resolved
 */
export async function acknowledge(
  engine: Pick<Engine, 'store' | 'settings' | 'notifiers'>,
  { id, actor, now, note = null }: Acknowledgement,
): Promise<AlertRecord> {
  return await engine.store.transaction(async (tx) => {
    const before = found(await lockAlert(tx, id), id)
    if (before.status === 'resolved') {
      throw new Refusal(
        'invalid-input',
        `alert ${id} was resolved at ${iso(before.resolvedAt ?? before.updatedAt)}: there is nothing to acknowledge`,
      )
    }
    const isFirst = before.acknowledgedAt === null
    const alert: AlertRecord = {
      ...before,
      acknowledgedAt: before.acknowledgedAt ?? now,
      acknowledgedBy: before.acknowledgedBy ?? actor,
      note: note ?? before.note,
      nextAt: null,
      updatedAt: now,
    }
    await updateAlert(tx, alert)
    const subject = subjects.alert(id)
    const details = { rule: alert.rule, key: alert.key }
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'alert.acknowledged',
        subject,
        details,
        ...(note === null ? {} : { reason: note }),
      }),
    )
    if (isFirst) await sendAlerts(tx, engine, goodNews(engine, alert, 'acknowledged', now), now)
    return alert
  })
}

export interface SilenceRequest {
  readonly rule: string | null
  readonly key: string | null
  /** Up to this one; null: all. */
  readonly severity: Severity | null
  readonly reason: string
  readonly endsAt: Instant
  readonly actor: string
  readonly now: Instant
}

/** For ever is no silence, but a blind spot. */
const longestSilenceMs = 90 * 86_400_000

/** Nobody is told of alerts that fit, until an end. @throws Refusal `invalid-input` */
export async function silence(
  { store }: Pick<Engine, 'store'>,
  request: SilenceRequest,
): Promise<SilenceRecord> {
  const { actor, now, rule, key, severity, reason, endsAt } = request
  checkSilence(request)
  return await store.transaction(async (tx) => {
    const given = { rule, key, severity, reason, endsAt, createdBy: actor, createdAt: now }
    const id = await insertSilence(tx, given)
    const details = {
      rule: rule ?? undefined,
      key: key ?? undefined,
      severity: severity ?? undefined,
      until: iso(endsAt),
    }
    await recordFacts(
      tx,
      fact(now, { actor, action: 'silence.created', subject: subjects.silence(id), reason, details }),
    )
    return { id, ...given, endedBy: null }
  })
}

function checkSilence({ rule, key, severity, reason, endsAt, now }: SilenceRequest): void {
  if (rule === null && key === null && severity === null)
    throw new Refusal(
      'invalid-input',
      'a silence of everything is none: name a rule, a key, or the gravest severity',
    )
  if (rule !== null && !isRuleName(rule))
    throw new Refusal('invalid-input', `there is no rule ${rule}; there are ${ruleNames.join(', ')}`)
  if (reason.trim() === '' || reason.length > 500)
    throw new Refusal('invalid-input', 'a silence has a reason of 1 to 500 characters')
  if (endsAt <= now || endsAt > now + longestSilenceMs)
    throw new Refusal('invalid-input', 'a silence ends within 90 days from now: make another one then')
}

/** @throws Refusal `not-found` */
export async function endSilence(
  { store }: Pick<Engine, 'store'>,
  { id, actor, now }: { readonly id: number; readonly actor: string; readonly now: Instant },
): Promise<void> {
  await store.transaction(async (tx) => {
    if (!(await endSilenceRecord(tx, { id, now, by: actor })))
      throw new Refusal('not-found', `there is no silence ${id} in force`)
    await recordFacts(tx, fact(now, { actor, action: 'silence.ended', subject: subjects.silence(id) }))
  })
}

/** Those in force, the next to end first. */
export async function currentSilences(
  { store }: Pick<Engine, 'store'>,
  now: Instant,
): Promise<SilenceRecord[]> {
  return await silencesAt(store.db, now)
}

function found(alert: AlertRecord | null, id: number): AlertRecord {
  if (alert === null) throw new Refusal('not-found', `there is no alert ${id}`)
  return alert
}

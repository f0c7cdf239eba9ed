/** Alerts: what is wrong, who knows of it, and what was sent about it. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { parseDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import {
  acknowledge,
  alertDetails,
  alertPage,
  currentAlerts,
  notificationPage,
  silence,
  type AlertView,
  type NotificationRecord,
} from '../../engine/alerts/alert-actions.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { count, isoOrNull, text } from '../views/values.ts'

const severities = ['notice', 'warning', 'critical'] as const

const alert = object(
  {
    id: Type.Integer(),
    rule: text,
    key: Type.String({ description: 'What it is about, within its rule.' }),
    severity: oneOf(severities),
    status: oneOf(['open', 'resolved']),
    count: Type.Integer({ minimum: 0, description: 'How many things are concerned: devices, tasks.' }),
    summary: text,
    openedAt: instant,
    resolvedAt: nullable(instant),
    acknowledgedAt: nullable(instant),
    acknowledgedBy: nullable(text),
    note: nullable(text),
    silencedUntil: nullable(instant),
  },
  { $id: 'Alert' },
)

const notification = object(
  {
    id: Type.Integer(),
    notifier: text,
    event: text,
    alert: nullable(Type.Integer()),
    status: oneOf(['waiting', 'sent', 'failed']),
    attempts: count,
    detail: nullable(Type.String({ description: 'Of the last attempt.' })),
    createdAt: instant,
    updatedAt: instant,
  },
  { $id: 'Notification' },
)

const params = { id: Type.Integer({ minimum: 1 }) }
const note = Type.String({ minLength: 1, maxLength: 500 })

export const alertRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/alerts',
    operationId: 'listAlerts',
    summary: 'Open alerts, the gravest first; with state=all every one that there was, the newest first',
    permission: 'alerts:read',
    scope: 'fleet',
    query: { ...paging, ...sparse, state: Type.Optional(oneOf(['open', 'all'])) },
    response: pageOf(alert),
    examples: [{ summary: 'Open ones' }, { summary: 'All', query: { state: 'all', limit: 20 } }],
    async handler({ engine, query, now }) {
      if (query.state !== 'all')
        return { items: (await currentAlerts(engine, now)).map(alertView), next: null }
      return pageAnswer(await alertPage(engine, { ...pageRequest(query), now }), alertView)
    },
  }),
  route({
    method: 'GET',
    path: '/alerts/{id}',
    operationId: 'getAlert',
    summary: 'An alert, and what was sent about it',
    permission: 'alerts:read',
    scope: 'fleet',
    params,
    query: sparse,
    response: object({ alert, notifications: Type.Array(notification) }, { $id: 'AlertDetails' }),
    examples: [{ summary: 'One of them', params: { id: '1' } }],
    async handler({ engine, params: { id }, now }) {
      const details = await alertDetails(engine, id, now)
      return {
        alert: alertView(details.alert),
        notifications: details.notifications.map(notificationView),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/alerts/{id}/acknowledge',
    operationId: 'acknowledgeAlert',
    summary: 'Somebody is at it: nobody else is told, unless it gets graver',
    permission: 'alerts:write',
    scope: 'fleet',
    params,
    body: object({ note: Type.Optional(note) }, { $id: 'AlertAcknowledgement' }),
    response: alert,
    examples: [{ summary: 'With a note', params: { id: '1' }, body: { note: 'a campaign is planned' } }],
    async handler({ engine, params: { id }, body, actor, now }) {
      await acknowledge(engine, { id, actor, now, note: body.note ?? null })
      return alertView((await alertDetails(engine, id, now)).alert)
    },
  }),
  route({
    method: 'POST',
    path: '/alerts/{id}/silence',
    operationId: 'silenceAlert',
    summary: 'Nobody is told of this alert for a time',
    permission: 'alerts:write',
    scope: 'fleet',
    params,
    body: object(
      {
        for: Type.String({ maxLength: 16, description: 'A duration such as 4h, at most 90d.' }),
        reason: note,
      },
      { $id: 'AlertSilence' },
    ),
    response: alert,
    examples: [
      { summary: 'Four hours', params: { id: '1' }, body: { for: '4h', reason: 'works at the site' } },
    ],
    async handler({ engine, params: { id }, body, actor, now }) {
      const { rule, key } = (await alertDetails(engine, id, now)).alert
      const ms = parseDuration(body.for)
      if (ms === null) throw new Refusal('invalid-input', `body.for is no duration: ${body.for} (like 4h)`)
      const request = { rule, key, severity: null, reason: body.reason, endsAt: now + ms, actor, now }
      await silence(engine, request)
      return alertView((await alertDetails(engine, id, now)).alert)
    },
  }),
  route({
    method: 'GET',
    path: '/notifications',
    operationId: 'listNotifications',
    summary: 'What was sent to notifiers, the newest first',
    description: 'Without the messages themselves: they may name addresses.',
    permission: 'webhooks:read',
    scope: 'fleet',
    query: { ...paging, ...sparse, notifier: Type.Optional(Type.String({ maxLength: 64 })) },
    response: pageOf(notification),
    examples: [{ summary: 'The latest', query: { limit: 20 } }],
    async handler({ engine, query }) {
      const { notifier } = query
      const request = { ...pageRequest(query), ...(notifier === undefined ? {} : { notifier }) }
      return pageAnswer(await notificationPage(engine, request), notificationView)
    },
  }),
]

function alertView(row: AlertView): Static<typeof alert> {
  const { id, rule, key, severity, status, summary, acknowledgedBy, note: words } = row
  return {
    id,
    rule,
    key,
    severity,
    status,
    count: row.count,
    summary,
    openedAt: iso(row.openedAt),
    resolvedAt: isoOrNull(row.resolvedAt),
    acknowledgedAt: isoOrNull(row.acknowledgedAt),
    acknowledgedBy,
    note: words,
    silencedUntil: isoOrNull(row.silencedUntil),
  }
}

function notificationView(row: NotificationRecord): Static<typeof notification> {
  const { id, notifier, event, alertId, status, attempts, detail, createdAt, updatedAt } = row
  return {
    id,
    notifier,
    event,
    alert: alertId,
    status,
    attempts,
    detail,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

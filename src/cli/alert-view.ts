/** Alerts as text and as JSON. */
import { iso, type Instant } from '../base/clock.ts'
import { printable } from '../base/text.ts'
import type { AlertView, NotificationRecord, SilenceRecord } from '../engine/alerts/alert-actions.ts'
import type { Json } from './output.ts'
import type { Style } from './style.ts'
import { formatFields, formatTable, type Column } from './table.ts'
import { ago, instant } from './time.ts'

export function alertJson(alert: AlertView): { readonly [key: string]: Json } {
  return {
    id: alert.id,
    rule: alert.rule,
    key: alert.key,
    severity: alert.severity,
    status: alert.status,
    count: alert.count,
    summary: alert.summary,
    details: JSON.parse(alert.details) as Json,
    openedAt: iso(alert.openedAt),
    updatedAt: iso(alert.updatedAt),
    resolvedAt: orNull(alert.resolvedAt),
    acknowledgedAt: orNull(alert.acknowledgedAt),
    acknowledgedBy: alert.acknowledgedBy,
    note: alert.note,
    silencedUntil: orNull(alert.silencedUntil),
    notified: [...alert.notified],
  }
}

function orNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

export function silenceJson(silence: SilenceRecord): { readonly [key: string]: Json } {
  const { id, rule, key, severity, reason, createdBy, createdAt, endsAt } = silence
  return { id, rule, key, severity, reason, createdBy, createdAt: iso(createdAt), endsAt: iso(endsAt) }
}

export function notificationColumns(now: Instant): readonly Column<NotificationRecord>[] {
  return [
    { title: 'MESSAGE', value: ({ id }) => id, align: 'right' },
    { title: 'WHEN', value: ({ createdAt }) => ago(createdAt, now) },
    { title: 'NOTIFIER', value: ({ notifier }) => notifier },
    { title: 'EVENT', value: ({ event }) => event },
    {
      title: 'STATUS',
      value: ({ status }) => status,
      paint: ({ status }, style) => (status === 'failed' ? style.red : (cell) => cell),
    },
    { title: 'ATTEMPTS', value: ({ attempts }) => attempts, align: 'right' },
    { title: 'DETAIL', value: ({ detail }) => detail, shrink: true },
  ]
}

interface SampleDevice {
  readonly id: string
  readonly notAfter: string
  readonly chancePercent: number
  readonly usualGap: string
  readonly silent: string
  readonly left: string
  readonly missedVisits: number
}

export function alertLines(alert: AlertView, now: Instant, style: Style): string[] {
  const { devices, ...details } = JSON.parse(alert.details) as Record<string, unknown> & {
    readonly devices?: readonly SampleDevice[]
  }
  const acknowledged =
    alert.acknowledgedAt === null
      ? null
      : `by ${alert.acknowledgedBy} ${ago(alert.acknowledgedAt, now)}${alert.note === null ? '' : `: ${alert.note}`}`
  return [
    style.bold(printable(alert.summary)),
    '',
    ...formatFields(
      [
        ['Alert', `${alert.id}, ${alert.status}`],
        ['Severity', alert.severity],
        ['Rule', alert.rule],
        ['About', alert.key],
        ['Opened', `${instant(alert.openedAt)} (${ago(alert.openedAt, now)})`],
        ['Resolved', alert.resolvedAt === null ? null : instant(alert.resolvedAt)],
        ['Acknowledged', acknowledged],
        ['Silenced', alert.silencedUntil === null ? null : `until ${instant(alert.silencedUntil)}`],
        ...Object.entries(details).map(([name, value]) => [wordsOf(name), textOf(value)] as const),
      ],
      style,
    ),
    ...(devices === undefined ? [] : ['', ...deviceLines(devices, style)]),
  ]
}

/** `expectedLoss` → `Expected loss`. */
function wordsOf(name: string): string {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(', ') : String(value)
}

function deviceLines(devices: readonly SampleDevice[], style: Style): string[] {
  const columns: readonly Column<SampleDevice>[] = [
    { title: 'DEVICE', value: ({ id }) => id },
    { title: 'ENDS', value: ({ notAfter }) => notAfter.slice(0, 10) },
    { title: 'CHANCE', value: ({ chancePercent }) => `${chancePercent} %`, align: 'right' },
    { title: 'CALLS IN EVERY', value: ({ usualGap }) => usualGap },
    { title: 'SILENT FOR', value: ({ silent }) => silent },
    { title: 'LEFT', value: ({ left }) => left },
    { title: 'VISITS MISSED', value: ({ missedVisits }) => missedVisits, align: 'right' },
  ]
  return [
    style.dim('The most urgent, with the chance that each renews in time:'),
    ...formatTable(columns, devices, { width: 120, style }),
  ]
}

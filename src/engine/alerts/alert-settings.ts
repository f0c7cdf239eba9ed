/** How alerts are judged and who is told; `alerts`, `notifiers`, `calendars` and `escalations` of the configuration. */
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import type { EngineSettings } from '../context.ts'
import type { RuleName, Severity } from './alert-rule.ts'
import type { Calendar } from './calendar.ts'

/** Lead times before the end of a certificate: notice, warning, critical; the longest first. */
export type Thresholds = readonly [number, number, number]

export interface NotifierSettings {
  /** Null: at any time. */
  readonly calendar: string | null
  /** What happens to a message outside the hours of its calendar. */
  readonly outsideHours: 'wait' | 'skip'
  /** Alerts of this severity pay no heed to the calendar. */
  readonly breaksThrough: 'critical' | 'never'
}

export interface EscalationStep {
  readonly notifier: string
  /** How long the step before it has had, ms; of the first, from the opening. */
  readonly afterMs: number
}

export interface Escalation {
  readonly name: string
  /** Empty: of every rule. */
  readonly rules: readonly RuleName[]
  readonly minimumSeverity: Severity
  readonly steps: readonly EscalationStep[]
}

export interface AlertSettings {
  /** By connectivity; those that are missing have `otherThresholds`. */
  readonly thresholds: ReadonlyMap<string, Thresholds>
  /** Below this chance of renewing in time, percent, a device counts. */
  readonly chancePercent: number
  /** Whole fleet looked at, from the end of one look to the begin of the next. */
  readonly sweepIntervalMs: number
  /** A cause must be gone for this long. */
  readonly resolveAfterMs: number
  /** Certificates that can be renewed in a week; null: 40 hours of `campaigns.capacityPerMinute`. */
  readonly weeklyCapacity: number | null
  /** Points above the normal share of dark devices. */
  readonly darkPoints: number
  /** Messages to one notifier within an hour, but for resolutions and incident tools. */
  readonly maximumPerHour: number
  /** Base of links in messages; null: none. */
  readonly runbookUrl: string | null
  readonly notifiers: ReadonlyMap<string, NotifierSettings>
  readonly calendars: ReadonlyMap<string, Calendar>
  /** The first that fits takes the alert. */
  readonly escalations: readonly Escalation[]
}

export const otherThresholds: Thresholds = [60 * dayMs, 30 * dayMs, 14 * dayMs]

/** By the names of the connectivity profiles that ship. */
export const defaultThresholds: ReadonlyMap<string, Thresholds> = new Map<string, Thresholds>([
  ['always-on', [30 * dayMs, 14 * dayMs, 7 * dayMs]],
  ['daily', otherThresholds],
  ['weekly', [90 * dayMs, 60 * dayMs, 30 * dayMs]],
  ['deep-sleep-72h', [90 * dayMs, 60 * dayMs, 30 * dayMs]],
  ['air-gapped', [180 * dayMs, 90 * dayMs, 60 * dayMs]],
])

export const defaultAlertSettings: AlertSettings = {
  thresholds: defaultThresholds,
  chancePercent: 90,
  sweepIntervalMs: hourMs,
  resolveAfterMs: 15 * minuteMs,
  weeklyCapacity: null,
  darkPoints: 10,
  maximumPerHour: 30,
  runbookUrl: null,
  notifiers: new Map(),
  calendars: new Map(),
  escalations: [],
}

export function alertSettings({ alerts }: Pick<EngineSettings, 'alerts'>): AlertSettings {
  return alerts ?? defaultAlertSettings
}

/** What is renewed in 40 hours, when nothing else is said: people watch over renewals in working hours. */
export function weeklyCapacityOf(settings: Pick<EngineSettings, 'alerts' | 'campaigns'>): number {
  const perMinute = settings.campaigns?.capacityPerMinute ?? 6_000
  return alertSettings(settings).weeklyCapacity ?? perMinute * 60 * 40
}

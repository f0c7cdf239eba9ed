/** The tables of the alerts, and of the contacts that they judge by; see schema.ts. */
import type { Generated } from 'kysely'

export interface AlertTables {
  device_last_seen: DeviceLastSeenTable
  device_oddities: DeviceOddityTable
  alerts: AlertTable
  alert_silences: AlertSilenceTable
  notifications: NotificationTable
}

export interface DeviceLastSeenTable {
  device_id: string
  certificate_id: number | null
  at: number
  /** Between two visits, ms: how many, the usual one (a moving average), the longest. */
  gaps: Generated<number>
  usual_gap: Generated<number>
  longest_gap: Generated<number>
}

export interface DeviceOddityTable {
  kind: string
  device_id: string
  times: number
  first_at: number
  last_at: number
  /** Of a clock: how far it is ahead, ms; null for other kinds. */
  value: number | null
}

export interface AlertTable {
  id: Generated<number>
  rule: string
  /** What it is about, within its rule: a batch, an issuer, a campaign. */
  key: string
  severity: string
  status: string
  /** How many things are concerned: devices, tasks. */
  count: number
  summary: string
  /** JSON object. */
  details: string
  opened_at: number
  updated_at: number
  /** Since when its cause is gone; it is resolved a while later. */
  cleared_at: number | null
  resolved_at: number | null
  acknowledged_at: number | null
  acknowledged_by: string | null
  note: string | null
  /** Steps of its escalation that were taken. */
  step: number
  /** When a pass must look at its escalation; null when there is nothing left to do. */
  next_at: number | null
  /** JSON array: the notifiers that were told; and how many things were concerned then. */
  notified: string
  notified_count: number
}

export interface AlertSilenceTable {
  id: Generated<number>
  /** Null: every rule; the same for key and severity. */
  rule: string | null
  key: string | null
  severity: string | null
  reason: string
  created_by: string
  created_at: number
  ends_at: number
  ended_by: string | null
}

export interface NotificationTable {
  id: Generated<number>
  notifier: string
  event: string
  alert_id: number | null
  /** JSON: what was handed to the notifier. */
  message: string
  status: string
  attempts: number
  detail: string | null
  created_at: number
  updated_at: number
}

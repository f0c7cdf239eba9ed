/** Alerts, their silences, what was sent about them, and how often each device calls in. */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function alerts(engine: Engine): string[] {
  const { id, int, text, rows } = words[engine]
  return [
    `create table alerts (
      id ${id},
      rule ${text} not null,
      key ${text} not null,
      severity ${text} not null check (severity in ('notice', 'warning', 'critical')),
      status ${text} not null check (status in ('open', 'resolved')),
      count ${int} not null,
      summary ${text} not null,
      details ${text} not null,
      opened_at ${int} not null,
      updated_at ${int} not null,
      cleared_at ${int},
      resolved_at ${int},
      acknowledged_at ${int},
      acknowledged_by ${text},
      note ${text},
      step ${int} not null,
      next_at ${int},
      notified ${text} not null,
      notified_count ${int} not null
    ) ${rows}`,
    // One open alert for each cause. Also the open ones, which each pass reads: some dozens.
    `create unique index alerts_open on alerts (rule, key) where status = 'open'`,
    `create table alert_silences (
      id ${id},
      rule ${text},
      key ${text},
      severity ${text},
      reason ${text} not null,
      created_by ${text} not null,
      created_at ${int} not null,
      ends_at ${int} not null,
      ended_by ${text}
    ) ${rows}`,
    'create index alert_silences_end on alert_silences (ends_at, id)',
    // What was sent, to whom, and what became of it. The message is kept, so that a repeat is the same bytes.
    `create table notifications (
      id ${id},
      notifier ${text} not null,
      event ${text} not null,
      alert_id ${int},
      message ${text} not null,
      status ${text} not null check (status in ('waiting', 'sent', 'failed')),
      attempts ${int} not null,
      detail ${text},
      created_at ${int} not null,
      updated_at ${int} not null
    ) ${rows}`,
    'create index notifications_notifier on notifications (notifier, id)',
    'create index notifications_alert on notifications (alert_id, id) where alert_id is not null',
    // A device's own history: how many gaps between two visits there were, the usual one (a moving average) and the longest.
    ...['gaps', 'usual_gap', 'longest_gap'].map(
      (column) => `alter table device_last_seen add column ${column} ${int} not null default 0`,
    ),
  ]
}

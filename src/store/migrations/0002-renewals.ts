/**
 * Renewals, campaigns and what becomes of a replaced certificate. `campaign_id` is '' for a renewal that no campaign asked
 * for: it is part of the index that each pass reads.
 */
import type { Engine } from '../schema.ts'
import { words, type Words } from './words.ts'

/** @returns the statements in order */
export function renewals(engine: Engine): string[] {
  const w = words[engine]
  return [...connectivityNames(), ...campaigns(w), ...renewal(w), ...afterwards(w), ...tuned(engine)]
}

/** The connectivity profiles got the names of the shipped ladders. */
function connectivityNames(): string[] {
  const renamed = [
    ['intermittent', 'weekly'],
    ['sleepy', 'deep-sleep-72h'],
    ['field-visit', 'air-gapped'],
  ]
  return renamed.map(
    ([from, to]) => `update devices set connectivity = '${to}' where connectivity = '${from}'`,
  )
}

function campaigns({ int, text, keyed, rows }: Words): string[] {
  return [
    `create table campaigns (
      id ${text} primary key,
      name ${text} not null,
      status ${text} not null check (status in ('draft', 'running', 'paused', 'completed', 'aborted')),
      definition ${text} not null,
      revision ${int} not null,
      reason ${text},
      created_at ${int} not null,
      created_by ${text} not null,
      started_at ${int},
      paused_at ${int},
      ended_at ${int},
      ticked_at ${int},
      admitted ${int} not null
    ) ${rows}`,
    // Those that a tick looks at. A handful.
    `create index campaigns_open on campaigns (id) where status in ('running', 'paused')`,
    `create table campaign_waves (
      campaign_id ${text} not null references campaigns (id),
      wave ${int} not null,
      size ${int} not null,
      status ${text} not null check (status in ('waiting', 'open', 'soaking', 'approval', 'done')),
      opened_at ${int},
      soak_until ${int},
      closed_at ${int},
      approved_by ${text},
      approved_at ${int},
      primary key (campaign_id, wave)
    ) ${keyed}`,
  ]
}

function renewal({ id, int, text, rows }: Words): string[] {
  return [
    // No foreign keys: devices, certificates and campaigns are never deleted, and a campaign has one row for each device.
    `create table renewals (
      id ${id},
      campaign_id ${text} not null,
      wave ${int} not null,
      device_id ${text} not null,
      slot ${text} not null,
      certificate_id ${int} not null,
      not_after ${int} not null,
      connectivity ${text} not null,
      site ${text},
      status ${text} not null
        check (status in ('planned', 'triggered', 'issued', 'confirmed', 'retired', 'escalated', 'abandoned')),
      rung ${int} not null,
      attempt ${int} not null,
      next_at ${int},
      new_certificate_id ${int},
      triggered_at ${int},
      issued_at ${int},
      delivered_at ${int},
      stored_at ${int},
      confirmed_at ${int},
      ended_at ${int},
      reason ${text},
      assignee ${text},
      created_at ${int} not null
    ) ${rows}`,
    // One open renewal for each slot of a device: two campaigns that match one device meet here.
    `create unique index renewals_open on renewals (device_id, slot)
      where status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`,
    // What a pass must look at now: of one campaign, or of none ('').
    'create index renewals_due on renewals (campaign_id, next_at, id) where next_at is not null',
    // What a wave may still admit.
    `create index renewals_planned on renewals (campaign_id, wave, id) where status = 'planned'`,
    // The targets of a campaign, for lists and reports.
    `create index renewals_campaign on renewals (campaign_id, id) where campaign_id <> ''`,
    // The history of one device.
    'create index renewals_device on renewals (device_id, id)',
    // The field list, the most urgent first.
    `create index renewals_escalated on renewals (not_after, id) where status = 'escalated'`,
    // One row for each time that a device was asked.
    `create table renewal_attempts (
      id ${id},
      renewal_id ${int} not null,
      device_id ${text} not null,
      rung ${int} not null,
      attempt ${int} not null,
      channel ${text} not null,
      status ${text} not null check (status in ('queued', 'sent', 'delivered', 'failed', 'withheld')),
      detail ${text},
      reference ${text},
      at ${int} not null,
      updated_at ${int} not null
    ) ${rows}`,
    'create unique index renewal_attempts_renewal on renewal_attempts (renewal_id, rung, attempt, channel)',
    // A delivery receipt finds the message that it is about.
    'create index renewal_attempts_reference on renewal_attempts (channel, reference) where reference is not null',
  ]
}

function afterwards({ int, text, rows }: Words): string[] {
  return [
    // A replaced certificate works until `due_at`: a device that falls back to it meanwhile is not stranded.
    `create table retirements (
      certificate_id ${int} primary key,
      device_id ${text} not null,
      slot ${text} not null,
      replaced_by ${int} not null,
      due_at ${int} not null
    ) ${rows}`,
    'create index retirements_due on retirements (due_at, certificate_id)',
  ]
}

/** Free room in each page, so that rows that change often stay where they are (heap-only updates). */
function tuned(engine: Engine): string[] {
  if (engine !== 'postgres') return []
  return ['renewals', 'renewal_attempts'].map((table) => `alter table ${table} set (fillfactor = 70)`)
}

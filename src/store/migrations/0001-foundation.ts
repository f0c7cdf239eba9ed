/**
 * The first schema. Every index says which query needs it: an index on `certificates` costs each issuance 2 to 4 µs and
 * about 40 bytes for the life of the fleet.
 */
import type { Engine } from '../schema.ts'
import { words, type Words } from './words.ts'

/** @returns the statements in order */
export function foundation(engine: Engine): string[] {
  const w = words[engine]
  return [...people(w), ...certificates(w), ...audit(w), ...work(w, engine), ...rollups(w, engine)]
}

function people({ int, bytes, text, rows, keyed }: Words): string[] {
  return [
    `create table meta (key ${text} primary key, value ${text} not null) ${keyed}`,
    `create table issuers (
      id ${text} primary key,
      kind ${text} not null check (kind in ('root', 'intermediate', 'paa', 'pai', 'external')),
      subject ${text} not null,
      certificate ${bytes},
      parent_id ${text} references issuers (id),
      key_algorithm ${text} not null,
      authority ${text} not null,
      key_reference ${text} not null,
      status ${text} not null check (status in ('active', 'retired')),
      subject_key_identifier ${text} not null,
      spki_hash ${bytes} not null,
      not_before ${int} not null,
      not_after ${int} not null,
      crl_shards ${int} not null,
      created_at ${int} not null
    ) ${rows}`,
    `create table trust_anchors (
      id ${text} primary key,
      name ${text} not null,
      certificate ${bytes} not null,
      subject ${text} not null,
      device_id_rule ${text} not null,
      profile ${text},
      created_at ${int} not null
    ) ${rows}`,
    `create table blocked_keys (spki_hash ${bytes} primary key, reason ${text} not null, created_at ${int} not null) ${keyed}`,
    `create table devices (
      id ${text} primary key,
      profile ${text} not null,
      cohort ${text},
      batch ${text},
      site ${text},
      connectivity ${text} not null,
      state ${text} not null check (state in ('registered', 'active', 'quarantined', 'decommissioned')),
      tags ${text} not null,
      hardware ${text},
      firmware ${text},
      last_renewal_at ${int},
      created_at ${int} not null
    ) ${keyed}`,
    // Lists of one cohort and of one manufacturing run, in id order.
    'create index devices_by_cohort on devices (cohort, id) where cohort is not null',
    'create index devices_by_batch on devices (batch, id) where batch is not null',
    // Narrow and without a foreign key: written at every contact, and devices are never deleted.
    `create table device_last_seen (device_id ${text} primary key, certificate_id ${int}, at ${int} not null) ${keyed}`,
    `create table enrolment_secrets (
      device_id ${text} primary key references devices (id),
      hash ${bytes} not null,
      created_at ${int} not null,
      expires_at ${int} not null,
      used_at ${int},
      used_for ${bytes}
    ) ${keyed}`,
  ]
}

function certificates({ id, int, bytes, text, rows }: Words): string[] {
  return [
    // issuer_id has no foreign key: on PostgreSQL each issuance would lock the one issuer row, and issuers are never deleted.
    `create table certificates (
      id ${id},
      device_id ${text} references devices (id),
      slot ${text} not null,
      issuer_id ${text} not null,
      serial_number ${bytes} not null,
      subject ${text} not null,
      subject_alt_names ${text} not null,
      key_algorithm ${text} not null,
      spki_hash ${bytes} not null,
      not_before ${int} not null,
      not_after ${int} not null,
      status ${text} not null
        check (status in ('reserved', 'issued', 'confirmed', 'superseded', 'revoked', 'abandoned')),
      reason ${text},
      revoked_at ${int},
      profile ${text},
      profile_hash ${bytes},
      protocol ${text} not null,
      predecessor_id ${int} references certificates (id),
      cohort ${text},
      batch ${text},
      site ${text},
      created_at ${int} not null,
      issued_at ${int},
      confirmed_at ${int},
      crl_shard ${int} not null,
      holds_key ${int} not null check (holds_key in (0, 1)),
      tbs ${bytes},
      der ${bytes}
    ) ${rows}`,
    // No serial number twice under one issuer; look-up by serial number alone.
    'create unique index certificates_serial on certificates (serial_number, issuer_id)',
    // One certificate for one key, device, slot and predecessor: parallel repeats of a request meet here. A certificate
    // without a device (null) never collides. Also: who holds this key. The condition is a column of its own, because an
    // index whose condition names the status is written again whenever the status changes.
    `create unique index certificates_key on certificates (spki_hash, device_id, slot, coalesce(predecessor_id, 0))
      where holds_key = 1`,
    // The newest certificate of a device.
    'create index certificates_device on certificates (device_id, slot, id) where device_id is not null',
    // What expires next, in the fleet and in one cohort. Only live certificates, so that history costs nothing.
    `create index certificates_expiry on certificates (not_after, id) where status in ('issued', 'confirmed')`,
    `create index certificates_cohort_expiry on certificates (cohort, not_after, id)
      where status in ('issued', 'confirmed') and cohort is not null`,
    // The certificates of one manufacturing run.
    'create index certificates_batch on certificates (batch, id) where batch is not null',
    // Reservations without a signature, for the recovery job. Almost always empty.
    `create index certificates_reserved on certificates (created_at, id) where status = 'reserved'`,
    `create table certificate_last_seen (certificate_id ${int} primary key, at ${int} not null) ${rows}`,
    `create table approvals (
      id ${id},
      device_id ${text} not null references devices (id),
      slot ${text} not null,
      spki_hash ${bytes} not null,
      subject ${text} not null,
      profile ${text} not null,
      protocol ${text} not null,
      csr ${bytes} not null,
      predecessor_id ${int},
      status ${text} not null check (status in ('pending', 'approved', 'rejected', 'used')),
      created_at ${int} not null,
      decided_at ${int},
      decided_by ${text}
    ) ${rows}`,
    // A repeated request finds its own approval.
    `create unique index approvals_open on approvals (device_id, slot, spki_hash, coalesce(predecessor_id, 0))
      where status in ('pending', 'approved')`,
    // All requests of one device, decided or not.
    'create index approvals_device on approvals (device_id, id)',
    // What waits for a human.
    `create index approvals_pending on approvals (id) where status = 'pending'`,
  ]
}

function audit({ id, int, bytes, text, rows, keyed }: Words): string[] {
  return [
    `create table facts (
      id ${id},
      at ${int} not null,
      action ${text} not null,
      subject ${text} not null,
      entry ${bytes} not null,
      log_index ${int}
    ) ${rows}`,
    // What the sealing job takes next, in order of ids.
    'create index facts_unsealed on facts (id) where log_index is null',
    // The sealed log by position.
    'create unique index facts_log_index on facts (log_index) where log_index is not null',
    // The history of one device, certificate or issuer.
    'create index facts_subject on facts (subject, id)',
    `create table audit_tiles (level ${int} not null, tile ${int} not null, hashes ${bytes} not null, primary key (level, tile)) ${rows}`,
    `create table checkpoints (size ${int} primary key, root_hash ${bytes} not null, note ${text}, at ${int} not null) ${keyed}`,
  ]
}

function work({ id, int, text, rows, keyed }: Words, engine: Engine): string[] {
  return [
    `create table tasks (
      id ${id},
      kind ${text} not null,
      key ${text},
      payload ${text} not null,
      status ${text} not null check (status in ('ready', 'running', 'done', 'dead')),
      attempts ${int} not null,
      run_at ${int} not null,
      last_error ${text},
      created_at ${int} not null
    ) ${rows}`,
    // One open task for one intent.
    `create unique index tasks_key on tasks (kind, key) where key is not null and status in ('ready', 'running')`,
    // What is due, of one kind and of any: a dead connector's backlog must not be read by the others.
    `create index tasks_due_of_kind on tasks (kind, run_at, id) where status in ('ready', 'running')`,
    `create index tasks_due on tasks (run_at, id) where status in ('ready', 'running')`,
    // Dead letters, for the operator.
    `create index tasks_dead on tasks (id) where status = 'dead'`,
    `create table leases (
      name ${text} primary key,
      holder ${text} not null,
      token ${int} not null,
      expires_at ${int} not null
    ) ${keyed}`,
    ...(engine === 'postgres' ? tuned('tasks', 70) : []),
  ]
}

function rollups({ int, text, keyed }: Words, engine: Engine): string[] {
  return [
    `create table counters (
      name ${text} not null,
      slot ${int} not null,
      value ${int} not null,
      primary key (name, slot)
    ) ${keyed}`,
    `create table expiry_counts (
      day ${int} not null,
      issuer_id ${text} not null,
      profile ${text} not null,
      cohort ${text} not null,
      slot ${int} not null,
      count ${int} not null,
      primary key (day, cohort, profile, issuer_id, slot)
    ) ${keyed}`,
    ...(engine === 'postgres'
      ? [
          ...tuned('counters', 50),
          ...tuned('expiry_counts', 50),
          ...tuned('device_last_seen', 70),
          ...tuned('certificate_last_seen', 70),
        ]
      : []),
  ]
}

/** Free room in each page, so that rows that are updated for ever stay where they are (heap-only updates). */
function tuned(table: string, fillfactor: number): string[] {
  return [`alter table ${table} set (fillfactor = ${fillfactor})`]
}

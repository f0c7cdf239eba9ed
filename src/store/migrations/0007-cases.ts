/**
 * What people decide: acts that wait for a second person, revoked issuers, cases of devices, certificates whose hold was
 * released; and sessions that are to be cut.
 */
import type { Engine } from '../schema.ts'
import { words, type Words } from './words.ts'

/** @returns the statements in order */
export function cases(engine: Engine): string[] {
  const w = words[engine]
  return [...proposals(w), ...issuers(w), ...devices(w), ...sessions(w)]
}

function proposals({ id, int, text, rows }: Words): string[] {
  return [
    `create table proposals (
      id ${id},
      kind ${text} not null,
      payload ${text} not null,
      summary ${text} not null,
      why ${text},
      state ${text} not null check (state in ('open', 'approved', 'rejected', 'expired', 'done', 'failed')),
      requested_by ${text} not null,
      requested_at ${int} not null,
      expires_at ${int} not null,
      decided_by ${text},
      decided_at ${int},
      note ${text},
      outcome ${text},
      ended_at ${int}
    ) ${rows}`,
    // What waits for a person, and what has waited too long. A handful.
    `create index proposals_open on proposals (expires_at, id) where state = 'open'`,
  ]
}

/** A revoked issuer is retired as well, so that a process that does not know these columns signs with it no more. */
function issuers({ int, text }: Words): string[] {
  return [
    `alter table issuers add column revoked_at ${int}`,
    `alter table issuers add column revocation_reason ${text}`,
    // The campaign by which its devices enrol again; '' when there were none.
    `alter table issuers add column reissue_campaign ${text}`,
    // How far the sessions of its devices are cut; null when that is done, or not to be done.
    `alter table issuers add column cut_after ${text}`,
  ]
}

function devices({ id, int, bytes, text, rows }: Words): string[] {
  return [
    `create table cases (
      id ${id},
      device_id ${text} not null,
      revocation_id ${int},
      reason ${text},
      opened_by ${text} not null,
      opened_at ${int} not null,
      verdict ${text} check (verdict in ('cleared', 'replaced', 'destroyed', 'compromised')),
      closed_by ${text},
      closed_at ${int}
    ) ${rows}`,
    // A device has one open case.
    'create unique index cases_open on cases (device_id) where closed_at is null',
    'create index cases_device on cases (device_id, id)',
    // What a batch of revocations has opened, for the verdict about all of it.
    'create index cases_revocation on cases (revocation_id, id) where revocation_id is not null and closed_at is null',
    `create table case_entries (
      id ${id},
      case_id ${int} not null references cases (id),
      at ${int} not null,
      actor ${text} not null,
      note ${text},
      file_name ${text},
      file_sha256 ${bytes},
      file_size ${int}
    ) ${rows}`,
    'create index case_entries_case on case_entries (case_id, id)',
    // What a delta CRL must take out of the complete CRL that it builds on.
    `create table released_certificates (
      id ${id},
      certificate_id ${int} not null,
      issuer_id ${text} not null,
      crl_shard ${int} not null,
      serial_number ${bytes} not null,
      not_after ${int} not null,
      released_at ${int} not null
    ) ${rows}`,
    'create index released_certificates_issuer on released_certificates (issuer_id, released_at, id)',
  ]
}

function sessions({ id, int, text, rows, keyed }: Words): string[] {
  return [
    // Written with the decision. Each broker of ours reads what is new to it; other brokers are told by tasks.
    `create table session_cuts (
      id ${id},
      device_id ${text},
      issuer_id ${text},
      why ${text} not null check (why in ('revoked', 'quarantined', 'expired', 'released')),
      created_at ${int} not null
    ) ${rows}`,
    'create index session_cuts_device on session_cuts (device_id, id) where device_id is not null',
    'create index session_cuts_issuer on session_cuts (issuer_id, id) where issuer_id is not null',
    // Where it took effect.
    `create table session_cut_results (
      cut_id ${int} not null,
      surface ${text} not null,
      at ${int} not null,
      sessions ${int},
      primary key (cut_id, surface)
    ) ${keyed}`,
    // How far each broker of ours has read.
    `create table session_watchers (
      name ${text} primary key,
      cut_id ${int} not null,
      at ${int} not null
    ) ${keyed}`,
  ]
}

/** What people decide: acts that wait for a second person; and issuers that are revoked. */
import type { Engine } from '../schema.ts'
import { words, type Words } from './words.ts'

/** @returns the statements in order */
export function cases(engine: Engine): string[] {
  const w = words[engine]
  return [...proposals(w), ...issuers(w)]
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
  ]
}

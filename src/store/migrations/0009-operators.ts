/** Who may use the platform, and what the REST API remembers of requests. */
import type { Engine } from '../schema.ts'
import { words, type Words } from './words.ts'

/** @returns the statements in order */
export function operators(engine: Engine): string[] {
  const w = words[engine]
  return [...accounts(w), ...requests(w)]
}

function accounts({ int, bytes, text, rows, keyed }: Words): string[] {
  return [
    `create table operators (
      name ${text} not null primary key,
      status ${text} not null check (status in ('invited', 'active', 'disabled')),
      grants ${text} not null,
      password ${text},
      totp_key ${bytes},
      totp_step ${int} not null,
      oidc_subject ${text},
      certificate_hash ${bytes},
      failures ${int} not null,
      locked_until ${int},
      last_login_at ${int},
      created_at ${int} not null,
      created_by ${text} not null
    ) ${rows}`,
    `create unique index operators_oidc on operators (oidc_subject) where oidc_subject is not null`,
    `create unique index operators_certificate on operators (certificate_hash) where certificate_hash is not null`,
    // Links on which a person sets his password, once. '' is whoever opens the link of the first start.
    `create table operator_links (
      hash ${bytes} not null primary key,
      operator ${text} not null,
      created_at ${int} not null,
      expires_at ${int} not null
    ) ${keyed}`,
    `create index operator_links_operator on operator_links (operator)`,
    `create table operator_sessions (
      hash ${bytes} not null primary key,
      operator ${text} not null references operators (name) on delete cascade,
      created_at ${int} not null,
      used_at ${int} not null,
      expires_at ${int} not null,
      proved_at ${int} not null
    ) ${keyed}`,
    `create index operator_sessions_operator on operator_sessions (operator)`,
    `create index operator_sessions_expiry on operator_sessions (expires_at)`,
    `create table api_tokens (
      id ${text} not null primary key,
      hash ${bytes} not null,
      operator ${text} not null references operators (name) on delete cascade,
      name ${text} not null,
      grants ${text} not null,
      allows_dangerous ${int} not null,
      created_at ${int} not null,
      created_by ${text} not null,
      expires_at ${int} not null,
      used_at ${int},
      revoked_at ${int}
    ) ${rows}`,
    `create unique index api_tokens_hash on api_tokens (hash)`,
    `create index api_tokens_operator on api_tokens (operator, id)`,
  ]
}

function requests({ int, bytes, text, rows, keyed }: Words): string[] {
  return [
    // What was answered to a request with an Idempotency-Key; without a status while it is at work.
    `create table idempotent_requests (
      caller ${text} not null,
      key ${text} not null,
      request_hash ${bytes} not null,
      status ${int},
      headers ${text},
      body ${text},
      at ${int} not null,
      primary key (caller, key)
    ) ${rows}`,
    `create index idempotent_requests_at on idempotent_requests (at)`,
    `create table api_jobs (
      id ${text} not null primary key,
      kind ${text} not null,
      caller ${text} not null,
      status ${text} not null check (status in ('running', 'done', 'failed')),
      done ${int} not null,
      total ${int},
      result ${text},
      problem ${text},
      created_at ${int} not null,
      updated_at ${int} not null,
      ended_at ${int}
    ) ${keyed}`,
    `create index api_jobs_created on api_jobs (created_at)`,
  ]
}

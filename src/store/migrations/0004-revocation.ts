/** What is revoked, what was published of it, and batches of revocations that are under way. */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function revocation(engine: Engine): string[] {
  const { id, int, bytes, text, rows, keyed } = words[engine]
  return [
    // The entries of one CRL, in order of revocation: a CRL of a million entries is read from the index alone. Partial, so
    // that what is not revoked costs nothing.
    `create index certificates_revoked
      on certificates (issuer_id, crl_shard, revoked_at, id, serial_number, reason, not_after) where status = 'revoked'`,
    // Grows in the transaction of each revocation: whoever publishes sees what has changed since.
    `create table revoked_shards (
      issuer_id ${text} not null,
      shard ${int} not null,
      revision ${int} not null,
      primary key (issuer_id, shard)
    ) ${keyed}`,
    `create table crls (
      id ${id},
      issuer_id ${text} not null,
      kind ${text} not null check (kind in ('complete', 'delta', 'shard')),
      shard ${int} not null,
      number ${int} not null,
      base_number ${int},
      revision ${int} not null,
      this_update ${int} not null,
      next_update ${int} not null,
      entries ${int} not null,
      size ${int} not null,
      sha256 ${bytes} not null
    ) ${rows}`,
    // No number twice under one issuer.
    'create unique index crls_number on crls (issuer_id, number)',
    // The newest CRL of a scope.
    'create index crls_scope on crls (issuer_id, kind, shard, number)',
    // In pieces, so that neither a writer nor a reader holds 50 MB twice.
    `create table crl_parts (
      crl_id ${int} not null references crls (id),
      part ${int} not null,
      bytes ${bytes} not null,
      primary key (crl_id, part)
    ) ${rows}`,
    `create table revocation_batches (
      id ${id},
      selection ${text} not null,
      reason ${text} not null,
      note ${text},
      actor ${text} not null,
      status ${text} not null check (status in ('waiting', 'running', 'done', 'cancelled')),
      position ${text},
      devices ${int} not null,
      certificates ${int} not null,
      created_at ${int} not null,
      starts_at ${int} not null,
      ended_at ${int}
    ) ${rows}`,
    // What the job takes next. Almost always empty.
    `create index revocation_batches_open on revocation_batches (starts_at, id) where status in ('waiting', 'running')`,
  ]
}

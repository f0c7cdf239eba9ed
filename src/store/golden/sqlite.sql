CREATE TABLE alert_silences (
  id integer primary key,
  rule text,
  key text,
  severity text,
  reason text not null,
  created_by text not null,
  created_at integer not null,
  ends_at integer not null,
  ended_by text
) strict;

CREATE INDEX alert_silences_end on alert_silences (ends_at, id);

CREATE TABLE alerts (
  id integer primary key,
  rule text not null,
  key text not null,
  severity text not null check (severity in ('notice', 'warning', 'critical')),
  status text not null check (status in ('open', 'resolved')),
  count integer not null,
  summary text not null,
  details text not null,
  opened_at integer not null,
  updated_at integer not null,
  cleared_at integer,
  resolved_at integer,
  acknowledged_at integer,
  acknowledged_by text,
  note text,
  step integer not null,
  next_at integer,
  notified text not null,
  notified_count integer not null
) strict;

CREATE UNIQUE INDEX alerts_open on alerts (rule, key) where status = 'open';

CREATE TABLE api_jobs (
  id text not null primary key,
  kind text not null,
  caller text not null,
  status text not null check (status in ('running', 'done', 'failed')),
  done integer not null,
  total integer,
  result text,
  problem text,
  created_at integer not null,
  updated_at integer not null,
  ended_at integer
) strict, without rowid;

CREATE INDEX api_jobs_created on api_jobs (created_at);

CREATE TABLE api_tokens (
  id text not null primary key,
  hash blob not null,
  operator text not null references operators (name) on delete cascade,
  name text not null,
  grants text not null,
  allows_dangerous integer not null,
  created_at integer not null,
  created_by text not null,
  expires_at integer not null,
  used_at integer,
  revoked_at integer
) strict;

CREATE UNIQUE INDEX api_tokens_hash on api_tokens (hash);

CREATE INDEX api_tokens_operator on api_tokens (operator, id);

CREATE TABLE approvals (
  id integer primary key,
  device_id text not null references devices (id),
  slot text not null,
  spki_hash blob not null,
  subject text not null,
  profile text not null,
  protocol text not null,
  csr blob not null,
  predecessor_id integer,
  status text not null check (status in ('pending', 'approved', 'rejected', 'used')),
  created_at integer not null,
  decided_at integer,
  decided_by text
) strict;

CREATE INDEX approvals_device on approvals (device_id, id);

CREATE UNIQUE INDEX approvals_open on approvals (device_id, slot, spki_hash, coalesce(predecessor_id, 0))
  where status in ('pending', 'approved');

CREATE INDEX approvals_pending on approvals (id) where status = 'pending';

CREATE TABLE audit_tiles (level integer not null, tile integer not null, hashes blob not null, primary key (level, tile)) strict;

CREATE TABLE blocked_keys (spki_hash blob primary key, reason text not null, created_at integer not null) strict, without rowid;

CREATE TABLE campaign_waves (
  campaign_id text not null references campaigns (id),
  wave integer not null,
  size integer not null,
  status text not null check (status in ('waiting', 'open', 'soaking', 'approval', 'done')),
  opened_at integer,
  soak_until integer,
  closed_at integer,
  approved_by text,
  approved_at integer,
  primary key (campaign_id, wave)
) strict, without rowid;

CREATE TABLE campaigns (
  id text primary key,
  name text not null,
  status text not null check (status in ('draft', 'running', 'paused', 'completed', 'aborted')),
  definition text not null,
  revision integer not null,
  reason text,
  created_at integer not null,
  created_by text not null,
  started_at integer,
  paused_at integer,
  ended_at integer,
  ticked_at integer,
  admitted integer not null
) strict;

CREATE INDEX campaigns_open on campaigns (id) where status in ('running', 'paused');

CREATE TABLE case_entries (
  id integer primary key,
  case_id integer not null references cases (id),
  at integer not null,
  actor text not null,
  note text,
  file_name text,
  file_sha256 blob,
  file_size integer
) strict;

CREATE INDEX case_entries_case on case_entries (case_id, id);

CREATE TABLE cases (
  id integer primary key,
  device_id text not null,
  revocation_id integer,
  reason text,
  opened_by text not null,
  opened_at integer not null,
  verdict text check (verdict in ('cleared', 'replaced', 'destroyed', 'compromised')),
  closed_by text,
  closed_at integer
) strict;

CREATE INDEX cases_device on cases (device_id, id);

CREATE UNIQUE INDEX cases_open on cases (device_id) where closed_at is null;

CREATE INDEX cases_revocation on cases (revocation_id, id) where revocation_id is not null and closed_at is null;

CREATE TABLE certificate_fingerprints (
  prefix integer not null,
  certificate_id integer not null,
  primary key (prefix, certificate_id)
) strict, without rowid;

CREATE TABLE certificate_last_seen (certificate_id integer primary key, at integer not null) strict;

CREATE TABLE certificates (
  id integer primary key,
  device_id text references devices (id),
  slot text not null,
  issuer_id text not null,
  serial_number blob not null,
  subject text not null,
  subject_alt_names text not null,
  key_algorithm text not null,
  spki_hash blob not null,
  not_before integer not null,
  not_after integer not null,
  status text not null
  check (status in ('reserved', 'issued', 'confirmed', 'superseded', 'revoked', 'abandoned')),
  reason text,
  revoked_at integer,
  profile text,
  profile_hash blob,
  protocol text not null,
  predecessor_id integer references certificates (id),
  cohort text,
  batch text,
  site text,
  created_at integer not null,
  issued_at integer,
  confirmed_at integer,
  crl_shard integer not null,
  holds_key integer not null check (holds_key in (0, 1)),
  tbs blob,
  der blob
) strict;

CREATE INDEX certificates_batch on certificates (batch, id) where batch is not null;

CREATE INDEX certificates_cohort_expiry on certificates (cohort, not_after, id)
  where status in ('issued', 'confirmed') and cohort is not null;

CREATE INDEX certificates_device on certificates (device_id, slot, id) where device_id is not null;

CREATE INDEX certificates_ended on certificates (not_after, id)
  where status in ('superseded', 'revoked', 'abandoned');

CREATE INDEX certificates_expiry on certificates (not_after, id) where status in ('issued', 'confirmed');

CREATE UNIQUE INDEX certificates_key on certificates (spki_hash, device_id, slot, coalesce(predecessor_id, 0))
  where holds_key = 1;

CREATE INDEX certificates_live on certificates (device_id, slot, id, not_after) where status in ('issued', 'confirmed');

CREATE INDEX certificates_predecessor on certificates (predecessor_id) where predecessor_id is not null;

CREATE INDEX certificates_reserved on certificates (created_at, id) where status = 'reserved';

CREATE INDEX certificates_revoked
  on certificates (issuer_id, crl_shard, revoked_at, id, serial_number, reason, not_after) where status = 'revoked';

CREATE UNIQUE INDEX certificates_serial on certificates (serial_number, issuer_id);

CREATE INDEX certificates_site_expiry on certificates (site, not_after, id)
  where status in ('issued', 'confirmed') and site is not null;

CREATE TABLE checkpoints (size integer primary key, root_hash blob not null, note text, at integer not null) strict, without rowid;

CREATE TABLE counters (
  name text not null,
  slot integer not null,
  value integer not null,
  primary key (name, slot)
) strict, without rowid;

CREATE TABLE crl_parts (
  crl_id integer not null references crls (id),
  part integer not null,
  bytes blob not null,
  primary key (crl_id, part)
) strict;

CREATE TABLE crls (
  id integer primary key,
  issuer_id text not null,
  kind text not null check (kind in ('complete', 'delta', 'shard')),
  shard integer not null,
  number integer not null,
  base_number integer,
  revision integer not null,
  this_update integer not null,
  next_update integer not null,
  entries integer not null,
  size integer not null,
  sha256 blob not null
) strict;

CREATE UNIQUE INDEX crls_number on crls (issuer_id, number);

CREATE INDEX crls_scope on crls (issuer_id, kind, shard, number);

CREATE TABLE device_last_seen (device_id text primary key, certificate_id integer, at integer not null, gaps integer not null default 0, usual_gap integer not null default 0, longest_gap integer not null default 0) strict, without rowid;

CREATE TABLE device_oddities (
  kind text not null check (kind in ('clock-off', 'revoked-calls')),
  device_id text not null,
  times integer not null,
  first_at integer not null,
  last_at integer not null,
  value integer,
  primary key (kind, device_id)
) strict, without rowid;

CREATE INDEX device_oddities_last on device_oddities (kind, last_at);

CREATE TABLE devices (
  id text primary key,
  profile text not null,
  cohort text,
  batch text,
  site text,
  connectivity text not null,
  state text not null check (state in ('registered', 'active', 'quarantined', 'decommissioned')),
  tags text not null,
  hardware text,
  firmware text,
  last_renewal_at integer,
  created_at integer not null
) strict, without rowid;

CREATE INDEX devices_active on devices (connectivity, site) where state = 'active';

CREATE INDEX devices_by_batch on devices (batch, id) where batch is not null;

CREATE INDEX devices_by_cohort on devices (cohort, id) where cohort is not null;

CREATE INDEX devices_by_site on devices (site, id) where site is not null;

CREATE INDEX devices_by_state on devices (state, id) where state <> 'active';

CREATE TABLE enrolment_secrets (
  device_id text primary key references devices (id),
  hash blob not null,
  created_at integer not null,
  expires_at integer not null,
  used_at integer,
  used_for blob
) strict, without rowid;

CREATE TABLE expiry_counts (
  day integer not null,
  issuer_id text not null,
  profile text not null,
  cohort text not null,
  slot integer not null,
  count integer not null,
  primary key (day, cohort, profile, issuer_id, slot)
) strict, without rowid;

CREATE TABLE facts (
  id integer primary key,
  at integer not null,
  action text not null,
  subject text not null,
  entry blob not null,
  log_index integer
) strict;

CREATE UNIQUE INDEX facts_log_index on facts (log_index) where log_index is not null;

CREATE INDEX facts_subject on facts (subject, id);

CREATE INDEX facts_unsealed on facts (id) where log_index is null;

CREATE TABLE idempotent_requests (
  caller text not null,
  key text not null,
  request_hash blob not null,
  status integer,
  headers text,
  body text,
  at integer not null,
  primary key (caller, key)
) strict;

CREATE INDEX idempotent_requests_at on idempotent_requests (at);

CREATE TABLE issuers (
  id text primary key,
  kind text not null check (kind in ('root', 'intermediate', 'paa', 'pai', 'external')),
  subject text not null,
  certificate blob,
  parent_id text references issuers (id),
  key_algorithm text not null,
  authority text not null,
  key_reference text not null,
  status text not null check (status in ('active', 'retired')),
  subject_key_identifier text not null,
  spki_hash blob not null,
  not_before integer not null,
  not_after integer not null,
  crl_shards integer not null,
  created_at integer not null
  , revoked_at integer, revocation_reason text, reissue_campaign text, cut_after text) strict;

CREATE TABLE "kysely_migration" ("name" varchar(255) not null primary key, "timestamp" varchar(255) not null);

CREATE TABLE "kysely_migration_lock" ("id" varchar(255) not null primary key, "is_locked" integer default 0 not null);

CREATE TABLE leases (
  name text primary key,
  holder text not null,
  token integer not null,
  expires_at integer not null
) strict, without rowid;

CREATE TABLE meta (key text primary key, value text not null) strict, without rowid;

CREATE TABLE notifications (
  id integer primary key,
  notifier text not null,
  event text not null,
  alert_id integer,
  message text not null,
  status text not null check (status in ('waiting', 'sent', 'failed')),
  attempts integer not null,
  detail text,
  created_at integer not null,
  updated_at integer not null
) strict;

CREATE INDEX notifications_alert on notifications (alert_id, id) where alert_id is not null;

CREATE INDEX notifications_notifier on notifications (notifier, id);

CREATE TABLE ocsp_answers (
  question blob primary key,
  standing text not null,
  produced_at integer not null,
  next_update integer not null,
  der blob not null
) strict, without rowid;

CREATE INDEX ocsp_answers_lapsed on ocsp_answers (next_update);

CREATE TABLE operator_links (
  hash blob not null primary key,
  operator text not null,
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;

CREATE INDEX operator_links_operator on operator_links (operator);

CREATE TABLE operator_sessions (
  hash blob not null primary key,
  operator text not null references operators (name) on delete cascade,
  created_at integer not null,
  used_at integer not null,
  expires_at integer not null,
  proved_at integer not null
) strict, without rowid;

CREATE INDEX operator_sessions_expiry on operator_sessions (expires_at);

CREATE INDEX operator_sessions_operator on operator_sessions (operator);

CREATE TABLE operators (
  name text not null primary key,
  status text not null check (status in ('invited', 'active', 'disabled')),
  grants text not null,
  password text,
  totp_key blob,
  totp_step integer not null,
  oidc_subject text,
  certificate_hash blob,
  failures integer not null,
  locked_until integer,
  last_login_at integer,
  created_at integer not null,
  created_by text not null
) strict;

CREATE UNIQUE INDEX operators_certificate on operators (certificate_hash) where certificate_hash is not null;

CREATE UNIQUE INDEX operators_oidc on operators (oidc_subject) where oidc_subject is not null;

CREATE TABLE proposals (
  id integer primary key,
  kind text not null,
  payload text not null,
  summary text not null,
  why text,
  state text not null check (state in ('open', 'approved', 'rejected', 'expired', 'done', 'failed')),
  requested_by text not null,
  requested_at integer not null,
  expires_at integer not null,
  decided_by text,
  decided_at integer,
  note text,
  outcome text,
  ended_at integer
) strict;

CREATE INDEX proposals_open on proposals (expires_at, id) where state = 'open';

CREATE TABLE rehearsals (
  id integer primary key,
  campaign_id text not null references campaigns (id),
  created_at integer not null,
  created_by text not null,
  forecast text not null
) strict;

CREATE INDEX rehearsals_campaign on rehearsals (campaign_id, id);

CREATE TABLE released_certificates (
  id integer primary key,
  certificate_id integer not null,
  issuer_id text not null,
  crl_shard integer not null,
  serial_number blob not null,
  not_after integer not null,
  released_at integer not null
) strict;

CREATE INDEX released_certificates_issuer on released_certificates (issuer_id, released_at, id);

CREATE TABLE renewal_attempts (
  id integer primary key,
  renewal_id integer not null,
  device_id text not null,
  rung integer not null,
  attempt integer not null,
  channel text not null,
  status text not null check (status in ('queued', 'sent', 'delivered', 'failed', 'withheld')),
  detail text,
  reference text,
  at integer not null,
  updated_at integer not null
  , climb integer not null default 0) strict;

CREATE INDEX renewal_attempts_reference on renewal_attempts (channel, reference) where reference is not null;

CREATE UNIQUE INDEX renewal_attempts_renewal on renewal_attempts (renewal_id, climb, rung, attempt, channel);

CREATE TABLE renewals (
  id integer primary key,
  campaign_id text not null,
  wave integer not null,
  device_id text not null,
  slot text not null,
  certificate_id integer not null,
  not_after integer not null,
  connectivity text not null,
  site text,
  status text not null
  check (status in ('planned', 'triggered', 'issued', 'confirmed', 'retired', 'escalated', 'abandoned')),
  rung integer not null,
  attempt integer not null,
  next_at integer,
  new_certificate_id integer,
  triggered_at integer,
  issued_at integer,
  delivered_at integer,
  stored_at integer,
  confirmed_at integer,
  ended_at integer,
  reason text,
  assignee text,
  created_at integer not null
  , climb integer not null default 0) strict;

CREATE INDEX renewals_campaign on renewals (campaign_id, id) where campaign_id <> '';

CREATE INDEX renewals_device on renewals (device_id, id);

CREATE INDEX renewals_due on renewals (campaign_id, next_at, id) where next_at is not null;

CREATE INDEX renewals_escalated on renewals (not_after, id) where status = 'escalated';

CREATE UNIQUE INDEX renewals_open on renewals (device_id, slot)
  where status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated');

CREATE INDEX renewals_planned on renewals (campaign_id, wave, id) where status = 'planned' and next_at is null;

CREATE INDEX renewals_planned_alone on renewals (id) where status = 'planned' and campaign_id = '';

CREATE INDEX renewals_unfinished on renewals (campaign_id, status, connectivity, triggered_at, issued_at)
  where status in ('triggered', 'issued', 'escalated');

CREATE TABLE retirements (
  certificate_id integer primary key,
  device_id text not null,
  slot text not null,
  replaced_by integer not null,
  due_at integer not null
) strict;

CREATE INDEX retirements_due on retirements (due_at, certificate_id);

CREATE TABLE revocation_batches (
  id integer primary key,
  selection text not null,
  reason text not null,
  note text,
  actor text not null,
  status text not null check (status in ('waiting', 'running', 'done', 'cancelled')),
  position text,
  devices integer not null,
  certificates integer not null,
  created_at integer not null,
  starts_at integer not null,
  ended_at integer
) strict;

CREATE INDEX revocation_batches_open on revocation_batches (starts_at, id) where status in ('waiting', 'running');

CREATE TABLE revoked_shards (
  issuer_id text not null,
  shard integer not null,
  revision integer not null,
  primary key (issuer_id, shard)
) strict, without rowid;

CREATE TABLE session_cut_results (
  cut_id integer not null,
  surface text not null,
  at integer not null,
  sessions integer,
  primary key (cut_id, surface)
) strict, without rowid;

CREATE TABLE session_cuts (
  id integer primary key,
  device_id text,
  issuer_id text,
  why text not null check (why in ('revoked', 'quarantined', 'expired', 'released')),
  created_at integer not null
) strict;

CREATE INDEX session_cuts_device on session_cuts (device_id, id) where device_id is not null;

CREATE INDEX session_cuts_issuer on session_cuts (issuer_id, id) where issuer_id is not null;

CREATE TABLE session_watchers (
  name text primary key,
  cut_id integer not null,
  at integer not null
) strict, without rowid;

CREATE TABLE tasks (
  id integer primary key,
  kind text not null,
  key text,
  payload text not null,
  status text not null check (status in ('ready', 'running', 'done', 'dead')),
  attempts integer not null,
  run_at integer not null,
  last_error text,
  created_at integer not null
) strict;

CREATE INDEX tasks_dead on tasks (id) where status = 'dead';

CREATE INDEX tasks_due on tasks (run_at, id) where status in ('ready', 'running');

CREATE INDEX tasks_due_of_kind on tasks (kind, run_at, id) where status in ('ready', 'running');

CREATE UNIQUE INDEX tasks_key on tasks (kind, key) where key is not null and status in ('ready', 'running');

CREATE TABLE trust_anchors (
  id text primary key,
  name text not null,
  certificate blob not null,
  subject text not null,
  device_id_rule text not null,
  profile text,
  created_at integer not null
) strict;

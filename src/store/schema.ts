/**
 * The tables as Kysely sees them. Instants are epoch milliseconds; certificate times are whole seconds of them. Serial
 * numbers and SHA-256 hashes are stored as bytes (half the size of hex in the three largest indexes).
 */
import type { Generated, Kysely, Transaction } from 'kysely'
import type { AlertTables } from './schema-alerts.ts'
import type { CampaignTables } from './schema-campaigns.ts'
import type { OperatorTables } from './operator-tables.ts'

export type Engine = 'sqlite' | 'postgres'

/** Reads outside a transaction: sees committed state only. */
export type Db = Kysely<Schema>
/** Inside a transaction. Functions that write take this type, so that writing outside one does not compile. */
export type Tx = Transaction<Schema>
export type Queries = Db | Tx

export interface Schema extends AlertTables, CampaignTables, OperatorTables {
  meta: { key: string; value: string }
  issuers: IssuerTable
  trust_anchors: TrustAnchorTable
  devices: DeviceTable
  enrolment_secrets: EnrolmentSecretTable
  certificates: CertificateTable
  certificate_last_seen: { certificate_id: number; at: number }
  certificate_fingerprints: { prefix: number; certificate_id: number }
  approvals: ApprovalTable
  blocked_keys: { spki_hash: Uint8Array; reason: string; created_at: number }
  facts: FactTable
  audit_tiles: { level: number; tile: number; hashes: Uint8Array }
  checkpoints: { size: number; root_hash: Uint8Array; note: string | null; at: number }
  tasks: TaskTable
  leases: { name: string; holder: string; token: number; expires_at: number }
  counters: { name: string; slot: number; value: number }
  expiry_counts: ExpiryCountTable
  revoked_shards: { issuer_id: string; shard: number; revision: number }
  crls: CrlTable
  crl_parts: { crl_id: number; part: number; bytes: Uint8Array }
  revocation_batches: RevocationBatchTable
  proposals: ProposalTable
  ocsp_answers: OcspAnswerTable
  cases: CaseTable
  case_entries: CaseEntryTable
  released_certificates: ReleasedTable
  session_cuts: SessionCutTable
  session_cut_results: { cut_id: number; surface: string; at: number; sessions: number | null }
  session_watchers: { name: string; cut_id: number; at: number }
}

export interface IssuerTable {
  id: string
  kind: string
  subject: string
  certificate: Uint8Array | null
  parent_id: string | null
  key_algorithm: string
  authority: string
  key_reference: string
  status: string
  subject_key_identifier: string
  spki_hash: Uint8Array
  not_before: number
  not_after: number
  crl_shards: number
  created_at: number
  revoked_at: number | null
  /** A name of RFC 5280 §5.3.1. */
  revocation_reason: string | null
  reissue_campaign: string | null
  cut_after: string | null
}

export interface TrustAnchorTable {
  id: string
  name: string
  certificate: Uint8Array
  subject: string
  device_id_rule: string
  profile: string | null
  created_at: number
}

export interface DeviceTable {
  id: string
  profile: string
  cohort: string | null
  batch: string | null
  site: string | null
  connectivity: string
  state: string
  /** JSON object of strings. */
  tags: string
  hardware: string | null
  firmware: string | null
  last_renewal_at: number | null
  created_at: number
}

export interface EnrolmentSecretTable {
  device_id: string
  hash: Uint8Array
  created_at: number
  expires_at: number
  used_at: number | null
  used_for: Uint8Array | null
}

export interface CertificateTable {
  id: Generated<number>
  device_id: string | null
  slot: string
  issuer_id: string
  serial_number: Uint8Array
  subject: string
  /** JSON array of strings. */
  subject_alt_names: string
  key_algorithm: string
  spki_hash: Uint8Array
  not_before: number
  not_after: number
  status: string
  reason: string | null
  revoked_at: number | null
  profile: string | null
  profile_hash: Uint8Array | null
  protocol: string
  predecessor_id: number | null
  cohort: string | null
  batch: string | null
  site: string | null
  created_at: number
  issued_at: number | null
  confirmed_at: number | null
  crl_shard: number
  /** 1 until the row is abandoned: then its key may be used again. */
  holds_key: number
  /** What we are about to sign; null once `der` is there. */
  tbs: Uint8Array | null
  der: Uint8Array | null
}

export interface ApprovalTable {
  id: Generated<number>
  device_id: string
  slot: string
  spki_hash: Uint8Array
  subject: string
  profile: string
  protocol: string
  csr: Uint8Array
  predecessor_id: number | null
  status: string
  created_at: number
  decided_at: number | null
  decided_by: string | null
}

export interface FactTable {
  id: Generated<number>
  at: number
  action: string
  subject: string
  /** The exact canonical bytes that are hashed. */
  entry: Uint8Array
  /** Position in the sealed log, null until sealed. */
  log_index: number | null
}

export interface TaskTable {
  id: Generated<number>
  kind: string
  key: string | null
  payload: string
  status: string
  attempts: number
  /** Ready: when it may first run. Running: when its lock lapses and another worker may take it. */
  run_at: number
  last_error: string | null
  created_at: number
}

export interface ExpiryCountTable {
  /** Days since 1970-01-01 UTC of notAfter. */
  day: number
  issuer_id: string
  /** '' when the certificate has none: part of the primary key. */
  profile: string
  cohort: string
  slot: number
  count: number
}

export interface CrlTable {
  id: Generated<number>
  issuer_id: string
  kind: string
  /** 0 but for a shard. */
  shard: number
  number: number
  base_number: number | null
  /** Sum of the revisions of the shards that it covers, as they were when its entries were read. */
  revision: number
  this_update: number
  next_update: number
  entries: number
  /** Bytes. */
  size: number
  sha256: Uint8Array
}

export interface RevocationBatchTable {
  id: Generated<number>
  /** Canonical JSON. */
  selection: string
  reason: string
  note: string | null
  actor: string
  status: string
  /** The last device that is done; null before the first. */
  position: string | null
  devices: number
  certificates: number
  created_at: number
  /** Not before: the undo window. */
  starts_at: number
  ended_at: number | null
}

export interface ProposalTable {
  id: Generated<number>
  kind: string
  /** Canonical JSON. */
  payload: string
  /** What it would do, in a line for people. */
  summary: string
  why: string | null
  state: string
  requested_by: string
  requested_at: number
  expires_at: number
  decided_by: string | null
  decided_at: number | null
  /** What the one who decided had to say. */
  note: string | null
  /** What came of it. */
  outcome: string | null
  ended_at: number | null
}

export interface OcspAnswerTable {
  /** SHA-256 of the CertID. */
  question: Uint8Array
  standing: string
  produced_at: number
  next_update: number
  der: Uint8Array
}

export interface CaseTable {
  id: Generated<number>
  device_id: string
  /** The batch of revocations that opened it. */
  revocation_id: number | null
  /** Of the revocation that opened it, a name of RFC 5280 §5.3.1; null when a person did. */
  reason: string | null
  opened_by: string
  opened_at: number
  verdict: string | null
  closed_by: string | null
  closed_at: number | null
}

export interface CaseEntryTable {
  id: Generated<number>
  case_id: number
  at: number
  actor: string
  note: string | null
  file_name: string | null
  file_sha256: Uint8Array | null
  file_size: number | null
}

export interface ReleasedTable {
  id: Generated<number>
  certificate_id: number
  issuer_id: string
  crl_shard: number
  serial_number: Uint8Array
  not_after: number
  released_at: number
}

export interface SessionCutTable {
  id: Generated<number>
  /** One of the two. */
  device_id: string | null
  issuer_id: string | null
  why: string
  created_at: number
}

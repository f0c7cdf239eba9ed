/** The tables of accounts and of the REST API, as Kysely sees them (schema.ts). */

export interface OperatorTables {
  operators: OperatorTable
  operator_links: { hash: Uint8Array; operator: string; created_at: number; expires_at: number }
  operator_sessions: OperatorSessionTable
  api_tokens: ApiTokenTable
  idempotent_requests: IdempotentRequestTable
  api_jobs: ApiJobTable
}

export interface OperatorTable {
  name: string
  status: string
  /** JSON array. */
  grants: string
  /** PHC text of argon2id. */
  password: string | null
  totp_key: Uint8Array | null
  /** The last step whose code was used: none is taken twice. */
  totp_step: number
  oidc_subject: string | null
  /** SHA-256 of the client certificate of a machine. */
  certificate_hash: Uint8Array | null
  failures: number
  locked_until: number | null
  last_login_at: number | null
  created_at: number
  created_by: string
}

export interface OperatorSessionTable {
  hash: Uint8Array
  operator: string
  created_at: number
  used_at: number
  expires_at: number
  /** When the person last gave the password and the code. */
  proved_at: number
}

export interface ApiTokenTable {
  id: string
  hash: Uint8Array
  operator: string
  name: string
  grants: string
  allows_dangerous: number
  created_at: number
  created_by: string
  expires_at: number
  used_at: number | null
  revoked_at: number | null
}

export interface IdempotentRequestTable {
  caller: string
  key: string
  request_hash: Uint8Array
  status: number | null
  headers: string | null
  body: string | null
  at: number
}

export interface ApiJobTable {
  id: string
  kind: string
  caller: string
  status: string
  done: number
  total: number | null
  result: string | null
  problem: string | null
  created_at: number
  updated_at: number
  ended_at: number | null
}

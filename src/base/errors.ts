/**
 * Two kinds of failure. A Refusal is an expected "no" with a stable code: it says what failed, why, and what to do.
 * Anything else thrown is a bug and leaves the process as an opaque error with an id.
 */

/** What each refusal means at each edge. `http` is also the EST status; `exit` the exit code of the command line. */
interface RefusalRule {
  readonly http: number
  readonly exit: number
}

const request = { http: 400, exit: 3 }
const forbidden = { http: 403, exit: 4 }
const unauthenticated = { http: 401, exit: 4 }
const missing = { http: 404, exit: 5 }
const unavailable = { http: 503, exit: 6 }
const setup = { http: 500, exit: 7 }

export const refusalRules = {
  // the request itself
  malformed: request,
  'bad-signature': request,
  'bad-algorithm': request,
  'weak-key': request,
  'hostile-name': request,
  'pop-linking-failed': request,
  'unsupported-media-type': { http: 415, exit: 3 },
  'too-large': { http: 413, exit: 3 },
  'method-not-allowed': { http: 405, exit: 3 },
  'not-implemented': { http: 501, exit: 3 },
  'invalid-input': request,
  'filter-invalid': request,
  // who asks
  unauthenticated,
  'secret-invalid': unauthenticated,
  'certificate-unknown': forbidden,
  'certificate-untrusted': forbidden,
  'certificate-expired': forbidden,
  'certificate-retired': forbidden,
  'issuer-revoked': forbidden,
  'device-unknown': forbidden,
  'device-revoked': forbidden,
  'device-quarantined': forbidden,
  'device-decommissioned': forbidden,
  // what policy says
  'too-early': forbidden,
  'subject-changed': forbidden,
  'key-type-not-allowed': request,
  'key-reused': forbidden,
  'key-blocked': forbidden,
  'profile-not-allowed': forbidden,
  'renewal-not-allowed': forbidden,
  'approval-rejected': forbidden,
  'hold-not-allowed': forbidden,
  'case-state': { http: 409, exit: 3 },
  'proposal-needed': forbidden,
  'proposal-own': forbidden,
  'proposal-state': { http: 409, exit: 3 },
  'pop-linking-required': forbidden,
  'server-keygen-not-allowed': forbidden,
  'profile-unknown': missing,
  'not-found': missing,
  'already-exists': { http: 409, exit: 3 },
  // the REST API
  'login-failed': unauthenticated,
  'link-invalid': unauthenticated,
  'permission-missing': forbidden,
  'own-account': forbidden,
  'step-up-required': forbidden,
  'cross-site': forbidden,
  'rate-limited': { http: 429, exit: 6 },
  'precondition-failed': { http: 412, exit: 3 },
  'precondition-required': { http: 428, exit: 3 },
  'idempotency-key-reused': { http: 409, exit: 3 },
  // campaigns and their triggers
  'campaign-invalid': request,
  'campaign-state': { http: 409, exit: 3 },
  'notify-failed': { http: 502, exit: 6 },
  'notify-impossible': { http: 422, exit: 3 },
  'trigger-failed': { http: 502, exit: 6 },
  'trigger-impossible': { http: 409, exit: 3 },
  'trigger-over-budget': { http: 409, exit: 3 },
  'bundle-refused': forbidden,
  // brokers and services that have sessions of devices
  'connector-failed': { http: 502, exit: 6 },
  // our own state
  'issuer-unavailable': unavailable,
  overloaded: unavailable,
  'store-busy': unavailable,
  'disk-full': unavailable,
  'clock-implausible': unavailable,
  'lint-failed': setup,
  'path-invalid': { http: 400, exit: 3 },
  // what another server said to us as a client
  'server-refused': { http: 502, exit: 4 },
  'server-unreachable': { http: 502, exit: 6 },
  'server-answer-invalid': { http: 502, exit: 6 },
  // what a device's own hardware said to its agent
  'keystore-failed': { http: 500, exit: 6 },
  'configuration-invalid': setup,
  'data-directory-invalid': setup,
  'data-directory-newer': setup,
  'passphrase-wrong': setup,
  'audit-invalid': { http: 500, exit: 8 },
} as const satisfies Record<string, RefusalRule>

export type RefusalCode = keyof typeof refusalRules

export interface RefusalHints {
  /** When the same request may succeed, from now, ms. */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

export class Refusal extends Error {
  readonly code: RefusalCode
  readonly retryAfterMs: number | null

  /** @param detail what failed, why, and what to do: one line, no secrets, safe to show to the requester */
  constructor(code: RefusalCode, detail: string, hints: RefusalHints = {}) {
    super(detail, hints.cause === undefined ? {} : { cause: hints.cause })
    this.name = 'Refusal'
    this.code = code
    this.retryAfterMs = hints.retryAfterMs ?? null
  }
}

/** A broken invariant: our own bug. The unit of work stops and nothing of it is committed. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(invariant)
}

export function assertNever(value: never): never {
  throw new InvariantError(`unexpected case: ${JSON.stringify(value)}`)
}

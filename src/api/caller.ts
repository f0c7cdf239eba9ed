/** Who sends a request to the REST API. */
import type { Grant } from '../engine/operators/permissions.ts'

export interface Caller {
  /** A person in a browser, a program with a token, or a machine with a client certificate. */
  readonly kind: 'session' | 'token' | 'certificate'
  /** Of the account, which is what facts say: `operator:NAME`. */
  readonly name: string
  readonly grants: readonly Grant[]
}

/** What of a request says who sends it. */
export interface Credentials {
  readonly method: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** DER of the client certificate, when the connection has one. */
  readonly certificate: Uint8Array | null
  readonly address: string
}

/** @throws Refusal `unauthenticated`; never answers for somebody unknown */
export type Authenticate = (credentials: Credentials) => Promise<Caller>

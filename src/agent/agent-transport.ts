/** The port through which an agent talks to its server. */
import type { Instant } from '../base/clock.ts'
import type { Window } from './agent-inbox.ts'
import type { AgentMessage } from './agent-message.ts'
import type { TlsIdentity } from './tls-key.ts'

/** With what the device says who it is. */
export type Bearer =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'secret'; readonly username: string; readonly password: string }
  | CertificateBearer

export interface CertificateBearer {
  readonly kind: 'certificate'
  readonly identity: TlsIdentity
  /** By the key of the certificate, with the hash that fits it: proof to a server behind a broker that is not its own. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

export type TransportRequest = {
  /** The time, where our clock is known to be wrong: the server's certificate is judged by it. */
  readonly at?: Instant | undefined
} & (
  | { readonly operation: 'enroll' | 'reenroll'; readonly bearer: Bearer; readonly csr: Uint8Array }
  /** The CA certificates. `trustPem`: these anchors instead of the pinned ones, to see whether they would do. */
  | { readonly operation: 'cacerts'; readonly bearer: Bearer; readonly trustPem?: string }
  /** A trial: is this certificate let in? When it is, the server has seen it in use. */
  | { readonly operation: 'credential'; readonly bearer: CertificateBearer }
  /** When to renew the certificate of the bearer. */
  | { readonly operation: 'renewal-info'; readonly bearer: CertificateBearer }
)

export type TransportAnswer = {
  /** The server's clock, when TLS has proved that it was the server; null when there was no answer or no date in it. */
  readonly serverNow: Instant | null
  /** When the server wishes the certificate of the bearer to be renewed. */
  readonly window?: Window | null
  /** When that wish is worth asking for again, ms from now. */
  readonly askAgainMs?: number | null
} & (
  | {
      readonly kind: 'done'
      /** Of `enroll` and `reenroll` the certificate, of `cacerts` the CA certificates, else none. */
      readonly certificates: readonly Uint8Array[]
      /** What leads from the certificate to an anchor, where the answer brings it: then nobody asks for it. */
      readonly chain?: readonly Uint8Array[]
    }
  /** Ask again after that time (202, 503, or too early). */
  | { readonly kind: 'later'; readonly afterMs: number; readonly detail: string }
  /** A no that will not change by itself; also a TLS alert about our certificate. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** No answer, or one that makes no sense. `isOutOfTime`: by our clock the server's certificate is not valid now. */
  | { readonly kind: 'failed'; readonly detail: string; readonly isOutOfTime?: boolean }
)

/** `stored`: it is on the storage and was read back. `confirmed`: the server has let it in; a transport says that by itself. */
export type ReportedState = 'stored' | 'confirmed' | 'failed'

export interface Report {
  readonly state: ReportedState
  /** Of the request that the certificate is the answer to; null when it has gone. */
  readonly csr: Uint8Array | null
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string
  /** Whose connection it goes over. */
  readonly bearer: CertificateBearer
  /** By the key of the certificate that it is about. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

export interface AgentTransport {
  /** One exchange, never repeated by the transport itself. Does not throw for what a network or a server may do. */
  ask(request: TransportRequest): Promise<TransportAnswer>
  /** Tells the server how far a certificate has come. Nothing depends on its arrival; it does not throw. */
  readonly report?: (report: Report) => Promise<void>
  /**
   * Where messages go that come in unasked, whichever call has opened the connection.
   * @param receive resolves when the message is on the storage; only then is it acknowledged
   */
  readonly deliver?: (receive: (message: AgentMessage) => Promise<void>) => void
  /** Keeps a connection open as this bearer until the signal, again and again. Another call puts another bearer in place. */
  readonly listen?: (bearer: CertificateBearer, signal: AbortSignal) => void
  /** Ends what is open. */
  readonly close?: () => Promise<void>
}

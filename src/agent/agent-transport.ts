/** The port through which an agent talks to its server. */
import type { Instant } from '../base/clock.ts'
import type { TlsIdentity } from './tls-key.ts'

/** With what the device says who it is. */
export type Bearer =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'secret'; readonly username: string; readonly password: string }
  | { readonly kind: 'certificate'; readonly identity: TlsIdentity }

export type TransportRequest =
  | { readonly operation: 'enroll' | 'reenroll'; readonly bearer: Bearer; readonly csr: Uint8Array }
  /** The CA certificates; with a certificate as bearer also a trial of that certificate. */
  | { readonly operation: 'cacerts'; readonly bearer: Bearer }

export type TransportAnswer = {
  /** The server's clock, when TLS has proved that it was the server; null when there was no answer or no date in it. */
  readonly serverNow: Instant | null
} & (
  | { readonly kind: 'done'; readonly certificates: readonly Uint8Array[] }
  /** Ask again after that time (202, 503, or too early). */
  | { readonly kind: 'later'; readonly afterMs: number; readonly detail: string }
  /** A no that will not change by itself; also a TLS alert about our certificate. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** No answer, or one that makes no sense. */
  | { readonly kind: 'failed'; readonly detail: string }
)

export interface AgentTransport {
  /** One exchange, never repeated by the transport itself. Does not throw for what a network or a server may do. */
  ask(request: TransportRequest): Promise<TransportAnswer>
}

/**
 * Steps 1 to 5 of issuing: who asks, for what, and whether we say yes. Steps 6 to 10 are issue.ts. Every protocol ends
 * in the functions of this file.
 */
import type { CertificateRecord } from '../store/certificates.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from './context.ts'

/** The other end of the connection. Nothing here is believed except that TLS proved possession of the certificate's key. */
export interface Peer {
  /** For the log only. */
  readonly address: string
  /** The client certificate, DER, whatever its validity and issuer: the engine checks both at every request. */
  readonly certificate: Uint8Array | null
  /** The other certificates that the client sent, DER, in any order. */
  readonly chain: readonly Uint8Array[]
  readonly basic: { readonly username: string; readonly password: string } | null
}

export interface EnrollRequest {
  /** `reenroll` renews the certificate that the peer presents (RFC 7030 §4.2.2); `enroll` is everything else. */
  readonly operation: 'enroll' | 'reenroll'
  /** PKCS #10, DER. */
  readonly csr: Uint8Array
  /** The profile asked for by name (EST label); null = the profile of the device's record. */
  readonly profile: string | null
  /** For the inventory: how the certificate was asked for. */
  readonly protocol: 'est' | 'scep' | 'cmp' | 'mqtt' | 'internal'
  readonly peer: Peer
  /** RFC 5929 tls-unique of the connection, from the first handshake; null where TLS has none (1.3) or it is not known. */
  readonly tlsUnique: Uint8Array | null
}

export type EnrollOutcome =
  | {
      readonly kind: 'issued'
      /** DER. */
      readonly certificate: Uint8Array
      readonly record: CertificateRecord
      /** True when this certificate had been issued before, to the same request. */
      readonly repeated: boolean
    }
  | { readonly kind: 'pending'; readonly retryAfterMs: number }

/**
 * Answers one enrolment or renewal. Safe to repeat, also in parallel and on other nodes: the same applicant with the
 * same key gets the same bytes.
 * @throws Refusal for everything that we expect to go wrong; nothing of a refused request is kept
 */
export async function enroll(_engine: Engine, _request: EnrollRequest): Promise<EnrollOutcome> {
  throw new Refusal('not-implemented', 'enrolment is on its way')
}

export interface ServerKeygenOutcome {
  readonly kind: 'issued'
  readonly certificate: Uint8Array
  readonly record: CertificateRecord
  /** PKCS #8 PrivateKeyInfo, DER, in the clear and kept nowhere: the protocol encrypts it when the client asked for that. */
  readonly privateKey: Uint8Array
}

/**
 * Makes the key for a device that cannot (RFC 7030 §4.4); profiles say whether that is allowed. The CSR's key and
 * signature are ignored (§4.4.1). Not repeatable: the private key is not kept, so each request makes a new one.
 * @throws Refusal `server-keygen-not-allowed` unless the profile allows it
 */
export async function serverKeygen(_engine: Engine, _request: EnrollRequest): Promise<ServerKeygenOutcome> {
  throw new Refusal('not-implemented', 'server key generation is on its way')
}

/** Requests and peers, as protocols hand them to the engine. */
import type { EnrollRequest, Peer } from '../../src/engine/issuing/enroll.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { formatGeneralName } from '../../src/pki/general-name-text.ts'
import { formatName } from '../../src/pki/name-text.ts'
import type { CsrOptions, TestKey } from './ca.ts'

/** A peer that shows nothing. */
export const stranger: Peer = { address: '192.0.2.1', certificate: null, chain: [], basic: null }

export function withCertificate(certificate: Uint8Array, chain: readonly Uint8Array[] = []): Peer {
  return { ...stranger, certificate, chain }
}

export function withSecret(username: string, password: string): Peer {
  return { ...stranger, basic: { username, password } }
}

export type RequestOptions = Partial<Omit<EnrollRequest, 'csr' | 'peer'>>

export function requestOf(peer: Peer, csr: Uint8Array, options: RequestOptions = {}): EnrollRequest {
  return { operation: 'enroll', profile: null, protocol: 'est', tlsUnique: null, ...options, csr, peer }
}

/** A CSR that asks for the names of the certificate, as RFC 7030 §4.2.2 wants it for a renewal. */
export function renewalCsr(key: TestKey, certificate: Uint8Array, options: CsrOptions = {}): Uint8Array {
  const { subject, extensions } = parseCertificate(certificate)
  return key.csr({
    subject: formatName(subject),
    subjectAltNames: (extensions.subjectAltName ?? []).map(formatGeneralName),
    ...options,
  })
}

/** What a TLS connection says about the other end. */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { PeerCertificate } from './client-cert-header.ts'

export interface TlsPeer extends PeerCertificate {
  readonly address: string
  /**
   * tls-unique (RFC 5929 §3): the first Finished message, the client's in a full handshake. Null in TLS 1.3, which has none
   * (RFC 8446 §C.5). This listener neither resumes nor renegotiates, so each connection has one full handshake and the
   * triple handshake attack, which needs a resumed session, has nothing to work with.
   */
  readonly tlsUnique: Uint8Array | null
}

/** More certificates than any path that we would build; the rest of a hostile chain is not looked at. */
const maxChain = 8

/**
 * Call once per connection and keep the result: `getPeerX509Certificate` hands out the chain only the first time.
 * Costs 5 µs (`getPeerCertificate` 24 µs). The chain is read when somebody asks: only factory identities need it.
 */
export function tlsPeer(socket: TLSSocket): TlsPeer {
  const certificate = socket.getPeerX509Certificate()
  const address = socket.remoteAddress ?? ''
  const isFullTls12 = socket.getProtocol() === 'TLSv1.2' && !socket.isSessionReused()
  const tlsUnique = isFullTls12 ? (socket.getPeerFinished() ?? null) : null
  let chain: readonly Uint8Array[] | null = null
  return {
    address,
    certificate: certificate?.raw ?? null,
    get chain() {
      chain ??= certificate ? issuersOf(certificate) : []
      return chain
    },
    tlsUnique,
  }
}

function issuersOf(leaf: X509Certificate): Uint8Array[] {
  const chain: Uint8Array[] = []
  let issuer = leaf.issuerCertificate
  while (issuer && chain.length < maxChain) {
    chain.push(issuer.raw)
    issuer = issuer.issuerCertificate
  }
  return chain
}

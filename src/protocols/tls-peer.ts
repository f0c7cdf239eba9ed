/** What a TLS connection says about the other end. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { Refusal } from '../base/errors.ts'
import { explicitInner, isContext, readDer } from '../pki/der.ts'
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

/**
 * Call it as soon as the handshake is done. OpenSSL builds a path from what the client sends, although nobody asks for its
 * verdict. A forgery under the name and key identifier of a real issuer leaves an error in the thread's queue, and Node takes
 * it for an error of the next read: the connection ends without an answer, or another one does, whose turn it is. Parsing a
 * certificate, of whomever, empties the queue.
 */
export function forgetPathErrors(socket: TLSSocket, certificate: string): void {
  if (String(socket.authorizationError) === 'CERT_SIGNATURE_FAILURE') void new X509Certificate(certificate)
}

/** More certificates than any path that we would build; the rest of a hostile chain is not looked at. */
const maxChain = 8

/**
 * Call once per connection and keep the result: Node hands out the chain of a connection only the first time.
 *
 * The leaf is read from the TLS session, where OpenSSL keeps it (3 µs), because `getPeerX509Certificate` copies the whole
 * chain (100 µs, a tenth of a renewal) and `getPeerCertificate` spells out every field (70 µs). The chain is read in the
 * dear way when somebody asks for it: only factory identities need it.
 */
export function tlsPeer(socket: TLSSocket): TlsPeer {
  const isFullTls12 = socket.getProtocol() === 'TLSv1.2' && !socket.isSessionReused()
  const tlsUnique = isFullTls12 ? (socket.getPeerFinished() ?? null) : null
  const fromSession = certificateInSession(socket)
  let copied: readonly Uint8Array[] | null = null
  const copy = () => (copied ??= copyChain(socket))
  return {
    address: socket.remoteAddress ?? '',
    certificate: fromSession ?? copy()[0] ?? null,
    get chain() {
      return copy().slice(1)
    },
    tlsUnique,
  }
}

/**
 * `peer [3] EXPLICIT Certificate` of OpenSSL's serialised session (i2d_SSL_SESSION, the form in which sessions are stored
 * since SSLeay).
 * @returns null when the client showed none, or the session is not as we know it: the caller then asks the dear way
 */
function certificateInSession(socket: TLSSocket): Uint8Array | null {
  const session = socket.getSession()
  if (!session) return null
  try {
    const peer = readDer(session, sessionLimits).children.find((node) => isContext(node, 3))
    return peer ? Uint8Array.from(explicitInner(peer, 'SSL_SESSION.peer').raw) : null
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  } finally {
    // it holds the connection's secrets
    session.fill(0)
  }
}

/** OpenSSL's own limit for certificates of a peer is 100 kB. */
const sessionLimits = { maxBytes: 131_072 }

/** Leaf first. */
function copyChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate = socket.getPeerX509Certificate()
  while (certificate && chain.length <= maxChain) {
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return chain
}

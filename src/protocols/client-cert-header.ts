/**
 * The `Client-Cert` and `Client-Cert-Chain` headers (RFC 9440) of a TLS-terminating proxy.
 * Only a proxy whose own client certificate is pinned may send them. From anybody else they are an attempt to pass for
 * another device, or a proxy that nobody configured, and the request is refused rather than the header ignored (§4).
 */
import type { IncomingHttpHeaders } from 'node:http'
import { fromBase64, sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'

/** What TLS proved about the other end of this connection, or what a pinned proxy says of its own. */
export interface PeerCertificate {
  /** DER of the client certificate, or null when there is none. */
  readonly certificate: Uint8Array | null
  /** Further certificates that the client sent, DER, as they came. */
  readonly chain: readonly Uint8Array[]
}

/** More than any factory identity needs, few enough to bound the work of path building. */
const maxChain = 8

/**
 * @param pins SHA-256 of the DER certificates of trusted proxies, lower-case hex; empty switches the headers off
 * @returns the device's certificate: that of the connection, or behind a proxy that of the header. The certificate of a
 *   proxy itself never counts as a device's
 * @throws Refusal `certificate-untrusted` for the header from anyone else, `malformed` for a broken one
 */
export function effectivePeer(
  connection: PeerCertificate,
  headers: Readonly<IncomingHttpHeaders>,
  pins: ReadonlySet<string>,
): PeerCertificate {
  const header = headers['client-cert']
  const chainHeader = headers['client-cert-chain']
  const isProxy =
    pins.size > 0 && connection.certificate !== null && pins.has(sha256Hex(connection.certificate))
  if (!isProxy) {
    if (header === undefined && chainHeader === undefined) return connection
    throw new Refusal(
      'certificate-untrusted',
      'the Client-Cert header is only accepted from a configured proxy',
    )
  }
  if (header === undefined) {
    if (chainHeader !== undefined)
      throw new Refusal('malformed', 'Client-Cert-Chain came without Client-Cert')
    return { certificate: null, chain: [] }
  }
  return {
    certificate: parseByteSequence(single(header, 'Client-Cert'), 'Client-Cert'),
    chain: chainHeader === undefined ? [] : parseChain(single(chainHeader, 'Client-Cert-Chain')),
  }
}

/** The header is a single item: two of them reach us joined by a comma, which no byte sequence has (RFC 9440 §2.2). */
function parseByteSequence(text: string, name: string): Uint8Array {
  const match = /^ *:([A-Za-z0-9+/=]*): *$/.exec(text)
  const bytes = match ? fromBase64(match[1] as string) : null
  if (bytes === null || bytes.length === 0) {
    throw new Refusal('malformed', `${name} must be a byte sequence: base64 of DER between colons (RFC 9440)`)
  }
  return bytes
}

function parseChain(text: string): Uint8Array[] {
  const items = text.split(',')
  if (items.length > maxChain) {
    throw new Refusal('malformed', `Client-Cert-Chain has more than ${maxChain} certificates`)
  }
  return items.map((item) => parseByteSequence(item, 'Client-Cert-Chain'))
}

function single(value: string | readonly string[], name: string): string {
  if (typeof value === 'string') return value
  throw new Refusal('malformed', `${name} came more than once`)
}

/** What is in a file that somebody calls a certificate: PEM, DER, base64 without armour, certificates or requests, or CMS. */
import { fromBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertsOnly } from '../pki/cms.ts'
import { isKind, readDer, type DerNode } from '../pki/der.ts'
import { decodePem, type PemBlock } from '../pki/pem.ts'

export interface Credential {
  readonly kind: 'certificate' | 'csr'
  readonly der: Uint8Array
}

/** A bundle of a few thousand CA certificates; inventories come as files of their own, line by line. */
const maxBytes = 64 * 1_048_576

/**
 * @returns at least one, in the order of the file
 * @throws Refusal `malformed` naming the source, for what is neither a certificate nor a request, and for private keys
 */
export function readCredentials(bytes: Uint8Array, source: string): Credential[] {
  if (bytes.byteLength > maxBytes) throw new Refusal('too-large', `${source} is larger than 64 MB`)
  const text = asText(bytes)
  if (text?.includes('-----BEGIN')) {
    const blocks = decodePem(text)
    const found = blocks.flatMap((block) => fromBlock(block, source))
    if (found.length === 0)
      throw new Refusal('malformed', `${source} has no certificate and no request in it`)
    return found
  }
  // EST sends base64 without armour (RFC 8951): what curl saved can be read as it is.
  const der = text === null ? bytes : (fromBase64(text) ?? bytes)
  return fromDer(der, source)
}

/** Like `readCredentials`, for certificates alone. */
export function readCertificates(bytes: Uint8Array, source: string): Uint8Array[] {
  return readCredentials(bytes, source).map(({ kind, der }) => {
    if (kind === 'certificate') return der
    throw new Refusal('malformed', `${source} holds a certification request where a certificate is wanted`)
  })
}

function fromBlock({ label, der }: PemBlock, source: string): Credential[] {
  switch (label) {
    case 'CERTIFICATE':
    case 'X509 CERTIFICATE':
    case 'TRUSTED CERTIFICATE':
      return [{ kind: 'certificate', der }]
    case 'CERTIFICATE REQUEST':
    case 'NEW CERTIFICATE REQUEST':
      return [{ kind: 'csr', der }]
    case 'PKCS7':
    case 'CMS':
      return parseCertsOnly(der).map((each) => ({ kind: 'certificate', der: each }))
    case 'X509 CRL':
      throw new Refusal('not-implemented', `${source} holds a CRL, which this version does not read`)
    default:
      // keys and parameters often stand beside the certificate in one file
      return []
  }
}

function fromDer(der: Uint8Array, source: string): Credential[] {
  const node = readOuter(der, source)
  const [first, second] = node.children
  if (first && isKind(first, 'oid'))
    return parseCertsOnly(der).map((each) => ({ kind: 'certificate', der: each }))
  if (first && isKind(first, 'sequence') && second) {
    // CertificationRequestInfo has a version, a name, a key and attributes [0]; every TBSCertificate has more or others
    const isRequest = first.children.length === 4 && first.children[3]?.class === 'context'
    return [{ kind: isRequest ? 'csr' : 'certificate', der }]
  }
  throw new Refusal('malformed', `${source} is neither a certificate, a request nor a bundle of them`)
}

function readOuter(der: Uint8Array, source: string): DerNode {
  try {
    return readDer(der, { maxBytes: 16 * 1_048_576, maxNodes: 2_000_000 })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal('malformed', `${source} is neither PEM nor DER (${error.message})`, { cause: error })
  }
}

/** Null for bytes that are no text. */
function asText(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/**
 * OCSP requests (RFC 6960 §4.1, RFC 9919): what a client wants to know. A signature on the request is not looked at: who
 * asks makes no difference.
 */
import { toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { DerFields, type DerNode, explicitInner, expectKind, isKind, malformed, readDer } from './der.ts'
import { readOctetString, readOid, readSmallInteger } from './der-values.ts'
import { readSerialNumber } from './extension-values.ts'
import { type Extension, parseExtensionList } from './extensions.ts'
import { oidName, oids } from './oid.ts'

export type OcspHash = 'sha1' | 'sha256'

export interface OcspCertId {
  /** As the client wrote it: the answer repeats these bytes (§4.2.1). */
  readonly der: Uint8Array
  readonly hash: OcspHash
  /** Of the issuer's DER name, and of the value of its key's BIT STRING; hex. */
  readonly issuerNameHash: string
  readonly issuerKeyHash: string
  readonly serialNumber: SerialNumber
}

export interface OcspRequest {
  /** One or more. */
  readonly certIds: readonly OcspCertId[]
  /** The value of the nonce extension, 1 to 128 octets (RFC 9654 §2.1); null when there is none. */
  readonly nonce: Uint8Array | null
}

/** Certificates that one request may ask about. */
export const maxOcspCertIds = 100
/** Bytes: a hundred of the longest, and a signature with its certificates. */
export const maxOcspRequestBytes = 16_384

/**
 * @throws Refusal `malformed`, also for a nonce of the wrong length and a critical extension that is not known;
 *   `bad-algorithm` for another hash than SHA-1 and SHA-256
 */
export function parseOcspRequest(der: Uint8Array): OcspRequest {
  const fields = new DerFields(readDer(der, { maxBytes: maxOcspRequestBytes }), 'OCSPRequest')
  const tbs = new DerFields(fields.take('sequence', 'tbsRequest'), 'TBSRequest')
  fields.context(0)
  fields.end()
  const version = tbs.context(0)
  // an encoded v1 is not DER (X.690 §11.5), but Java writes it
  if (version && readSmallInteger(explicitInner(version, 'version'), 'TBSRequest.version') !== 0) {
    malformed('TBSRequest.version: only 1')
  }
  tbs.context(1)
  const list = tbs.take('sequence', 'requestList').children
  if (list.length === 0) malformed('OCSP request: asks about nothing')
  if (list.length > maxOcspCertIds) {
    malformed(`OCSP request: asks about more than ${maxOcspCertIds} certificates`)
  }
  const extensions = tbs.context(2)
  tbs.end()
  return {
    certIds: list.map(readRequest),
    nonce: extensions && readNonce(parseExtensionList(explicitInner(extensions, what), what)),
  }
}

const what = 'requestExtensions'

function readRequest(node: DerNode): OcspCertId {
  const fields = new DerFields(node, 'Request')
  const certId = readCertId(fields.take('sequence', 'reqCert'))
  const extensions = fields.context(0)
  fields.end()
  if (extensions) refuseCritical(parseExtensionList(explicitInner(extensions, what), what), [])
  return certId
}

function readCertId(node: DerNode): OcspCertId {
  const fields = new DerFields(node, 'CertID')
  const hash = readHash(fields.take('sequence', 'hashAlgorithm'))
  const issuerNameHash = readOctetString(fields.take('octetString', 'issuerNameHash'), 'issuerNameHash')
  const issuerKeyHash = readOctetString(fields.take('octetString', 'issuerKeyHash'), 'issuerKeyHash')
  const serialNumber = readSerialNumber(fields.take('integer', 'serialNumber'), 'CertID.serialNumber')
  fields.end()
  const length = hash === 'sha1' ? 20 : 32
  if (issuerNameHash.length !== length || issuerKeyHash.length !== length) {
    malformed(`CertID: a hash of ${hash} has ${length} octets`)
  }
  return {
    der: node.raw,
    hash,
    issuerNameHash: toHex(issuerNameHash),
    issuerKeyHash: toHex(issuerKeyHash),
    serialNumber,
  }
}

/** Parameters NULL or absent: both are in use. SHA-1 names a key here and protects nothing. */
function readHash(node: DerNode): OcspHash {
  const fields = new DerFields(node, 'CertID.hashAlgorithm')
  const algorithm = readOid(fields.take('oid', 'algorithm'), 'CertID.hashAlgorithm')
  if (!fields.isAtEnd()) expectKind(fields.any('parameters'), 'null', 'CertID.hashAlgorithm')
  fields.end()
  if (algorithm === oids.sha1) return 'sha1'
  if (algorithm === oids.sha256) return 'sha256'
  throw new Refusal('bad-algorithm', `CertID with hash ${oidName(algorithm)}: use SHA-1 or SHA-256`)
}

function readNonce(extensions: readonly Extension[]): Uint8Array | null {
  refuseCritical(extensions, [oids.ocspNonce])
  const extension = extensions.find(({ oid }) => oid === oids.ocspNonce)
  if (!extension) return null
  const node = readDer(extension.value)
  if (!isKind(node, 'octetString')) malformed('nonce: must be an OCTET STRING')
  const { content } = node
  if (content.length === 0 || content.length > 128) malformed('nonce: must have 1 to 128 octets (RFC 9654)')
  return content
}

function refuseCritical(extensions: readonly Extension[], known: readonly string[]): void {
  const critical = extensions.find((extension) => extension.critical && !known.includes(extension.oid))
  if (critical) malformed(`OCSP request: the critical extension ${oidName(critical.oid)} is not known here`)
}

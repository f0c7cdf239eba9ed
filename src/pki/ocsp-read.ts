/**
 * OCSP responses as clients read them (RFC 6960 §3.2, §4.2): who signed, about what, and until when. Only what verifies is
 * believed, and an error says nothing about any certificate.
 */
import { hash } from 'node:crypto'
import { equalBytes } from '../base/bytes.ts'
import { iso, minuteMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { DerFields, type DerNode, explicitInner, isContext, malformed, readDer } from './der.ts'
import { readBitStringBytes, readEnumerated, readOctetString, readOid, readTime } from './der-values.ts'
import { findExtension, parseExtensionList } from './extensions.ts'
import { parsePublicKey } from './key.ts'
import { publicKeyBits } from './ocsp-query.ts'
import { oids } from './oid.ts'
import { parseAlgorithm, verifySignature } from './signature.ts'

export type OcspCertificateStatus = 'good' | 'revoked' | 'unknown'

export interface CheckedOcsp {
  readonly status: OcspCertificateStatus
  /** Of a revoked certificate. */
  readonly revokedAt: Instant | null
  readonly producedAt: Instant
  readonly thisUpdate: Instant
  /** There always is one (RFC 9919 §3.2.4): an answer without an end would be one for ever. */
  readonly nextUpdate: Instant
}

export interface OcspToCheck {
  readonly der: Uint8Array
  readonly leaf: Certificate
  /** The CA that issued the leaf: its key, or a signer that it certified for this, must have signed. */
  readonly issuer: Certificate
  readonly now: Instant
}

/** An answer may be this much of the future: our clock or theirs. */
const toleranceMs = 5 * minuteMs
const maxBytes = 65_536

/**
 * @throws Refusal `malformed`; `server-unreachable` for tryLater and internalError; `server-refused` for the other errors;
 *   `bad-signature` when nobody signed who may; `server-answer-invalid` when it is about another certificate, has lapsed, or
 *   is of the future
 */
export function checkOcspResponse({ der, leaf, issuer, now }: OcspToCheck): CheckedOcsp {
  const { producedAt, singles } = signedData(der, issuer, now)
  const single = singles.find((each) => isAbout(each, leaf, issuer))
  if (!single) throw invalid(`it is not about certificate ${leaf.serialNumber}`)
  const checked = { ...readSingle(single), producedAt }
  if (checked.thisUpdate > now + toleranceMs) throw invalid(`it is of the future: ${iso(checked.thisUpdate)}`)
  if (checked.nextUpdate <= now) throw invalid(`it lapsed at ${iso(checked.nextUpdate)}`)
  return checked
}

export interface SignedTimeToCheck {
  readonly der: Uint8Array
  /** The CA that was asked. */
  readonly issuer: Certificate
  /** Of the request: nobody can have signed it before. */
  readonly nonce: Uint8Array
}

/**
 * The time that the responder's clock showed when it signed an answer to this nonce. It needs no clock of ours: the signer's own
 * certificate is looked at as of that time.
 * @returns `producedAt`, whole seconds
 * @throws Refusal as `checkOcspResponse`; `server-answer-invalid` also for an answer without this nonce
 */
export function checkSignedTime({ der, issuer, nonce }: SignedTimeToCheck): Instant {
  const { producedAt, nonce: answered } = signedData(der, issuer, null)
  if (answered === null || !equalBytes(answered, nonce)) throw invalid('it does not repeat the nonce')
  return producedAt
}

/** What somebody has signed who may. @param now null: as of the time that it says itself */
function signedData(der: Uint8Array, issuer: Certificate, now: Instant | null): Data {
  const basic = new DerFields(basicResponse(der), 'BasicOCSPResponse')
  const node = basic.take('sequence', 'tbsResponseData')
  const algorithm = parseAlgorithm(basic.take('sequence', 'signatureAlgorithm'))
  const signature = readBitStringBytes(basic.any('signature'), 'signature')
  const certs = basic.context(0)
  basic.end()
  const data = readData(node)
  const signer = signerOf(data.responder, certs, issuer, now ?? data.producedAt)
  if (!verifySignature({ key: parsePublicKey(signer), algorithm, data: node.raw, signature })) {
    throw new Refusal('bad-signature', 'the signature of the OCSP response does not fit it')
  }
  return data
}

/** By their numbers (§4.2.1). */
const errors: Readonly<Record<number, string>> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
}

function basicResponse(der: Uint8Array): DerNode {
  const response = new DerFields(readDer(der, { maxBytes }), 'OCSPResponse')
  const status = readEnumerated(response.any('responseStatus'), 'responseStatus')
  if (status !== 0) {
    const code = status === 2 || status === 3 ? 'server-unreachable' : 'server-refused'
    throw new Refusal(code, `the OCSP responder answered ${errors[status] ?? status}`)
  }
  const bytes = response.context(0)
  response.end()
  if (!bytes) malformed('OCSPResponse: successful and without a response')
  const typed = new DerFields(explicitInner(bytes, 'responseBytes'), 'responseBytes')
  const type = readOid(typed.take('oid', 'responseType'), 'responseType')
  if (type !== oids.ocspBasic) throw new Refusal('not-implemented', `OCSP response of type ${type}`)
  const content = readOctetString(typed.take('octetString', 'response'), 'response')
  typed.end()
  return readDer(content, { maxBytes })
}

interface Data {
  /** byName [1] or byKey [2]. */
  readonly responder: DerNode
  readonly producedAt: Instant
  readonly singles: readonly DerNode[]
  /** Of the request that it answers; null when it answers every one. */
  readonly nonce: Uint8Array | null
}

function readData(node: DerNode): Data {
  const fields = new DerFields(node, 'ResponseData')
  fields.context(0)
  const responder = fields.any('responderID')
  const producedAt = readTime(fields.any('producedAt'), 'producedAt')
  const singles = fields.take('sequence', 'responses').children
  const extensions = fields.context(1)
  fields.end()
  return { responder, producedAt, singles, nonce: extensions && readNonce(extensions) }
}

/** RFC 9654 §2.1: an OCTET STRING in the extension's value. */
function readNonce(node: DerNode): Uint8Array | null {
  const list = parseExtensionList(explicitInner(node, 'responseExtensions'), 'responseExtensions')
  const extension = findExtension(list, oids.ocspNonce)
  return extension && readOctetString(readDer(extension.value), 'nonce')
}

/** @returns its SubjectPublicKeyInfo: the CA's own, or that of a signer whom the CA itself certified for this (§4.2.2.2) */
function signerOf(responder: DerNode, certs: DerNode | null, issuer: Certificate, now: Instant): Uint8Array {
  if (isNamed(responder, issuer)) return issuer.spki
  const list = certs ? explicitInner(certs, 'certs').children : []
  for (const { raw } of list.slice(0, 4)) {
    const signer = parseCertificate(raw)
    if (!isNamed(responder, signer)) continue
    const key = parsePublicKey(issuer.spki)
    const { tbs: data, signature, signatureAlgorithm: algorithm } = signer
    const isOfCa = equalBytes(signer.issuerDer, issuer.subjectDer)
    const isForThis = signer.extensions.extendedKeyUsage?.includes(oids.OCSPSigning) === true
    const isNow = signer.notBefore <= now + toleranceMs && now <= signer.notAfter
    if (isOfCa && isForThis && isNow && verifySignature({ key, algorithm, data, signature }))
      return signer.spki
  }
  throw new Refusal(
    'bad-signature',
    'the OCSP response is signed by nobody whom this CA has certified for it',
  )
}

function isNamed(responder: DerNode, { subjectDer, spki }: Certificate): boolean {
  const inner = explicitInner(responder, 'responderID')
  if (isContext(responder, 1)) return equalBytes(inner.raw, subjectDer)
  if (!isContext(responder, 2)) malformed('ResponseData.responderID: neither byName nor byKey')
  return equalBytes(readOctetString(inner, 'byKey'), hash('sha1', publicKeyBits(spki), 'buffer'))
}

/** The same CertID, whether or not its hash has parameters. */
function isAbout(single: DerNode, leaf: Certificate, issuer: Certificate): boolean {
  const id = single.children[0]
  const [algorithm, nameHash, keyHash, serial] = id?.children ?? []
  const oidNode = algorithm?.children[0]
  if (!oidNode || !nameHash || !keyHash || !serial) malformed('SingleResponse.certID: not a CertID')
  const name = readOid(oidNode, 'certID.hashAlgorithm') === oids.sha256 ? 'sha256' : 'sha1'
  return (
    equalBytes(nameHash.content, hash(name, issuer.subjectDer, 'buffer')) &&
    equalBytes(keyHash.content, hash(name, publicKeyBits(issuer.spki), 'buffer')) &&
    BigInt(`0x${leaf.serialNumber}`) === BigInt(`0x${Buffer.from(serial.content).toString('hex') || '0'}`)
  )
}

function readSingle(node: DerNode): Omit<CheckedOcsp, 'producedAt'> {
  const fields = new DerFields(node, 'SingleResponse')
  fields.take('sequence', 'certID')
  const status = fields.any('certStatus')
  const thisUpdate = readTime(fields.any('thisUpdate'), 'thisUpdate')
  const next = fields.context(0)
  fields.context(1)
  fields.end()
  if (!next) throw invalid('it has no nextUpdate')
  const nextUpdate = readTime(explicitInner(next, 'nextUpdate'), 'nextUpdate')
  if (isContext(status, 0)) return { status: 'good', revokedAt: null, thisUpdate, nextUpdate }
  if (isContext(status, 2)) return { status: 'unknown', revokedAt: null, thisUpdate, nextUpdate }
  const time = isContext(status, 1) ? status.children[0] : undefined
  if (!time) malformed('SingleResponse.certStatus: neither good nor revoked nor unknown')
  return { status: 'revoked', revokedAt: readTime(time, 'revocationTime'), thisUpdate, nextUpdate }
}

function invalid(why: string): Refusal {
  return new Refusal('server-answer-invalid', `the OCSP response is not used: ${why}`)
}

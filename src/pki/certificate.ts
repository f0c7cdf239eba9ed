/** X.509 certificates (RFC 5280 §4.1): encoding what will be signed, and parsing. */
import { equalBytes } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { DerFields, type DerNode, explicitInner, malformed, readDer } from './der.ts'
import { readBitStringBytes, readPublicKeyInfo, readSmallInteger, readTime } from './der-values.ts'
import { bitString, explicit, integer, sequence, time } from './der-writer.ts'
import { encodeSerialNumber, readSerialNumber } from './extension-values.ts'
import {
  type Extension,
  type ParsedExtensions,
  encodeExtensions,
  parseExtensions,
  typedExtensions,
} from './extensions.ts'
import { type Name, encodeName, parseName } from './name.ts'
import { type SignatureAlgorithm, encodeAlgorithm, parseAlgorithm } from './signature.ts'

/** 9999-12-31T23:59:59Z: the certificate has no well-defined expiry (RFC 5280 §4.1.2.5). */
export const noExpiry: Instant = Date.UTC(9999, 11, 31, 23, 59, 59)

export interface CertificateContent {
  readonly serialNumber: SerialNumber
  readonly issuer: Name
  /** The issuer's subject as its own certificate has it: saves encoding, and keeps its string types. */
  readonly issuerDer?: Uint8Array
  readonly subject: Name
  /** Both ends inclusive, whole seconds. */
  readonly notBefore: Instant
  readonly notAfter: Instant
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** At least one; the order is kept. */
  readonly extensions: readonly Extension[]
  readonly signatureAlgorithm: SignatureAlgorithm
}

/**
 * A version 3 TBSCertificate: the exact bytes that will be signed.
 * @throws Refusal `malformed` or `hostile-name` when a name breaks the rules of `encodeName`
 */
export function encodeTbsCertificate(content: CertificateContent): Uint8Array {
  assert(content.serialNumber !== '00', 'a CA issues positive serial numbers (RFC 5280 §4.1.2.2)')
  assert(content.extensions.length > 0, 'a version 3 certificate has extensions')
  return sequence(
    version3,
    encodeSerialNumber(content.serialNumber),
    encodeAlgorithm(content.signatureAlgorithm),
    content.issuerDer ?? encodeName(content.issuer),
    sequence(time(content.notBefore), time(content.notAfter)),
    encodeName(content.subject),
    content.spki,
    explicit(3, encodeExtensions(content.extensions)),
  )
}

export interface SignedParts {
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

/** The Certificate (§4.1.1), in memory of its own. The algorithm must be the one inside `tbs`. */
export function assembleCertificate({ tbs, signatureAlgorithm, signature }: SignedParts): Uint8Array {
  return sequence(tbs, encodeAlgorithm(signatureAlgorithm), bitString(signature)).slice()
}

/** A parsed TBSCertificate. Byte fields are views on the input. */
export interface TbsCertificate {
  /** As encoded: 1 or 3. */
  readonly version: 1 | 3
  readonly serialNumber: SerialNumber
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly issuer: Name
  readonly issuerDer: Uint8Array
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly subject: Name
  readonly subjectDer: Uint8Array
  /** DER SubjectPublicKeyInfo, not yet read. */
  readonly spki: Uint8Array
  readonly extensions: ParsedExtensions
}

export interface Certificate extends TbsCertificate {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Syntax only: no signature is checked. Version 1 is read because old manufacturer roots are; version 2 and unique
 * identifiers, which no CA may issue (§4.1.2.8), are refused.
 * @throws Refusal `malformed`, `hostile-name`, or `bad-algorithm` for signatures with MD5, SHA-1 or unknown algorithms
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const root = readDer(der)
  const fields = new DerFields(root, 'Certificate')
  const tbsNode = fields.take('sequence', 'tbsCertificate')
  const algorithm = fields.take('sequence', 'signatureAlgorithm')
  const signature = readBitStringBytes(fields.any('signatureValue'), 'Certificate.signatureValue')
  fields.end()
  const tbs = parseTbs(tbsNode, algorithm)
  return { ...tbs, der: root.raw, tbs: tbsNode.raw, signature }
}

/** The same for a TBSCertificate that is not signed yet. */
export function parseTbsCertificate(tbs: Uint8Array): TbsCertificate {
  return parseTbs(readDer(tbs), null)
}

const version3 = explicit(0, integer(2))

/** @param outerAlgorithm must have the same bytes as the inner one (§4.1.1.2) */
function parseTbs(node: DerNode, outerAlgorithm: DerNode | null): TbsCertificate {
  const fields = new DerFields(node, 'TBSCertificate')
  const version = readVersion(fields.context(0))
  const serialNumber = readSerialNumber(fields.any('serialNumber'), 'TBSCertificate.serialNumber')
  const algorithm = fields.take('sequence', 'signature')
  if (outerAlgorithm && !equalBytes(algorithm.raw, outerAlgorithm.raw)) {
    malformed('Certificate: signatureAlgorithm differs from the one that is signed')
  }
  const issuer = fields.take('sequence', 'issuer')
  if (issuer.children.length === 0) malformed('TBSCertificate.issuer: empty (RFC 5280 §4.1.2.4)')
  const validity = readValidity(fields.take('sequence', 'validity'))
  const subject = fields.take('sequence', 'subject')
  const spki = readPublicKeyInfo(fields.any('subjectPublicKeyInfo'), 'subjectPublicKeyInfo')
  const extensions = fields.context(3)
  fields.end()
  if (extensions && version !== 3) malformed('TBSCertificate: extensions need version 3 (§4.1.2.9)')
  return {
    version,
    serialNumber,
    signatureAlgorithm: parseAlgorithm(algorithm),
    issuer: parseName(issuer, 'issuer'),
    issuerDer: issuer.raw,
    ...validity,
    subject: parseName(subject, 'subject'),
    subjectDer: subject.raw,
    spki,
    extensions: extensions ? parseExtensions(explicitInner(extensions, 'extensions')) : noExtensions,
  }
}

const noExtensions = typedExtensions([])

/** §4.1.2.1. An encoded v1 is refused: DER leaves a DEFAULT value out (X.690 §11.5). */
function readVersion(node: DerNode | null): 1 | 3 {
  if (node === null) return 1
  const version = readSmallInteger(explicitInner(node, 'version'), 'TBSCertificate.version')
  if (version !== 2) malformed('TBSCertificate.version: only 3, or absent for 1')
  return 3
}

/** §4.1.2.5: a CA must write UTCTime before 2050, but a reader must take either; public roots exist that differ. */
function readValidity(node: DerNode): { notBefore: Instant; notAfter: Instant } {
  const fields = new DerFields(node, 'validity')
  const notBefore = readTime(fields.any('notBefore'), 'notBefore')
  const notAfter = readTime(fields.any('notAfter'), 'notAfter')
  fields.end()
  return { notBefore, notAfter }
}

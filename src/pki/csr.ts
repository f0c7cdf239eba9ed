/** Certification requests (PKCS #10, RFC 2986). Attributes are read in csr-request-attributes.ts. */
import { Refusal } from '../base/errors.ts'
import { DerFields, malformed, readDer } from './der.ts'
import { readBitStringBytes, readPublicKeyInfo, readSmallInteger } from './der-values.ts'
import {
  bitString,
  implicit,
  integer,
  isPrintableString,
  oid,
  printableString,
  sequence,
  setOf,
  utf8String,
} from './der-writer.ts'
import { type CsrAttributes, maxChallengePassword, parseRequestAttributes } from './csr-request-attributes.ts'
import { type Extension, encodeExtensions } from './extensions.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import { type Name, encodeName, parseName } from './name.ts'
import { oids } from './oid.ts'
import { type SignatureAlgorithm, encodeAlgorithm, parseAlgorithm, verifySignature } from './signature.ts'

/** Byte fields are views on the input. What is asked for here decides nothing by itself: profile and record do. */
export interface Csr extends CsrAttributes {
  readonly der: Uint8Array
  /** CertificationRequestInfo: what is signed. */
  readonly info: Uint8Array
  readonly subject: Name
  readonly subjectDer: Uint8Array
  /** DER SubjectPublicKeyInfo, not yet read. */
  readonly spki: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

/**
 * Syntax only: `verifyCsr` checks the signature.
 * @throws Refusal `malformed`, `hostile-name`, or `bad-algorithm` for signatures with MD5, SHA-1 or unknown algorithms
 */
export function parseCsr(der: Uint8Array): Csr {
  const root = readDer(der)
  const fields = new DerFields(root, 'CertificationRequest')
  const info = fields.take('sequence', 'certificationRequestInfo')
  const algorithm = fields.take('sequence', 'signatureAlgorithm')
  const signature = readBitStringBytes(fields.any('signature'), 'CertificationRequest.signature')
  fields.end()

  const infoFields = new DerFields(info, 'CertificationRequestInfo')
  const version = readSmallInteger(infoFields.any('version'), 'CertificationRequestInfo.version')
  if (version !== 0) malformed('CertificationRequestInfo.version: must be 0')
  const subject = infoFields.take('sequence', 'subject')
  const spki = readPublicKeyInfo(infoFields.any('subjectPKInfo'), 'subjectPKInfo')
  const attributes = infoFields.context(0)
  infoFields.end()
  // RFC 2986 §4.1: the set may be empty, but it must be there.
  if (attributes === null) malformed('CertificationRequestInfo: attributes are missing')
  return {
    der: root.raw,
    info: info.raw,
    subject: parseName(subject, 'subject'),
    subjectDer: subject.raw,
    spki,
    signatureAlgorithm: parseAlgorithm(algorithm),
    signature,
    ...parseRequestAttributes(attributes),
  }
}

/**
 * Proof of possession: the request is signed with the key that it names.
 * @param key the parsed `csr.spki`, when the caller has it already
 * @throws Refusal `bad-signature`, or what `parsePublicKey` throws
 */
export function verifyCsr(csr: Csr, key: PublicKey = parsePublicKey(csr.spki)): void {
  const { signatureAlgorithm: algorithm, signature } = csr
  if (!verifySignature({ key, algorithm, data: csr.info, signature })) {
    throw new Refusal('bad-signature', 'the request is not signed with the key that it names')
  }
}

export interface CsrContent {
  readonly subject: Name
  readonly spki: Uint8Array
  /** Asked for with an extensionRequest attribute, when there are any. */
  readonly extensions?: readonly Extension[]
  /** 1 to 255 characters. */
  readonly challengePassword?: string
  /** Further attributes: type and DER of the one value. */
  readonly attributes?: readonly { readonly type: string; readonly value: Uint8Array }[]
}

export interface CsrSignature {
  readonly signature: Uint8Array
  readonly algorithm: SignatureAlgorithm
}

/** A request for `content.spki`. @param sign signs the CertificationRequestInfo with the matching private key */
export function buildCsr(content: CsrContent, sign: (info: Uint8Array) => CsrSignature): Uint8Array {
  const info = sequence(integer(0), encodeName(content.subject), content.spki, encodeAttributes(content))
  const { signature, algorithm } = sign(info)
  return sequence(info, encodeAlgorithm(algorithm), bitString(signature))
}

function encodeAttributes(content: CsrContent): Uint8Array {
  const attributes = [...(content.attributes ?? [])]
  if (content.extensions?.length) {
    attributes.push({ type: oids.extensionRequest, value: encodeExtensions(content.extensions) })
  }
  if (content.challengePassword !== undefined) {
    const value = encodeChallengePassword(content.challengePassword)
    attributes.push({ type: oids.challengePassword, value })
  }
  return implicit(0, setOf(...attributes.map(({ type, value }) => sequence(oid(type), setOf(value)))))
}

function encodeChallengePassword(password: string): Uint8Array {
  if (password.length < 1 || password.length > maxChallengePassword) {
    malformed(`challengePassword: must have 1 to ${maxChallengePassword} characters`)
  }
  return isPrintableString(password) ? printableString(password) : utf8String(password)
}

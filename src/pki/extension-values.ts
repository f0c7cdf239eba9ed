/** Values of the simple certificate extensions (RFC 5280 §4.2): what stands inside extnValue. */
import { fromHex, toHex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { DerFields, type DerNode, expectKind, implicitAs, malformed } from './der.ts'
import {
  readBoolean,
  readIntegerBytes,
  readNamedBits,
  readOctetString,
  readOid,
  readSmallInteger,
} from './der-values.ts'
import {
  boolean,
  implicit,
  integer,
  namedBits,
  octetString,
  oid,
  sequence,
  unsignedInteger,
} from './der-writer.ts'
import {
  type GeneralName,
  encodeGeneralName,
  encodeGeneralNames,
  parseGeneralName,
  parseGeneralNames,
} from './general-name.ts'

export interface BasicConstraints {
  readonly ca: boolean
  /** Intermediate certificates that may follow; null = no limit. */
  readonly pathLength: number | null
}

/** §4.2.1.9. An encoded `cA FALSE` is refused: DER leaves a DEFAULT value out (X.690 §11.5). */
export function parseBasicConstraints(node: DerNode): BasicConstraints {
  const fields = new DerFields(node, 'basicConstraints')
  const ca = readDefaultFalse(fields.optional('boolean'), 'basicConstraints.cA')
  const length = fields.optional('integer')
  fields.end()
  return { ca, pathLength: length && readSmallInteger(length, 'basicConstraints.pathLenConstraint') }
}

export function encodeBasicConstraints({ ca, pathLength }: BasicConstraints): Uint8Array {
  const parts = ca ? [boolean(true)] : []
  return sequence(...parts, ...(pathLength === null ? [] : [integer(pathLength)]))
}

/** A BOOLEAN DEFAULT FALSE: absent or TRUE. */
export function readDefaultFalse(node: DerNode | null, what: string): boolean {
  if (node === null) return false
  if (!readBoolean(node, what)) malformed(`${what}: FALSE is the default and must be left out`)
  return true
}

/** §4.2.1.3, in the order of their bits. */
export const keyUsageNames = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsageName = (typeof keyUsageNames)[number]

/** Refuses an empty list (§4.2.1.3: at least one bit) and bits that have no name. */
export function parseKeyUsage(node: DerNode): readonly KeyUsageName[] {
  const bits = readNamedBits(node, 'keyUsage')
  if (bits === 0 || bits >= 1 << keyUsageNames.length) malformed('keyUsage: no bit or an unknown bit is set')
  return keyUsageNames.filter((_, bit) => (bits & (1 << bit)) !== 0)
}

export function encodeKeyUsage(usages: readonly KeyUsageName[]): Uint8Array {
  assert(usages.length > 0, 'keyUsage must have at least one usage')
  return namedBits(usages.reduce((bits, usage) => bits | (1 << keyUsageNames.indexOf(usage)), 0))
}

/** §4.2.1.12: object identifiers, one or more, none twice. */
export function parseExtendedKeyUsage(node: DerNode): readonly string[] {
  const usages = expectKind(node, 'sequence', 'extendedKeyUsage').children.map((child) =>
    readOid(child, 'extendedKeyUsage'),
  )
  if (usages.length === 0) malformed('extendedKeyUsage: empty')
  if (new Set(usages).size !== usages.length) malformed('extendedKeyUsage: the same usage twice')
  return usages
}

export function encodeExtendedKeyUsage(usages: readonly string[]): Uint8Array {
  assert(usages.length > 0, 'extendedKeyUsage must have at least one usage')
  return sequence(...usages.map(oid))
}

const maxKeyIdentifier = 64

/** §4.2.1.2. */
export function parseSubjectKeyIdentifier(node: DerNode): Uint8Array {
  return checkedKeyIdentifier(node, 'subjectKeyIdentifier')
}

function checkedKeyIdentifier(node: DerNode, what: string): Uint8Array {
  const identifier = readOctetString(node, what)
  if (identifier.length === 0 || identifier.length > maxKeyIdentifier) {
    malformed(`${what}: must have 1 to ${maxKeyIdentifier} octets`)
  }
  return identifier
}

export function encodeSubjectKeyIdentifier(identifier: Uint8Array): Uint8Array {
  return octetString(identifier)
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier: Uint8Array | null
  readonly issuer: readonly GeneralName[] | null
  readonly serialNumber: SerialNumber | null
}

/** §4.2.1.1: issuer and serial number come together or not at all. */
export function parseAuthorityKeyIdentifier(node: DerNode): AuthorityKeyIdentifier {
  const what = 'authorityKeyIdentifier'
  const fields = new DerFields(node, what)
  const key = fields.context(0)
  const issuer = fields.context(1)
  const serial = fields.context(2)
  fields.end()
  if ((issuer === null) !== (serial === null))
    malformed(`${what}: issuer and serial number must come together`)
  return {
    keyIdentifier: key && checkedKeyIdentifier(implicitAs(key, 'octetString', what), what),
    issuer: issuer && parseGeneralNames(issuer, what),
    serialNumber: serial && readSerialNumber(implicitAs(serial, 'integer', what), what),
  }
}

/** The usual form: the key identifier of the issuer's key alone. */
export function encodeAuthorityKeyIdentifier(identifier: AuthorityKeyIdentifier): Uint8Array {
  const { keyIdentifier, issuer, serialNumber } = identifier
  assert((issuer === null) === (serialNumber === null), 'issuer and serial number come together')
  return sequence(
    ...(keyIdentifier === null ? [] : [implicit(0, octetString(keyIdentifier))]),
    ...(issuer === null ? [] : [implicit(1, encodeGeneralNames(issuer))]),
    ...(serialNumber === null ? [] : [implicit(2, encodeSerialNumber(serialNumber))]),
  )
}

/**
 * A number whose value is not negative and has at most 20 octets. RFC 5280 §4.1.2.2 counts the sign octet as well, and zero
 * is not allowed to CAs; roots with zero and certificates of others with that octet exist and do no harm (`00` and 40
 * digits).
 */
export function readSerialNumber(node: DerNode, what: string): SerialNumber {
  const content = readIntegerBytes(node, what)
  const first = content[0] as number
  if (first >= 0x80) malformed(`${what}: serial number must not be negative`)
  const magnitude = first === 0 && content.length > 1 ? content.subarray(1) : content
  if (magnitude.length > 20) malformed(`${what}: serial number longer than 20 octets`)
  return toHex(magnitude) as SerialNumber
}

export function encodeSerialNumber(serialNumber: SerialNumber): Uint8Array {
  const magnitude = fromHex(serialNumber)
  assert(
    magnitude !== null && magnitude.length > 0 && magnitude.length <= 20,
    'serial number must be 1 to 20 octets',
  )
  return unsignedInteger(magnitude)
}

export interface AccessDescription {
  /** Object identifier: `oids.caIssuers`, `oids.ocsp`. */
  readonly method: string
  readonly location: GeneralName
}

/** §4.2.2.1, and §4.2.2.2 for the subject's. */
export function parseInfoAccess(node: DerNode, what = 'authorityInfoAccess'): readonly AccessDescription[] {
  const { children } = expectKind(node, 'sequence', what)
  if (children.length === 0) malformed(`${what}: empty`)
  return children.map((child) => {
    const fields = new DerFields(child, what)
    const method = readOid(fields.take('oid', 'accessMethod'), what)
    const location = parseGeneralName(fields.any('accessLocation'), what)
    fields.end()
    return { method, location }
  })
}

export function encodeInfoAccess(descriptions: readonly AccessDescription[]): Uint8Array {
  assert(descriptions.length > 0, 'authorityInfoAccess must not be empty')
  return sequence(
    ...descriptions.map(({ method, location }) => sequence(oid(method), encodeGeneralName(location))),
  )
}

/** Certificate extensions (RFC 5280 §4.1.2.9, §4.2): the list, and a typed view of those that we know. */
import { DerFields, type DerNode, expectKind, malformed, readDer } from './der.ts'
import { readOctetString, readOid } from './der-values.ts'
import { boolean, octetString, oid, sequence } from './der-writer.ts'
import {
  type CertificatePolicy,
  type PolicyConstraints,
  type PolicyMapping,
  parseCertificatePolicies,
  parseInhibitAnyPolicy,
  parsePolicyConstraints,
  parsePolicyMappings,
} from './certificate-policies.ts'
import { type DistributionPoint, parseDistributionPoints } from './distribution-point.ts'
import {
  type AccessDescription,
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  type KeyUsageName,
  parseAuthorityKeyIdentifier,
  parseBasicConstraints,
  parseExtendedKeyUsage,
  parseInfoAccess,
  parseKeyUsage,
  parseSubjectKeyIdentifier,
  readDefaultFalse,
} from './extension-values.ts'
import { type GeneralName, parseGeneralNames } from './general-name.ts'
import { type NameConstraints, parseNameConstraints } from './name-constraints.ts'
import { oidName, oids } from './oid.ts'

export interface Extension {
  /** Dotted object identifier. */
  readonly oid: string
  readonly critical: boolean
  /** DER that stands inside the extnValue OCTET STRING. */
  readonly value: Uint8Array
}

/** The list as it stands, and what we know of it; null = the extension is absent. */
export interface ParsedExtensions {
  readonly list: readonly Extension[]
  readonly basicConstraints: BasicConstraints | null
  readonly keyUsage: readonly KeyUsageName[] | null
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[] | null
  readonly subjectAltName: readonly GeneralName[] | null
  readonly issuerAltName: readonly GeneralName[] | null
  readonly subjectKeyIdentifier: Uint8Array | null
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | null
  readonly cRLDistributionPoints: readonly DistributionPoint[] | null
  readonly freshestCRL: readonly DistributionPoint[] | null
  readonly authorityInfoAccess: readonly AccessDescription[] | null
  readonly subjectInfoAccess: readonly AccessDescription[] | null
  readonly certificatePolicies: readonly CertificatePolicy[] | null
  readonly policyMappings: readonly PolicyMapping[] | null
  readonly policyConstraints: PolicyConstraints | null
  readonly inhibitAnyPolicy: number | null
  readonly nameConstraints: NameConstraints | null
  readonly ocspNoCheck: boolean
}

/**
 * @param node Extensions: one or more, none twice (§4.2)
 * @throws Refusal `malformed` or `hostile-name`. An encoded `critical FALSE` is refused: DER leaves it out
 */
export function parseExtensions(node: DerNode, what = 'extensions'): ParsedExtensions {
  return typedExtensions(parseExtensionList(node, what))
}

/** The list alone, values unread. */
export function parseExtensionList(node: DerNode, what = 'extensions'): readonly Extension[] {
  const { children } = expectKind(node, 'sequence', what)
  if (children.length === 0) malformed(`${what}: empty`)
  if (children.length > maxExtensions) malformed(`${what}: more than ${maxExtensions}`)
  const list = children.map((child) => parseExtension(child, what))
  const seen = new Set<string>()
  for (const extension of list) {
    if (seen.has(extension.oid)) malformed(`${what}: ${oidName(extension.oid)} occurs twice`)
    seen.add(extension.oid)
  }
  return list
}

export function encodeExtensions(extensions: readonly Extension[]): Uint8Array {
  return sequence(...extensions.map(encodeExtension))
}

export function encodeExtension(extension: Extension): Uint8Array {
  const id = oid(extension.oid)
  const value = octetString(extension.value)
  return extension.critical ? sequence(id, criticalTrue, value) : sequence(id, value)
}

/** @param critical default: what RFC 5280 §4.2.1 asks of a CA for that extension */
export function makeExtension(
  type: string,
  value: Uint8Array,
  critical: boolean = criticalByDefault.has(type),
): Extension {
  return { oid: type, critical, value }
}

export function findExtension(extensions: readonly Extension[], type: string): Extension | null {
  return extensions.find((extension) => extension.oid === type) ?? null
}

/** True for extensions that `ParsedExtensions` has a field for: what "recognised" means when one is critical. */
export function isKnownExtension(type: string): boolean {
  return knownExtensions.has(type)
}

const maxExtensions = 128
const criticalTrue = boolean(true)
const criticalByDefault: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.keyUsage,
  oids.nameConstraints,
  oids.policyMappings,
  oids.policyConstraints,
  oids.inhibitAnyPolicy,
])

function parseExtension(node: DerNode, what: string): Extension {
  const fields = new DerFields(node, what)
  const type = readOid(fields.take('oid', 'extnID'), what)
  const critical = readDefaultFalse(fields.optional('boolean'), 'critical')
  const value = readOctetString(fields.take('octetString', 'extnValue'), what)
  fields.end()
  return { oid: type, critical, value }
}

type Typed = { -readonly [Field in Exclude<keyof ParsedExtensions, 'list'>]: ParsedExtensions[Field] }

const noneTyped: Typed = {
  basicConstraints: null,
  keyUsage: null,
  extendedKeyUsage: null,
  subjectAltName: null,
  issuerAltName: null,
  subjectKeyIdentifier: null,
  authorityKeyIdentifier: null,
  cRLDistributionPoints: null,
  freshestCRL: null,
  authorityInfoAccess: null,
  subjectInfoAccess: null,
  certificatePolicies: null,
  policyMappings: null,
  policyConstraints: null,
  inhibitAnyPolicy: null,
  nameConstraints: null,
  ocspNoCheck: false,
}

const knownExtensions: ReadonlyMap<string, (node: DerNode, into: Typed) => void> = new Map([
  [oids.basicConstraints, (node, into) => void (into.basicConstraints = parseBasicConstraints(node))],
  [oids.keyUsage, (node, into) => void (into.keyUsage = parseKeyUsage(node))],
  [oids.extendedKeyUsage, (node, into) => void (into.extendedKeyUsage = parseExtendedKeyUsage(node))],
  [oids.subjectAltName, (node, into) => void (into.subjectAltName = parseNames(node, 'subjectAltName'))],
  [oids.issuerAltName, (node, into) => void (into.issuerAltName = parseNames(node, 'issuerAltName'))],
  [
    oids.subjectKeyIdentifier,
    (node, into) => void (into.subjectKeyIdentifier = parseSubjectKeyIdentifier(node)),
  ],
  [
    oids.authorityKeyIdentifier,
    (node, into) => void (into.authorityKeyIdentifier = parseAuthorityKeyIdentifier(node)),
  ],
  [
    oids.cRLDistributionPoints,
    (node, into) => void (into.cRLDistributionPoints = parseDistributionPoints(node)),
  ],
  [oids.freshestCRL, (node, into) => void (into.freshestCRL = parseDistributionPoints(node, 'freshestCRL'))],
  [oids.authorityInfoAccess, (node, into) => void (into.authorityInfoAccess = parseInfoAccess(node))],
  [
    oids.subjectInfoAccess,
    (node, into) => void (into.subjectInfoAccess = parseInfoAccess(node, 'subjectInfoAccess')),
  ],
  [
    oids.certificatePolicies,
    (node, into) => void (into.certificatePolicies = parseCertificatePolicies(node)),
  ],
  [oids.policyMappings, (node, into) => void (into.policyMappings = parsePolicyMappings(node))],
  [oids.policyConstraints, (node, into) => void (into.policyConstraints = parsePolicyConstraints(node))],
  [oids.inhibitAnyPolicy, (node, into) => void (into.inhibitAnyPolicy = parseInhibitAnyPolicy(node))],
  [oids.nameConstraints, (node, into) => void (into.nameConstraints = parseNameConstraints(node))],
  [oids.ocspNoCheck, (node, into) => void (into.ocspNoCheck = parseOcspNoCheck(node))],
] as const satisfies readonly (readonly [string, (node: DerNode, into: Typed) => void])[])

/** Reads the values of known extensions; unknown ones stay opaque. */
export function typedExtensions(list: readonly Extension[]): ParsedExtensions {
  const typed = { ...noneTyped }
  for (const extension of list) knownExtensions.get(extension.oid)?.(readDer(extension.value), typed)
  return { list, ...typed }
}

function parseNames(node: DerNode, what: string): readonly GeneralName[] {
  return parseGeneralNames(expectKind(node, 'sequence', what), what)
}

/** RFC 6960 §4.2.2.2.1: NULL. */
function parseOcspNoCheck(node: DerNode): true {
  expectKind(node, 'null', 'ocspNoCheck')
  return true
}

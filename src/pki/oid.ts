/** Object identifiers by the names their standards give them, and their DER content octets. */
import { assert } from '../base/errors.ts'

export const oids = {
  // attribute types (X.520, RFC 4519)
  commonName: '2.5.4.3',
  surname: '2.5.4.4',
  serialNumber: '2.5.4.5',
  countryName: '2.5.4.6',
  localityName: '2.5.4.7',
  stateOrProvinceName: '2.5.4.8',
  streetAddress: '2.5.4.9',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
  title: '2.5.4.12',
  postalCode: '2.5.4.17',
  name: '2.5.4.41',
  givenName: '2.5.4.42',
  initials: '2.5.4.43',
  generationQualifier: '2.5.4.44',
  dnQualifier: '2.5.4.46',
  pseudonym: '2.5.4.65',
  organizationIdentifier: '2.5.4.97',
  userId: '0.9.2342.19200300.100.1.1',
  domainComponent: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
  // Matter Core Specification §6.1.1, §6.5.6.1
  matterVid: '1.3.6.1.4.1.37244.2.1',
  matterPid: '1.3.6.1.4.1.37244.2.2',
  // certificate extensions (RFC 5280 §4.2, RFC 6960 §4.2.2.2.1), OCSP (RFC 6960 §4.2.1, §4.4.1)
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  cRLNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  deltaCRLIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  anyPolicy: '2.5.29.32.0',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  anyExtendedKeyUsage: '2.5.29.37.0',
  freshestCRL: '2.5.29.46',
  inhibitAnyPolicy: '2.5.29.54',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  subjectInfoAccess: '1.3.6.1.5.5.7.1.11',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
  ocspBasic: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
  // policy qualifiers, access methods, other names
  cpsUri: '1.3.6.1.5.5.7.2.1',
  userNotice: '1.3.6.1.5.5.7.2.2',
  ocsp: '1.3.6.1.5.5.7.48.1',
  caIssuers: '1.3.6.1.5.5.7.48.2',
  hardwareModuleName: '1.3.6.1.5.5.7.8.4',
  // extended key usages
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  cmcCA: '1.3.6.1.5.5.7.3.27',
  cmcRA: '1.3.6.1.5.5.7.3.28',
  cmcArchive: '1.3.6.1.5.5.7.3.29',
  // PKCS #9 attributes (RFC 2985), CMS attributes, RFC 6402, RFC 7030, RFC 7894, RFC 9908
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  challengePassword: '1.2.840.113549.1.9.7',
  unstructuredName: '1.2.840.113549.1.9.2',
  extensionRequest: '1.2.840.113549.1.9.14',
  smimeCapabilities: '1.2.840.113549.1.9.15',
  decryptKeyIdentifier: '1.2.840.113549.1.9.16.2.37',
  asymmetricDecryptKeyIdentifier: '1.2.840.113549.1.9.16.2.54',
  otpChallenge: '1.2.840.113549.1.9.16.2.56',
  revocationChallenge: '1.2.840.113549.1.9.16.2.57',
  estIdentityLinking: '1.2.840.113549.1.9.16.2.58',
  certificationRequestInfoTemplate: '1.2.840.113549.1.9.16.2.61',
  extensionReqTemplate: '1.2.840.113549.1.9.16.2.62',
  changeSubjectName: '1.3.6.1.5.5.7.7.36',
  // CMS content types (RFC 5652, RFC 5083, RFC 5958)
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  authEnvelopedData: '1.2.840.113549.1.9.16.1.23',
  asymmetricKeyPackage: '2.16.840.1.101.2.1.2.78.5',
  // keys and curves (RFC 3279, RFC 5480, RFC 8410, RFC 9881)
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  secp384r1: '1.3.132.0.34',
  secp521r1: '1.3.132.0.35',
  ed25519: '1.3.101.112',
  mlDsa44: '2.16.840.1.101.3.4.3.17',
  mlDsa65: '2.16.840.1.101.3.4.3.18',
  mlDsa87: '2.16.840.1.101.3.4.3.19',
  // signatures (RFC 4055, RFC 5758); the first six are known so that they can be refused by name
  md2WithRSAEncryption: '1.2.840.113549.1.1.2',
  md5WithRSAEncryption: '1.2.840.113549.1.1.4',
  sha1WithRSAEncryption: '1.2.840.113549.1.1.5',
  dsaWithSHA1: '1.2.840.10040.4.3',
  ecdsaWithSHA1: '1.2.840.10045.4.1',
  sha224WithRSAEncryption: '1.2.840.113549.1.1.14',
  rsassaPss: '1.2.840.113549.1.1.10',
  sha256WithRSAEncryption: '1.2.840.113549.1.1.11',
  sha384WithRSAEncryption: '1.2.840.113549.1.1.12',
  sha512WithRSAEncryption: '1.2.840.113549.1.1.13',
  ecdsaWithSHA256: '1.2.840.10045.4.3.2',
  ecdsaWithSHA384: '1.2.840.10045.4.3.3',
  ecdsaWithSHA512: '1.2.840.10045.4.3.4',
  // digests, mask generation, encryption (RFC 4055, RFC 3565, RFC 5084, RFC 5753)
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  mgf1: '1.2.840.113549.1.1.8',
  rsaesOaep: '1.2.840.113549.1.1.7',
  aes128Cbc: '2.16.840.1.101.3.4.1.2',
  aes128Wrap: '2.16.840.1.101.3.4.1.5',
  aes128Gcm: '2.16.840.1.101.3.4.1.6',
  aes192Cbc: '2.16.840.1.101.3.4.1.22',
  aes192Wrap: '2.16.840.1.101.3.4.1.25',
  aes192Gcm: '2.16.840.1.101.3.4.1.26',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  aes256Wrap: '2.16.840.1.101.3.4.1.45',
  aes256Gcm: '2.16.840.1.101.3.4.1.46',
  ecdhStdSha256Kdf: '1.3.132.1.11.1',
  ecdhStdSha384Kdf: '1.3.132.1.11.2',
  ecdhStdSha512Kdf: '1.3.132.1.11.3',
} as const

export type KnownOidName = keyof typeof oids

const namesByOid = new Map<string, string>(Object.entries(oids).map(([name, oid]) => [oid, name]))

/** The standard's name of a known identifier, else the dotted form unchanged. */
export function oidName(oid: string): string {
  return namesByOid.get(oid) ?? oid
}

/** The identifier of a known name or a dotted form, else null. */
export function oidFromName(text: string): string | null {
  if (Object.hasOwn(oids, text)) return oids[text as KnownOidName]
  return isOid(text) ? text : null
}

/**
 * True for a dotted form that has a DER encoding within our limits: two arcs or more, no leading zeros, roots 0 to 2,
 * each arc at most 19 octets (UUID arcs under 2.25 need them), all at most 64 octets.
 */
export function isOid(text: string): boolean {
  return text.length <= maxOidText && dottedForm.test(text) && isEncodable(text)
}

/** Content octets of the dotted form. The caller has checked foreign text with `isOid`. */
export function encodeOid(oid: string): Uint8Array {
  return encodedByOid.get(oid) ?? encodeArcs(oid)
}

/**
 * Dotted form of content octets that the DER reader has accepted. Known ones are found without decoding.
 * @param start first content octet in `source`; `end` is the first octet after it
 */
export function decodeOid(source: Uint8Array, start: number, end: number): string {
  const candidates = knownByHash.get(hashOctets(source, start, end))
  const known = candidates?.find(({ octets }) => matches(octets, source, start, end))
  return known?.oid ?? decodeArcs(source.subarray(start, end))
}

const maxOidText = 300
const dottedForm = /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*$/

/** Limits of what we read and write: an identifier that is longer is nobody's, and its decimal form would cost much. */
export const maxOidOctets = 64
export const maxArcOctets = 19

function isEncodable(text: string): boolean {
  const arcs = arcOctets(text)
  return arcs.every((arc) => arc.length <= maxArcOctets) && arcs.flat().length <= maxOidOctets
}

function encodeArcs(oid: string): Uint8Array {
  assert(isOid(oid), `not an object identifier: ${oid}`)
  return Uint8Array.from(arcOctets(oid).flat())
}

function arcOctets(oid: string): number[][] {
  const [root = 0n, second = 0n, ...rest] = oid.split('.').map(BigInt)
  return [root * 40n + second, ...rest].map(encodeArc)
}

function encodeArc(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)]
  for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80)
  return octets
}

/** The DER reader's limits keep the bigint arithmetic small. */
function decodeArcs(content: Uint8Array): string {
  const arcs: bigint[] = []
  let arc = 0n
  for (const octet of content) {
    arc = arc * 128n + BigInt(octet & 0x7f)
    if (octet >= 0x80) continue
    if (arcs.length === 0) {
      // X.690 §8.19.4: the first number holds two arcs.
      const root = arc < 40n ? 0n : arc < 80n ? 1n : 2n
      arcs.push(root, arc - root * 40n)
    } else {
      arcs.push(arc)
    }
    arc = 0n
  }
  return arcs.join('.')
}

interface KnownOid {
  readonly oid: string
  readonly octets: Uint8Array
}

const encodedByOid = new Map<string, Uint8Array>(Object.values(oids).map((oid) => [oid, encodeArcs(oid)]))

const knownByHash = new Map<number, KnownOid[]>()
for (const [oid, octets] of encodedByOid) {
  const hash = hashOctets(octets, 0, octets.length)
  knownByHash.set(hash, [...(knownByHash.get(hash) ?? []), { oid, octets }])
}

/** FNV-1a. The table is fixed, so collisions cannot be provoked into long chains. */
function hashOctets(source: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let offset = start; offset < end; offset++) {
    hash = Math.imul(hash ^ (source[offset] as number), 0x01000193)
  }
  return hash
}

function matches(octets: Uint8Array, source: Uint8Array, start: number, end: number): boolean {
  if (octets.length !== end - start) return false
  for (let index = 0; index < octets.length; index++) {
    if (octets[index] !== source[start + index]) return false
  }
  return true
}

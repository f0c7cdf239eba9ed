/**
 * Reads CRLs (RFC 5280 §5) strictly and without a tree: one pass over the entries checks them all, and memory stays at the
 * size of the file whatever their number. Version 1 is read because `openssl ca -gencrl` makes it by default; indirect
 * CRLs and critical extensions that we do not know are refused, as §5.2 and §5.3 ask.
 */
import { equalBytes } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { type CrlEntry, CrlEntryReader } from './crl-entry-read.ts'
import { explicitInner, isContext, isKind, malformed, readDer, type DerNode } from './der.ts'
import { readBitStringBytes, readInteger, readSmallInteger, readTime } from './der-values.ts'
import { type DistributionPoint, parseDistributionPoints } from './distribution-point.ts'
import { type AuthorityKeyIdentifier, parseAuthorityKeyIdentifier } from './extension-values.ts'
import { type Extension, parseExtensionList } from './extensions.ts'
import { type IssuingDistributionPoint, parseIssuingDistributionPoint } from './issuing-distribution-point.ts'
import type { PublicKey } from './key.ts'
import { type Name, parseName } from './name.ts'
import { oidName, oids } from './oid.ts'
import { parseAlgorithm, type SignatureAlgorithm } from './signature.ts'
import { verifyParts } from './signature-parts.ts'

export type { CrlEntry } from './crl-entry-read.ts'

export interface CrlLimits {
  /** Bytes of input, default 256 MiB: five million entries. */
  readonly maxBytes?: number
}

/** A parsed CertificateList. Byte fields are views on the input. */
export interface Crl {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  readonly version: 1 | 2
  readonly issuer: Name
  readonly issuerDer: Uint8Array
  readonly thisUpdate: Instant
  /** Null in CRLs of others that leave it out, against §5.1.2.5. */
  readonly nextUpdate: Instant | null
  readonly extensions: readonly Extension[]
  readonly crlNumber: bigint | null
  /** Of a delta CRL: the number of the complete CRL that it completes. Null for a complete one. */
  readonly baseCrlNumber: bigint | null
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | null
  readonly issuingDistributionPoint: IssuingDistributionPoint | null
  readonly freshestCRL: readonly DistributionPoint[] | null
  readonly entryCount: number
  /** In the order of the file, read again at each call. */
  entries(): Generator<CrlEntry>
  /** The entry of a certificate; a look through all of them. */
  find(serialNumber: SerialNumber): CrlEntry | null
}

/**
 * Syntax only: no signature is checked.
 * @throws Refusal `malformed`, `hostile-name`, `bad-algorithm`, and `not-implemented` for indirect CRLs and unknown
 *   critical extensions
 */
export function parseCrl(bytes: Uint8Array, limits: CrlLimits = {}): Crl {
  const maxBytes = limits.maxBytes ?? 268_435_456
  if (bytes.length > maxBytes) malformed(`CRL has ${bytes.length} bytes, the limit is ${maxBytes}`)
  // A Buffer's subarray costs several times a Uint8Array's.
  const der = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  const outer = sequenceAt(der, 0, der.length, 'CertificateList')
  if (outer.end !== der.length) malformed(`CertificateList: ${der.length - outer.end} trailing bytes`)
  const tbs = sequenceAt(der, outer.contentStart, outer.end, 'tbsCertList')
  const algorithm = small(der, tbs.end, outer.end, 'signatureAlgorithm')
  const signature = small(der, tbs.end + algorithm.raw.length, outer.end, 'signatureValue')
  if (tbs.end + algorithm.raw.length + signature.raw.length !== outer.end) {
    malformed('CertificateList: unexpected field')
  }
  const fields = readFields(der, tbs, algorithm)
  return {
    der,
    tbs: der.subarray(tbs.start, tbs.end),
    signature: readBitStringBytes(signature, 'signatureValue'),
    ...fields,
  }
}

/** True when the key made the CRL's signature. Whose key it is, and whether it may sign CRLs, is the caller's question. */
export function verifyCrl(
  crl: Pick<Crl, 'tbs' | 'signature' | 'signatureAlgorithm'>,
  key: PublicKey,
): boolean {
  const { tbs, signature, signatureAlgorithm: algorithm } = crl
  return verifyParts({ key, algorithm, parts: [tbs], signature })
}

interface Range {
  readonly start: number
  readonly contentStart: number
  readonly end: number
}

/** Header of a SEQUENCE that is too large for a tree. */
function sequenceAt(der: Uint8Array, start: number, limit: number, what: string): Range {
  if (limit - start < 2 || der[start] !== 0x30) malformed(`${what}: expected a SEQUENCE`)
  const first = der[start + 1] as number
  if (first < 0x80) return within({ start, contentStart: start + 2, end: start + 2 + first }, limit, what)
  const octets = first & 0x7f
  if (octets === 0 || octets > 4 || limit - start < 2 + octets) malformed(`${what}: length is not DER`)
  let length = 0
  for (let index = 0; index < octets; index++) length = length * 256 + (der[start + 2 + index] as number)
  if (length < 0x80 || der[start + 2] === 0) malformed(`${what}: length not in its shortest form`)
  const contentStart = start + 2 + octets
  return within({ start, contentStart, end: contentStart + length }, limit, what)
}

function within(range: Range, limit: number, what: string): Range {
  if (range.end > limit) malformed(`${what}: runs past the end of what holds it`)
  return range
}

/** The one value that starts there, as a tree. Everything but the list of entries is small. */
function small(der: Uint8Array, start: number, limit: number, what: string): DerNode {
  if (start >= limit) malformed(`CRL: ${what} is missing`)
  const end = endOfValue(der, start, limit, what)
  return readDer(der.subarray(start, end))
}

/** Where a value with a one-octet tag ends; its inside is not looked at. */
function endOfValue(der: Uint8Array, start: number, limit: number, what: string): number {
  const first = der[start + 1]
  if (first === undefined || start + 2 > limit) malformed(`${what}: truncated`)
  if (first < 0x80) return within({ start, contentStart: start + 2, end: start + 2 + first }, limit, what).end
  const octets = first & 0x7f
  if (octets === 0 || octets > 4 || start + 2 + octets > limit) malformed(`${what}: length is not DER`)
  let length = 0
  for (let index = 0; index < octets; index++) length = length * 256 + (der[start + 2 + index] as number)
  const contentStart = start + 2 + octets
  return within({ start, contentStart, end: contentStart + length }, limit, what).end
}

type Fields = Omit<Crl, 'der' | 'tbs' | 'signature'>

function readFields(der: Uint8Array, tbs: Range, outerAlgorithm: DerNode): Fields {
  let at = tbs.contentStart
  const next = (what: string): DerNode => {
    const node = small(der, at, tbs.end, what)
    at += node.raw.length
    return node
  }
  const isNext = (tags: readonly number[]): boolean => at < tbs.end && tags.includes(der[at] as number)

  const version = isNext([0x02]) ? readVersion(next('version')) : 1
  const algorithm = next('signature')
  if (!equalBytes(algorithm.raw, outerAlgorithm.raw)) {
    malformed('CertificateList: signatureAlgorithm differs from the one that is signed')
  }
  const issuer = next('issuer')
  if (issuer.children.length === 0) malformed('tbsCertList.issuer: empty (RFC 5280 §5.1.2.3)')
  const thisUpdate = readTime(next('thisUpdate'), 'thisUpdate')
  const nextUpdate = isNext([0x17, 0x18]) ? readTime(next('nextUpdate'), 'nextUpdate') : null
  if (nextUpdate !== null && nextUpdate < thisUpdate)
    malformed('tbsCertList: nextUpdate is before thisUpdate')
  const list = isNext([0x30]) ? sequenceAt(der, at, tbs.end, 'revokedCertificates') : null
  if (list) at = list.end
  const extensions = isNext([0xa0]) ? readExtensions(next('crlExtensions')) : []
  if (at !== tbs.end) malformed('tbsCertList: unexpected field')
  if (version === 1 && extensions.length > 0) malformed('tbsCertList: extensions need version 2 (§5.1.2.1)')
  const reader = new CrlEntryReader(der, list?.contentStart ?? at, list?.end ?? at)
  const { count, hasExtensions } = reader.check()
  if (list && count === 0) malformed('revokedCertificates: empty; it must then be absent (§5.1.2.6)')
  if (version === 1 && hasExtensions) malformed('revokedCertificates: extensions need version 2 (§5.1.2.1)')
  return {
    version,
    signatureAlgorithm: parseAlgorithm(algorithm),
    issuer: parseName(issuer, 'issuer'),
    issuerDer: issuer.raw,
    thisUpdate,
    nextUpdate,
    extensions,
    ...typed(extensions),
    entryCount: count,
    entries: () => reader.entries(),
    find: (serialNumber) => reader.find(serialNumber),
  }
}

/** §5.1.2.1: 2, or absent for 1. An encoded v1 does not exist. */
function readVersion(node: DerNode): 2 {
  if (!isKind(node, 'integer') || readSmallInteger(node, 'version') !== 1) {
    malformed('tbsCertList.version: only 2, or absent for 1')
  }
  return 2
}

function readExtensions(node: DerNode): readonly Extension[] {
  if (!isContext(node, 0)) malformed('tbsCertList: unexpected field')
  return parseExtensionList(explicitInner(node, 'crlExtensions'), 'crlExtensions')
}

type Typed = Pick<
  Fields,
  'crlNumber' | 'baseCrlNumber' | 'authorityKeyIdentifier' | 'issuingDistributionPoint' | 'freshestCRL'
>

function typed(extensions: readonly Extension[]): Typed {
  const found: { -readonly [Field in keyof Typed]: Typed[Field] } = {
    crlNumber: null,
    baseCrlNumber: null,
    authorityKeyIdentifier: null,
    issuingDistributionPoint: null,
    freshestCRL: null,
  }
  for (const { oid, critical, value } of extensions) {
    switch (oid) {
      case oids.cRLNumber:
        found.crlNumber = readCrlNumber(readDer(value), 'cRLNumber')
        break
      case oids.deltaCRLIndicator:
        found.baseCrlNumber = readCrlNumber(readDer(value), 'deltaCRLIndicator')
        requireCritical(oid, critical)
        break
      case oids.issuingDistributionPoint:
        found.issuingDistributionPoint = parseIssuingDistributionPoint(readDer(value))
        requireCritical(oid, critical)
        break
      case oids.authorityKeyIdentifier:
        found.authorityKeyIdentifier = parseAuthorityKeyIdentifier(readDer(value))
        break
      case oids.freshestCRL:
        found.freshestCRL = parseDistributionPoints(readDer(value), 'freshestCRL')
        break
      default:
        if (critical) unsupported(`the CRL extension ${oidName(oid)} is critical and not known here`)
    }
  }
  if (found.issuingDistributionPoint?.indirectCRL === true) unsupported('indirect CRLs are not read here')
  return found
}

/** §5.2.3: not negative, at most 20 octets. */
function readCrlNumber(node: DerNode, what: string): bigint {
  const number = readInteger(node, what)
  if (number < 0n || node.content.length > 20) malformed(`${what}: must have at most 20 octets and no sign`)
  return number
}

function requireCritical(oid: string, critical: boolean): void {
  if (!critical) malformed(`${oidName(oid)} must be critical (RFC 5280 §5.2)`)
}

function unsupported(detail: string): never {
  throw new Refusal('not-implemented', detail)
}

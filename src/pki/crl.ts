/**
 * Certificate revocation lists, version 2 (RFC 5280 §5): complete, delta and partitioned ones, written in parts so that
 * memory holds the entries once and nothing else. crl-read.ts reads them.
 */
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import type { CrlEntries } from './crl-entries.ts'
import { bitString, explicit, integer, time } from './der-writer.ts'
import { type DistributionPoint, encodeDistributionPoints } from './distribution-point.ts'
import { encodeAuthorityKeyIdentifier } from './extension-values.ts'
import { encodeExtensions, type Extension, makeExtension } from './extensions.ts'
import {
  encodeIssuingDistributionPoint,
  type IssuingDistributionPoint,
} from './issuing-distribution-point.ts'
import { oids } from './oid.ts'
import { encodeAlgorithm, type SignatureAlgorithm } from './signature.ts'

export interface CrlContent {
  /** The issuer's subject as its own certificate has it. */
  readonly issuerDer: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  /** Whole seconds. */
  readonly thisUpdate: Instant
  /** After thisUpdate; there is none without it (§5.1.2.5). */
  readonly nextUpdate: Instant
  /** Grows with every CRL of one scope, at most 20 octets (§5.2.3). */
  readonly crlNumber: number | bigint
  /** Key identifier of the key that signs (§5.2.1). */
  readonly authorityKeyIdentifier: Uint8Array
  /** A delta CRL: the number of the complete CRL that it completes (§5.2.4). */
  readonly baseCrlNumber?: number | bigint
  /** A partition (§5.2.5). */
  readonly issuingDistributionPoint?: IssuingDistributionPoint
  /** Where the delta CRL of this complete one is (§5.2.6). */
  readonly freshestCRL?: readonly DistributionPoint[]
}

/** The TBSCertList in parts: what will be signed. Parts are views on the entries. */
export function encodeTbsCertList(content: CrlContent, entries: CrlEntries): Uint8Array[] {
  assert(content.nextUpdate > content.thisUpdate, 'nextUpdate is after thisUpdate')
  const before = [
    version2,
    encodeAlgorithm(content.signatureAlgorithm),
    content.issuerDer,
    time(content.thisUpdate),
    time(content.nextUpdate),
  ]
  // §5.1.2.6: absent when nothing is revoked, never an empty list
  const list = entries.count === 0 ? [] : [header(0x30, entries.byteLength), ...entries.blocks()]
  const extensions = explicit(0, encodeExtensions(crlExtensions(content)))
  const fields = [...before, ...list, extensions]
  return [header(0x30, sizeOf(fields)), ...fields]
}

export interface SignedCrlParts {
  readonly tbs: readonly Uint8Array[]
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

/** The CertificateList (§5.1.1) in parts. The algorithm must be the one inside `tbs`. */
export function assembleCrl({ tbs, signatureAlgorithm, signature }: SignedCrlParts): Uint8Array[] {
  const fields = [...tbs, encodeAlgorithm(signatureAlgorithm), bitString(signature)]
  return [header(0x30, sizeOf(fields)), ...fields]
}

export function sizeOf(parts: readonly Uint8Array[]): number {
  let size = 0
  for (const part of parts) size += part.length
  return size
}

const version2 = integer(1)

/** In the order of their clauses; §5.2.4 and §5.2.5 want their extensions critical. */
function crlExtensions(content: CrlContent): Extension[] {
  const { authorityKeyIdentifier: keyIdentifier, baseCrlNumber, issuingDistributionPoint } = content
  const extensions = [
    makeExtension(
      oids.authorityKeyIdentifier,
      encodeAuthorityKeyIdentifier({ keyIdentifier, issuer: null, serialNumber: null }),
    ),
    makeExtension(oids.cRLNumber, crlNumberOf(content.crlNumber)),
  ]
  if (baseCrlNumber !== undefined) {
    assert(content.freshestCRL === undefined, 'a delta CRL names no freshest CRL (§5.2.6)')
    extensions.push(makeExtension(oids.deltaCRLIndicator, crlNumberOf(baseCrlNumber), true))
  }
  if (issuingDistributionPoint !== undefined) {
    const value = encodeIssuingDistributionPoint(issuingDistributionPoint)
    extensions.push(makeExtension(oids.issuingDistributionPoint, value, true))
  }
  if (content.freshestCRL !== undefined) {
    extensions.push(makeExtension(oids.freshestCRL, encodeDistributionPoints(content.freshestCRL)))
  }
  return extensions
}

function crlNumberOf(value: number | bigint): Uint8Array {
  assert(value >= 0 && BigInt(value) < 1n << 159n, 'a CRL number has at most 20 octets and no sign')
  return integer(value)
}

/** Tag and length of a value whose content follows in parts. */
function header(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length)
  const octets: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256)
  return Uint8Array.of(tag, 0x80 | octets.length, ...octets)
}

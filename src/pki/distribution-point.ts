/** CRL distribution points (RFC 5280 §4.2.1.13) and freshest CRL (§4.2.1.15). */
import { assert } from '../base/errors.ts'
import {
  DerFields,
  type DerNode,
  expectKind,
  explicitInner,
  implicitAs,
  isContext,
  malformed,
} from './der.ts'
import { readNamedBits } from './der-values.ts'
import { explicit, implicit, namedBits, sequence } from './der-writer.ts'
import { type GeneralName, encodeGeneralNames, parseGeneralNames } from './general-name.ts'
import { type Rdn, encodeRdn, parseRdn } from './name.ts'

export interface DistributionPoint {
  /** Where the CRL is, or which partition it is: names of one and the same CRL. */
  readonly fullName: readonly GeneralName[] | null
  readonly nameRelativeToIssuer: Rdn | null
  /** ReasonFlags; bit 0 is the least significant. null = all reasons. */
  readonly reasons: number | null
  readonly cRLIssuer: readonly GeneralName[] | null
}

/** Each point has a name or a cRLIssuer (§4.2.1.13: not reasons alone). */
export function parseDistributionPoints(
  node: DerNode,
  what = 'cRLDistributionPoints',
): readonly DistributionPoint[] {
  const { children } = expectKind(node, 'sequence', what)
  if (children.length === 0) malformed(`${what}: empty`)
  return children.map((child) => parsePoint(child, what))
}

export function encodeDistributionPoints(points: readonly DistributionPoint[]): Uint8Array {
  assert(points.length > 0, 'cRLDistributionPoints must not be empty')
  return sequence(...points.map(encodePoint))
}

/** The usual point: one CRL at one URI. */
export function crlAt(uri: string): DistributionPoint {
  return {
    fullName: [{ kind: 'uri', value: uri }],
    nameRelativeToIssuer: null,
    reasons: null,
    cRLIssuer: null,
  }
}

function parsePoint(node: DerNode, what: string): DistributionPoint {
  const fields = new DerFields(node, what)
  const name = fields.context(0)
  const reasons = fields.context(1)
  const issuer = fields.context(2)
  fields.end()
  if (name === null && issuer === null) malformed(`${what}: a point without name and cRLIssuer`)
  return {
    ...parsePointName(name, what),
    reasons: reasons && readReasons(implicitAs(reasons, 'bitString', what), what),
    cRLIssuer: issuer && parseGeneralNames(issuer, what),
  }
}

export function parsePointName(
  node: DerNode | null,
  what: string,
): Pick<DistributionPoint, 'fullName' | 'nameRelativeToIssuer'> {
  if (node === null) return { fullName: null, nameRelativeToIssuer: null }
  const choice = explicitInner(node, what)
  if (isContext(choice, 0)) return { fullName: parseGeneralNames(choice, what), nameRelativeToIssuer: null }
  if (!isContext(choice, 1)) malformed(`${what}: unknown form of distributionPoint`)
  return { fullName: null, nameRelativeToIssuer: parseRdn(implicitAs(choice, 'set', what), what) }
}

export function readReasons(node: DerNode, what: string): number {
  const bits = readNamedBits(node, what)
  if (bits === 0 || bits >= 1 << 9) malformed(`${what}: no reason or an unknown reason`)
  return bits
}

function encodePoint(point: DistributionPoint): Uint8Array {
  assert(
    point.fullName || point.nameRelativeToIssuer || point.cRLIssuer,
    'a point needs a name or a cRLIssuer',
  )
  const parts: Uint8Array[] = []
  if (point.fullName) parts.push(explicit(0, implicit(0, encodeGeneralNames(point.fullName))))
  else if (point.nameRelativeToIssuer)
    parts.push(explicit(0, implicit(1, encodeRdn(point.nameRelativeToIssuer))))
  if (point.reasons !== null) parts.push(implicit(1, namedBits(point.reasons)))
  if (point.cRLIssuer) parts.push(implicit(2, encodeGeneralNames(point.cRLIssuer)))
  return sequence(...parts)
}

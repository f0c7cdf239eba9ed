/** IssuingDistributionPoint (RFC 5280 §5.2.5): which certificates a CRL speaks about. Always critical. */
import { assert } from '../base/errors.ts'
import { DerFields, type DerNode, implicitAs, malformed } from './der.ts'
import { boolean, explicit, implicit, namedBits, sequence } from './der-writer.ts'
import { parsePointName, readReasons } from './distribution-point.ts'
import { readDefaultFalse } from './extension-values.ts'
import { type GeneralName, encodeGeneralNames } from './general-name.ts'
import { type Rdn, encodeRdn } from './name.ts'

export interface IssuingDistributionPoint {
  /** Must be, byte for byte, a name in the CRL distribution point of each certificate that the CRL is for. */
  readonly fullName: readonly GeneralName[] | null
  readonly nameRelativeToIssuer: Rdn | null
  readonly onlyContainsUserCerts: boolean
  readonly onlyContainsCACerts: boolean
  /** ReasonFlags; bit 0 is the least significant. null = all reasons. */
  readonly onlySomeReasons: number | null
  readonly indirectCRL: boolean
  readonly onlyContainsAttributeCerts: boolean
}

/** One partition: the CRL of end entity certificates that point to this URI. */
export function userCertsAt(uri: string): IssuingDistributionPoint {
  return {
    fullName: [{ kind: 'uri', value: uri }],
    nameRelativeToIssuer: null,
    onlyContainsUserCerts: true,
    onlyContainsCACerts: false,
    onlySomeReasons: null,
    indirectCRL: false,
    onlyContainsAttributeCerts: false,
  }
}

/** Refuses the empty sequence and more than one `onlyContains` (§5.2.5). */
export function parseIssuingDistributionPoint(node: DerNode): IssuingDistributionPoint {
  const fields = new DerFields(node, what)
  const name = fields.context(0)
  const flag = (tag: number): boolean => readFlag(fields.context(tag))
  const onlyContainsUserCerts = flag(1)
  const onlyContainsCACerts = flag(2)
  const reasons = fields.context(3)
  const indirectCRL = flag(4)
  const onlyContainsAttributeCerts = flag(5)
  fields.end()
  if (node.children.length === 0) malformed(`${what}: empty`)
  const kinds = [onlyContainsUserCerts, onlyContainsCACerts, onlyContainsAttributeCerts].filter(Boolean)
  if (kinds.length > 1) malformed(`${what}: more than one onlyContains`)
  return {
    ...parsePointName(name, what),
    onlyContainsUserCerts,
    onlyContainsCACerts,
    onlySomeReasons: reasons && readReasons(implicitAs(reasons, 'bitString', what), what),
    indirectCRL,
    onlyContainsAttributeCerts,
  }
}

export function encodeIssuingDistributionPoint(point: IssuingDistributionPoint): Uint8Array {
  const parts: Uint8Array[] = []
  if (point.fullName) parts.push(explicit(0, implicit(0, encodeGeneralNames(point.fullName))))
  else if (point.nameRelativeToIssuer) {
    parts.push(explicit(0, implicit(1, encodeRdn(point.nameRelativeToIssuer))))
  }
  if (point.onlyContainsUserCerts) parts.push(implicit(1, boolean(true)))
  if (point.onlyContainsCACerts) parts.push(implicit(2, boolean(true)))
  if (point.onlySomeReasons !== null) parts.push(implicit(3, namedBits(point.onlySomeReasons)))
  if (point.indirectCRL) parts.push(implicit(4, boolean(true)))
  if (point.onlyContainsAttributeCerts) parts.push(implicit(5, boolean(true)))
  assert(parts.length > 0, 'issuingDistributionPoint must not be empty')
  return sequence(...parts)
}

const what = 'issuingDistributionPoint'

function readFlag(node: DerNode | null): boolean {
  return readDefaultFalse(node && implicitAs(node, 'boolean', what), what)
}

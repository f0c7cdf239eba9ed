/** Name constraints (RFC 5280 §4.2.1.10): the syntax. Their meaning is applied in path validation. */
import { assertNever } from '../base/errors.ts'
import { isUnsafeText } from '../base/text.ts'
import { Refusal } from '../base/errors.ts'
import { DerFields, type DerNode, describe, explicitInner, implicitAs, malformed } from './der.ts'
import { readOctetString, readOid, readString } from './der-values.ts'
import { explicit, ia5String, implicit, octetString, oid, sequence } from './der-writer.ts'
import { type Name, encodeName, parseName } from './name.ts'

export interface NameConstraints {
  readonly permitted: readonly NameConstraint[]
  readonly excluded: readonly NameConstraint[]
}

export type NameConstraint =
  /** A host and everything below it; empty = every host name. A leading period is kept. */
  | { readonly kind: 'dns'; readonly value: string }
  /** A host, or with a leading period everything below a domain. */
  | { readonly kind: 'uri'; readonly value: string }
  /** A mailbox, a host, or with a leading period every mailbox below a domain. */
  | { readonly kind: 'email'; readonly value: string }
  | { readonly kind: 'directoryName'; readonly name: Name }
  /** 4 or 16 octets each; the mask is ones, then zeros. */
  | { readonly kind: 'ip'; readonly address: Uint8Array; readonly mask: Uint8Array }
  | { readonly kind: 'registeredId'; readonly oid: string }
  | { readonly kind: 'otherName'; readonly typeId: string; readonly value: Uint8Array }

/**
 * One subtree or more. `minimum` must be left out (it has only its default in PKIX), `maximum` must be absent.
 * x400Address and ediPartyName are refused, like in general names.
 */
export function parseNameConstraints(node: DerNode): NameConstraints {
  const what = 'nameConstraints'
  const fields = new DerFields(node, what)
  const permitted = fields.context(0)
  const excluded = fields.context(1)
  fields.end()
  if (permitted === null && excluded === null) malformed(`${what}: empty`)
  return { permitted: parseSubtrees(permitted, what), excluded: parseSubtrees(excluded, what) }
}

export function encodeNameConstraints({ permitted, excluded }: NameConstraints): Uint8Array {
  if (permitted.length === 0 && excluded.length === 0) malformed('nameConstraints: empty')
  return sequence(
    ...(permitted.length === 0 ? [] : [implicit(0, encodeSubtrees(permitted))]),
    ...(excluded.length === 0 ? [] : [implicit(1, encodeSubtrees(excluded))]),
  )
}

function parseSubtrees(node: DerNode | null, what: string): readonly NameConstraint[] {
  if (node === null) return []
  const { children } = implicitAs(node, 'sequence', what)
  if (children.length === 0) malformed(`${what}: empty list of subtrees`)
  return children.map((child) => {
    const fields = new DerFields(child, what)
    const base = fields.any('base')
    fields.end()
    return parseBase(base, what)
  })
}

function parseBase(node: DerNode, what: string): NameConstraint {
  if (node.class !== 'context') malformed(`${what}: ${describe(node)} is no GeneralName`)
  switch (node.tag) {
    case 0: {
      const fields = new DerFields(implicitAs(node, 'sequence', what), what)
      const typeId = readOid(fields.take('oid', 'type-id'), what)
      const value = fields.context(0)
      fields.end()
      if (value === null) malformed(`${what}: otherName without a value`)
      return { kind: 'otherName', typeId, value: explicitInner(value, what).raw }
    }
    case 1:
      return { kind: 'email', value: hostText(node, what) }
    case 2:
      return { kind: 'dns', value: hostText(node, what) }
    case 4:
      return { kind: 'directoryName', name: parseName(explicitInner(node, what), what) }
    case 6:
      return { kind: 'uri', value: hostText(node, what) }
    case 7:
      return parseIpRange(readOctetString(implicitAs(node, 'octetString', what), what), what)
    case 8:
      return { kind: 'registeredId', oid: readOid(implicitAs(node, 'oid', what), what) }
    default:
      malformed(`${what}: ${describe(node)} is not supported`)
  }
}

function hostText(node: DerNode, what: string): string {
  return checkedHost(readString(implicitAs(node, 'ia5String', what), ['ia5String'], what), what)
}

function checkedHost(text: string, what: string): string {
  if (isUnsafeText(text)) throw new Refusal('hostile-name', `${what}: control or format characters`)
  if (text.length > 255 || !/^[\x21-\x7e]*$/.test(text)) malformed(`${what}: not a host or mailbox`)
  return text
}

function parseIpRange(octets: Uint8Array, what: string): NameConstraint {
  if (octets.length !== 8 && octets.length !== 32) malformed(`${what}: IP range must have 8 or 32 octets`)
  const half = octets.length / 2
  const mask = octets.subarray(half)
  if (!isContiguous(mask)) malformed(`${what}: IP mask with a gap`)
  return { kind: 'ip', address: octets.subarray(0, half), mask }
}

/** Ones, then zeros, as in CIDR (RFC 4632 §3.1). */
function isContiguous(mask: Uint8Array): boolean {
  const bits = Array.from(mask, (octet) => octet.toString(2).padStart(8, '0')).join('')
  return /^1*0*$/.test(bits)
}

function encodeSubtrees(constraints: readonly NameConstraint[]): Uint8Array {
  return sequence(...constraints.map((constraint) => sequence(encodeBase(constraint))))
}

function encodeBase(constraint: NameConstraint): Uint8Array {
  const what = 'nameConstraints'
  switch (constraint.kind) {
    case 'otherName':
      return implicit(0, sequence(oid(constraint.typeId), explicit(0, constraint.value)))
    case 'email':
      return implicit(1, ia5String(checkedHost(constraint.value, what)))
    case 'dns':
      return implicit(2, ia5String(checkedHost(constraint.value, what)))
    case 'directoryName':
      return explicit(4, encodeName(constraint.name))
    case 'uri':
      return implicit(6, ia5String(checkedHost(constraint.value, what)))
    case 'ip': {
      const octets = Buffer.concat([constraint.address, constraint.mask])
      parseIpRange(octets, what)
      return implicit(7, octetString(octets))
    }
    case 'registeredId':
      return implicit(8, oid(constraint.oid))
    default:
      return assertNever(constraint)
  }
}

/**
 * Name constraints applied to the names of certificates below a CA (RFC 5280 §4.2.1.10, §6.1.3 b and c, §7.5).
 * Whatever cannot be decided counts as a violation.
 */
import { equalBytes } from '../base/bytes.ts'
import type { Certificate } from './certificate.ts'
import type { GeneralName } from './general-name.ts'
import { ipBytes } from './ip.ts'
import type { NameConstraint, NameConstraints } from './name-constraints.ts'
import { nameStartsWith } from './name.ts'
import { formatGeneralName } from './general-name-text.ts'
import { oids } from './oid.ts'

/** Comparisons for one certificate under one CA; more is an attack: their number is the product of two lists. */
const maxComparisons = 100_000

type NamedCertificate = Pick<Certificate, 'subject' | 'extensions'>

/** @returns what is wrong, or null */
export function nameConstraintViolation(
  constraints: NameConstraints,
  certificate: NamedCertificate,
  isLeaf: boolean,
): string | null {
  const { permitted, excluded } = constraints
  const names = constrainedNames(certificate, isLeaf)
  if (names.length * (permitted.length + excluded.length) > maxComparisons) return 'too many name constraints'
  for (const name of names) {
    const kind = constraintKind(name)
    const allowed = permitted.filter((constraint) => constraint.kind === kind)
    if (allowed.length > 0 && !allowed.some((constraint) => isWithin(name, constraint) === true)) {
      return `${formatGeneralName(name)} is outside the permitted names of its CA`
    }
    const forbidden = excluded.filter((constraint) => constraint.kind === kind)
    if (forbidden.some((constraint) => isExcluded(name, constraint))) {
      return `${formatGeneralName(name)} is among the excluded names of its CA`
    }
  }
  return null
}

/**
 * The subject, the alternative names, and mailboxes and (as OpenSSL does, for the sake of verifiers that still look there)
 * host names that hide in the subject.
 */
function constrainedNames(
  { subject, extensions }: NamedCertificate,
  isLeaf: boolean,
): readonly GeneralName[] {
  const alternatives = extensions.subjectAltName ?? []
  const names: GeneralName[] = [...alternatives]
  if (subject.length > 0) names.push({ kind: 'directoryName', name: subject })
  const mayHideHost = isLeaf && !alternatives.some(({ kind }) => kind === 'dns')
  for (const { type, value } of subject.flat()) {
    if (type === oids.emailAddress) names.push({ kind: 'email', value })
    if (mayHideHost && type === oids.commonName && isDottedHost(value)) names.push({ kind: 'dns', value })
  }
  return names
}

function isDottedHost(text: string): boolean {
  return /^[A-Za-z0-9_*-]+(\.[A-Za-z0-9_-]+)+$/.test(text)
}

function constraintKind({ kind }: GeneralName): NameConstraint['kind'] {
  return kind === 'hardwareModuleName' ? 'otherName' : kind
}

/** Null where the standard gives no answer: neither permitted nor clear of an exclusion. */
function isWithin(name: GeneralName, constraint: NameConstraint): boolean | null {
  switch (constraint.kind) {
    case 'dns':
      return name.kind === 'dns' ? isHostUnder(name.value, constraint.value) : null
    case 'uri':
      return name.kind === 'uri' ? isUriUnder(name.value, constraint.value) : null
    case 'email':
      return name.kind === 'email' ? isMailboxUnder(name.value, constraint.value) : null
    case 'directoryName':
      return name.kind === 'directoryName' ? nameStartsWith(name.name, constraint.name) : null
    case 'ip':
      return name.kind === 'ip' ? isAddressUnder(name.value, constraint) : null
    default:
      // registeredId and otherName: §4.2.1.10 defines no subtrees for them
      return null
  }
}

function isExcluded(name: GeneralName, constraint: NameConstraint): boolean {
  if (isWithin(name, constraint) !== false) return true
  // A wildcard stands for hosts of which one may be excluded.
  return (
    name.kind === 'dns' &&
    constraint.kind === 'dns' &&
    name.value.startsWith('*.') &&
    lower(constraint.value).replace(/^[^.]+/, '*') === lower(name.value)
  )
}

/** `example.com` holds itself and what is below it, `.example.com` only what is below it, the empty text every host. */
function isHostUnder(host: string, constraint: string): boolean {
  const name = lower(host)
  const base = lower(constraint)
  if (base === '' || name === base) return true
  return name.endsWith(base.startsWith('.') ? base : `.${base}`)
}

/** §4.2.1.10: the host of the authority part, which must be a name. A period at the start: what is below; else equal. */
function isUriUnder(uri: string, constraint: string): boolean | null {
  const authority = /^[^:/?#]+:\/\/([^/?#]*)/.exec(uri)?.[1]
  const host = authority?.replace(/^.*@/, '').replace(/:[0-9]*$/, '')
  if (!host || host.startsWith('[') || ipBytes(host) || constraint === '') return null
  return isExactOrBelow(lower(host), lower(constraint))
}

/** A mailbox, all mailboxes of one host, or with a period at the start all below a domain. Local parts count case. */
function isMailboxUnder(mailbox: string, constraint: string): boolean | null {
  const at = mailbox.lastIndexOf('@')
  if (at < 0 || constraint === '') return null
  const host = lower(mailbox.slice(at + 1))
  const constraintAt = constraint.lastIndexOf('@')
  if (constraintAt < 0) return isExactOrBelow(host, lower(constraint))
  const isSameLocalPart = mailbox.slice(0, at) === constraint.slice(0, constraintAt)
  return isSameLocalPart && host === lower(constraint.slice(constraintAt + 1))
}

function isExactOrBelow(host: string, constraint: string): boolean {
  return constraint.startsWith('.') ? host.endsWith(constraint) : host === constraint
}

function isAddressUnder(
  text: string,
  { address, mask }: Extract<NameConstraint, { kind: 'ip' }>,
): boolean | null {
  const octets = ipBytes(text)
  if (!octets) return null
  if (octets.length !== address.length) return false
  const masked = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => byte & (mask[index] as number))
  return equalBytes(masked(octets), masked(address))
}

function lower(text: string): string {
  return text.toLowerCase()
}

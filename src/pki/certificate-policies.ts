/** Policy extensions (RFC 5280 §4.2.1.4, §4.2.1.5, §4.2.1.11, §4.2.1.14). */
import { assert } from '../base/errors.ts'
import { DerFields, type DerNode, expectKind, implicitAs, malformed } from './der.ts'
import { readOid, readSmallInteger, readString } from './der-values.ts'
import { ia5String, implicit, integer, oid, sequence } from './der-writer.ts'
import { isUri } from './general-name.ts'
import { oids } from './oid.ts'

export interface CertificatePolicy {
  /** Object identifier. */
  readonly policy: string
  readonly qualifiers: readonly PolicyQualifier[]
}

export interface PolicyQualifier {
  /** Object identifier: `oids.cpsUri`, `oids.userNotice`. */
  readonly id: string
  /** DER of the qualifier. */
  readonly value: Uint8Array
}

/** One policy or more, none twice. A CPS qualifier must hold a URI; other qualifiers are kept as they are. */
export function parseCertificatePolicies(node: DerNode): readonly CertificatePolicy[] {
  const policies = expectKind(node, 'sequence', 'certificatePolicies').children.map(parsePolicy)
  if (policies.length === 0) malformed('certificatePolicies: empty')
  if (new Set(policies.map(({ policy }) => policy)).size !== policies.length) {
    malformed('certificatePolicies: the same policy twice')
  }
  return policies
}

export function encodeCertificatePolicies(policies: readonly CertificatePolicy[]): Uint8Array {
  assert(policies.length > 0, 'certificatePolicies must not be empty')
  return sequence(...policies.map(encodePolicy))
}

/** A pointer to the certification practice statement. @param uri absolute */
export function cpsQualifier(uri: string): PolicyQualifier {
  if (!isUri(uri)) malformed('certificatePolicies: CPS is not a URI')
  return { id: oids.cpsUri, value: ia5String(uri) }
}

function parsePolicy(node: DerNode): CertificatePolicy {
  const what = 'certificatePolicies'
  const fields = new DerFields(node, what)
  const policy = readOid(fields.take('oid', 'policyIdentifier'), what)
  const qualifiers = fields.optional('sequence')
  fields.end()
  if (qualifiers?.children.length === 0) malformed(`${what}: empty policyQualifiers`)
  return { policy, qualifiers: qualifiers?.children.map(parseQualifier) ?? [] }
}

function parseQualifier(node: DerNode): PolicyQualifier {
  const what = 'certificatePolicies.policyQualifiers'
  const fields = new DerFields(node, what)
  const id = readOid(fields.take('oid', 'policyQualifierId'), what)
  const qualifier = fields.any('qualifier')
  fields.end()
  if (id === oids.cpsUri && !isUri(readString(qualifier, ['ia5String'], what)))
    malformed(`${what}: CPS is not a URI`)
  return { id, value: qualifier.raw }
}

function encodePolicy({ policy, qualifiers }: CertificatePolicy): Uint8Array {
  if (qualifiers.length === 0) return sequence(oid(policy))
  return sequence(oid(policy), sequence(...qualifiers.map(({ id, value }) => sequence(oid(id), value))))
}

export interface PolicyConstraints {
  /** Certificates after which an explicit policy is required; null = not asked. */
  readonly requireExplicitPolicy: number | null
  readonly inhibitPolicyMapping: number | null
}

export function parsePolicyConstraints(node: DerNode): PolicyConstraints {
  const what = 'policyConstraints'
  const fields = new DerFields(node, what)
  const explicitPolicy = fields.context(0)
  const mapping = fields.context(1)
  fields.end()
  if (explicitPolicy === null && mapping === null) malformed(`${what}: empty`)
  const read = (field: DerNode | null): number | null =>
    field && readSmallInteger(implicitAs(field, 'integer', what), what)
  return { requireExplicitPolicy: read(explicitPolicy), inhibitPolicyMapping: read(mapping) }
}

export function encodePolicyConstraints(constraints: PolicyConstraints): Uint8Array {
  const { requireExplicitPolicy, inhibitPolicyMapping } = constraints
  return sequence(
    ...(requireExplicitPolicy === null ? [] : [implicit(0, integer(requireExplicitPolicy))]),
    ...(inhibitPolicyMapping === null ? [] : [implicit(1, integer(inhibitPolicyMapping))]),
  )
}

export interface PolicyMapping {
  readonly issuerDomainPolicy: string
  readonly subjectDomainPolicy: string
}

/** Neither side may be anyPolicy (§4.2.1.5). */
export function parsePolicyMappings(node: DerNode): readonly PolicyMapping[] {
  const what = 'policyMappings'
  const { children } = expectKind(node, 'sequence', what)
  if (children.length === 0) malformed(`${what}: empty`)
  return children.map((child) => {
    const fields = new DerFields(child, what)
    const issuerDomainPolicy = readOid(fields.take('oid', 'issuerDomainPolicy'), what)
    const subjectDomainPolicy = readOid(fields.take('oid', 'subjectDomainPolicy'), what)
    fields.end()
    if (issuerDomainPolicy === oids.anyPolicy || subjectDomainPolicy === oids.anyPolicy) {
      malformed(`${what}: anyPolicy cannot be mapped`)
    }
    return { issuerDomainPolicy, subjectDomainPolicy }
  })
}

export function encodePolicyMappings(mappings: readonly PolicyMapping[]): Uint8Array {
  return sequence(
    ...mappings.map((mapping) => sequence(oid(mapping.issuerDomainPolicy), oid(mapping.subjectDomainPolicy))),
  )
}

export function parseInhibitAnyPolicy(node: DerNode): number {
  return readSmallInteger(node, 'inhibitAnyPolicy')
}

/** CMS (RFC 5652): ContentInfo, and SignedData that only carries certificates, as EST answers do (RFC 7030 §4.1.3). */
import { DerFields, type DerNode, expectKind, explicitInner, isKind, malformed, readDer } from './der.ts'
import { readOid, readSmallInteger } from './der-values.ts'
import { explicit, implicit, integer, oid, sequence, setOf } from './der-writer.ts'
import { oidName, oids } from './oid.ts'

/** ContentInfo (§3). @param content DER of the content type's structure */
export function contentInfo(contentType: string, content: Uint8Array): Uint8Array {
  return sequence(oid(contentType), explicit(0, content))
}

/**
 * The degenerate SignedData: version 1, no digest algorithms, id-data without content, no signers. A set has no order, and
 * DER sorts it: receivers must find the chain themselves.
 * @param certificates DER each; none twice
 */
export function certsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const set = implicit(0, setOf(...certificates))
  const content = sequence(integer(1), setOf(), sequence(oid(oids.data)), set, setOf())
  return contentInfo(oids.signedData, content)
}

/** Certificates of one answer; beyond that nobody's bundle goes. */
const limits = { maxBytes: 1_048_576, maxNodes: 100_000 }

/**
 * Certificates of a degenerate SignedData, in their order there, each still unparsed (a view on the input). Their order is
 * not checked, and a set of CRLs beside them is skipped: OpenSSL's crl2pkcs7 keeps the order it was given.
 * @throws Refusal `malformed` for anything else, signers and content included
 */
export function parseCertsOnly(der: Uint8Array): Uint8Array[] {
  const { contentType, content } = parseContentInfo(der)
  if (contentType !== oids.signedData) malformed(`CMS: expected signedData, found ${oidName(contentType)}`)
  const fields = new DerFields(content, 'SignedData')
  if (readSmallInteger(fields.any('version'), 'SignedData.version') !== 1)
    malformed('SignedData: version must be 1')
  expectEmptySet(fields.any('digestAlgorithms'), 'digestAlgorithms')
  const inner = new DerFields(fields.take('sequence', 'encapContentInfo'), 'encapContentInfo')
  if (readOid(inner.take('oid', 'eContentType'), 'eContentType') !== oids.data)
    malformed('SignedData: content is not id-data')
  inner.end()
  const certificates = fields.context(0)
  fields.context(1)
  expectEmptySet(fields.any('signerInfos'), 'signerInfos')
  fields.end()
  if (certificates === null) return []
  if (!certificates.constructed) malformed('SignedData: certificates must be a SET')
  return certificates.children.map((node) => {
    if (!isKind(node, 'sequence')) malformed('SignedData: only X.509 certificates are supported')
    return node.raw
  })
}

export function parseContentInfo(der: Uint8Array): { contentType: string; content: DerNode } {
  const fields = new DerFields(readDer(der, limits), 'ContentInfo')
  const contentType = readOid(fields.take('oid', 'contentType'), 'ContentInfo.contentType')
  const content = fields.context(0)
  if (content === null) malformed('ContentInfo: content is missing')
  fields.end()
  return { contentType, content: explicitInner(content, 'ContentInfo.content') }
}

function expectEmptySet(node: DerNode, field: string): void {
  if (expectKind(node, 'set', `SignedData.${field}`).children.length > 0)
    malformed(`SignedData: ${field} must be empty`)
}

/**
 * EST CSR attributes (RFC 7030 §4.5.2 as RFC 9908 §3 clarifies it): what a server asks clients to put into requests. Both
 * forms go out: extension requests and identifiers for old clients, the template for new ones, who use nothing else.
 */
import { assert } from '../base/errors.ts'
import { DerFields, type DerNode, expectKind, isKind, malformed, readDer } from './der.ts'
import { readOid } from './der-values.ts'
import { boolean, implicit, integer, octetString, oid, raw, sequence, setOf } from './der-writer.ts'
import { type Extension, encodeExtensions } from './extensions.ts'
import { encodeText } from './name.ts'
import { oids } from './oid.ts'

/** `[]` as body means that nothing is asked for. */
export interface CsrAttributesContent {
  /** Bare identifiers: attributes or algorithms that the client should use. */
  readonly identifiers?: readonly string[]
  /** The kind of key, outside the template: exactly one (RFC 9908 §3.2). */
  readonly key?: RequestedKey
  /** Extensions with their values. None twice. */
  readonly extensions?: readonly Extension[]
  readonly template?: CsrTemplate
}

export type RequestedKey =
  | { readonly kind: 'ec'; readonly curve: string }
  | { readonly kind: 'rsa'; readonly bits: number }
  /** Ed25519, ML-DSA: the identifier says all. */
  | { readonly kind: 'other'; readonly algorithm: string }

/** CertificationRequestInfoTemplate (RFC 9908 §3.4). */
export interface CsrTemplate {
  /** One attribute per RDN; a null value is for the client to fill in. Absent = any subject. */
  readonly subject?: readonly { readonly type: string; readonly value: string | null }[]
  readonly key?: RequestedKey
  /** A null value is for the client to fill in. None twice. */
  readonly extensions?: readonly TemplateExtension[]
}

export interface TemplateExtension {
  readonly oid: string
  readonly critical: boolean
  readonly value: Uint8Array | null
}

/** CsrAttrs: the DER body of a /csrattrs answer, before base64. */
export function encodeCsrAttributes(content: CsrAttributesContent): Uint8Array {
  const items = (content.identifiers ?? []).map(oid)
  if (content.key) items.push(keyAttribute(content.key))
  if (content.extensions?.length) {
    assertNoneTwice(content.extensions)
    items.push(attribute(oids.extensionRequest, encodeExtensions(content.extensions)))
  }
  if (content.template)
    items.push(attribute(oids.certificationRequestInfoTemplate, encodeTemplate(content.template)))
  return sequence(...items)
}

export type CsrAttribute =
  | { readonly kind: 'identifier'; readonly oid: string }
  /** `values`: DER each. */
  | { readonly kind: 'attribute'; readonly type: string; readonly values: readonly Uint8Array[] }

/** Reads a body without its meaning: what a client needs to look for the attributes that it knows. */
export function parseCsrAttributes(der: Uint8Array): readonly CsrAttribute[] {
  return expectKind(readDer(der), 'sequence', 'CsrAttrs').children.map((node) =>
    isKind(node, 'oid') ? { kind: 'identifier', oid: readOid(node, 'CsrAttrs') } : parseAttribute(node),
  )
}

function parseAttribute(node: DerNode): CsrAttribute {
  const fields = new DerFields(node, 'CsrAttrs')
  const type = readOid(fields.take('oid', 'type'), 'CsrAttrs')
  const values = fields.take('set', 'values').children.map((value) => value.raw)
  fields.end()
  if (values.length === 0) malformed('CsrAttrs: attribute without a value')
  return { kind: 'attribute', type, values }
}

function attribute(type: string, ...values: Uint8Array[]): Uint8Array {
  return sequence(oid(type), setOf(...values))
}

function keyAttribute(key: RequestedKey): Uint8Array {
  switch (key.kind) {
    case 'ec':
      return attribute(oids.ecPublicKey, oid(key.curve))
    case 'rsa':
      return attribute(oids.rsaEncryption, integer(key.bits))
    case 'other':
      return oid(key.algorithm)
  }
}

/** The module has implicit tags: [0] stands in place of the SEQUENCE tag, [1] in place of the SET tag. */
function encodeTemplate({ subject, key, extensions }: CsrTemplate): Uint8Array {
  const parts = [integer(0)]
  if (subject) parts.push(sequence(...subject.map(encodeRdnTemplate)))
  if (key) parts.push(implicit(0, encodeKeyTemplate(key)))
  parts.push(implicit(1, setOf(...(extensions?.length ? [encodeExtensionTemplates(extensions)] : []))))
  return sequence(...parts)
}

function encodeRdnTemplate({ type, value }: { type: string; value: string | null }): Uint8Array {
  return setOf(value === null ? sequence(oid(type)) : sequence(oid(type), encodeText(type, value)))
}

/** RSA: a placeholder key whose modulus has the wanted length and no other meaning; otherwise no key at all. */
function encodeKeyTemplate(key: RequestedKey): Uint8Array {
  switch (key.kind) {
    case 'ec':
      return sequence(sequence(oid(oids.ecPublicKey), oid(key.curve)))
    case 'rsa':
      return sequence(
        sequence(oid(oids.rsaEncryption), raw('null', new Uint8Array())),
        placeholderRsaKey(key.bits),
      )
    case 'other':
      return sequence(sequence(oid(key.algorithm)))
  }
}

function placeholderRsaKey(bits: number): Uint8Array {
  assert(bits % 8 === 0 && bits >= 1024 && bits <= 16_384, 'RSA sizes are multiples of 8')
  const modulus = new Uint8Array(bits / 8 + 1).fill(0xff)
  modulus[0] = 0
  return raw('bitString', Buffer.concat([Uint8Array.of(0), sequence(integer(modulus), integer(65_537))]))
}

/** With every value given a plain extension request does; otherwise the template form, never both (RFC 9908 §3.4). */
function encodeExtensionTemplates(extensions: readonly TemplateExtension[]): Uint8Array {
  assertNoneTwice(extensions)
  const isComplete = extensions.every(({ value }) => value !== null)
  const encoded = extensions.map(({ oid: type, critical, value }) =>
    sequence(oid(type), ...(critical ? [boolean(true)] : []), ...(value ? [octetString(value)] : [])),
  )
  return attribute(isComplete ? oids.extensionRequest : oids.extensionReqTemplate, sequence(...encoded))
}

function assertNoneTwice(extensions: readonly { readonly oid: string }[]): void {
  const types = new Set(extensions.map((extension) => extension.oid))
  assert(types.size === extensions.length, 'an extension is asked for twice')
}

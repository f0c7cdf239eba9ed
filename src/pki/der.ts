/**
 * Strict DER (X.690 §8, §10, §11) reader. One value, the whole input, no copies: nodes are views on the input, so the
 * caller must not change the bytes afterwards. What BER allows and DER does not is refused here, before any meaning
 * is read: indefinite and non-minimal lengths, non-minimal tags, INTEGERs and OBJECT IDENTIFIER arcs, constructed strings,
 * BOOLEANs other than 00 and FF, set bits in the unused part of a BIT STRING, odd forms of time, unsorted SETs, trailing
 * bytes. Types that no PKIX structure uses (REAL, EXTERNAL, RELATIVE-OID, …) are refused as well. The time that reading
 * takes is linear in the size of the input.
 */
import { Refusal } from '../base/errors.ts'
import { decodeTime } from './der-time.ts'
import { maxArcOctets, maxOidOctets } from './oid.ts'

export type DerClass = 'universal' | 'application' | 'context' | 'private'

/** Universal tag numbers (X.680 §8.6) of the types that PKIX uses. */
export const derTags = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  enumerated: 10,
  utf8String: 12,
  sequence: 16,
  set: 17,
  numericString: 18,
  printableString: 19,
  teletexString: 20,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
  visibleString: 26,
  universalString: 28,
  bmpString: 30,
} as const

export type DerKind = keyof typeof derTags

export interface DerLimits {
  /** Bytes of input, default 65,536. */
  readonly maxBytes?: number
  /** Nesting, default 32; the outermost value has depth 1. */
  readonly maxDepth?: number
  /** Values in the whole tree, default 10,000. */
  readonly maxNodes?: number
}

/** One TLV. `content` and `raw` (tag and length included) are views on the input. */
export class DerNode {
  readonly class: DerClass
  readonly tag: number
  readonly constructed: boolean
  /** Empty for a primitive value. */
  readonly children: readonly DerNode[]
  readonly source: Uint8Array
  /** Offsets into `source`: first byte of the tag, first byte of the content, first byte after the value. */
  readonly start: number
  readonly contentStart: number
  readonly end: number

  constructor(shape: DerShape, source: Uint8Array, start: number, contentStart: number, end: number) {
    this.class = shape.class
    this.tag = shape.tag
    this.constructed = shape.constructed
    this.children = shape.children
    this.source = source
    this.start = start
    this.contentStart = contentStart
    this.end = end
  }

  get content(): Uint8Array {
    return this.source.subarray(this.contentStart, this.end)
  }

  get raw(): Uint8Array {
    return this.source.subarray(this.start, this.end)
  }
}

interface DerShape {
  readonly class: DerClass
  readonly tag: number
  readonly constructed: boolean
  readonly children: readonly DerNode[]
}

/**
 * Reads the whole input as one DER value.
 * @throws Refusal `malformed` for anything that is not strict DER within the limits
 */
export function readDer(bytes: Uint8Array, limits: DerLimits = {}): DerNode {
  const maxBytes = limits.maxBytes ?? 65_536
  if (bytes.length > maxBytes) malformed(`DER input has ${bytes.length} bytes, the limit is ${maxBytes}`)
  // A Buffer's subarray costs several times a Uint8Array's.
  const source = Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes
  const reader = new Reader(source, limits.maxDepth ?? 32, limits.maxNodes ?? 10_000)
  const node = reader.read(0, source.length, 1)
  if (node.end !== source.length) malformed(`DER: ${source.length - node.end} trailing bytes`)
  return node
}

/** The content of an OCTET STRING (or of any primitive value) read as one DER value, with fresh default limits. */
export function readInner(node: DerNode): DerNode {
  return readDer(node.content)
}

/** Refuses input that breaks a rule of its encoding. `detail` names the structure and the rule. */
export function malformed(detail: string): never {
  throw new Refusal('malformed', detail)
}

export function isKind(node: DerNode, kind: DerKind): boolean {
  return node.tag === derTags[kind] && node.class === 'universal'
}

export function isContext(node: DerNode, tag: number): boolean {
  return node.tag === tag && node.class === 'context'
}

/** The node, if it has that universal type. `what` names the field for the refusal. */
export function expectKind(node: DerNode, kind: DerKind, what: string): DerNode {
  if (!isKind(node, kind)) malformed(`${what}: expected ${kind}, found ${describe(node)}`)
  return node
}

/** A `[n] IMPLICIT Type` value as the universal type that it stands for, with that type's rules checked. */
export function implicitAs(node: DerNode, kind: DerKind, what: string): DerNode {
  const tag = derTags[kind]
  const constructed = isConstructedType(tag)
  if (node.constructed !== constructed) malformed(`${what}: ${describe(node)} cannot hold ${kind}`)
  if (constructed && tag === derTags.set) checkSetOrder(node.source, node.children)
  if (!constructed) checkPrimitive(node.source, tag, node.contentStart, node.end)
  const shape: DerShape = { class: 'universal', tag, constructed, children: node.children }
  return new DerNode(shape, node.source, node.start, node.contentStart, node.end)
}

/** The one value inside `[n] EXPLICIT`. */
export function explicitInner(node: DerNode, what: string): DerNode {
  const inner = node.children[0]
  if (inner === undefined || node.children.length !== 1)
    malformed(`${what}: explicit tag must hold one value`)
  return inner
}

/** Walks the fields of a SEQUENCE in order. `what` names the structure in refusals. */
export class DerFields {
  readonly #children: readonly DerNode[]
  readonly #what: string
  #next = 0

  constructor(node: DerNode, what: string, kind: 'sequence' | 'set' = 'sequence') {
    this.#children = expectKind(node, kind, what).children
    this.#what = what
  }

  /** The next field, whatever it is. */
  any(field: string): DerNode {
    const node = this.#children[this.#next]
    if (node === undefined) malformed(`${this.#what}: ${field} is missing`)
    this.#next += 1
    return node
  }

  take(kind: DerKind, field: string): DerNode {
    const node = this.any(field)
    if (!isKind(node, kind)) {
      malformed(`${this.#what}.${field}: expected ${kind}, found ${describe(node)}`)
    }
    return node
  }

  /** The next field if it has that type, else null. */
  optional(kind: DerKind): DerNode | null {
    const node = this.#children[this.#next]
    if (node === undefined || !isKind(node, kind)) return null
    this.#next += 1
    return node
  }

  /** The next field if it carries that context tag, else null. */
  context(tag: number): DerNode | null {
    const node = this.#children[this.#next]
    if (node === undefined || !isContext(node, tag)) return null
    this.#next += 1
    return node
  }

  isAtEnd(): boolean {
    return this.#next === this.#children.length
  }

  /** Refuses what is left over. */
  end(): void {
    const node = this.#children[this.#next]
    if (node !== undefined) malformed(`${this.#what}: unexpected ${describe(node)}`)
  }
}

const kindNames = new Map<number, DerKind>(
  Object.entries(derTags).map(([kind, tag]) => [tag, kind as DerKind]),
)

export function describe(node: DerNode): string {
  if (node.class === 'universal') return kindNames.get(node.tag) ?? `universal tag ${node.tag}`
  return `${node.class} tag ${node.tag}`
}

const classes: readonly DerClass[] = ['universal', 'application', 'context', 'private']
const noChildren: readonly DerNode[] = Object.freeze([])

class Reader {
  readonly #bytes: Uint8Array
  readonly #maxDepth: number
  #nodesLeft: number

  constructor(bytes: Uint8Array, maxDepth: number, maxNodes: number) {
    this.#bytes = bytes
    this.#maxDepth = maxDepth
    this.#nodesLeft = maxNodes
  }

  /** Reads the value that starts at `start` and must finish by `limit`. */
  read(start: number, limit: number, depth: number): DerNode {
    if (depth > this.#maxDepth) malformed(`DER: nested deeper than ${this.#maxDepth}`)
    if (this.#nodesLeft-- <= 0) malformed('DER: too many values')
    const bytes = this.#bytes
    const first = this.#octet(start, limit)
    let offset = start + 1
    let tag = first & 0x1f
    const isUniversal = first < 0x40
    if (tag === 0x1f) {
      if (isUniversal) malformed('DER: unknown universal type')
      ;[tag, offset] = this.#longTag(offset, limit)
    }
    let length = this.#octet(offset, limit)
    offset += 1
    if (length >= 0x80) [length, offset] = this.#longLength(length, offset, limit)
    const end = offset + length
    if (end > limit) malformed('DER: value runs past the end of what holds it')

    const constructed = (first & 0x20) !== 0
    let children = noChildren
    if (constructed) children = this.#children(offset, end, depth)
    if (isUniversal) {
      if (!kindNames.has(tag)) malformed(`DER: universal tag ${tag} is not used by PKIX`)
      if (constructed !== isConstructedType(tag)) malformed('DER: constructed string or primitive SEQUENCE')
      if (!constructed) checkPrimitive(bytes, tag, offset, end)
      else if (tag === derTags.set) checkSetOrder(bytes, children)
    }
    const shape = { class: classes[first >> 6] as DerClass, tag, constructed, children }
    return new DerNode(shape, bytes, start, offset, end)
  }

  #children(start: number, end: number, depth: number): readonly DerNode[] {
    if (start === end) return noChildren
    const children: DerNode[] = []
    for (let offset = start; offset < end;) {
      const child = this.read(offset, end, depth + 1)
      children.push(child)
      offset = child.end
    }
    return children
  }

  #octet(offset: number, limit: number): number {
    if (offset >= limit) malformed('DER: truncated')
    return this.#bytes[offset] as number
  }

  /** High-tag-number form (§8.1.2.4): at most three octets, minimal, only for numbers above 30. */
  #longTag(start: number, limit: number): [tag: number, offset: number] {
    let tag = 0
    for (let offset = start; offset < start + 3; offset++) {
      const octet = this.#octet(offset, limit)
      if (offset === start && octet === 0x80) malformed('DER: tag number with leading zeros')
      tag = tag * 128 + (octet & 0x7f)
      if (octet < 0x80) {
        if (tag < 0x1f) malformed('DER: low tag number in the long form')
        return [tag, offset + 1]
      }
    }
    malformed('DER: tag number too large')
  }

  /** Long form of the length (§8.1.3.5, §10.1): minimal, at most four octets. */
  #longLength(first: number, start: number, limit: number): [length: number, offset: number] {
    if (first === 0x80) malformed('DER: indefinite length')
    const count = first & 0x7f
    if (count > 4) malformed('DER: length of more than four octets')
    let length = 0
    for (let index = 0; index < count; index++) length = length * 256 + this.#octet(start + index, limit)
    if (length < 0x80 || this.#bytes[start] === 0) malformed('DER: length not in its shortest form')
    return [length, start + count]
  }
}

function isConstructedType(tag: number): boolean {
  return tag === derTags.sequence || tag === derTags.set
}

function checkPrimitive(bytes: Uint8Array, tag: number, start: number, end: number): void {
  const length = end - start
  switch (tag) {
    case derTags.boolean:
      if (length !== 1 || (bytes[start] !== 0 && bytes[start] !== 0xff))
        malformed('DER: BOOLEAN not 00 or FF')
      return
    case derTags.integer:
    case derTags.enumerated:
      checkInteger(bytes, start, length)
      return
    case derTags.bitString:
      checkBitString(bytes, start, end)
      return
    case derTags.null:
      if (length !== 0) malformed('DER: NULL with content')
      return
    case derTags.oid:
      checkOid(bytes, start, end)
      return
    case derTags.utcTime:
    case derTags.generalizedTime: {
      const kind = tag === derTags.utcTime ? 'utcTime' : 'generalizedTime'
      if (decodeTime(kind, bytes, start, end) === null)
        malformed('DER: time not in the form of RFC 5280 §4.1.2.5')
      return
    }
    case derTags.bmpString:
      if (length % 2 !== 0) malformed('DER: BMPString of odd length')
      return
    case derTags.universalString:
      if (length % 4 !== 0) malformed('DER: UniversalString length not a multiple of four')
  }
}

function checkInteger(bytes: Uint8Array, start: number, length: number): void {
  if (length === 0) malformed('DER: empty INTEGER')
  if (length === 1) return
  const first = bytes[start]
  const nextIsNegative = (bytes[start + 1] as number) >= 0x80
  if ((first === 0 && !nextIsNegative) || (first === 0xff && nextIsNegative)) {
    malformed('DER: INTEGER not in its shortest form')
  }
}

function checkBitString(bytes: Uint8Array, start: number, end: number): void {
  if (start === end) malformed('DER: BIT STRING without its first octet')
  const unused = bytes[start] as number
  if (unused > 7 || (unused > 0 && end - start === 1))
    malformed('DER: BIT STRING with a wrong count of unused bits')
  if (((bytes[end - 1] as number) & ((1 << unused) - 1)) !== 0 && unused > 0) {
    malformed('DER: BIT STRING with set bits in its unused part')
  }
}

function checkOid(bytes: Uint8Array, start: number, end: number): void {
  if (start === end || end - start > maxOidOctets) malformed('DER: OBJECT IDENTIFIER empty or too long')
  let arcStart = start
  for (let offset = start; offset < end; offset++) {
    const octet = bytes[offset] as number
    if (offset === arcStart && octet === 0x80) malformed('DER: OBJECT IDENTIFIER arc with leading zeros')
    if (octet >= 0x80) continue
    if (offset - arcStart >= maxArcOctets) malformed('DER: OBJECT IDENTIFIER arc too large')
    arcStart = offset + 1
  }
  if (arcStart !== end) malformed('DER: OBJECT IDENTIFIER ends inside an arc')
}

/** X.690 §11.6: the encodings of a SET OF in ascending order. (PKIX has no SET of unlike types.) */
function checkSetOrder(bytes: Uint8Array, children: readonly DerNode[]): void {
  for (let index = 1; index < children.length; index++) {
    const before = children[index - 1] as DerNode
    const after = children[index] as DerNode
    const left = bytes.subarray(before.start, before.end)
    if (Buffer.compare(left, bytes.subarray(after.start, after.end)) > 0) malformed('DER: SET OF not sorted')
  }
}

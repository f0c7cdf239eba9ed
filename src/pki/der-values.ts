/** Typed readers for DER values. Each refuses (`malformed`) a node of another type; `what` names the field. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { DerFields, type DerNode, describe, expectKind, isKind, malformed } from './der.ts'
import { decodeTime } from './der-time.ts'
import { decodeOid } from './oid.ts'

export function readBoolean(node: DerNode, what: string): boolean {
  return expectKind(node, 'boolean', what).source[node.contentStart] === 0xff
}

export function readInteger(node: DerNode, what: string): bigint {
  const content = readIntegerBytes(node, what)
  if (content.length > 4096) malformed(`${what}: INTEGER too large`)
  return BigInt.asIntN(content.length * 8, BigInt(`0x${toHex(content)}`))
}

/** Two's complement, big endian, shortest form: the content octets as they stand. */
export function readIntegerBytes(node: DerNode, what: string): Uint8Array {
  return expectKind(node, 'integer', what).content
}

/** A positive INTEGER as its magnitude without a leading zero octet; zero and negative numbers are refused. */
export function readPositiveBytes(node: DerNode, what: string): Uint8Array {
  const content = readIntegerBytes(node, what)
  const first = content[0] as number
  if (first >= 0x80 || (first === 0 && content.length === 1)) malformed(`${what}: INTEGER must be positive`)
  return first === 0 ? content.subarray(1) : content
}

/** An INTEGER between 0 and `max` (default 2^31 - 1). */
export function readSmallInteger(node: DerNode, what: string, max = 2 ** 31 - 1): number {
  const content = readIntegerBytes(node, what)
  const isTooLong = content.length > 5
  let value = 0
  if (!isTooLong) for (const octet of content) value = value * 256 + octet
  if ((content[0] as number) >= 0x80 || isTooLong || value > max)
    malformed(`${what}: INTEGER outside 0..${max}`)
  return value
}

/** An ENUMERATED between 0 and 127. */
export function readEnumerated(node: DerNode, what: string): number {
  const content = expectKind(node, 'enumerated', what).content
  const value = content[0] as number
  if (content.length !== 1 || value > 127) malformed(`${what}: unknown value`)
  return value
}

export interface BitString {
  /** Bits of the last byte that do not count, 0 to 7; they are zero. */
  readonly unused: number
  readonly bytes: Uint8Array
}

export function readBitString(node: DerNode, what: string): BitString {
  expectKind(node, 'bitString', what)
  const bytes = node.source.subarray(node.contentStart + 1, node.end)
  return { unused: node.source[node.contentStart] as number, bytes }
}

/** The bytes of a BIT STRING that holds whole octets, as keys and signatures do. */
export function readBitStringBytes(node: DerNode, what: string): Uint8Array {
  const { unused, bytes } = readBitString(node, what)
  if (unused !== 0) malformed(`${what}: BIT STRING must hold whole octets`)
  return bytes
}

/**
 * A named-bit list (X.690 §11.2.2: no trailing zero bits).
 * @returns bit 0 of the list is the least significant bit of the number; at most 31 bits
 */
export function readNamedBits(node: DerNode, what: string): number {
  const { unused, bytes } = readBitString(node, what)
  if (bytes.length > 3) malformed(`${what}: too many bits`)
  const count = bytes.length * 8 - unused
  let bits = 0
  for (let bit = 0; bit < count; bit++) {
    if (((bytes[bit >> 3] as number) & (0x80 >> (bit & 7))) !== 0) bits |= 1 << bit
  }
  if (count > 0 && (bits & (1 << (count - 1))) === 0) malformed(`${what}: named bits with trailing zero bits`)
  return bits
}

export function readOctetString(node: DerNode, what: string): Uint8Array {
  return expectKind(node, 'octetString', what).content
}

/** @returns dotted decimal form */
export function readOid(node: DerNode, what: string): string {
  expectKind(node, 'oid', what)
  return decodeOid(node.source, node.contentStart, node.end)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const printableCharacters = /^[A-Za-z0-9 '()+,\-./:=?]*$/

/** The string types that `readString` decodes. TeletexString is not among them: its readers disagree on its meaning. */
export type StringKind =
  | 'utf8String'
  | 'printableString'
  | 'ia5String'
  | 'numericString'
  | 'visibleString'
  | 'bmpString'
  | 'universalString'

/** Text of one of the `kinds`, its character set checked. */
export function readString(node: DerNode, kinds: readonly StringKind[], what: string): string {
  const kind = kinds.find((candidate) => isKind(node, candidate))
  if (kind === undefined) malformed(`${what}: expected ${kinds.join(' or ')}, found ${describe(node)}`)
  switch (kind) {
    case 'utf8String':
      return asciiText(node) ?? utf8Text(node, what)
    case 'printableString':
      return checkedText(node, printableCharacters, what)
    case 'ia5String':
      return asciiText(node) ?? malformed(`${what}: IA5String beyond ASCII`)
    case 'visibleString':
      return checkedText(node, /^[\x20-\x7e]*$/, what)
    case 'numericString':
      return checkedText(node, /^[0-9 ]*$/, what)
    case 'bmpString':
      return bmpText(node, what)
    case 'universalString':
      return universalText(node, what)
  }
}

/** The text if all bytes are below 128, else null. */
function asciiText(node: DerNode): string | null {
  const { source, contentStart, end } = node
  for (let offset = contentStart; offset < end; offset++) if ((source[offset] as number) >= 0x80) return null
  return latin1(source, contentStart, end)
}

function latin1(source: Uint8Array, start: number, end: number): string {
  // For short strings a call into the runtime costs more than this loop.
  if (end - start > 24) {
    return Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('latin1')
  }
  let text = ''
  for (let offset = start; offset < end; offset++) text += String.fromCharCode(source[offset] as number)
  return text
}

function utf8Text(node: DerNode, what: string): string {
  try {
    return utf8.decode(node.content)
  } catch {
    malformed(`${what}: not valid UTF-8`)
  }
}

function checkedText(node: DerNode, allowed: RegExp, what: string): string {
  const text = asciiText(node)
  if (text === null || !allowed.test(text)) malformed(`${what}: character not allowed in ${describe(node)}`)
  return text
}

/** UCS-2, so surrogates are refused. */
function bmpText(node: DerNode, what: string): string {
  const content = node.content
  let text = ''
  for (let index = 0; index < content.length; index += 2) {
    const unit = ((content[index] as number) << 8) | (content[index + 1] as number)
    if (unit >= 0xd800 && unit <= 0xdfff) malformed(`${what}: surrogate in BMPString`)
    text += String.fromCharCode(unit)
  }
  return text
}

function universalText(node: DerNode, what: string): string {
  const content = node.content
  const view = new DataView(content.buffer, content.byteOffset, content.length)
  let text = ''
  for (let index = 0; index < content.length; index += 4) {
    const point = view.getUint32(index)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) malformed(`${what}: not a character`)
    text += String.fromCodePoint(point)
  }
  return text
}

/** UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5: `decodeTime`. */
export function readTime(node: DerNode, what: string): Instant {
  const kind = isKind(node, 'utcTime') ? 'utcTime' : 'generalizedTime'
  if (!isKind(node, kind)) malformed(`${what}: expected a time, found ${describe(node)}`)
  return decodeTime(kind, node.source, node.contentStart, node.end) ?? malformed(`${what}: not a time`)
}

/**
 * DER of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) whose outer shape is right. What key it holds is read when it is
 * needed: `parsePublicKey` in key.ts.
 */
export function readPublicKeyInfo(node: DerNode, what: string): Uint8Array {
  const fields = new DerFields(node, what)
  const algorithm = new DerFields(fields.take('sequence', 'algorithm'), what)
  fields.take('bitString', 'subjectPublicKey')
  fields.end()
  algorithm.take('oid', 'algorithm')
  if (!algorithm.isAtEnd()) algorithm.any('parameters')
  algorithm.end()
  return node.raw
}

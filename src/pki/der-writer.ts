/**
 * DER writer: each function returns one complete TLV. Parts are complete TLVs too. Results are views on shared memory
 * blocks and must not be changed.
 */
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import { derTags, type DerKind } from './der.ts'
import { encodeOid, oids } from './oid.ts'

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(0x30, parts)
}

/** A SET OF: the parts are put into DER order (X.690 §11.6). */
export function setOf(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(0x31, parts.length < 2 ? parts : [...parts].sort(Buffer.compare))
}

/**
 * @param value bytes are two's complement and must be in shortest form, as `SerialNumber` bytes after `unsignedInteger`
 */
export function integer(value: number | bigint | Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) {
    assert(isShortestInteger(value), 'INTEGER bytes must be in their shortest form')
    return primitive(0x02, value)
  }
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'INTEGER must be a whole number')
    if (value >= 0 && value < 0x80) return Uint8Array.of(0x02, 1, value)
  }
  return primitive(0x02, twosComplement(BigInt(value)))
}

/** A non-negative INTEGER from its big-endian magnitude; leading zeros are dropped, a sign octet is added. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1
  const digits = magnitude.subarray(start)
  if (digits.length === 0) return Uint8Array.of(0x02, 1, 0)
  if ((digits[0] as number) < 0x80) return primitive(0x02, digits)
  return tlv(0x02, [zeroOctet, digits])
}

export function enumerated(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value < 0x80, 'ENUMERATED must be 0 to 127')
  return Uint8Array.of(0x0a, 1, value)
}

/** @param dotted a valid object identifier; foreign text is checked with `isOid` first */
export function oid(dotted: string): Uint8Array {
  return knownOids.get(dotted) ?? primitive(0x06, encodeOid(dotted))
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return primitive(0x04, bytes)
}

/** @param unused 0 to 7 bits of the last byte that do not count; they must be zero */
export function bitString(bytes: Uint8Array, unused = 0): Uint8Array {
  const last = bytes[bytes.length - 1] ?? 0
  assert(unused >= 0 && unused < 8 && (last & ((1 << unused) - 1)) === 0, 'unused bits must be zero')
  return tlv(0x03, [Uint8Array.of(unused), bytes])
}

/** A named-bit list without trailing zero bits. @param bits bit 0 of the list is the least significant bit */
export function namedBits(bits: number): Uint8Array {
  const count = 32 - Math.clz32(bits)
  const bytes = new Uint8Array(Math.ceil(count / 8))
  for (let bit = 0; bit < count; bit++) {
    if ((bits & (1 << bit)) !== 0) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (0x80 >> (bit & 7))
  }
  return bitString(bytes, bytes.length * 8 - count)
}

export function boolean(value: boolean): Uint8Array {
  return Uint8Array.of(0x01, 1, value ? 0xff : 0)
}

export function nullValue(): Uint8Array {
  return Uint8Array.of(0x05, 0)
}

export function utf8String(text: string): Uint8Array {
  assert(text.isWellFormed(), 'text with a lone surrogate has no UTF-8 form')
  return isIa5String(text) ? ascii(0x0c, text) : primitive(0x0c, Buffer.from(text, 'utf8'))
}

/** True when every character is in PrintableString's set (X.680 §41.4). */
export function isPrintableString(text: string): boolean {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)
}

export function printableString(text: string): Uint8Array {
  assert(isPrintableString(text), 'character outside PrintableString')
  return ascii(0x13, text)
}

export function isIa5String(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false
  return true
}

export function ia5String(text: string): Uint8Array {
  assert(isIa5String(text), 'character outside IA5String')
  return ascii(0x16, text)
}

const year1900 = Date.UTC(1900, 0, 1)
const year1950 = Date.UTC(1950, 0, 1)
const year2050 = Date.UTC(2050, 0, 1)
const year10000 = Date.UTC(10_000, 0, 1)

/** UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5). @param at whole seconds, up to year 9999 */
export function time(at: Instant): Uint8Array {
  if (at >= year1950 && at < year2050) return ascii(0x17, timeDigits(at).slice(2))
  return generalizedTime(at)
}

export function generalizedTime(at: Instant): Uint8Array {
  return ascii(0x18, timeDigits(at))
}

/** `[n] EXPLICIT` around a TLV. */
export function explicit(tag: number, inner: Uint8Array): Uint8Array {
  assert(tag >= 0 && tag < 31, 'context tag must be 0 to 30')
  return primitive(0xa0 | tag, inner)
}

/** `[n] IMPLICIT`: the TLV with its tag replaced; constructed stays constructed. The inner tag has one octet. */
export function implicit(tag: number, inner: Uint8Array): Uint8Array {
  assert(tag >= 0 && tag < 31 && inner.length >= 2, 'context tag must be 0 to 30')
  const tagged = inner.slice()
  tagged[0] = 0x80 | ((inner[0] as number) & 0x20) | tag
  return tagged
}

/** Any universal type around ready-made content; the caller vouches for it. */
export function raw(kind: DerKind, content: Uint8Array): Uint8Array {
  const isConstructed = kind === 'sequence' || kind === 'set'
  return primitive(derTags[kind] | (isConstructed ? 0x20 : 0), content)
}

const zeroOctet = Uint8Array.of(0)
const blockBytes = 16_384
let block = new Uint8Array(blockBytes)
let blockUsed = 0

/**
 * A certificate is put together from some fifty short-lived arrays. Above 64 bytes V8 takes each from the C heap (over
 * 1 µs); a view on a block costs 0.07 µs. A block is never used twice and goes when its last view goes.
 */
function allocate(length: number): Uint8Array {
  if (length <= 64 || length > blockBytes / 4) return new Uint8Array(length)
  if (blockUsed + length > blockBytes) {
    block = new Uint8Array(blockBytes)
    blockUsed = 0
  }
  blockUsed += length
  return block.subarray(blockUsed - length, blockUsed)
}

const knownOids = new Map<string, Uint8Array>(
  Object.values(oids).map((dotted) => [dotted, primitive(0x06, encodeOid(dotted))]),
)

function primitive(identifier: number, content: Uint8Array): Uint8Array {
  const length = content.length
  const headerLength = lengthOctets(length) + 1
  const out = allocate(headerLength + length)
  writeHeader(out, identifier, length)
  out.set(content, headerLength)
  return out
}

function ascii(identifier: number, text: string): Uint8Array {
  const { length } = text
  const headerLength = lengthOctets(length) + 1
  const out = allocate(headerLength + length)
  writeHeader(out, identifier, length)
  for (let index = 0; index < length; index++) out[headerLength + index] = text.charCodeAt(index)
  return out
}

function tlv(identifier: number, parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  let offset = lengthOctets(length) + 1
  const out = allocate(offset + length)
  writeHeader(out, identifier, length)
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

function lengthOctets(length: number): number {
  if (length < 0x80) return 1
  return length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5
}

function writeHeader(out: Uint8Array, identifier: number, length: number): void {
  out[0] = identifier
  const octets = lengthOctets(length)
  if (octets === 1) {
    out[1] = length
    return
  }
  out[1] = 0x80 | (octets - 1)
  for (let index = octets, left = length; index >= 2; index--, left >>>= 8) out[index] = left & 0xff
}

function isShortestInteger(bytes: Uint8Array): boolean {
  const [first, second = 0] = bytes
  if (first === undefined) return false
  return bytes.length === 1 || !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
}

function twosComplement(value: bigint): Uint8Array {
  let octets = 1
  while (BigInt.asIntN(octets * 8, value) !== value) octets += 1
  const hex = BigInt.asUintN(octets * 8, value)
    .toString(16)
    .padStart(octets * 2, '0')
  return Buffer.from(hex, 'hex')
}

/** `YYYYMMDDhhmmssZ`. */
function timeDigits(at: Instant): string {
  assert(
    at % 1000 === 0 && at >= year1900 && at < year10000,
    'certificate times are whole seconds from 1900 to 9999',
  )
  const date = new Date(at)
  const day = (date.getUTCFullYear() * 100 + date.getUTCMonth() + 1) * 100 + date.getUTCDate()
  const seconds = (date.getUTCHours() * 100 + date.getUTCMinutes()) * 100 + date.getUTCSeconds()
  return `${day}${String(seconds).padStart(6, '0')}Z`
}

/**
 * Which certificates of one CA are revoked, as a cascade of Bloom filters (the idea of CRLite, Larisch et al. 2017): the first
 * holds the revoked ones, each next one those of the other side that the one before takes for its own, until none is left.
 * So there is no false answer about any certificate that was there when the set was made. A fiftieth of the size of a CRL.
 *
 * Not signed by itself: it travels in a signed bundle (status-bundle.ts).
 */
import { hash } from 'node:crypto'
import { dayMs, type Instant } from '../base/clock.ts'
import { equalBytes, fromHex } from '../base/bytes.ts'
import { assert, Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'

export interface CompactSetContent {
  /** SHA-256 of the SubjectPublicKeyInfo of the CA. */
  readonly issuerKeyHash: Uint8Array
  /** Grows from set to set. */
  readonly number: number
  /** What was issued later is not in it. */
  readonly builtAt: Instant
  /** From then on it says nothing any more. */
  readonly expiresAt: Instant
  /** 16 octets, different for each set. */
  readonly salt: Uint8Array
}

/** What a set says. `unknown`: too young to be in it for certain, and not certainly good. */
export type CompactAnswer = 'good' | 'revoked' | 'unknown'

/** Serial numbers, collected before the set is made: 16 octets of memory each. */
export class CompactSetKeys {
  #words = new Uint32Array(4_096)
  #count = 0
  readonly #salt: Uint8Array

  constructor(salt: Uint8Array) {
    assert(salt.length === 16, 'a salt has 16 octets')
    this.#salt = salt
  }

  get count(): number {
    return this.#count
  }

  /** @param serialNumber big-endian magnitude */
  add(serialNumber: Uint8Array): void {
    if ((this.#count + 1) * 4 > this.#words.length) {
      const larger = new Uint32Array(this.#words.length * 2)
      larger.set(this.#words)
      this.#words = larger
    }
    const words = keyOf(this.#salt, serialNumber)
    this.#words.set(words, this.#count * 4)
    this.#count += 1
  }

  /** The four words of the n-th key. */
  at(n: number): Uint32Array {
    return this.#words.subarray(n * 4, n * 4 + 4)
  }
}

interface Level {
  readonly hashes: number
  readonly bits: number
  readonly bytes: Uint8Array
}

const magic = Buffer.from('PCS1')
const headerBytes = 4 + 32 + 8 + 8 + 8 + 4 + 4 + 16 + 1
const maxLevels = 64
const maxHashes = 32
/** A certificate that begins less than this before the set may have been issued after it: `notBefore` is set back a little. */
const youngMs = dayMs

/** @param revoked and `good` keys of certificates with the same salt as `content`; none may be in both */
export function encodeCompactSet(
  content: CompactSetContent,
  revoked: CompactSetKeys,
  good: CompactSetKeys,
): Uint8Array {
  const levels = buildLevels(revoked, good)
  const size = levels.reduce((sum, { bytes }) => sum + 5 + bytes.length, headerBytes)
  const out = Buffer.alloc(size)
  let at = magic.copy(out)
  assert(content.issuerKeyHash.length === 32, 'a key hash has 32 octets')
  out.set(content.issuerKeyHash, at)
  at = out.writeBigUInt64BE(BigInt(content.number), at + 32)
  at = out.writeBigUInt64BE(BigInt(content.builtAt), at)
  at = out.writeBigUInt64BE(BigInt(content.expiresAt), at)
  at = out.writeUInt32BE(revoked.count, at)
  at = out.writeUInt32BE(good.count, at)
  out.set(content.salt, at)
  at = out.writeUInt8(levels.length, at + 16)
  for (const { hashes, bits, bytes } of levels) {
    at = out.writeUInt8(hashes, at)
    at = out.writeUInt32BE(bits, at)
    out.set(bytes, at)
    at += bytes.length
  }
  return out
}

function buildLevels(revoked: CompactSetKeys, good: CompactSetKeys): Level[] {
  const levels: Level[] = []
  let [inside, insideIn] = [allOf(revoked), revoked]
  let [outside, outsideIn] = [allOf(good), good]
  while (inside.length > 0) {
    assert(levels.length < maxLevels, 'a cascade ends: make it anew with another salt')
    // the first one is made as precise as it pays, the others take every second one for their own (CRLite §4)
    const rate =
      levels.length === 0 ? Math.min(0.5, (inside.length * Math.SQRT1_2) / Math.max(1, outside.length)) : 0.5
    const level = buildLevel(levels.length, rate, inside, insideIn)
    levels.push(level)
    const mistaken = outside.filter((n) => has(level, levels.length - 1, outsideIn.at(n)))
    ;[inside, outside] = [mistaken, inside]
    ;[insideIn, outsideIn] = [outsideIn, insideIn]
  }
  return levels
}

function allOf({ count }: CompactSetKeys): Uint32Array {
  return Uint32Array.from({ length: count }, (_, n) => n)
}

function buildLevel(depth: number, rate: number, inside: Uint32Array, keys: CompactSetKeys): Level {
  const hashes = Math.min(maxHashes, Math.max(1, Math.round(Math.log2(1 / rate))))
  const bits = Math.max(8, Math.ceil((inside.length * hashes) / Math.LN2))
  const level = { hashes, bits, bytes: new Uint8Array(Math.ceil(bits / 8)) }
  for (const n of inside) {
    const [first, step] = startOf(depth, keys.at(n))
    for (let turn = 0; turn < hashes; turn++) {
      const bit = ((first + turn * step) >>> 0) % bits
      level.bytes[bit >>> 3] = (level.bytes[bit >>> 3] as number) | (1 << (bit & 7))
    }
  }
  return level
}

function has({ hashes, bits, bytes }: Level, depth: number, key: Uint32Array): boolean {
  const [first, step] = startOf(depth, key)
  for (let turn = 0; turn < hashes; turn++) {
    const bit = ((first + turn * step) >>> 0) % bits
    if (((bytes[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false
  }
  return true
}

/** Where the bits of a key are, by depth: every level mixes all 128 bits anew. */
function startOf(depth: number, key: Uint32Array): [number, number] {
  const [a, b, c, d] = key as unknown as [number, number, number, number]
  const first = mix(a ^ mix((c + Math.imul(depth + 1, 0x9e3779b9)) >>> 0))
  const step = mix(b ^ mix((d + Math.imul(depth + 1, 0x85ebca6b)) >>> 0)) | 1
  return [first, step >>> 0]
}

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let h = value >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function keyOf(salt: Uint8Array, serialNumber: Uint8Array): Uint32Array {
  let start = 0
  while (start < serialNumber.length - 1 && serialNumber[start] === 0) start += 1
  const digest = hash('sha256', Buffer.concat([salt, serialNumber.subarray(start)]), 'buffer')
  return Uint32Array.of(
    digest.readUInt32BE(0),
    digest.readUInt32BE(4),
    digest.readUInt32BE(8),
    digest.readUInt32BE(12),
  )
}

/** A set as a verifier holds it: its bytes and nothing else. */
export class CompactSet implements CompactSetContent {
  readonly issuerKeyHash: Uint8Array
  readonly number: number
  readonly builtAt: Instant
  readonly expiresAt: Instant
  readonly salt: Uint8Array
  /** Certificates that are in it: revoked ones, and the others. */
  readonly revoked: number
  readonly good: number
  readonly #levels: readonly Level[]

  private constructor(
    content: CompactSetContent,
    counts: { revoked: number; good: number },
    levels: readonly Level[],
  ) {
    this.issuerKeyHash = content.issuerKeyHash
    this.number = content.number
    this.builtAt = content.builtAt
    this.expiresAt = content.expiresAt
    this.salt = content.salt
    this.revoked = counts.revoked
    this.good = counts.good
    this.#levels = levels
  }

  /** Views on the input. @throws Refusal `malformed` */
  static decode(bytes: Uint8Array): CompactSet {
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (input.length < headerBytes || !equalBytes(input.subarray(0, 4), magic))
      throw malformed('its start is another')
    const [number, builtAt, expiresAt] = [36, 44, 52].map((at) => Number(input.readBigUInt64BE(at))) as [
      number,
      number,
      number,
    ]
    if (![number, builtAt, expiresAt].every((value) => Number.isSafeInteger(value) && value < 8.64e15)) {
      throw malformed('a number is too large')
    }
    const counts = { revoked: input.readUInt32BE(60), good: input.readUInt32BE(64) }
    const content = {
      issuerKeyHash: input.subarray(4, 36),
      number,
      builtAt,
      expiresAt,
      salt: input.subarray(68, 84),
    }
    const levels: Level[] = []
    let at = headerBytes
    for (let left = input.readUInt8(84); left > 0; left--) {
      if (levels.length >= maxLevels || at + 5 > input.length) throw malformed('it is cut off')
      const [hashes, bits] = [input.readUInt8(at), input.readUInt32BE(at + 1)]
      const end = at + 5 + Math.ceil(bits / 8)
      if (hashes < 1 || hashes > maxHashes || bits < 8 || end > input.length)
        throw malformed('a level is none')
      levels.push({ hashes, bits, bytes: input.subarray(at + 5, end) })
      at = end
    }
    if (at !== input.length) throw malformed('something follows it')
    if (levels.length > 0 !== counts.revoked > 0) throw malformed('its levels and its count disagree')
    return new CompactSet(content, counts, levels)
  }

  /**
   * About a certificate of this CA that is within its own validity.
   * @param notBefore of the certificate: one that may have been issued after the set is `good` only when no filter has it
   */
  check(serialNumber: SerialNumber, notBefore: Instant): CompactAnswer {
    const key = keyOf(this.salt, fromHex(serialNumber) ?? new Uint8Array())
    let depth = 0
    for (const level of this.#levels) {
      if (!has(level, depth, key)) break
      depth += 1
    }
    if (depth === 0) return 'good'
    if (notBefore > this.builtAt - youngMs) return 'unknown'
    return depth % 2 === 1 ? 'revoked' : 'good'
  }
}

function malformed(why: string): Refusal {
  return new Refusal('malformed', `compact set: ${why}`)
}

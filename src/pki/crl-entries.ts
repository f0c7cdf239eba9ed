/**
 * revokedCertificates of a CRL (RFC 5280 §5.1.2.6) as they are written: entry after entry into blocks of memory, with no
 * object per entry. A million entries take 50 MB and a tenth of a second.
 */
import { dayMs, type Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import { generalizedTime, time } from './der-writer.ts'
import { reasonCode, type RevocationReason } from './revocation-reason.ts'

export interface NewCrlEntry {
  /** Big-endian magnitude, 1 to 20 octets, positive. */
  readonly serialNumber: Uint8Array
  /** Whole seconds are taken from it. */
  readonly revokedAt: Instant
  /** `unspecified` is not written (§5.3.1). */
  readonly reason: RevocationReason
  /** When the key was lost or the certificate became invalid, if that is known (§5.3.2). */
  readonly invalidityDate?: Instant | null
}

const blockBytes = 262_144
// 2 header, 23 serial number, 17 time, 2 + 12 + 26 extensions
const maxEntryBytes = 82

export class CrlEntries {
  readonly #blocks: Uint8Array[] = []
  #block = new Uint8Array(0)
  #used = 0
  #count = 0
  #byteLength = 0

  get count(): number {
    return this.#count
  }

  /** Of all entries together, without the header around them. */
  get byteLength(): number {
    return this.#byteLength
  }

  add({ serialNumber, revokedAt, reason, invalidityDate = null }: NewCrlEntry): void {
    if (this.#used + maxEntryBytes > this.#block.length) this.#nextBlock()
    const out = this.#block
    const start = this.#used
    let at = writeSerial(out, start + 2, serialNumber)
    at = writeTime(out, at, revokedAt)
    at = writeExtensions(out, at, reasonCode(reason), invalidityDate)
    out[start] = 0x30
    out[start + 1] = at - start - 2
    this.#used = at
    this.#count += 1
    this.#byteLength += at - start
  }

  /** The entries' bytes in order. Views: nothing may be added afterwards. */
  blocks(): Uint8Array[] {
    return this.#used === 0 ? [...this.#blocks] : [...this.#blocks, this.#block.subarray(0, this.#used)]
  }

  #nextBlock(): void {
    if (this.#used > 0) this.#blocks.push(this.#block.subarray(0, this.#used))
    this.#block = new Uint8Array(blockBytes)
    this.#used = 0
  }
}

function writeSerial(out: Uint8Array, at: number, magnitude: Uint8Array): number {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1
  const first = magnitude[start]
  const length = magnitude.length - start
  assert(first !== undefined && length <= 20, 'a serial number has 1 to 20 octets')
  const sign = first >= 0x80 ? 1 : 0
  out[at] = 0x02
  out[at + 1] = length + sign
  let next = at + 2
  if (sign === 1) out[next++] = 0
  for (let index = start; index < magnitude.length; index++) out[next++] = magnitude[index] as number
  return next
}

// the digits of one day are the same for many entries
let knownDay = -1
let knownTime: Uint8Array = new Uint8Array(0)

function writeTime(out: Uint8Array, at: number, instant: Instant): number {
  const day = Math.floor(instant / dayMs)
  if (day !== knownDay) {
    knownTime = time(day * dayMs)
    knownDay = day
  }
  const encoded = knownTime
  const { length } = encoded
  for (let index = 0; index < length; index++) out[at + index] = encoded[index] as number
  const second = Math.floor(instant / 1000) - day * 86_400
  const end = at + length
  writePair(out, end - 7, Math.floor(second / 3600))
  writePair(out, end - 5, Math.floor(second / 60) % 60)
  writePair(out, end - 3, second % 60)
  return end
}

function writePair(out: Uint8Array, at: number, value: number): void {
  out[at] = 0x30 + Math.floor(value / 10)
  out[at + 1] = 0x30 + (value % 10)
}

/** SEQUENCE { OID 2.5.29.21, OCTET STRING { ENUMERATED } }, the number following. */
const reasonStart = Uint8Array.of(0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01)
/** SEQUENCE { OID 2.5.29.24, OCTET STRING { GeneralizedTime } }, the time following. */
const invalidityStart = Uint8Array.of(0x30, 0x18, 0x06, 0x03, 0x55, 0x1d, 0x18, 0x04, 0x11)

function writeExtensions(
  out: Uint8Array,
  at: number,
  reason: number,
  invalidityDate: Instant | null,
): number {
  if (reason === 0 && invalidityDate === null) return at
  let next = at + 2
  if (reason !== 0) {
    for (let index = 0; index < reasonStart.length; index++) out[next++] = reasonStart[index] as number
    out[next++] = reason
  }
  if (invalidityDate !== null) {
    out.set(invalidityStart, next)
    next += invalidityStart.length
    out.set(generalizedTime(Math.floor(invalidityDate / 1000) * 1000), next)
    next += 17
  }
  out[at] = 0x30
  out[at + 1] = next - at - 2
  return next
}

/** revokedCertificates (RFC 5280 §5.1.2.6) read in place: no tree, no object but for the entry at hand. */
import { fromHex, toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { malformed, readDer } from './der.ts'
import { readEnumerated, readTime } from './der-values.ts'
import { decodeTime } from './der-time.ts'
import { type Extension, parseExtensionList } from './extensions.ts'
import { oidName, oids } from './oid.ts'
import { reasonFromCode, type RevocationReason } from './revocation-reason.ts'

export interface CrlEntry {
  readonly serialNumber: SerialNumber
  readonly revocationDate: Instant
  /** `unspecified` when the entry has none (§5.3.1). */
  readonly reason: RevocationReason
  readonly invalidityDate: Instant | null
}

/** Offsets of one entry. */
interface EntryAt {
  serialStart: number
  serialEnd: number
  timeEnd: number
  end: number
}

export class CrlEntryReader {
  readonly #der: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(der: Uint8Array, start: number, end: number) {
    this.#der = der
    this.#start = start
    this.#end = end
  }

  /** Reads every entry to its end. @throws Refusal `malformed` or `not-implemented` */
  check(): { readonly count: number; readonly hasExtensions: boolean } {
    const at = newPlace()
    let count = 0
    let hasExtensions = false
    for (let offset = this.#start; offset < this.#end; offset = at.end) {
      this.#locate(offset, at)
      if (this.#revocationDate(at) === null) malformed(`${what}: revocationDate is not a time of §5.1.2.4`)
      if (at.end > at.timeEnd) {
        hasExtensions = true
        if (this.#usualReason(at) === null) this.#unusualExtensions(at)
      }
      count += 1
    }
    return { count, hasExtensions }
  }

  *entries(): Generator<CrlEntry> {
    const at = newPlace()
    for (let offset = this.#start; offset < this.#end; offset = at.end) {
      this.#locate(offset, at)
      yield this.#entry(at)
    }
  }

  find(serialNumber: SerialNumber): CrlEntry | null {
    const magnitude = fromHex(serialNumber)
    if (magnitude === null) return null
    const at = newPlace()
    for (let offset = this.#start; offset < this.#end; offset = at.end) {
      this.#locate(offset, at)
      if (this.#isSerial(at, magnitude)) return this.#entry(at)
    }
    return null
  }

  #locate(start: number, at: EntryAt): void {
    const der = this.#der
    const end = contentEnd(der, start, this.#end, 0x30)
    const content = contentStart(der, start)
    const serialEnd = contentEnd(der, content, end, 0x02)
    at.serialStart = contentStart(der, content)
    at.serialEnd = serialEnd
    checkSerial(der, at.serialStart, serialEnd)
    const tag = der[serialEnd]
    if (serialEnd >= end || (tag !== 0x17 && tag !== 0x18)) malformed(`${what}: revocationDate is missing`)
    at.timeEnd = contentEnd(der, serialEnd, end, tag)
    at.end = end
  }

  #revocationDate({ serialEnd, timeEnd }: EntryAt): Instant | null {
    const kind = this.#der[serialEnd] === 0x17 ? 'utcTime' : 'generalizedTime'
    return decodeTime(kind, this.#der, serialEnd + 2, timeEnd)
  }

  #isSerial({ serialStart, serialEnd }: EntryAt, magnitude: Uint8Array): boolean {
    const der = this.#der
    const start = der[serialStart] === 0 && serialEnd - serialStart > 1 ? serialStart + 1 : serialStart
    if (serialEnd - start !== magnitude.length) return false
    for (let index = magnitude.length - 1; index >= 0; index--) {
      if (der[start + index] !== magnitude[index]) return false
    }
    return true
  }

  #entry(at: EntryAt): CrlEntry {
    const der = this.#der
    const { serialStart, serialEnd } = at
    const start = der[serialStart] === 0 && serialEnd - serialStart > 1 ? serialStart + 1 : serialStart
    const revocationDate = this.#revocationDate(at)
    assert(revocationDate !== null, 'entries were checked when the CRL was read')
    const usual = at.end === at.timeEnd ? 'unspecified' : this.#usualReason(at)
    return {
      serialNumber: toHex(der.subarray(start, serialEnd)) as SerialNumber,
      revocationDate,
      ...(usual === null ? this.#unusualExtensions(at) : { reason: usual, invalidityDate: null }),
    }
  }

  /** The extensions of nearly every entry: a reasonCode alone, in fourteen octets. Null for anything else. */
  #usualReason({ timeEnd, end }: EntryAt): RevocationReason | null {
    if (end - timeEnd !== reasonAlone.length + 1) return null
    for (let index = 0; index < reasonAlone.length; index++) {
      if (this.#der[timeEnd + index] !== reasonAlone[index]) return null
    }
    const code = this.#der[end - 1] as number
    // an unspecified reason should have been left out (§5.3.1), and is left to the slow way to say so
    return code === 0 ? null : reasonFromCode(code)
  }

  #unusualExtensions({ timeEnd, end }: EntryAt): Pick<CrlEntry, 'reason' | 'invalidityDate'> {
    return readEntryExtensions(parseExtensionList(readDer(this.#der.subarray(timeEnd, end)), what))
  }
}

const what = 'revokedCertificates'
const reasonAlone = Uint8Array.of(0x30, 12, 0x30, 10, 0x06, 3, 0x55, 0x1d, 0x15, 0x04, 3, 0x0a, 1)

function newPlace(): EntryAt {
  return { serialStart: 0, serialEnd: 0, timeEnd: 0, end: 0 }
}

/** §5.3. An encoded `unspecified` is accepted: widely used CAs write it. */
function readEntryExtensions(extensions: readonly Extension[]): Pick<CrlEntry, 'reason' | 'invalidityDate'> {
  let reason: RevocationReason = 'unspecified'
  let invalidityDate: Instant | null = null
  for (const { oid, critical, value } of extensions) {
    if (oid === oids.reasonCode) {
      reason =
        reasonFromCode(readEnumerated(readDer(value), 'reasonCode')) ?? malformed('reasonCode: unknown')
    } else if (oid === oids.invalidityDate) {
      const node = readDer(value)
      if (node.raw[0] !== 0x18) malformed('invalidityDate: must be a GeneralizedTime (§5.3.2)')
      invalidityDate = readTime(node, 'invalidityDate')
    } else if (critical) {
      throw new Refusal(
        'not-implemented',
        `an entry has the critical extension ${oidName(oid)}, which is not known here`,
      )
    }
  }
  return { reason, invalidityDate }
}

function contentStart(der: Uint8Array, start: number): number {
  const first = der[start + 1] as number
  return first < 0x80 ? start + 2 : start + 2 + (first & 0x7f)
}

/** End of the value with that tag which starts at `start`; refuses any other tag and lengths that are not DER. */
function contentEnd(der: Uint8Array, start: number, limit: number, tag: number): number {
  if (start + 2 > limit || der[start] !== tag) malformed(`${what}: not an entry`)
  const first = der[start + 1] as number
  let end: number
  if (first < 0x80) {
    end = start + 2 + first
  } else {
    const octets = first & 0x7f
    // an entry of more than 65,535 octets is none
    if (octets === 0 || octets > 2 || start + 2 + octets > limit) malformed(`${what}: length is not DER`)
    let length = der[start + 2] as number
    if (octets === 2) length = length * 256 + (der[start + 3] as number)
    if (length < 0x80 || der[start + 2] === 0) malformed(`${what}: length not in its shortest form`)
    end = start + 2 + octets + length
  }
  if (end > limit) malformed(`${what}: an entry runs past the end of what holds it`)
  return end
}

/** Not negative, shortest form, at most 20 octets of value (§4.1.2.2); roots with serial number 0 exist. */
function checkSerial(der: Uint8Array, start: number, end: number): void {
  const length = end - start
  const first = der[start] as number
  if (length === 0 || first >= 0x80) malformed(`${what}: a serial number is negative or empty`)
  if (length > 1 && first === 0 && (der[start + 1] as number) < 0x80) {
    malformed(`${what}: a serial number is not in its shortest form`)
  }
  if (length - (first === 0 ? 1 : 0) > 20) malformed(`${what}: a serial number has more than 20 octets`)
}

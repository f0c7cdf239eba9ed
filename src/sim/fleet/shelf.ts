/** Where the storages of devices lie that are asleep: as they are for a small fleet, packed into a file for millions. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { sha256Hex, toHex } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { emptyInbox, type InboxState } from '../../agent/agent-inbox.ts'
import { noMemory, type AgentMemory } from '../../agent/agent-memory.ts'
import type { Slot } from '../../agent/keystore.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { parseCsr } from '../../pki/csr.ts'
import { emptySlot, Flash, type HeldKey, type SlotContents } from './flash.ts'

export interface Shelf {
  take(device: number): Flash
  put(device: number, flash: Flash): void
  close(): void
}

export class LiveShelf implements Shelf {
  readonly #flashes = new Map<number, Flash>()

  take(device: number): Flash {
    const flash = this.#flashes.get(device)
    assert(flash, 'a device was made before it wakes')
    return flash
  }

  put(device: number, flash: Flash): void {
    this.#flashes.set(device, flash)
  }

  close(): void {
    this.#flashes.clear()
  }
}

/**
 * Bytes of one device in the file: a certificate, a key and what is remembered. What is longer, in the middle of a renewal,
 * stays in memory.
 */
const placeBytes = 1_536

interface PackedSlot {
  /** The private key's scalar, base64url. */
  readonly d: string
  /** Lengths of what follows. */
  readonly spki: number
  readonly csr: number
  readonly leaf: number
  /** Places in the list of intermediates. */
  readonly chain: readonly number[]
}

interface Packed {
  readonly active: Slot | null
  readonly retired: string | null
  /** Null: as on a new device. */
  readonly memory: AgentMemory | null
  readonly inbox: InboxState | null
  /** Null without a key. */
  readonly a: PackedSlot | null
  readonly b: PackedSlot | null
}

/**
 * Keeps what a device needs to go on. Of its history it keeps the last attempt without its words, and a replaced
 * certificate only while its successor is not in use: both are there for people and for failures that a device asleep
 * does not have here.
 */
export class FileShelf implements Shelf {
  readonly #file: number
  readonly #long = new Map<number, Uint8Array>()
  readonly #chain: Uint8Array[] = []
  readonly #places = new Map<string, number>()
  readonly #buffer = Buffer.alloc(placeBytes)

  constructor(path: string) {
    this.#file = openSync(path, 'w+', 0o600)
  }

  take(device: number): Flash {
    const long = this.#long.get(device)
    if (long) return this.#unpacked(Buffer.from(long))
    readSync(this.#file, this.#buffer, 0, placeBytes, device * placeBytes)
    return this.#unpacked(Buffer.from(this.#buffer))
  }

  put(device: number, flash: Flash): void {
    const bytes = this.#packed(flash)
    if (bytes.length > placeBytes) {
      this.#long.set(device, bytes)
      return
    }
    this.#long.delete(device)
    this.#write(bytes, device * placeBytes)
  }

  #write(bytes: Uint8Array, at: number): void {
    try {
      writeSync(this.#file, bytes, 0, bytes.length, at)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : null
      // EFBIG, EDQUOT: as full as it may be for us
      if (code !== 'ENOSPC' && code !== 'EFBIG' && code !== 'EDQUOT') throw error
      throw new Refusal('disk-full', 'there is no room for the storages of the devices', { cause: error })
    }
  }

  /** Devices whose storage is too long for the file. */
  get inMemory(): number {
    return this.#long.size
  }

  close(): void {
    closeSync(this.#file)
  }

  #packed(flash: Flash): Buffer {
    const { active, retired, memory, inbox, slots } = flash
    const blobs: Uint8Array[] = []
    const pack = (contents: SlotContents): PackedSlot | null => {
      const { key, csr, leaf, intermediates, fingerprint } = contents
      const isGone = active !== null && fingerprint !== '' && fingerprint === retired
      if (key === null || isGone) return null
      const inUse = leaf !== null && slots[active ?? 'a'] === contents
      const kept = [leaf === null ? key.spki : null, inUse ? null : (csr?.der ?? null), leaf?.der ?? null]
      for (const blob of kept) if (blob !== null) blobs.push(blob)
      const [spki = 0, request = 0, certificate = 0] = kept.map((blob) => blob?.length ?? 0)
      const chain = intermediates.map((der) => this.#placeOf(der))
      return { d: scalarOf(key), spki, csr: request, leaf: certificate, chain }
    }
    const last = memory.attempts.at(-1)
    const attempts = last === undefined ? [] : [{ ...last, detail: '' }]
    const packed: Packed = {
      active,
      retired,
      memory: memory === noMemory ? null : { ...memory, attempts },
      inbox: inbox === emptyInbox ? null : inbox,
      a: pack(slots.a),
      b: pack(slots.b),
    }
    const head = Buffer.from(JSON.stringify(packed))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(head.length)
    return Buffer.concat([length, head, ...blobs])
  }

  #unpacked(bytes: Buffer): Flash {
    let at = 2 + bytes.readUInt16BE(0)
    const packed = JSON.parse(bytes.subarray(2, at).toString()) as Packed
    const next = (length: number): Uint8Array => bytes.subarray(at, (at += length))
    const flash = new Flash()
    for (const slot of ['a', 'b'] as const) {
      const contents = packed[slot]
      if (contents === null) continue
      const { d, spki, csr, leaf, chain } = contents
      const spkiDer = spki === 0 ? null : next(spki)
      const request = csr === 0 ? null : parseCsr(next(csr))
      const certificate = leaf === 0 ? null : parseCertificate(next(leaf))
      const own = spkiDer ?? certificate?.spki ?? null
      if (own === null) continue
      flash.slots[slot] = {
        ...emptySlot(),
        key: { spki: own, spkiHash: sha256Hex(own), privateKey: d },
        csr: request,
        leaf: certificate,
        fingerprint: certificate === null ? '' : sha256Hex(certificate.der),
        intermediates: chain.map((place) => this.#chain[place] as Uint8Array),
      }
    }
    flash.active = packed.active
    flash.retired = packed.retired
    flash.memory = packed.memory ?? noMemory
    flash.inbox = packed.inbox ?? emptyInbox
    return flash
  }

  #placeOf(der: Uint8Array): number {
    const name = toHex(der.subarray(-16))
    let place = this.#places.get(name)
    if (place === undefined) {
      place = this.#chain.push(der) - 1
      this.#places.set(name, place)
    }
    return place
  }
}

function scalarOf({ privateKey }: HeldKey): string {
  return typeof privateKey === 'string' ? privateKey : String(privateKey.export({ format: 'jwk' }).d)
}

/**
 * Two credentials and a pointer. Every file is replaced atomically and for itself; that a request and a certificate belong
 * to the key beside them is told by the key in them, so there is no order of writes that a power cut could break.
 */
import { join } from 'node:path'
import { equalBytes, sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { parseCsr, type Csr } from '../pki/csr.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { readPrivateFile, type ReadFile, type WriteFile } from './agent-directory.ts'
import { slots, type Keystore, type Slot } from './keystore.ts'

export interface StoredCredential {
  readonly kind: 'stored'
  readonly spkiHash: string
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string
  readonly certificate: Certificate
  /** Intermediate CAs, DER. */
  readonly intermediates: readonly Uint8Array[]
  /** The request that it was the answer to, unless it has gone. */
  readonly csr: Csr | null
  /** It was active before, and was replaced. */
  readonly isRetired: boolean
}

export type SlotState =
  | { readonly kind: 'empty' }
  | { readonly kind: 'keyed'; readonly spkiHash: string }
  | { readonly kind: 'requested'; readonly spkiHash: string; readonly csr: Csr }
  | StoredCredential

export interface Credentials {
  /** Where the pointer points, whatever is there; null before the first enrolment is finished. */
  readonly active: Slot | null
  readonly slots: Readonly<Record<Slot, SlotState>>
}

export class CredentialSlots {
  readonly #directory: string
  readonly #keystore: Keystore
  readonly #write: WriteFile
  readonly #read: ReadFile

  constructor(directory: string, keystore: Keystore, write: WriteFile, read: ReadFile = readPrivateFile) {
    this.#read = read
    this.#directory = directory
    this.#keystore = keystore
    this.#write = write
  }

  async read(): Promise<Credentials> {
    const pointer = await this.#readPointer()
    const [a, b] = await Promise.all(slots.map(async (slot) => await this.#readSlot(slot, pointer)))
    return { active: pointer.active, slots: { a: a as SlotState, b: b as SlotState } }
  }

  async saveRequest(slot: Slot, csr: Uint8Array): Promise<void> {
    await this.#write(this.#path(slot, 'csr'), encodePem('CERTIFICATE REQUEST', csr), 0o600)
  }

  /** @param chain leaf first, then intermediate CAs */
  async saveCertificate(slot: Slot, chain: readonly Uint8Array[]): Promise<void> {
    const pem = chain.map((der) => encodePem('CERTIFICATE', der)).join('')
    await this.#write(this.#path(slot, 'pem'), pem, 0o600)
  }

  /** Swaps the pointer; what it pointed at before is kept, and known to be retired. */
  async activate(slot: Slot, before: StoredCredential | null): Promise<void> {
    const pointer = { active: slot, retired: before?.fingerprint ?? null }
    await this.#write(join(this.#directory, 'active.json'), `${JSON.stringify(pointer)}\n`, 0o600)
  }

  /** Where other programs of the device find the chain of a slot. */
  certificatePath(slot: Slot): string {
    return this.#path(slot, 'pem')
  }

  async #readPointer(): Promise<Pointer> {
    const text = await this.#read(join(this.#directory, 'active.json'))
    const none = { active: null, retired: null }
    return text === null ? none : (parsePointer(text) ?? none)
  }

  async #readSlot(slot: Slot, { retired }: Pointer): Promise<SlotState> {
    const spki = await this.#keystore.find(slot)
    if (spki === null) return { kind: 'empty' }
    const spkiHash = sha256Hex(spki)
    const csr = await this.#readRequest(slot, spki)
    const [leaf, ...intermediates] = await this.#readBlocks(slot, 'pem')
    const certificate = leaf ? orNull(() => parseCertificate(leaf)) : null
    if (leaf && certificate && equalBytes(certificate.spki, spki)) {
      const fingerprint = sha256Hex(leaf)
      const isRetired = fingerprint === retired
      return { kind: 'stored', spkiHash, fingerprint, certificate, intermediates, csr, isRetired }
    }
    return csr === null ? { kind: 'keyed', spkiHash } : { kind: 'requested', spkiHash, csr }
  }

  async #readRequest(slot: Slot, spki: Uint8Array): Promise<Csr | null> {
    const [der] = await this.#readBlocks(slot, 'csr')
    const csr = der ? orNull(() => parseCsr(der)) : null
    return csr && equalBytes(csr.spki, spki) ? csr : null
  }

  async #readBlocks(slot: Slot, extension: 'pem' | 'csr'): Promise<Uint8Array[]> {
    const text = await this.#read(this.#path(slot, extension))
    return text === null ? [] : (orNull(() => decodePem(text).map(({ der }) => der)) ?? [])
  }

  #path(slot: Slot, extension: 'pem' | 'csr'): string {
    return join(this.#directory, `${slot}.${extension}`)
  }
}

interface Pointer {
  readonly active: Slot | null
  /** Fingerprint of the certificate that was active before. */
  readonly retired: string | null
}

function parsePointer(text: string): Pointer | null {
  try {
    const { active, retired }: { active?: unknown; retired?: unknown } = JSON.parse(text)
    const slot = slots.find((each) => each === active)
    return slot ? { active: slot, retired: typeof retired === 'string' ? retired : null } : null
  } catch {
    return null
  }
}

/** What a failing storage has garbled is as good as absent: the other slot has to serve. */
function orNull<Value>(parse: () => Value): Value | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

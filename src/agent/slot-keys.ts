/**
 * The keystore of a device: one file per slot, `a.key` and `b.key`. What stands in it is the key itself, or names one in
 * hardware; each kind knows its own. So a device whose keys are files moves into hardware with its next renewal.
 */
import { join } from 'node:path'
import { assert, Refusal } from '../base/errors.ts'
import type { CsrSignature } from '../pki/csr.ts'
import { parsePublicKey, type KeyAlgorithm } from '../pki/key.ts'
import { decodePem } from '../pki/pem.ts'
import { defaultSignatureAlgorithm, type SignatureAlgorithm } from '../pki/signature.ts'
import { readPrivateFile, type ReadFile, type WriteFile } from './agent-directory.ts'
import { slots, type Keystore, type Slot } from './keystore.ts'
import type { TlsKey } from './tls-key.ts'

/** A key as its slot's file tells of it. */
export interface HeldKey {
  readonly slot: Slot
  /** Absolute path of that file. */
  readonly path: string
  readonly text: string
}

/** A kind of place for keys. Refusals as in `Keystore`. */
export interface KeyKind {
  readonly kind: string
  /**
   * Makes a key. Until the text is in a slot's file nobody knows of it, and `sweep` destroys it.
   * @returns the text for that file
   * @throws Refusal `bad-algorithm` when such a key cannot be made there
   */
  create(algorithm: KeyAlgorithm): Promise<string>
  /** DER SubjectPublicKeyInfo; null when the text is not of this kind, or is damaged. */
  spkiOf(text: string): Uint8Array | null
  /** @returns the signature as X.509 carries it */
  sign(key: HeldKey, algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array>
  tls(key: HeldKey): Promise<TlsKey>
  /** Destroys keys of this device that none of these texts names: a power cut, or a new key in a slot, has left them. */
  sweep(texts: readonly string[]): Promise<void>
}

export interface SlotKeysParts {
  readonly directory: string
  /** Must be atomic and durable. */
  readonly write: WriteFile
  readonly read?: ReadFile
  /** New keys are of the first kind; those of the others are used while they are there. */
  readonly kinds: readonly [KeyKind, ...KeyKind[]]
}

export class SlotKeys implements Keystore {
  readonly #parts: SlotKeysParts

  constructor(parts: SlotKeysParts) {
    this.#parts = parts
  }

  get kind(): string {
    return this.#parts.kinds[0].kind
  }

  async create(slot: Slot, algorithm: KeyAlgorithm): Promise<Uint8Array> {
    const [kind] = this.#parts.kinds
    // before: what an earlier creation left must not fill a small token; after: what this one has replaced
    await kind.sweep(await this.#texts())
    const text = await kind.create(algorithm)
    const spki = kind.spkiOf(text)
    assert(spki, 'a key that was made can be read')
    await this.#parts.write(this.path(slot), text, 0o600)
    await kind.sweep(await this.#texts())
    return spki
  }

  async find(slot: Slot): Promise<Uint8Array | null> {
    return (await this.#find(slot))?.spki ?? null
  }

  async sign(slot: Slot, data: Uint8Array): Promise<CsrSignature> {
    const { kind, key, spki } = await this.#mustFind(slot)
    const algorithm = defaultSignatureAlgorithm(parsePublicKey(spki).algorithm)
    return { algorithm, signature: await kind.sign(key, algorithm, data) }
  }

  async tls(slot: Slot): Promise<TlsKey> {
    const { kind, key } = await this.#mustFind(slot)
    return await kind.tls(key)
  }

  /** Where the key of a slot is, or is named. */
  path(slot: Slot): string {
    return join(this.#parts.directory, `${slot}.key`)
  }

  async #read(path: string): Promise<string | null> {
    return await (this.#parts.read ?? readPrivateFile)(path)
  }

  async #texts(): Promise<string[]> {
    const texts = await Promise.all(slots.map(async (slot) => await this.#read(this.path(slot))))
    return texts.filter((text) => text !== null)
  }

  /** A damaged file is no key: the credential of the other slot goes on, and a renewal makes a new key. */
  async #find(slot: Slot): Promise<{ kind: KeyKind; key: HeldKey; spki: Uint8Array } | null> {
    const path = this.path(slot)
    const text = await this.#read(path)
    if (text === null) return null
    for (const kind of this.#parts.kinds) {
      const spki = kind.spkiOf(text)
      if (spki !== null) return { kind, key: { slot, path, text }, spki }
    }
    return null
  }

  async #mustFind(slot: Slot): Promise<{ kind: KeyKind; key: HeldKey; spki: Uint8Array }> {
    const found = await this.#find(slot)
    assert(found, `slot ${slot} holds a key`)
    return found
  }
}

/** The `PUBLIC KEY` block that stands beside the name of a key in hardware; null when there is none. */
export function publicKeyIn(text: string): Uint8Array | null {
  try {
    const der = decodePem(text).find(({ label }) => label === 'PUBLIC KEY')?.der
    return der === undefined ? null : parsePublicKey(der).spki
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

/** Private keys as PKCS #8 files, mode 0600, one per slot: for devices without a secure element. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { assert } from '../base/errors.ts'
import { generateKeyPairAsync, parsePublicKey, type KeyAlgorithm } from '../pki/key.ts'
import type { CsrSignature } from '../pki/csr.ts'
import { defaultSignatureAlgorithm, signDataAsync } from '../pki/signature.ts'
import { readPrivateFile, type WriteFile } from './agent-directory.ts'
import type { Keystore, Slot } from './keystore.ts'

export class FileKeystore implements Keystore {
  readonly kind = 'file'
  readonly #directory: string
  readonly #write: WriteFile

  /** @param write must be atomic and durable */
  constructor(directory: string, write: WriteFile) {
    this.#directory = directory
    this.#write = write
  }

  async create(slot: Slot, algorithm: KeyAlgorithm): Promise<Uint8Array> {
    const { privateKey, spki } = await generateKeyPairAsync(algorithm)
    await this.#write(this.path(slot), privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600)
    return spki
  }

  async find(slot: Slot): Promise<Uint8Array | null> {
    const key = await this.#read(slot)
    return key && spkiOf(key)
  }

  async sign(slot: Slot, data: Uint8Array): Promise<CsrSignature> {
    const key = await this.tlsKey(slot)
    const algorithm = defaultSignatureAlgorithm(parsePublicKey(spkiOf(key)).algorithm)
    return { algorithm, signature: await signDataAsync(key, algorithm, data) }
  }

  async tlsKey(slot: Slot): Promise<KeyObject> {
    const key = await this.#read(slot)
    assert(key, `slot ${slot} holds a key`)
    return key
  }

  /** Where other programs of the device find the key of a slot. */
  path(slot: Slot): string {
    return join(this.#directory, `${slot}.key`)
  }

  /** A damaged file is no key: the credential of the other slot goes on, and a renewal makes a new key. */
  async #read(slot: Slot): Promise<KeyObject | null> {
    const pem = await readPrivateFile(this.path(slot))
    if (pem === null) return null
    try {
      return createPrivateKey(pem)
    } catch {
      return null
    }
  }
}

function spkiOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

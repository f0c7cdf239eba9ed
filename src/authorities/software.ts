/**
 * CA keys in files: `master.json` (the master key under the passphrase) and one `<reference>.key.json` per key (PKCS #8
 * under the master key) in a directory of mode 0700. Decrypted keys stay in memory until the process ends.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { access, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { equalBytes, toBase64 } from '../base/bytes.ts'
import { assert, Refusal } from '../base/errors.ts'
import type { Extension } from '../base/extension.ts'
import { createFileAtomically } from '../base/file.ts'
import { token, type Random } from '../base/random.ts'
import type { Authority } from '../engine/ports.ts'
import { generateKeyPairAsync, type KeyAlgorithm, keyAlgorithms, parsePublicKey } from '../pki/key.ts'
import {
  keyFamily,
  type SignatureAlgorithm,
  signatureFamily,
  signData,
  signDataAsync,
} from '../pki/signature.ts'
import { signParts } from '../pki/signature-parts.ts'
import {
  createMasterKey,
  defaultCost,
  type MasterKey,
  openMasterKey,
  type PassphraseCost,
  rewrapMasterKey,
} from './master-key.ts'
import { formatEnvelope, readEnvelope, refuseSharedDirectory, seal, unseal } from './sealed-file.ts'

export interface SoftwareAuthorityOptions {
  /** Holds nothing else; made with mode 0700 at the first key. */
  readonly directory: string
  /** Called when a key is first needed, and again after a wrong answer. The text counts as it is: no trimming here. */
  readonly passphrase: () => Promise<string>
  /** Must not be seeded. */
  readonly random: Random
  /** For new and changed passphrases; default 64 MiB, 3 passes, 4 lanes. Tests take less. */
  readonly cost?: PassphraseCost
}

export interface SoftwareAuthority extends Authority {
  readonly kind: 'software'
  /** Asks for the passphrase now instead of at the first signature. Does nothing when there are no keys yet. */
  unlock(): Promise<void>
  /** Keys stay as they are; other processes that are unlocked go on. @throws Refusal `invalid-input` when it is too short */
  changePassphrase(passphrase: string): Promise<void>
}

/** @throws Refusal `configuration-invalid` when the random source is seeded */
export function createSoftwareAuthority(options: SoftwareAuthorityOptions): SoftwareAuthority {
  if (options.random.isSeeded) {
    throw new Refusal(
      'configuration-invalid',
      'a seeded random source must not guard CA keys: use the system’s',
    )
  }
  return new KeyFiles(options)
}

interface ExtensionOptions {
  readonly directory: string
  /** Name of a secret of the host. */
  readonly passphraseSecret: string
}

export const software: Extension<ExtensionOptions, Authority> = {
  kind: 'software',
  optionSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['directory', 'passphraseSecret'],
    properties: { directory: { type: 'string' }, passphraseSecret: { type: 'string' } },
  },
  create: async ({ directory, passphraseSecret }, host) =>
    createSoftwareAuthority({
      directory,
      passphrase: () => host.secret(passphraseSecret),
      random: host.random,
    }),
}

interface LoadedKey {
  readonly algorithm: KeyAlgorithm
  readonly spki: Uint8Array
  readonly privateKey: KeyObject
}

class KeyFiles implements SoftwareAuthority {
  readonly kind = 'software'
  readonly #options: SoftwareAuthorityOptions
  readonly #cost: PassphraseCost
  readonly #masterPath: string
  /** The unlocked master key, or the unlocking under way, so that a process derives once. */
  #master: Promise<MasterKey | null> | null = null
  readonly #keys = new Map<string, Promise<LoadedKey>>()

  constructor(options: SoftwareAuthorityOptions) {
    this.#options = options
    this.#cost = options.cost ?? defaultCost
    this.#masterPath = join(options.directory, 'master.json')
  }

  async createKey(reference: string, algorithm: KeyAlgorithm): Promise<{ spki: Uint8Array }> {
    const path = this.#keyPath(reference)
    const { directory, random } = this.#options
    return await storing(async () => {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      if (await exists(path)) throw taken(reference)
      const master = (await this.#unlock()) ?? (await this.#createMaster())
      const { privateKey, spki } = await generateKeyPairAsync(algorithm)
      const secret = privateKey.export({ type: 'pkcs8', format: 'der' })
      const header = {
        format: keyFormat,
        version: 1,
        reference,
        algorithm,
        spki: toBase64(spki),
        masterKey: master.id,
        cipher: 'aes-256-gcm',
      }
      const text = formatEnvelope(seal({ key: master.key, header, secret, random }))
      secret.fill(0)
      if (!(await createFileAtomically(path, text, 0o600, token(random, 6)))) throw taken(reference)
      this.#keys.set(reference, Promise.resolve({ algorithm, spki, privateKey }))
      return { spki }
    })
  }

  async publicKey(reference: string): Promise<Uint8Array> {
    return (await this.#key(reference)).spki
  }

  async sign(...[reference, algorithm, tbs]: Parameters<Authority['sign']>): Promise<Uint8Array> {
    const key = await this.#signingKey(reference, algorithm)
    // A trip through the thread pool costs more than these signatures.
    const isFast = key.algorithm === 'ec-p256' || key.algorithm === 'ed25519'
    return isFast
      ? signData(key.privateKey, algorithm, tbs)
      : await signDataAsync(key.privateKey, algorithm, tbs)
  }

  async signParts(
    ...[reference, algorithm, parts]: Parameters<NonNullable<Authority['signParts']>>
  ): Promise<Uint8Array> {
    const { privateKey } = await this.#signingKey(reference, algorithm)
    return signParts(privateKey, algorithm, parts)
  }

  async hasKey(reference: string): Promise<boolean> {
    return isReference(reference) && (await exists(this.#keyPath(reference)))
  }

  async unlock(): Promise<void> {
    await storing(() => this.#unlock())
  }

  async changePassphrase(passphrase: string): Promise<void> {
    const { random } = this.#options
    await storing(async () => {
      const master = await this.#unlock()
      if (!master)
        throw new Refusal('not-found', 'there are no keys yet: the passphrase is set with the first one')
      await rewrapMasterKey(master, { path: this.#masterPath, passphrase, cost: this.#cost, random })
    })
  }

  async #signingKey(reference: string, algorithm: SignatureAlgorithm): Promise<LoadedKey> {
    const key = await this.#key(reference)
    if (keyFamily(key.algorithm) === signatureFamily(algorithm)) return key
    throw new Refusal('bad-algorithm', `key ${reference} is ${key.algorithm}: it cannot sign ${algorithm}`)
  }

  #key(reference: string): Promise<LoadedKey> {
    return once(this.#keys, reference, () => storing(() => this.#load(reference)))
  }

  async #load(reference: string): Promise<LoadedKey> {
    const path = this.#keyPath(reference)
    const envelope = await readEnvelope(path, keyFormat)
    if (!envelope)
      throw new Refusal('not-found', `there is no key ${reference} in ${this.#options.directory}`)
    const master = await this.#unlock()
    if (!master) throw masterMissing(this.#masterPath)
    const { header } = envelope
    if (header['masterKey'] !== master.id) {
      throw new Refusal(
        'data-directory-invalid',
        `${path} is sealed by another master key: restore the whole directory from one backup`,
      )
    }
    const secret = unseal(master.key, envelope)
    const algorithm = keyAlgorithms.find((candidate) => candidate === header['algorithm'])
    if (!secret || !algorithm || header['reference'] !== reference) {
      throw new Refusal('data-directory-invalid', `${path} was changed: restore it from a backup`)
    }
    const privateKey = createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' })
    secret.fill(0)
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    assert(
      parsePublicKey(spki).algorithm === algorithm,
      'a sealed key is of the algorithm that its envelope names',
    )
    assert(
      equalBytes(Buffer.from(String(header['spki']), 'base64'), spki),
      'an envelope names its own public key',
    )
    return { algorithm, spki, privateKey }
  }

  #unlock(): Promise<MasterKey | null> {
    if (this.#master) return this.#master
    const opening = this.#openMaster()
    this.#master = opening
    const forget = (): void => {
      if (this.#master === opening) this.#master = null
    }
    // A wrong passphrase is asked for again, and a directory that is still empty may fill.
    opening.then((master) => master ?? forget(), forget)
    return opening
  }

  async #openMaster(): Promise<MasterKey | null> {
    const { directory, passphrase } = this.#options
    if (!(await exists(directory))) return null
    await refuseSharedDirectory(directory)
    return await openMasterKey(this.#masterPath, passphrase)
  }

  async #createMaster(): Promise<MasterKey> {
    const { directory, passphrase, random } = this.#options
    const orphan = (await readdir(directory)).find((name) => name.endsWith(keySuffix))
    if (orphan !== undefined && !(await exists(this.#masterPath))) throw masterMissing(this.#masterPath)
    const answer = await passphrase()
    await createMasterKey({ path: this.#masterPath, passphrase: answer, cost: this.#cost, random })
    // Read back what is on the disk: ours, or that of a process that was faster.
    const master = await openMasterKey(this.#masterPath, async () => answer)
    assert(master, 'a master key that was just written is there')
    this.#master = Promise.resolve(master)
    return master
  }

  #keyPath(reference: string): string {
    if (!isReference(reference))
      throw new Refusal('invalid-input', 'a key reference is 1 to 100 of a-z, 0-9 and -')
    return join(this.#options.directory, `${reference}${keySuffix}`)
  }
}

const keyFormat = 'perennial-key'
const keySuffix = '.key.json'

function isReference(reference: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,99}$/.test(reference)
}

function taken(reference: string): Refusal {
  return new Refusal('already-exists', `there is a key ${reference} already; keys are never overwritten`)
}

function masterMissing(path: string): Refusal {
  return new Refusal(
    'data-directory-invalid',
    `${path} is missing, and without it the keys cannot be read: restore it from a backup`,
  )
}

/** The value under the key, made once; a failure is not kept. */
function once<Value>(
  map: Map<string, Promise<Value>>,
  key: string,
  make: () => Promise<Value>,
): Promise<Value> {
  const known = map.get(key)
  if (known) return known
  const making = make()
  map.set(key, making)
  making.catch(() => map.delete(key))
  return making
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Turns what a disk may answer into refusals; anything else is a bug. */
async function storing<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new Refusal('disk-full', `no space to write ${path ?? 'the key'}: free some and try again`, {
        cause: error,
      })
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'EIO') {
      throw new Refusal('issuer-unavailable', `cannot reach ${path ?? 'the keys'} (${code})`, {
        cause: error,
      })
    }
    throw error
  }
}

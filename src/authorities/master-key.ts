/**
 * The key that seals the private keys. It is random, and lies in one file sealed by a key derived from the passphrase: so
 * unlocking any number of keys costs one derivation per process, and a new passphrase rewrites one small file.
 */
import { argon2, createSecretKey, type KeyObject } from 'node:crypto'
import { fromBase64, sha256Hex, toBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { createFileAtomically, writeFileAtomically } from '../base/file.ts'
import { token, type Random } from '../base/random.ts'
import {
  type Envelope,
  type EnvelopeHeader,
  formatEnvelope,
  readEnvelope,
  seal,
  unseal,
} from './sealed-file.ts'

export interface MasterKey {
  readonly key: KeyObject
  /** Tells master keys apart; says nothing about the key. */
  readonly id: string
}

/** Cost of one guess at the passphrase: argon2id (RFC 9106). */
export interface PassphraseCost {
  readonly memoryKiB: number
  readonly passes: number
  readonly parallelism: number
}

/** RFC 9106 §4, second recommended option; about 0.2 s. */
export const defaultCost: PassphraseCost = { memoryKiB: 65_536, passes: 3, parallelism: 4 }

/**
 * Opens the file.
 * @returns null when there is no such file
 * @throws Refusal `passphrase-wrong`; `data-directory-invalid` for a file that is not ours or open to others
 */
export async function openMasterKey(
  path: string,
  passphrase: () => Promise<string>,
): Promise<MasterKey | null> {
  const envelope = await readEnvelope(path, format)
  if (!envelope) return null
  const wrappingKey = await deriveKey(await passphrase(), readKdf(path, envelope))
  const secret = unseal(wrappingKey, envelope)
  if (!secret) {
    throw new Refusal(
      'passphrase-wrong',
      `the passphrase does not open ${path}: give the one that was set last, and check for an extra space or another keyboard layout`,
    )
  }
  return toMasterKey(secret)
}

export interface NewMasterKey {
  readonly path: string
  readonly passphrase: string
  readonly cost: PassphraseCost
  readonly random: Random
}

/** Makes one. @returns false when another process was first: open that one */
export async function createMasterKey({ path, passphrase, cost, random }: NewMasterKey): Promise<boolean> {
  checkNewPassphrase(passphrase)
  const secret = Buffer.from(random.bytes(32))
  const envelope = await wrap(secret, passphrase, cost, random)
  secret.fill(0)
  return await createFileAtomically(path, formatEnvelope(envelope), 0o600, token(random, 6))
}

/** Seals the same master key under a new passphrase and replaces the file. */
export async function rewrapMasterKey(
  master: MasterKey,
  { path, passphrase, cost, random }: NewMasterKey,
): Promise<void> {
  checkNewPassphrase(passphrase)
  const secret = master.key.export()
  const envelope = await wrap(secret, passphrase, cost, random)
  secret.fill(0)
  await writeFileAtomically(path, formatEnvelope(envelope), 0o600)
}

const format = 'perennial-master-key'
const minPassphraseCharacters = 8

function checkNewPassphrase(passphrase: string): void {
  if (passphrase.length < minPassphraseCharacters) {
    throw new Refusal('invalid-input', `a passphrase needs at least ${minPassphraseCharacters} characters`)
  }
}

interface Kdf extends PassphraseCost {
  readonly salt: Uint8Array
}

async function wrap(
  secret: Uint8Array,
  passphrase: string,
  cost: PassphraseCost,
  random: Random,
): Promise<Envelope> {
  const salt = random.bytes(16)
  const { memoryKiB, passes, parallelism } = cost
  const header: EnvelopeHeader = {
    format,
    version: 1,
    kdf: { name: 'argon2id', memoryKiB, passes, parallelism, salt: toBase64(salt) },
    cipher: 'aes-256-gcm',
  }
  const key = await deriveKey(passphrase, { ...cost, salt })
  return seal({ key, header, secret, random })
}

function toMasterKey(secret: Buffer): MasterKey {
  const id = sha256Hex(Buffer.concat([Buffer.from('perennial master key id'), secret])).slice(0, 16)
  const key = createSecretKey(secret)
  secret.fill(0)
  return { key, id }
}

/** Upper bounds: a planted file must not take the machine's memory or an hour. */
const maxCost = { memoryKiB: 1_048_576, passes: 32, parallelism: 64 }
const maxMemoryPasses = 8 * 1_048_576

function readKdf(path: string, { header }: Envelope): Kdf {
  const refuse = (what: string): never => {
    throw new Refusal('data-directory-invalid', `${path}: ${what}; restore it from a backup`)
  }
  const kdf = header['kdf']
  if (typeof kdf !== 'object' || kdf === null || !('name' in kdf)) return refuse('key derivation is missing')
  const { name, memoryKiB, passes, parallelism, salt } = kdf
  if (name !== 'argon2id') return refuse('unknown key derivation')
  const saltOctets = typeof salt === 'string' ? fromBase64(salt) : null
  if (!saltOctets || saltOctets.length < 16 || saltOctets.length > 64)
    return refuse('salt must have 16 to 64 bytes')
  const isWithin = (value: unknown, min: number, max: number): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
  if (
    !isWithin(passes, 1, maxCost.passes) ||
    !isWithin(parallelism, 1, maxCost.parallelism) ||
    !isWithin(memoryKiB, 8 * parallelism, maxCost.memoryKiB) ||
    memoryKiB * passes > maxMemoryPasses
  ) {
    return refuse('cost of the key derivation is out of bounds')
  }
  return { memoryKiB, passes, parallelism, salt: saltOctets }
}

/** One text, however the keyboard composed its accents: NFC. */
function deriveKey(passphrase: string, { memoryKiB, passes, parallelism, salt }: Kdf): Promise<KeyObject> {
  const message = Buffer.from(passphrase.normalize('NFC'), 'utf8')
  const parameters = { message, nonce: salt, parallelism, tagLength: 32, memory: memoryKiB, passes }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, derived) => {
      message.fill(0)
      if (error) return reject(error)
      const key = createSecretKey(derived)
      derived.fill(0)
      resolve(key)
    })
  })
}

/**
 * Envelopes of secrets on disk: one JSON object whose members are readable but for `sealed`, which is AES-256-GCM output
 * (ciphertext, then a tag of 16 bytes). All other members are authenticated with it, so nothing in the file can be
 * changed or carried over from another file. Files have mode 0600 and are refused when others may read them.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { fromBase64, toBase64 } from '../base/bytes.ts'
import { canonicalJson, type CanonicalValue } from '../base/canonical-json.ts'
import { Refusal } from '../base/errors.ts'
import type { Random } from '../base/random.ts'

export type EnvelopeHeader = { readonly [member: string]: CanonicalValue }

export interface Envelope {
  readonly header: EnvelopeHeader
  /** 12 bytes, new for each sealing: a key seals far fewer than 2^32 envelopes (SP 800-38D §8.3). */
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
}

export interface SealRequest {
  /** 32 bytes. */
  readonly key: KeyObject
  readonly header: EnvelopeHeader
  readonly secret: Uint8Array
  readonly random: Random
}

export function seal({ key, header, secret, random }: SealRequest): Envelope {
  const nonce = random.bytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(canonicalJson(header)))
  const sealed = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()])
  return { header, nonce, sealed }
}

/** The secret, or null when the key is another one or anything in the envelope was changed. */
export function unseal(key: KeyObject, { header, nonce, sealed }: Envelope): Buffer | null {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(canonicalJson(header)))
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()])
  } catch {
    return null
  }
}

/** As it stands in a file. */
export function formatEnvelope({ header, nonce, sealed }: Envelope): string {
  return `${JSON.stringify({ ...header, nonce: toBase64(nonce), sealed: toBase64(sealed) }, null, 2)}\n`
}

/**
 * @returns null when there is no such file
 * @throws Refusal `data-directory-invalid` when others may read it, or it is no envelope of that format and version 1
 */
export async function readEnvelope(path: string, format: string): Promise<Envelope | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  const envelope = parseEnvelope(text)
  if (envelope?.header['format'] !== format) {
    throw new Refusal('data-directory-invalid', `${path} is not a ${format} file: restore it from a backup`)
  }
  if (envelope.header['version'] !== 1) {
    throw new Refusal('data-directory-newer', `${path} was written by a newer version: use that one`)
  }
  return envelope
}

/** @throws Refusal `data-directory-invalid` when users other than the owner have any permission on the path */
export function refuseShared(path: string, mode: number): void {
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  const wanted = (mode & 0o170000) === 0o040000 ? '700' : '600'
  throw new Refusal(
    'data-directory-invalid',
    `${path} is open to other users: look into who may have read it, then run chmod ${wanted} ${path}`,
  )
}

export async function refuseSharedDirectory(path: string): Promise<void> {
  refuseShared(path, (await stat(path)).mode)
}

const nonceBytes = 12
const tagBytes = 16
/** An RSA-4096 key needs 5 kB. */
const maxFileBytes = 65_536

/** The permissions are those of the file that is read, not of the name. */
async function readPrivateFile(path: string): Promise<string | null> {
  let file
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const { mode, size } = await file.stat()
    refuseShared(path, mode)
    if (size > maxFileBytes)
      throw new Refusal('data-directory-invalid', `${path} is too large for a key file`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function parseEnvelope(text: string): Envelope | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isHeader(value)) return null
  const { nonce, sealed, ...header } = value
  if (typeof nonce !== 'string' || typeof sealed !== 'string') return null
  const nonceOctets = fromBase64(nonce)
  const sealedOctets = fromBase64(sealed)
  if (nonceOctets?.length !== nonceBytes || !sealedOctets || sealedOctets.length < tagBytes) return null
  return { header, nonce: nonceOctets, sealed: sealedOctets }
}

function isHeader(value: unknown): value is EnvelopeHeader {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(
    (member) => typeof member === 'string' || Number.isSafeInteger(member) || isHeader(member),
  )
}

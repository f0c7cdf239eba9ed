/**
 * Signing and verifying bytes that lie in parts: a CRL of a million entries is 50 MB, and joining its parts would double
 * that. Hashing algorithms take the parts one after the other; Ed25519 and ML-DSA need the message as a whole.
 */
import { constants, createSign, createVerify, type KeyObject } from 'node:crypto'
import { assert } from '../base/errors.ts'
import {
  keyFamily,
  signData,
  signatureFamily,
  type SignatureAlgorithm,
  verifySignature,
} from './signature.ts'
import type { PublicKey } from './key.ts'

/** The signature over the parts in their order, as `signData` makes it over the whole. */
export function signParts(
  privateKey: KeyObject,
  algorithm: SignatureAlgorithm,
  parts: readonly Uint8Array[],
): Uint8Array {
  const hash = hashOf(algorithm)
  if (hash === null) return signData(privateKey, algorithm, Buffer.concat(parts))
  assert(privateKey.asymmetricKeyType === signatureFamily(algorithm), `this key does not sign ${algorithm}`)
  const signer = createSign(hash)
  for (const part of parts) signer.update(part)
  return signer.sign({ key: privateKey, ...paddingOf(algorithm, hash) })
}

export interface PartsToVerify {
  readonly key: PublicKey
  readonly algorithm: SignatureAlgorithm
  readonly parts: readonly Uint8Array[]
  readonly signature: Uint8Array
}

/** True when the key made this signature over the parts in their order; false when the key is of another family. */
export function verifyParts({ key, algorithm, parts, signature }: PartsToVerify): boolean {
  const hash = hashOf(algorithm)
  if (hash === null) return verifySignature({ key, algorithm, data: Buffer.concat(parts), signature })
  if (keyFamily(key.algorithm) !== signatureFamily(algorithm)) return false
  const verifier = createVerify(hash)
  for (const part of parts) verifier.update(part)
  return verifier.verify({ key: key.keyObject(), ...paddingOf(algorithm, hash) }, signature)
}

type Hash = 'sha256' | 'sha384' | 'sha512'

/** Null: the algorithm hashes by itself. */
function hashOf(algorithm: SignatureAlgorithm): Hash | null {
  const found = /sha(256|384|512)$/.exec(algorithm)?.[0]
  return (found as Hash | undefined) ?? null
}

/** RFC 4055 §3.1: a salt as long as the hash. */
function paddingOf(algorithm: SignatureAlgorithm, hash: Hash): { padding?: number; saltLength?: number } {
  if (!algorithm.startsWith('rsa-pss')) return {}
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(hash.slice(3)) / 8 }
}

/**
 * Key pairs of simulated devices: real ones, each used once. The encoder of OpenSSL takes longer for the SubjectPublicKeyInfo
 * than the key itself does, and for millions of devices it is the same 27 bytes and a point.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { concatBytes, fromHex } from '../../base/bytes.ts'

const spkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200') as Uint8Array
const uncompressed = Uint8Array.of(4)

export interface P256Pair {
  readonly privateKey: KeyObject
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** The private key's scalar, base64url. */
  readonly scalar: string
}

export function generateP256(): P256Pair {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '', d = '' } = privateKey.export({ format: 'jwk' })
  const [left, right] = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]
  return { privateKey, spki: concatBytes(spkiPrefix, uncompressed, left, right), scalar: d }
}

export function privateKeyFrom(spki: Uint8Array, scalar: string): KeyObject {
  const point = Buffer.from(spki.subarray(spkiPrefix.length + uncompressed.length))
  const [x, y] = [point.subarray(0, 32).toString('base64url'), point.subarray(32).toString('base64url')]
  return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d: scalar }, format: 'jwk' })
}

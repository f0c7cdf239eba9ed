/**
 * What a device signs when it speaks to the platform over a broker that is not ours: proof that it holds the key of its
 * certificate, so that the broker need not be trusted. Each text begins with its own label, and its parts are separated by
 * a zero byte, which none of them but the last may hold: no signature can be taken for another.
 */
import type { KeyObject } from 'node:crypto'
import { concatBytes } from '../base/bytes.ts'
import type { DeviceId } from '../base/id.ts'
import type { KeyAlgorithm, PublicKey } from './key.ts'
import { defaultSignatureAlgorithm, signData, verifySignature } from './signature.ts'

export interface SignedRequest {
  readonly deviceId: DeviceId
  readonly clientToken: string
  /** PKCS #10, DER. */
  readonly csr: Uint8Array
}

export interface SignedStatus {
  readonly deviceId: DeviceId
  readonly clientToken: string
  readonly state: string
  /** SHA-256 of the certificate, DER, in lower-case hex. */
  readonly certificate: string
}

/** The bytes to sign for a request for a certificate, with the key of the current certificate. */
export function requestToSign({ deviceId, clientToken, csr }: SignedRequest): Uint8Array {
  return concatBytes(Buffer.from(`perennial-mqtt-enrol-v1\0${deviceId}\0${clientToken}\0`, 'utf8'), csr)
}

/** The bytes to sign for a status message, with the key of the certificate that it is about. */
export function statusToSign({ deviceId, clientToken, state, certificate }: SignedStatus): Uint8Array {
  return Buffer.from(
    ['perennial-mqtt-status-v1', deviceId, clientToken, state, certificate].join('\0'),
    'utf8',
  )
}

/** Signs with the hash that fits the key (P-256 and RSA: SHA-256, P-384: SHA-384, P-521: SHA-512). ECDSA in DER. */
export function signProof(privateKey: KeyObject, algorithm: KeyAlgorithm, data: Uint8Array): Uint8Array {
  return signData(privateKey, defaultSignatureAlgorithm(algorithm), data)
}

/** @throws Refusal `malformed` when the key is no valid key at all */
export function isProof(key: PublicKey, data: Uint8Array, signature: Uint8Array): boolean {
  return verifySignature({ key, algorithm: defaultSignatureAlgorithm(key.algorithm), data, signature })
}

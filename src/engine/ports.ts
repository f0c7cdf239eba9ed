/** What the engine needs from the outside world. Implementations live at the edge and are handed in by app.ts. */
import type { KeyAlgorithm } from '../pki/key.ts'
import type { SignatureAlgorithm } from '../pki/signature.ts'

/**
 * Who holds CA keys: files, a token, a remote signer. A key is known by its reference, a text chosen by the engine
 * (`issuer id` plus a random part) and never used for a second key.
 *
 * Calls may run in parallel. Nothing is retried here: the engine's caller asks again, and a signature that was made but
 * lost does no harm, because what is signed is on record before. Every method throws Refusal `issuer-unavailable` when
 * the key cannot be reached now and `passphrase-wrong` when it cannot be unlocked.
 */
export interface Authority {
  readonly kind: string
  /**
   * Makes a key and keeps it durably before answering.
   * @throws Refusal `already-exists` when the reference is taken, `bad-algorithm` when it cannot make such a key
   */
  createKey(reference: string, algorithm: KeyAlgorithm): Promise<{ spki: Uint8Array }>
  /** SubjectPublicKeyInfo, DER. @throws Refusal `not-found` when there is no such key */
  publicKey(reference: string): Promise<Uint8Array>
  /**
   * Signs the bytes as they are. The only use of a CA key in the system.
   * @param tbs the to-be-signed bytes; hashing is part of the algorithm
   * @returns the signature as X.509 carries it (ECDSA: DER SEQUENCE of r and s)
   */
  sign(reference: string, algorithm: SignatureAlgorithm, tbs: Uint8Array): Promise<Uint8Array>
  hasKey(reference: string): Promise<boolean>
  /**
   * Gets ready to sign, so that what would stop it is found at the start and not by the first device. Without it there is
   * nothing to get ready. @throws Refusal `passphrase-wrong`, `issuer-unavailable`
   */
  readonly unlock?: () => Promise<void>
}

/**
 * Named points of the issuing path at which a test stops, kills or fails the process. Production has none.
 * The names are those of the steps in ARCHITECTURE.md, `before` the step's effect and `after` it where the difference matters.
 */
export const faultPoints = [
  'parse',
  'identify',
  'repeat',
  'decide',
  'shape',
  'lint',
  'reserve',
  'reserved',
  'sign',
  'check',
  'commit',
  'committed',
] as const

export type FaultPoint = (typeof faultPoints)[number]

export interface FaultInjector {
  at(point: FaultPoint): Promise<void>
}

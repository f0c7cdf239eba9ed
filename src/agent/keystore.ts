/** The port behind which a device keeps its private keys. Files are one implementation; the key never leaves a better one. */
import type { CsrSignature } from '../pki/csr.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import type { TlsKey } from './tls-key.ts'

/** Two places for a credential: while one is in use, the next one is prepared in the other. */
export type Slot = 'a' | 'b'

export const slots: readonly Slot[] = ['a', 'b']

export function otherSlot(slot: Slot): Slot {
  return slot === 'a' ? 'b' : 'a'
}

/** Every method throws Refusal `keystore-failed` when the keys cannot be reached now: it is asked again later. */
export interface Keystore {
  readonly kind: string
  /**
   * Makes a new key and puts it in place of the one in the slot, in one step: after a power cut there is the old key or
   * the new one. It has reached the storage when the promise resolves.
   * @returns DER SubjectPublicKeyInfo
   */
  create(slot: Slot, algorithm: KeyAlgorithm): Promise<Uint8Array>
  /** DER SubjectPublicKeyInfo of the key in the slot; null when there is none, or none that can be read. */
  find(slot: Slot): Promise<Uint8Array | null>
  /** Signs with the key in the slot. The slot must hold a key. */
  sign(slot: Slot, data: Uint8Array): Promise<CsrSignature>
  /** What TLS authenticates with. The slot must hold a key. */
  tls(slot: Slot): Promise<TlsKey>
}

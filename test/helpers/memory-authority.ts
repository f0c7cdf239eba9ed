/** Keys in memory: the port of authorities without a disk. Real keys, real signatures. */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../src/base/errors.ts'
import type { Authority } from '../../src/engine/ports.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { signData } from '../../src/pki/signature.ts'

export interface MemoryAuthority extends Authority {
  /** References of the keys that have signed, in order. */
  readonly signatures: readonly string[]
  /** Runs before the next signatures; throw to make them fail. */
  beforeSign: ((tbs: Uint8Array) => Promise<void> | void) | null
  /** Changes the next signatures. */
  spoil: ((signature: Uint8Array) => Uint8Array) | null
}

export function memoryAuthority(kind = 'software'): MemoryAuthority {
  const keys = new Map<string, { privateKey: KeyObject; spki: Uint8Array }>()
  const signatures: string[] = []
  const keyOf = (reference: string) => {
    const key = keys.get(reference)
    if (!key) throw new Refusal('not-found', `there is no key ${reference}`)
    return key
  }
  return {
    kind,
    signatures,
    beforeSign: null,
    spoil: null,
    async createKey(reference, algorithm) {
      if (keys.has(reference)) throw new Refusal('already-exists', `there is a key ${reference}`)
      const key = generateKeyPair(algorithm)
      keys.set(reference, key)
      return { spki: key.spki }
    },
    publicKey: async (reference) => keyOf(reference).spki,
    hasKey: async (reference) => keys.has(reference),
    async sign(reference, algorithm, tbs) {
      await this.beforeSign?.(tbs)
      signatures.push(reference)
      const signature = signData(keyOf(reference).privateKey, algorithm, tbs)
      return this.spoil?.(signature) ?? signature
    },
  }
}

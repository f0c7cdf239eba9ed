/** Private keys as PKCS #8 files, mode 0600: for devices without a secure element. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { assert } from '../base/errors.ts'
import { generateKeyPairAsync, type KeyAlgorithm } from '../pki/key.ts'
import { signDataAsync, type SignatureAlgorithm } from '../pki/signature.ts'
import type { HeldKey, KeyKind } from './slot-keys.ts'
import type { TlsKey } from './tls-key.ts'

export const fileKeys: KeyKind = {
  kind: 'file',

  async create(algorithm: KeyAlgorithm): Promise<string> {
    const { privateKey } = await generateKeyPairAsync(algorithm)
    return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  },

  spkiOf(text: string): Uint8Array | null {
    const key = parse(text)
    return key && createPublicKey(key).export({ type: 'spki', format: 'der' })
  },

  async sign({ text }: HeldKey, algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array> {
    return await signDataAsync(mustParse(text), algorithm, data)
  },

  tls: async ({ text }: HeldKey): Promise<TlsKey> => ({ key: mustParse(text) }),

  // the key is the file, and the file was replaced
  sweep: async () => undefined,
}

function parse(text: string): KeyObject | null {
  if (!text.startsWith('-----BEGIN PRIVATE KEY-----')) return null
  try {
    return createPrivateKey(text)
  } catch {
    return null
  }
}

function mustParse(text: string): KeyObject {
  const key = parse(text)
  assert(key, 'a key that was found can be read')
  return key
}

/** A token in memory: keys that it makes stay in it until somebody destroys them, also over power cuts. */
import { randomUUID, type KeyObject } from 'node:crypto'
import type { KeyKind } from '../../src/agent/slot-keys.ts'
import { publicKeyIn } from '../../src/agent/slot-keys.ts'
import { generateKeyPairAsync } from '../../src/pki/key.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { signDataAsync } from '../../src/pki/signature.ts'

/** @param effect at which the power may fail */
export function memoryToken(
  keys: Map<string, KeyObject>,
  effect: <Value>(happen: () => Promise<Value>) => Promise<Value>,
): KeyKind {
  const keyIn = (text: string): KeyObject => {
    const key = keys.get(idIn(text))
    if (!key) throw new Error(`the token has no key ${idIn(text)}`)
    return key
  }
  return {
    kind: 'memory',
    create: async (algorithm) =>
      await effect(async () => {
        const { privateKey, spki } = await generateKeyPairAsync(algorithm)
        const id = randomUUID()
        keys.set(id, privateKey)
        return `token:${id}\n${encodePem('PUBLIC KEY', spki)}`
      }),
    spkiOf: (text) => (text.startsWith('token:') && keys.has(idIn(text)) ? publicKeyIn(text) : null),
    sign: async ({ text }, algorithm, data) => await signDataAsync(keyIn(text), algorithm, data),
    tls: async ({ text }) => ({ key: keyIn(text) }),
    sweep: async (texts) => {
      const named = new Set(texts.map(idIn))
      for (const id of keys.keys()) {
        if (!named.has(id)) await effect(async () => void keys.delete(id))
      }
    },
  }
}

function idIn(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice('token:'.length)
}

/** Signed bundles for agents under test. */
import { sign } from 'node:crypto'
import { toBase64 } from '../../src/base/bytes.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { signOtaBundle, type OtaBundle } from '../../src/pki/ota-bundle.ts'

const { privateKey, spki } = generateKeyPair('ed25519')

/** What a device pins. */
export const bundleKey = toBase64(spki)

export async function makeBundle(bundle: OtaBundle): Promise<Uint8Array> {
  const signer = { spki, sign: async (bytes: Uint8Array) => sign(null, bytes, privateKey) }
  return Buffer.from(await signOtaBundle(bundle, signer))
}

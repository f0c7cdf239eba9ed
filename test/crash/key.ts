/** Keys that survive their process: a device keeps its key until it has the answer. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { generateKeyPair } from '../../src/pki/key.ts'
import type { TestKey } from '../helpers/ca.ts'
import { makeCsr, san } from '../helpers/certificates.ts'

/** PKCS #8, base64. */
export function newPrivateKey(): string {
  return generateKeyPair('ec-p256').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
}

export function keyOf(text: string): TestKey {
  const privateKey = createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return {
    privateKey,
    spki,
    csr: ({ subject = 'CN=device', subjectAltNames = [] } = {}) => {
      return makeCsr({
        keys: { privateKey, spki },
        subject,
        ...(subjectAltNames.length > 0 ? { extensions: [san(...subjectAltNames)] } : {}),
      })
    },
  }
}

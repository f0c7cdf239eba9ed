/** OpenSSL opens what we encrypt and checks what we sign. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { toHex } from '../base/bytes.ts'
import { seededRandom } from '../base/random.ts'
import { makeCertificate, testNow } from '../../test/helpers/certificates.ts'
import { missing } from '../../test/helpers/require.ts'
import { contentInfo } from './cms.ts'
import { type EnvelopeRecipient, envelopedData } from './cms-enveloped.ts'
import { asymmetricKeyPackage, sealKeyPackage } from './cms-key-package.ts'
import { signedData } from './cms-signed.ts'
import { generateKeyPair } from './key.ts'
import { oids } from './oid.ts'
import { encodePem } from './pem.ts'
import { defaultSignatureAlgorithm, signData } from './signature.ts'

const skip = missing('openssl')
const directory = mkdtempSync(join(tmpdir(), 'perennial-pki-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function file(content: Uint8Array | string): string {
  const path = join(directory, `file-${(files += 1)}`)
  writeFileSync(path, content)
  return path
}

function opensslBytes(...args: string[]): Buffer {
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
}

describe('OpenSSL opens what we encrypt and checks what we sign', { skip }, () => {
  const content = Buffer.from('PKCS #8 stands here')
  const random = seededRandom('cms')

  function decrypt(envelope: Uint8Array, ...args: string[]): Buffer {
    return opensslBytes('cms', '-decrypt', '-inform', 'DER', '-binary', '-in', file(envelope), ...args)
  }

  for (const keyAlgorithm of ['rsa-2048', 'ec-p256', 'ec-p384', 'ec-p521'] as const) {
    for (const keyTransport of keyAlgorithm === 'rsa-2048'
      ? (['oaep', 'pkcs1'] as const)
      : (['oaep'] as const)) {
      test(`EnvelopedData for ${keyAlgorithm}${keyAlgorithm === 'rsa-2048' ? ` by ${keyTransport}` : ''}`, () => {
        const { certificate, keys } = makeCertificate({ keyAlgorithm })
        const recipient: EnvelopeRecipient = { kind: 'certificate', certificate, keyTransport }
        const key = file(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
        const cert = file(encodePem('CERTIFICATE', certificate.der))
        const envelope = envelopedData({ content, recipient }, random)
        assert.deepEqual(decrypt(envelope, '-inkey', key, '-recip', cert), content)
      })
    }
  }

  for (const length of [16, 24, 32]) {
    test(`EnvelopedData for a symmetric key of ${length} bytes`, () => {
      const key = random.bytes(length)
      const recipient: EnvelopeRecipient = { kind: 'kek', keyIdentifier: Uint8Array.of(0xca, 0xfe), key }
      const envelope = envelopedData({ content, recipient }, random)
      assert.deepEqual(decrypt(envelope, '-secretkey', toHex(key), '-secretkeyid', 'cafe'), content)
    })
  }

  for (const keyAlgorithm of ['rsa-2048', 'ec-p256', 'ec-p384'] as const) {
    test(`SignedData by ${keyAlgorithm}`, () => {
      const root = makeCertificate({ keyAlgorithm })
      const signer = makeCertificate({ issuer: root, keyAlgorithm })
      const algorithm = defaultSignatureAlgorithm(keyAlgorithm)
      const der = signedData({
        contentType: oids.asymmetricKeyPackage,
        content,
        signer: signer.certificate,
        chain: [root.certificate.der],
        signedAt: testNow,
        algorithm,
        sign: (bytes) => signData(signer.keys.privateKey, algorithm, bytes),
      })
      const anchor = file(encodePem('CERTIFICATE', root.certificate.der))
      const time = ['-attime', String(testNow / 1000), '-purpose', 'any']
      const verify = [
        'cms',
        '-verify',
        '-inform',
        'DER',
        '-binary',
        '-in',
        file(der),
        '-CAfile',
        anchor,
        ...time,
      ]
      assert.deepEqual(opensslBytes(...verify), content)
    })
  }

  test('a sealed key package opens to the private key (RFC 7030 §4.4.2)', () => {
    const root = makeCertificate()
    const device = makeCertificate({ issuer: root })
    const privateKey = generateKeyPair('ec-p256').privateKey.export({ type: 'pkcs8', format: 'der' })
    const sealed = sealKeyPackage(
      {
        privateKey,
        recipient: { kind: 'certificate', certificate: device.certificate },
        signer: root.certificate,
        chain: [],
        signedAt: testNow,
        algorithm: 'ecdsa-sha256',
        sign: (bytes) => signData(root.keys.privateKey, 'ecdsa-sha256', bytes),
      },
      random,
    )
    const key = file(device.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const signed = contentInfo(oids.signedData, decrypt(sealed, '-inkey', key))
    const anchor = file(encodePem('CERTIFICATE', root.certificate.der))
    const verify = ['cms', '-verify', '-inform', 'DER', '-binary', '-in', file(signed), '-CAfile', anchor]
    const time = ['-attime', String(testNow / 1000), '-purpose', 'any', '-partial_chain']
    assert.deepEqual(opensslBytes(...verify, ...time), Buffer.from(asymmetricKeyPackage(privateKey)))
  })
})

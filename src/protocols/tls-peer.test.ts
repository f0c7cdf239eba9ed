import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect, createServer, type SecureVersion } from 'node:tls'
import { makeCertificate, san, type TestCertificate } from '../../test/helpers/certificates.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import { encodePem } from '../pki/pem.ts'
import { type TlsPeer, tlsPeer } from './tls-peer.ts'

const ca = makeCertificate({ subject: 'CN=Root' })
const intermediate = makeCertificate({ subject: 'CN=Intermediate', issuer: ca, ca: true })
const server = makeCertificate({ subject: 'CN=server', issuer: ca })

function pem({ certificate }: TestCertificate): string {
  return encodePem('CERTIFICATE', certificate.der)
}

function key({ keys }: TestCertificate): string {
  return keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** What the server sees of a client with this chain; `read` runs while the connection lives. */
async function seen<T>(
  chain: readonly TestCertificate[],
  version: SecureVersion,
  read: (peer: TlsPeer) => T,
): Promise<T> {
  const identity = { cert: pem(server), key: key(server), ca: [] }
  const listening = createServer({ ...identity, requestCert: true, rejectUnauthorized: false })
  await new Promise<void>((resolve) => void listening.listen(0, '127.0.0.1', resolve))
  const { port } = listening.address() as AddressInfo
  const [leaf] = chain
  const client = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(leaf ? { cert: chain.map(pem).join(''), key: key(leaf) } : {}),
    minVersion: version,
    maxVersion: version,
  })
  client.on('error', () => undefined)
  try {
    return await new Promise<T>((resolve, reject) => {
      listening.once('secureConnection', (socket) => {
        try {
          resolve(read(tlsPeer(socket)))
        } catch (error) {
          reject(error as Error)
        }
      })
    })
  } finally {
    client.destroy()
    listening.close()
  }
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const keyAlgorithm of [
    'ec-p256',
    'ec-p521',
    'rsa-2048',
    'ed25519',
  ] as const satisfies KeyAlgorithm[]) {
    test(`the certificate is the one that the client showed, byte for byte: ${version}, ${keyAlgorithm}`, async () => {
      const leaf = makeCertificate({ issuer: intermediate, keyAlgorithm })
      const certificate = await seen([leaf, intermediate], version, (peer) => peer.certificate)
      assert.deepEqual(Buffer.from(certificate ?? []), Buffer.from(leaf.certificate.der))
    })
  }

  test(`the chain is what came after the leaf, also when it is read twice: ${version}`, async () => {
    const leaf = makeCertificate({ issuer: intermediate })
    const chains = await seen([leaf, intermediate, ca], version, (peer) => [peer.chain, peer.chain])
    const wanted = [intermediate, ca].map(({ certificate }) => Buffer.from(certificate.der))
    for (const chain of chains)
      assert.deepEqual(
        chain.map((der) => Buffer.from(der)),
        wanted,
      )
  })

  test(`a client without a certificate has none, and no chain: ${version}`, async () => {
    const [certificate, chain] = await seen([], version, (peer) => [peer.certificate, peer.chain])
    assert.equal(certificate, null)
    assert.deepEqual(chain, [])
  })
}

test('tls-unique is there in TLS 1.2 and not in TLS 1.3', async () => {
  const leaf = makeCertificate({ issuer: ca })
  assert.equal((await seen([leaf], 'TLSv1.2', (peer) => peer.tlsUnique))?.length, 12)
  assert.equal(await seen([leaf], 'TLSv1.3', (peer) => peer.tlsUnique), null)
})

test('a leaf with 1,500 names is read like any other', async () => {
  const names = Array.from({ length: 1_500 }, (_, index) => `dns:host-${index}.large.example.com`)
  const large = makeCertificate({ issuer: ca, extensions: [san(...names)] })
  const certificate = await seen([large], 'TLSv1.3', (peer) => peer.certificate)
  assert.deepEqual(Buffer.from(certificate ?? []), Buffer.from(large.certificate.der))
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { after, before, test } from 'node:test'
import { makeCertificate, san, type TestCertificate } from '../../test/helpers/certificates.ts'
import { dayMs, systemClock, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { encodeExtendedKeyUsage } from '../pki/extension-values.ts'
import { makeExtension } from '../pki/extensions.ts'
import { oids } from '../pki/oid.ts'
import { encodePem } from '../pki/pem.ts'
import { connectAt } from './tls-at.ts'

const now = Math.floor(systemClock.now() / 1000) * 1000
const yearsMs = 3_650 * dayMs
const use = (oid: string) => makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oid]))
const pemOf = ({ certificate }: TestCertificate) => encodePem('CERTIFICATE', certificate.der)

/** A CA, and a server of its with that purpose, both of another time. */
function serverOf(at: Instant, purpose: string): { ca: TestCertificate; server: Server } {
  const life = { notBefore: at - dayMs, notAfter: at + dayMs }
  const ca = makeCertificate({ ...life, subject: 'CN=root' })
  const extensions = [san('dns:localhost', 'ip:127.0.0.1'), use(purpose)]
  const leaf = makeCertificate({ ...life, issuer: ca, subject: 'CN=localhost', extensions })
  const key = leaf.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
  return { ca, server: createServer({ cert: pemOf(leaf), key }, (socket) => void socket.end('hello')) }
}

const future = serverOf(now + yearsMs, oids.serverAuth)
const past = serverOf(now - yearsMs, oids.serverAuth)
const client = serverOf(now + yearsMs, oids.clientAuth)
const all = [future, past, client]

before(async () => {
  for (const { server } of all) {
    server.on('tlsClientError', () => undefined)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
})
after(() => {
  for (const { server } of all) server.close()
})

async function greet(
  { server, ca }: typeof future,
  { at, trust = ca, serverName = 'localhost' }: { at: Instant; trust?: TestCertificate; serverName?: string },
): Promise<string> {
  const { port } = server.address() as AddressInfo
  const target = { host: '127.0.0.1', port, serverName, trustPem: pemOf(trust), at, options: {} }
  const socket = await connectAt(target, new AbortController().signal)
  let said = ''
  for await (const chunk of socket as AsyncIterable<Uint8Array>) said += Buffer.from(chunk).toString()
  return said
}

const refused = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code

test('a server of ten years from now, or ago, is taken at its own time', async () => {
  assert.equal(await greet(future, { at: now + yearsMs }), 'hello')
  assert.equal(await greet(past, { at: now - yearsMs }), 'hello')
  assert.equal(await greet(past, { at: now - yearsMs, serverName: '127.0.0.1' }), 'hello')
})

test('and at no other; nor under another name, CA or purpose', async () => {
  await assert.rejects(greet(future, { at: now }), refused('path-invalid'))
  await assert.rejects(greet(past, { at: now }), refused('path-invalid'))
  const at = now + yearsMs
  await assert.rejects(greet(future, { at, trust: client.ca }), refused('path-invalid'))
  await assert.rejects(greet(future, { at, serverName: 'elsewhere' }), refused('certificate-untrusted'))
  await assert.rejects(greet(future, { at, serverName: '127.0.0.2' }), refused('certificate-untrusted'))
  await assert.rejects(greet(client, { at }), refused('path-invalid'))
})

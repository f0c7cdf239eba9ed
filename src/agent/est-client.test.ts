import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { makeCertificate, makeCsr, san, type TestCertificate } from '../../test/helpers/certificates.ts'
import { type Clock, dayMs, type Instant, systemClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { certsOnly } from '../pki/cms.ts'
import { encodeExtendedKeyUsage } from '../pki/extension-values.ts'
import { makeExtension } from '../pki/extensions.ts'
import { oids } from '../pki/oid.ts'
import { encodePem } from '../pki/pem.ts'
import { EstClient, type EstClientOptions } from './est-client.ts'

interface Canned {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** What the server says next, and what it has been asked. */
let answers: (Canned | 'silence' | 'cut')[] = []
let asked: { method: string; url: string; headers: Record<string, unknown>; body: string }[] = []

// OpenSSL looks at the real clock.
const now = Math.floor(systemClock.now() / 1000) * 1000
const life = { notBefore: now - dayMs, notAfter: now + dayMs }
const ca = makeCertificate({ ...life, subject: 'CN=test root' })
const serverAuth = makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.serverAuth]))
const names = san('dns:localhost', 'ip:127.0.0.1')
const leaf = makeCertificate({
  ...life,
  issuer: ca,
  subject: 'CN=localhost',
  extensions: [names, serverAuth],
})

function pemOf({ certificate }: TestCertificate): string {
  return encodePem('CERTIFICATE', certificate.der)
}

const leafKey = leaf.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
const server = createServer({ cert: pemOf(leaf), key: leafKey }, async (request, response) => {
  const chunks: Uint8Array[] = []
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk)
  const { method = '', url = '', headers } = request
  asked.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
  const answer = answers.shift() ?? { status: 500 }
  if (answer === 'silence') return
  const { status = 200, headers: sent = {}, body = '' } = answer === 'cut' ? {} : answer
  response.writeHead(status, answer === 'cut' ? { 'Content-Length': '100' } : sent)
  if (answer !== 'cut') response.end(body)
  else response.write('x', () => response.destroy())
})

before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
after(() => {
  server.close()
  server.closeAllConnections()
})

function client(options: Partial<EstClientOptions> = {}): EstClient {
  const { port } = server.address() as AddressInfo
  asked = []
  return new EstClient({
    url: `https://127.0.0.1:${port}`,
    trustPem: pemOf(ca),
    clock: systemClock,
    ...options,
  })
}

const certificate = makeCertificate({ issuer: ca }).certificate.der
const pkcs7 = 'application/pkcs7-mime; smime-type=certs-only'
const good = (...certificates: Uint8Array[]): Canned => ({
  headers: { 'Content-Type': pkcs7 },
  body: Buffer.from(certsOnly(certificates)).toString('base64'),
})

function refuses(code: string, text?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, code)
    if (text) assert.match(error.message, text)
    return true
  }
}

/** A time-out that no test waits for. */
const never = 2 ** 31 - 1

/** Every wait but a time-out is over at once and noted. */
function jumpingClock(start: Instant, waits: number[]): Clock {
  let at = start
  return {
    now: () => at,
    sleep: async (ms, signal) => {
      if (ms === never) return await systemClock.sleep(ms, signal)
      waits.push(ms)
      at += ms
    },
  }
}

test('enrols with one POST: label, media type, base64 in one line, Basic', async () => {
  answers = [good(certificate)]
  const credentials = { username: 'd-1', password: 'p:w' }
  const csr = makeCsr()
  const issued = await client({ label: 'meter', credentials }).enroll(csr)
  assert.deepEqual(Buffer.from(issued), Buffer.from(certificate))
  const [request] = asked
  assert.equal(request?.method, 'POST')
  assert.equal(request?.url, '/.well-known/est/meter/simpleenroll')
  assert.equal(request?.headers['content-type'], 'application/pkcs10')
  assert.equal(request?.headers['authorization'], `Basic ${Buffer.from('d-1:p:w').toString('base64')}`)
  assert.equal(request?.body, Buffer.from(csr).toString('base64'))
})

test('accepts media types in any case and wrapped base64 (RFC 8951 §3.1)', async () => {
  const { body = '' } = good(certificate)
  const wrapped = body.replaceAll(/.{64}/g, '$&\r\n')
  answers = [{ headers: { 'Content-Type': 'APPLICATION/PKCS7-MIME' }, body: wrapped }]
  assert.deepEqual(Buffer.from(await client().reenroll(makeCsr())), Buffer.from(certificate))
})

test('refuses answers that are not what the RFC says', async () => {
  const csr = makeCsr()
  const { body = '' } = good(certificate)
  const cases: readonly (readonly [Canned, string])[] = [
    [{ headers: { 'Content-Type': 'text/html' }, body }, 'server-answer-invalid'],
    [{ body }, 'server-answer-invalid'],
    [{ headers: { 'Content-Type': pkcs7 }, body: `${body}!` }, 'server-answer-invalid'],
    [{ headers: { 'Content-Type': pkcs7 }, body: '' }, 'malformed'],
    [good(), 'server-answer-invalid'],
    [good(certificate, ca.certificate.der), 'server-answer-invalid'],
    [{ headers: { 'Content-Type': pkcs7 }, body: 'A'.repeat(262_148) }, 'server-answer-invalid'],
    [{ status: 302, headers: { Location: 'https://evil.example' } }, 'server-refused'],
  ]
  for (const [answer, code] of cases) {
    answers = [answer]
    await assert.rejects(client().enroll(csr), refuses(code))
  }
})

test('a refusal carries status, reason and Retry-After; hostile text is made printable', async () => {
  answers = [{ status: 403, headers: { 'Retry-After': '3600' }, body: 'too early\u001b[31m' }]
  await assert.rejects(client().enroll(makeCsr()), (error) => {
    assert.ok(refuses('server-refused', /403: too early\\u\{1b\}\[31m$/)(error))
    assert.equal((error as Refusal).retryAfterMs, 3_600_000)
    return true
  })
})

test('repeats the request after 202 and 503 as the server says, and gives up at its bound', async () => {
  const later = (status: number, seconds: string): Canned => ({ status, headers: { 'Retry-After': seconds } })
  const waits: number[] = []
  const clock = jumpingClock(Date.UTC(2026, 0, 1), waits)
  const csr = makeCsr()
  answers = [later(202, '60'), later(503, 'Thu, 01 Jan 2026 00:03:00 GMT'), good(certificate)]
  const issued = await client({ clock, maxWaitMs: 180_000, timeoutMs: never }).enroll(csr)
  assert.deepEqual(Buffer.from(issued), Buffer.from(certificate))
  assert.deepEqual(waits, [60_000, 120_000])
  assert.deepEqual(
    asked.map(({ body }) => body),
    Array.from({ length: 3 }, () => Buffer.from(csr).toString('base64')),
  )
  answers = [later(202, '60')]
  await assert.rejects(client({ maxWaitMs: 59_000 }).enroll(csr), refuses('server-refused', /202.*approval/))
  answers = [{ status: 503 }]
  await assert.rejects(client({ maxWaitMs: 59_000 }).enroll(csr), refuses('server-refused', /503/))
})

test('csrattrs: a body, or none at 204 and 404', async () => {
  answers = [
    { headers: { 'Content-Type': 'application/csrattrs' }, body: 'MAA=' },
    { status: 204 },
    { status: 404, body: 'no' },
    { status: 500, body: 'no' },
  ]
  const device = client()
  assert.deepEqual([...((await device.csrAttributes()) ?? [])], [0x30, 0x00])
  assert.equal(await device.csrAttributes(), null)
  assert.equal(await device.csrAttributes(), null)
  await assert.rejects(device.csrAttributes(), refuses('server-refused'))
})

test('trusts only the anchors it was given and the name it was told', async () => {
  const stranger = makeCertificate({ ...life, subject: 'CN=stranger' })
  await assert.rejects(client({ trustPem: pemOf(stranger) }).cacerts(), refuses('server-unreachable'))
  await assert.rejects(client({ serverName: 'other.example' }).cacerts(), refuses('server-unreachable'))
  answers = [good(ca.certificate.der)]
  assert.equal((await client().cacerts()).length, 1)
})

test('gives up on a silent server and on one that breaks off', async () => {
  answers = ['silence']
  await assert.rejects(client({ timeoutMs: 200 }).cacerts(), refuses('server-unreachable', /within 200 ms/))
  answers = ['cut']
  await assert.rejects(client().cacerts(), refuses('server-unreachable', /broke/))
})

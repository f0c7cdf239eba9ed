import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { makeCertificate, san } from '../../test/helpers/certificates.ts'
import { dayMs, iso, systemClock } from '../base/clock.ts'
import { certsOnly } from '../pki/cms.ts'
import { encodeExtendedKeyUsage } from '../pki/extension-values.ts'
import { makeExtension } from '../pki/extensions.ts'
import { oids } from '../pki/oid.ts'
import { encodePem } from '../pki/pem.ts'
import type { CertificateBearer, TransportAnswer } from './agent-transport.ts'
import { EstTransport } from './est-transport.ts'

interface Canned {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

// OpenSSL looks at the real clock.
const now = Math.floor(systemClock.now() / 1000) * 1000
const life = { notBefore: now - dayMs, notAfter: now + dayMs }
const root = makeCertificate({ ...life, subject: 'CN=root' })
const serverAuth = makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.serverAuth]))
const names = [san('dns:localhost', 'ip:127.0.0.1'), serverAuth]
const leaf = makeCertificate({ ...life, issuer: root, subject: 'CN=localhost', extensions: names })
const device = makeCertificate({ ...life, issuer: root, subject: 'CN=device-1' })
const { serialNumber } = device.certificate
const pem = (certificate: { readonly der: Uint8Array }): string => encodePem('CERTIFICATE', certificate.der)

const bearer: CertificateBearer = {
  kind: 'certificate',
  identity: { chainPem: pem(device.certificate), key: device.keys.privateKey },
  sign: async () => new Uint8Array(),
}
const cacerts: Canned = {
  status: 200,
  headers: { 'Content-Type': 'application/pkcs7-mime; smime-type=certs-only' },
  body: Buffer.from(certsOnly([root.certificate.der])).toString('base64'),
}

suite('the trial against a server', () => {
  let pages: Record<string, Canned> = {}
  let asked: string[] = []
  let shown: string[] = []
  const bodies: string[] = []
  const reportHeaders: string[] = []
  const key = leaf.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const tls = {
    cert: pem(leaf.certificate),
    key,
    ca: pem(root.certificate),
    requestCert: true,
    rejectUnauthorized: false,
  }
  const server = createServer(tls, (request, response) => {
    const { url = '', socket } = request
    asked.push(url)
    if (request.method === 'POST') {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => bodies.push(Buffer.concat(parts).toString('utf8')))
    }
    reportHeaders.push(String(request.headers['perennial-report']))
    const peer = (socket as TLSSocket).getPeerCertificate()
    shown.push(String(peer.subject?.CN))
    const { status, headers = {}, body = '' } = pages[url] ?? { status: 404, body: 'no such page' }
    response.writeHead(status, headers).end(body)
  })
  before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
  after(() => {
    server.close()
    server.closeAllConnections()
  })

  async function ask(
    operation: 'credential' | 'renewal-info',
    served: Record<string, Canned>,
  ): Promise<TransportAnswer> {
    const { port } = server.address() as AddressInfo
    pages = served
    asked = []
    shown = []
    const url = `https://127.0.0.1:${port}`
    const trustPem = () => pem(root.certificate)
    return await new EstTransport({ url, label: null, trustPem, clock: systemClock }).ask({
      operation,
      bearer,
    })
  }

  const credential = '/perennial/v1/credential'
  const window = { start: now, end: now + dayMs }
  const json = (value: unknown): Canned => ({ status: 200, body: JSON.stringify(value) })

  test('200 about this certificate is a yes, with the time and the window that the answer has', async () => {
    const renewalInfo = { suggestedWindow: { start: iso(window.start), end: iso(window.end) } }
    const answer = await ask('credential', { [credential]: json({ serialNumber, renewalInfo }) })
    assert.equal(answer.kind, 'done')
    assert.deepEqual(answer.window, window)
    assert.ok(Math.abs((answer.serverNow ?? 0) - systemClock.now()) < dayMs)
    assert.deepEqual([asked, shown], [[credential], ['device-1']])
    const bare = await ask('credential', { [credential]: json({ serialNumber, renewalInfo: null }) })
    assert.deepEqual([bare.kind, bare.window], ['done', null])
  })

  test('a trial says that the certificate is stored; a failure is reported, and no server need take it', async () => {
    reportHeaders.length = 0
    await ask('credential', { [credential]: json({ serialNumber, renewalInfo: null }) })
    await ask('renewal-info', {})
    assert.deepEqual(reportHeaders, ['stored', 'undefined'])
    const { port } = server.address() as AddressInfo
    const url = `https://127.0.0.1:${port}`
    const transport = new EstTransport({
      url,
      label: null,
      trustPem: () => pem(root.certificate),
      clock: systemClock,
    })
    const report = { csr: null, fingerprint: 'ab'.repeat(32), bearer, sign: bearer.sign }
    await transport.report({ ...report, state: 'stored' })
    await transport.report({ ...report, state: 'failed' })
    assert.deepEqual(
      bodies.map((body) => JSON.parse(body) as unknown),
      [{ v: 1, state: 'failed', clientToken: 'ab'.repeat(8), certificate: 'ab'.repeat(32) }],
    )
  })

  test('200 about another certificate, or about none, is no yes', async () => {
    for (const said of [{ serialNumber: '01' }, {}]) {
      assert.equal((await ask('credential', { [credential]: json(said) })).kind, 'failed')
    }
  })

  test('403 that names its code is a no, with that code, and nothing else is asked', async () => {
    const headers = { 'Perennial-Refusal': 'certificate-retired' }
    const page = { status: 403, headers, body: 'it was replaced\u001b[31m' }
    const answer = await ask('credential', { [credential]: page, '/.well-known/est/cacerts': cacerts })
    assert.equal(answer.kind, 'refused')
    assert.match('detail' in answer ? answer.detail : '', /^certificate-retired: it was replaced\\u\{1b\}/)
    assert.deepEqual(asked, [credential])
  })

  test('another EST server (404, 405, a 403 or 200 of something else) is asked for /cacerts with the same certificate', async () => {
    for (const page of [{ status: 404 }, { status: 405 }, { status: 403 }, { status: 200, body: '<html>' }]) {
      const served = { [credential]: page, '/.well-known/est/cacerts': cacerts }
      assert.equal((await ask('credential', served)).kind, 'done')
      assert.deepEqual(asked, [credential, '/.well-known/est/cacerts'])
      assert.deepEqual(shown, ['device-1', 'device-1'])
    }
    assert.equal((await ask('credential', {})).kind, 'refused')
  })

  test('with other anchors than the pinned ones the server is reached only when they are its own', async () => {
    const { port } = server.address() as AddressInfo
    pages = { '/.well-known/est/cacerts': cacerts }
    const stranger = makeCertificate({ ...life, subject: 'CN=stranger' })
    const url = `https://127.0.0.1:${port}`
    const pinned = pem(root.certificate)
    const transport = new EstTransport({ url, label: null, trustPem: () => pinned, clock: systemClock })
    const kinds = await Promise.all(
      [pem(stranger.certificate), pem(stranger.certificate) + pinned].map(async (trustPem) => {
        const answer = await transport.ask({ operation: 'cacerts', bearer: { kind: 'nobody' }, trustPem })
        return answer.kind
      }),
    )
    assert.deepEqual(kinds, ['failed', 'done'])
  })

  test('503 is a wait, 500 a failure: neither says anything about the certificate', async () => {
    const busy = { status: 503, headers: { 'Retry-After': '60' } }
    const later = await ask('credential', { [credential]: busy })
    assert.deepEqual([later.kind, 'afterMs' in later && later.afterMs], ['later', 60_000])
    assert.equal((await ask('credential', { [credential]: { status: 500 } })).kind, 'failed')
  })

  test('the hint: a window and when to ask again; a server without one has none', async () => {
    const info = '/perennial/v1/renewal-info'
    const suggestedWindow = { start: iso(window.start), end: iso(window.end) }
    const page = { ...json({ suggestedWindow }), headers: { 'Retry-After': '21600' } }
    const answer = await ask('renewal-info', { [info]: page })
    assert.deepEqual([answer.kind, answer.window, answer.askAgainMs], ['done', window, 21_600_000])
    const header = { 'Perennial-Renewal': `start=@${now / 1000}, end=@${now / 1000 + 60}` }
    const short = await ask('renewal-info', { [info]: { status: 200, headers: header } })
    assert.deepEqual(short.window, { start: now, end: now + 60_000 })
    assert.equal((await ask('renewal-info', {})).kind, 'failed')
  })
})

/** OCSP as it crosses the wire. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { equalBytes, toBase64 } from '../../src/base/bytes.ts'
import type { DeviceId, SerialNumber } from '../../src/base/id.ts'
import { ocspLifetimeMs } from '../../src/engine/revocation/ocsp-settings.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import { enrolDevice, issuingId, testActor, testEngine, type TestEngine } from '../helpers/app.ts'
import { certId, ocspRequest, readOcsp } from '../helpers/ocsp.ts'

let rig: TestEngine
let status: Listener
let base: string
let serialNumber: SerialNumber
before(async () => {
  rig = await testEngine()
  const { engine, clock } = rig
  serialNumber = (await enrolDevice(engine, 'SN-1')).record.serialNumber
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(engine), statusLimits, clock)
  status = await listen(server, { host: '127.0.0.1', port: 0, reusePort: false }, clock)
  base = `http://127.0.0.1:${status.port}`
})
after(async () => {
  await status.stop(1_000)
  await rig.close()
})

async function request(options: Parameters<typeof certId>[2] = {}, nonce?: Uint8Array): Promise<Uint8Array> {
  const issuer = await rig.engine.issuers.find(issuingId)
  assert.ok(issuer)
  return ocspRequest([certId(issuer.certificate, serialNumber, options)], nonce)
}

const post = (body: Uint8Array, path = '/ocsp'): Promise<Response> =>
  fetch(base + path, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'Content-Type': 'application/ocsp-request' },
  })
const bytesOf = async (response: Response): Promise<Uint8Array> =>
  new Uint8Array(await response.arrayBuffer())

test('POST: good, as application/ocsp-response', async () => {
  const response = await post(await request())
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'application/ocsp-response')
  assert.deepEqual(readOcsp(await bytesOf(response)).singles, ['good'])
  assert.deepEqual(readOcsp(await bytesOf(await post(await request(), '/ocsp/'))).singles, ['good'])
})

test('GET: the request in base64, percent-encoded or not, with slashes and without padding', async () => {
  // SHA-256 as well, so that plus signs and slashes are likely to be there
  for (const options of [{ hash: 'sha1' }, { hash: 'sha256' }] as const) {
    const text = toBase64(await request(options))
    for (const form of [
      encodeURIComponent(text),
      text,
      `/${text}`,
      text.replace(/=+$/, ''),
      text.replaceAll('+', '%20'),
    ]) {
      const response = await fetch(`${base}/ocsp/${form}`)
      assert.deepEqual(readOcsp(await bytesOf(response)).singles, ['good'], form)
    }
  }
})

test('GET: cache headers of RFC 9919 §7.2, 304, HEAD', async () => {
  const url = `${base}/ocsp/${encodeURIComponent(toBase64(await request()))}`
  const first = await fetch(url)
  const { headers } = first
  const age = Math.floor((rig.clock.now() - Date.parse(headers.get('last-modified') ?? '')) / 1000)
  const maxAge = ocspLifetimeMs / 1000 - age
  assert.equal(headers.get('cache-control'), `max-age=${maxAge}, public, no-transform, must-revalidate`)
  assert.equal(
    Date.parse(headers.get('expires') ?? ''),
    Date.parse(headers.get('last-modified') ?? '') + ocspLifetimeMs,
  )
  const etag = headers.get('etag') ?? ''
  assert.match(etag, /^"[0-9a-f]{32}"$/)
  const body = await bytesOf(first)
  assert.equal((await fetch(url, { headers: { 'If-None-Match': etag } })).status, 304)
  const head = await fetch(url, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), String(body.length))
  assert.ok(equalBytes(await bytesOf(await fetch(url)), body))
})

test('with a nonce, and for errors, nothing may be kept', async () => {
  const nonce = new Uint8Array(32).fill(7)
  const answer = await post(await request({}, nonce))
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(readOcsp(await bytesOf(answer)).nonce, '07'.repeat(32))
  for (const path of ['/ocsp/AAAA', '/ocsp/%', '/ocsp/!!!!', `/ocsp/${'A'.repeat(6_000)}`]) {
    const wrong = await fetch(base + path)
    assert.equal(wrong.status, 200, path)
    assert.equal(wrong.headers.get('cache-control'), 'no-store')
    assert.equal(readOcsp(await bytesOf(wrong)).status, 1)
  }
})

test('what is no question gets no answer: other methods, too large, no path', async () => {
  assert.equal((await fetch(`${base}/ocsp`, { method: 'PUT', body: 'x' })).status, 405)
  assert.equal((await post(new Uint8Array(16_385))).status, 413)
  assert.match(await (await fetch(`${base}/ocsp`)).text(), /OCSP responder/)
  assert.equal((await fetch(`${base}/ocspx`)).status, 404)
  assert.equal((await fetch(`${base}/crl/issuing.crl`, { method: 'POST', body: 'x' })).status, 405)
  assert.equal(readOcsp(await bytesOf(await post(new Uint8Array()))).status, 1)
})

test('revoked at once', async () => {
  const order = { reason: 'keyCompromise', actor: testActor } as const
  await revokeDevice(rig.engine, 'SN-1' as DeviceId, order)
  const url = `${base}/ocsp/${encodeURIComponent(toBase64(await request()))}`
  assert.deepEqual(readOcsp(await bytesOf(await fetch(url))).singles, ['revoked 1'])
  assert.deepEqual(readOcsp(await bytesOf(await post(await request()))).singles, ['revoked 1'])
})

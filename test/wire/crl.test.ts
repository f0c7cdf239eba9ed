/** CRLs as verifiers fetch them. */
import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { equalBytes } from '../../src/base/bytes.ts'
import { dayMs, secondMs, type VirtualClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import type { Engine } from '../../src/engine/context.ts'
import { currentCrl } from '../../src/engine/revocation/crl.ts'
import { crlJob } from '../../src/engine/revocation/crl-publish.ts'
import { createJobs, type Jobs } from '../../src/engine/jobs.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { parseCrl } from '../../src/pki/crl-read.ts'
import { crlScopeOf } from '../../src/protocols/crl.ts'
import { acceptsGzip } from '../../src/protocols/http-cache.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import { enrolDevice, issuingId, testActor, testEngine, type TestEngine } from '../helpers/app.ts'

let rig: TestEngine
let engine: Engine
let clock: VirtualClock
let jobs: Jobs
let status: Listener
before(async () => {
  rig = await testEngine()
  ;({ engine, clock } = rig)
  jobs = createJobs(engine, [crlJob])
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(engine), statusLimits, clock)
  status = await listen(server, { host: '127.0.0.1', port: 0, reusePort: false }, clock)
})
after(async () => {
  await status.stop(1_000)
  await rig.close()
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** Unlike fetch, adds no header of its own and unpacks nothing. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: status.port, path, headers, method }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      )
    })
    asked.on('error', reject)
    asked.end()
  })
}

async function published(kind: 'complete' | 'shard' | 'delta'): Promise<Uint8Array> {
  const crl = await currentCrl(engine, { issuerId: issuingId, kind, shard: 0 })
  assert.ok(crl)
  return crl.der
}

test('there is none before the first is published, and none of what is not there', async () => {
  const early = await get('/crl/issuing.crl')
  assert.equal(early.status, 404)
  assert.equal(early.headers['cache-control'], 'no-store')
  await jobs.pass(crlJob.name)
  for (const path of ['/crl/nobody.crl', '/crl/issuing/1.crl', '/crl/issuing/00.crl', '/crl/root/0.crl']) {
    assert.equal((await get(path)).status, 404, path)
  }
})

test('complete, shard and delta are at their URLs, with the headers that caches need', async () => {
  for (const [kind, path] of [
    ['complete', '/crl/issuing.crl'],
    ['shard', '/crl/issuing/0.crl'],
    ['delta', '/crl/issuing/delta.crl'],
  ] as const) {
    const { status: code, headers, body } = await get(path)
    assert.equal(code, 200)
    assert.ok(equalBytes(body, await published(kind)), kind)
    const { nextUpdate, thisUpdate } = parseCrl(body)
    const maxAge = ((nextUpdate ?? 0) - clock.now()) / 1000
    assert.equal(headers['content-type'], 'application/pkix-crl')
    assert.equal(headers['cache-control'], `public, max-age=${maxAge}, must-revalidate`)
    assert.equal(headers['last-modified'], new Date(thisUpdate).toUTCString())
    assert.equal(headers['expires'], new Date(nextUpdate ?? 0).toUTCString())
    assert.equal(headers['content-length'], String(body.length))
  }
  assert.equal((await get('/crl/root.crl')).status, 200)
})

test('HEAD says what GET would, without the body; other methods are refused', async () => {
  const head = await get('/crl/issuing.crl', {}, 'HEAD')
  assert.equal(head.status, 200)
  assert.equal(head.body.length, 0)
  assert.equal(head.headers['content-length'], String((await published('complete')).length))
  assert.equal((await get('/crl/issuing.crl', {}, 'DELETE')).status, 405)
})

test('who has it gets 304; who has an older one gets the new one', async () => {
  const first = await get('/crl/issuing.crl')
  const etag = String(first.headers['etag'])
  for (const headers of [
    { 'If-None-Match': etag },
    { 'If-None-Match': `"other", W/${etag}` },
    { 'If-None-Match': '*' },
    { 'If-Modified-Since': String(first.headers['last-modified']) },
  ]) {
    const again = await get('/crl/issuing.crl', headers)
    assert.deepEqual([again.status, again.body.length], [304, 0], JSON.stringify(headers))
    assert.equal(again.headers['etag'], etag)
  }
  const earlier = new Date(Date.parse(String(first.headers['last-modified'])) - 1000).toUTCString()
  assert.equal((await get('/crl/issuing.crl', { 'If-Modified-Since': earlier })).status, 200)
  const { record } = await enrolDevice(engine, 'SN-1')
  await revokeDevice(engine, 'SN-1' as DeviceId, { reason: 'keyCompromise', actor: testActor })
  await clock.advance(secondMs)
  await jobs.pass(crlJob.name)
  const next = await get('/crl/issuing.crl', { 'If-None-Match': etag })
  assert.equal(next.status, 200)
  assert.equal(parseCrl(next.body).find(record.serialNumber)?.reason, 'keyCompromise')
})

test('gzip for who asks, when it is worth it: the same CRL under another entity tag', async () => {
  const asked = { 'Accept-Encoding': 'gzip' }
  assert.equal((await get('/crl/issuing.crl', asked)).headers['content-encoding'], undefined)
  for (let n = 0; n < 40; n++) {
    await enrolDevice(engine, `GZ-${n}`)
    await revokeDevice(engine, `GZ-${n}` as DeviceId, { reason: 'superseded', actor: testActor })
  }
  await jobs.pass(crlJob.name)
  const plain = await get('/crl/issuing.crl')
  const packed = await get('/crl/issuing.crl', asked)
  assert.equal(packed.headers['content-encoding'], 'gzip')
  assert.equal(packed.headers['vary'], 'Accept-Encoding')
  assert.ok(packed.body.length < plain.body.length)
  assert.ok(equalBytes(gunzipSync(packed.body), plain.body))
  assert.notEqual(packed.headers['etag'], plain.headers['etag'])
  const known = { ...asked, 'If-None-Match': String(packed.headers['etag']) }
  assert.equal((await get('/crl/issuing.crl', known)).status, 304)
})

test('a CRL that has lapsed is not to be kept by anybody', async () => {
  await clock.advance(8 * dayMs)
  const { headers } = await get('/crl/issuing.crl')
  assert.match(String(headers['cache-control']), /max-age=0,/)
})

test('paths that are no CRL are none', () => {
  for (const path of [
    '/crl/.crl',
    '/crl/Issuing.crl',
    '/crl/issuing',
    '/crl/issuing.crl/',
    '/crl/issuing/.crl',
    '/crl/issuing/-1.crl',
    '/crl/issuing/01.crl',
    '/crl/issuing/10000.crl',
    '/crl/issuing/delta.crlx',
    '/crl/../x.crl',
    `/crl/${'a'.repeat(65)}.crl`,
  ]) {
    assert.equal(crlScopeOf(path), null, path)
  }
  assert.deepEqual(crlScopeOf('/crl/a/4095.crl'), { issuerId: 'a', kind: 'shard', shard: 4095 })
})

test('gzip is asked for by name or by *, and not with q=0', () => {
  const asks = (value: string | undefined): boolean => {
    const headers = { 'accept-encoding': value } as IncomingHttpHeaders
    return acceptsGzip({ method: 'GET', path: '/', headers })
  }
  for (const yes of ['gzip', 'deflate, GZIP', 'br;q=1, gzip;q=0.5', '*', 'identity;q=0, *'])
    assert.ok(asks(yes), yes)
  for (const no of [undefined, '', 'br', 'gzip;q=0', '*;q=0', 'gzip; q=0.000, *', 'x-gzip'])
    assert.equal(asks(no), false, no ?? 'no header')
})

/** Clients that mean harm, or are broken in ways that look like it. The server stays up and answers the next device. */
import assert from 'node:assert/strict'
import { connect as connectTcp } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { stopwatch, systemClock } from '../../src/base/clock.ts'
import type { FaultPoint } from '../../src/engine/ports.ts'
import { createCa, createKey } from '../helpers/ca.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { ask, openTls, parseAnswer, post, readAll, requestText } from './raw-client.ts'
import { basic } from './rig-device.ts'

let rig: EstRig
/** What happens at a point of the issuing path. */
let fault: ((point: FaultPoint) => Promise<void>) | null = null

before(async () => {
  rig = await startEstRig({ maxConcurrent: 2, faults: { at: async (point) => await fault?.(point) } })
})
after(() => rig.close())

afterEach(async () => {
  fault = null
  const answer = await ask(rig, { path: 'cacerts' })
  assert.equal(answer.status, 200, 'the server answers the next device')
})

const enrolment = ['Host: localhost', 'Content-Type: application/pkcs10']

async function raw(text: string, socket?: TLSSocket): Promise<string> {
  const connection = socket ?? (await openTls(rig))
  connection.write(text)
  return await readAll(connection)
}

function head(line: string, ...headers: string[]): string {
  return [line, ...headers, '', ''].join('\r\n')
}

const enrol = 'POST /.well-known/est/simpleenroll HTTP/1.1'

test('a body of 10 MB is refused by its length and not read', async () => {
  const socket = await openTls(rig)
  const answer = readAll(socket)
  socket.write(head(enrol, ...enrolment, 'Content-Length: 10485760'))
  const chunk = 'A'.repeat(65_536)
  let sent = 0
  const push = () => {
    while (!socket.destroyed && socket.writable && sent < 10_485_760 && socket.write(chunk))
      sent += chunk.length
  }
  socket.on('drain', push)
  push()
  assert.equal(parseAnswer(await answer).status, 413)
  assert.ok(sent < 4_000_000, `${sent} bytes were taken`)
})

test('a chunked body without an end is cut at the limit', async () => {
  const socket = await openTls(rig)
  const answer = readAll(socket)
  socket.write(head(enrol, ...enrolment, 'Transfer-Encoding: chunked'))
  const chunk = `4000\r\n${'A'.repeat(0x4000)}\r\n`
  for (let i = 0; i < 20 && socket.writable; i++) socket.write(chunk)
  assert.equal(parseAnswer(await answer).status, 413)
})

test('slow headers, slow bodies and silent connections end within the time-outs', async () => {
  const elapsed = stopwatch()
  const silent = openTls(rig).then((socket) => raw('', socket))
  const slowHeader = raw('POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: loc')
  const slowBody = openTls(rig).then(async (socket) => {
    const answer = readAll(socket)
    socket.write(head(enrol, ...enrolment, 'Content-Length: 1000'))
    for (let i = 0; i < 200 && !socket.destroyed; i++) {
      socket.write('A')
      await systemClock.sleep(50)
    }
    return await answer
  })
  const beforeTls = new Promise<void>((resolve) => {
    connectTcp(rig.port, '127.0.0.1')
      .on('error', () => undefined)
      .once('close', () => resolve())
      .resume()
  })
  for (const answer of await Promise.all([silent, slowHeader, slowBody])) {
    if (answer !== '') assert.equal(parseAnswer(answer).status, 408)
  }
  await beforeTls
  assert.ok(elapsed() < 8_000, `took ${elapsed()} ms`)
})

test('a client that vanishes in the middle of its body leaves nothing behind', async () => {
  for (let i = 0; i < 5; i++) {
    const socket = await openTls(rig)
    socket.write(head(enrol, ...enrolment, 'Content-Length: 1000') + 'AAAA')
    await new Promise((resolve) => setImmediate(resolve))
    socket.destroy()
  }
  assert.equal(rig.est.admission.inFlight, 0)
})

test('header smuggling gets 400 and the connection ends', async () => {
  const smuggled = 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n'
  for (const headers of [
    ['Content-Length: 4', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 4'],
    ['Content-Length: 4', 'Content-Length: 5'],
    ['Transfer-Encoding: xchunked'],
    ['Content-Length: 4', 'Foo: bar\nContent-Length: 0'],
    ['Content-Length: 4', 'Foo\t: bar'],
  ]) {
    const answer = await raw(head(enrol, ...enrolment, ...headers) + `0\r\n\r\n${smuggled}`)
    assert.equal(parseAnswer(answer).status, 400, headers.join(' | '))
    assert.equal(answer.match(/^HTTP\/1\.1 \d/gm)?.length, 1)
  }
})

test('garbage instead of TLS, plain HTTP on the TLS port, garbage inside TLS', async () => {
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\u0016\u0003\u0001\u00ff\u00ff',
    '\u0000'.repeat(5_000),
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connectTcp(rig.port, '127.0.0.1')
      socket.on('error', () => undefined).once('close', () => resolve())
      socket.resume().write(bytes, 'latin1')
    })
  }
  assert.equal(parseAnswer(await raw('\u0001\u0002\u0003\r\n\r\n')).status, 400)
})

test('headers over the limit are 431', async () => {
  const answer = await raw(
    head('GET /.well-known/est/cacerts HTTP/1.1', 'Host: l', `X-Y: ${'z'.repeat(9_000)}`),
  )
  assert.equal(parseAnswer(answer).status, 431)
})

test('a certificate of 60 kB in the handshake is an unknown certificate and nothing worse', async () => {
  const ca = createCa('CN=Large', rig.clock.now())
  const names = Array.from({ length: 1_500 }, (_, index) => `dns:host-${index}.large.example.com`)
  const large = ca.issue({ subject: 'CN=large', subjectAltNames: names })
  const identity = { chainPem: large.pem, key: large.privateKey }
  const answer = await ask(rig, { ...post('simpleenroll', createKey().csr()), identity })
  assert.ok(answer.status === 403 || answer.status === 400, String(answer.status))
})

test('more than the limit at once: 503 with a jittered Retry-After, and those admitted are answered', async () => {
  const open = Promise.withResolvers<void>()
  const inside = Promise.withResolvers<void>()
  let waiting = 0
  fault = async (point) => {
    if (point !== 'decide') return
    if (++waiting === 2) inside.resolve()
    await open.promise
  }
  const send = async (id: string) => {
    const credentials = await rig.addDevice({ id })
    return await ask(rig, post('simpleenroll', createKey().csr(), [basic(credentials)]))
  }
  const admitted = [send('load-1'), send('load-2')]
  await inside.promise
  const refused = await Promise.all(['load-3', 'load-4', 'load-5'].map(send))
  for (const answer of refused) {
    assert.equal(answer.status, 503)
    const seconds = Number(answer.headers.get('retry-after'))
    assert.ok(seconds >= 30 && seconds <= 210, String(seconds))
  }
  open.resolve()
  for (const answer of await Promise.all(admitted)) assert.equal(answer.status, 200)
})

test('a bug of ours is a 500 with an id and without a word about what broke', async () => {
  fault = async () => {
    throw new TypeError('cannot read properties of secret database')
  }
  const credentials = await rig.addDevice({ id: 'unlucky' })
  const answer = await ask(rig, post('simpleenroll', createKey().csr(), [basic(credentials)]))
  assert.equal(answer.status, 500)
  assert.match(answer.body, /error [A-Za-z0-9_-]{8} in the log/)
  assert.doesNotMatch(answer.body, /secret|database|TypeError/)
})

test('hostile headers and queries change nothing', async () => {
  const path = '/.well-known/est/cacerts?x=/../../etc&y=%00'
  assert.equal((await ask(rig, { path })).status, 200)
  for (const target of ['*', 'http://evil.example/.well-known/est/cacerts', '//.well-known/est/cacerts']) {
    const answer = await raw(head(`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close'))
    assert.ok(parseAnswer(answer).status >= 400, target)
  }
  const repeated = requestText({
    path: 'cacerts',
    headers: ['Authorization: Basic eDp5', 'Authorization: Basic eDp6', 'Connection: close'],
  })
  assert.equal(parseAnswer(await raw(repeated)).status, 200)
})

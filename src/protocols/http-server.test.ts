import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { stopwatch, systemClock } from '../base/clock.ts'
import { textResponse } from './http-message.ts'
import { type HttpHandler, type HttpLimits, serveHttp, serverOptions } from './http-server.ts'

const limits: HttpLimits = {
  maxBodyBytes: 1_000,
  maxHeaderBytes: 2_048,
  headersTimeoutMs: 400,
  requestTimeoutMs: 800,
  keepAliveTimeoutMs: 300,
  maxConnections: 20,
  maxRequestsPerConnection: 3,
}

const echo: HttpHandler = {
  refuseEarly: ({ path }) => (path === '/refused' ? textResponse(415, 'no') : null),
  handle: ({ method, path }, body) =>
    path === '/none'
      ? { status: 204, headers: {}, body: '' }
      : textResponse(200, `${method} ${path} ${body.length}`),
}

async function start(t: TestContext, handler = echo) {
  const server = createServer(serverOptions(limits))
  serveHttp(server, handler, limits, systemClock)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { server, sockets, open: () => connect({ port, host: '127.0.0.1', allowHalfOpen: true }) }
}

/** Everything the server sends until it closes. */
async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.on('data', (chunk: string) => (text += chunk))
  await new Promise<void>((resolve) => {
    socket.once('end', resolve)
    socket.once('close', () => resolve())
  })
  socket.destroy()
  return text
}

async function exchange(t: TestContext, request: string): Promise<string> {
  const { open } = await start(t)
  const socket = open()
  socket.write(request)
  return await readAll(socket)
}

const head = (line: string, ...headers: string[]) => [line, 'Host: h', ...headers, '', ''].join('\r\n')

test('answers with Content-Length and never chunked, on HTTP/1.0 too', async (t) => {
  const answer = await exchange(t, head('POST /a HTTP/1.1', 'Content-Length: 3', 'Connection: close') + 'abc')
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(answer, /\r\nContent-Length: 10\r\n/)
  assert.doesNotMatch(answer, /transfer-encoding/i)
  assert.match(answer, /\r\n\r\nPOST \/a 3\n$/)
  const old = await exchange(t, 'GET /a HTTP/1.0\r\n\r\n')
  assert.match(old, /\r\nContent-Length: 9\r\n/)
})

test('a HEAD has the Content-Length of the GET and no body; a 204 has neither', async (t) => {
  const answer = await exchange(t, head('HEAD /a HTTP/1.1', 'Connection: close'))
  assert.match(answer, /\r\nContent-Length: 10\r\n/)
  assert.match(answer, /\r\n\r\n$/)
  const none = await exchange(t, head('GET /none HTTP/1.1', 'Connection: close'))
  assert.doesNotMatch(none, /content-length|transfer-encoding/i)
})

test('a body of exactly the limit passes, one byte more is 413', async (t) => {
  const inside = await exchange(
    t,
    head('POST / HTTP/1.1', 'Content-Length: 1000', 'Connection: close') + 'x'.repeat(1000),
  )
  assert.match(inside, /POST \/ 1000/)
  const outside = await exchange(t, head('POST / HTTP/1.1', 'Content-Length: 1001') + 'x'.repeat(1001))
  assert.match(outside, /^HTTP\/1\.1 413 .*\r\nConnection: close\r\n/s)
})

test('an announced body of 10 MB is refused before it is sent, and the connection ends', async (t) => {
  const { open, sockets } = await start(t)
  const socket = open()
  socket.write(head('POST / HTTP/1.1', 'Content-Length: 10000000'))
  const chunk = 'x'.repeat(65_536)
  const push = () => {
    if (!socket.destroyed && socket.write(chunk)) setImmediate(push)
  }
  socket.on('drain', push)
  push()
  const answer = await readAll(socket)
  assert.match(answer, /^HTTP\/1\.1 413 /)
  const [server] = sockets
  assert.ok((server?.bytesRead ?? 0) < 3_000_000, `read ${server?.bytesRead} bytes`)
})

test('a chunked body is read up to the limit', async (t) => {
  const small = await exchange(
    t,
    head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Connection: close') + '3\r\nabc\r\n0\r\n\r\n',
  )
  assert.match(small, /POST \/ 3/)
  const large = await exchange(
    t,
    head('POST / HTTP/1.1', 'Transfer-Encoding: chunked') + '3e9\r\n' + 'x'.repeat(1001) + '\r\n0\r\n\r\n',
  )
  assert.match(large, /^HTTP\/1\.1 413 /)
})

test('an early refusal reaches a client that asked 100-continue, instead of a 100', async (t) => {
  const wanted = ['Content-Length: 3', 'Expect: 100-continue', 'Connection: close']
  const refused = await exchange(t, head('POST /refused HTTP/1.1', ...wanted))
  assert.match(refused, /^HTTP\/1\.1 415 /)
  const accepted = await exchange(t, head('POST /a HTTP/1.1', ...wanted) + 'abc')
  assert.match(accepted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
})

test('refuses smuggling: both lengths, two lengths, a space before the colon, folded headers', async (t) => {
  for (const headers of [
    ['Content-Length: 3', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 3'],
    ['Content-Length: 3', 'Content-Length: 4'],
    ['Content-Length: 3, 4'],
    ['Content-Length: +3'],
    ['Content-Length: 0x3'],
    ['Content-Length : 3'],
    ['Transfer-Encoding: gzip'],
    ['Transfer-Encoding: chunked, identity'],
    ['X-A: b\r\n folded', 'Transfer-Encoding:\r\n chunked'],
  ]) {
    const answer = await exchange(t, head('POST / HTTP/1.1', ...headers) + 'abc')
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, headers.join(' | '))
    assert.match(answer, /\r\nContent-Length: \d+\r\nConnection: close\r\n/)
  }
})

test('answers garbage with 400 and headers over the limit with 431', async (t) => {
  assert.match(await exchange(t, '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await exchange(t, 'GET / HTTP/9.9\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await exchange(t, head('GET / HTTP/1.1', `X: ${'y'.repeat(3000)}`)), /^HTTP\/1\.1 431 /)
  const inside = await exchange(t, head('GET / HTTP/1.1', `X: ${'y'.repeat(1800)}`, 'Connection: close'))
  assert.match(inside, /^HTTP\/1\.1 200 /)
})

test('ends connections that send nothing, half a header, or half a body', async (t) => {
  for (const [request, status] of [
    ['', /^HTTP\/1\.1 408 |^$/],
    ['GET / HTTP/1.1\r\nHost: h\r\n', /^HTTP\/1\.1 408 /],
    [head('POST / HTTP/1.1', 'Content-Length: 10') + 'abc', /^HTTP\/1\.1 408 |^$/],
  ] as const) {
    const elapsed = stopwatch()
    assert.match(await exchange(t, request), status, request)
    assert.ok(elapsed() < 3_000, `took ${elapsed()} ms`)
  }
})

test('closes an idle connection and one that has had its share of requests', async (t) => {
  const idle = await exchange(t, head('GET /a HTTP/1.1'))
  assert.match(idle, /GET \/a 0/)
  const many = await exchange(t, head('GET /a HTTP/1.1').repeat(5))
  assert.equal(many.match(/HTTP\/1\.1 200 /g)?.length, 3)
})

/**
 * The thin shell between sockets and handlers: limits, time-outs, early refusals, and answers in the one form that every
 * client reads: status line and headers in less than 1,024 bytes, always Content-Length, never chunked (docs/rfc/est.md).
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { announcedLength, discardBody, readBody } from './http-body.ts'
import { type HttpRequestHead, type HttpResponse, textResponse } from './http-message.ts'

export interface HttpLimits {
  /** Largest request body, bytes. */
  readonly maxBodyBytes: number
  /** Request line and headers together, bytes. */
  readonly maxHeaderBytes: number
  /** From connection to the end of the headers, ms. */
  readonly headersTimeoutMs: number
  /** From connection to the end of the body, ms. */
  readonly requestTimeoutMs: number
  /** Idle time of a kept-alive connection, ms. */
  readonly keepAliveTimeoutMs: number
  /** Open connections; further ones are closed unanswered. */
  readonly maxConnections: number
  /** Then the connection is closed, so that no client keeps a worker to itself. */
  readonly maxRequestsPerConnection: number
}

/** How a request is answered, without anything of sockets. */
export interface HttpHandler {
  /** Asked before the body is read; null when the body is wanted. */
  readonly refuseEarly: (head: HttpRequestHead, request: IncomingMessage) => HttpResponse | null
  /** For requests whose largest body is not that of the server; null for those where it is. */
  readonly maxBodyBytes?: (head: HttpRequestHead) => number | null
  /** Must not throw. */
  readonly handle: (
    head: HttpRequestHead,
    body: Uint8Array,
    request: IncomingMessage,
  ) => Promise<HttpResponse> | HttpResponse
}

/** What a client may still send after an early answer before the connection is cut: bytes, and ms. */
const lingerBytes = 262_144
const lingerMs = 2_000

/** Options of node:http(s) createServer that come from the limits. */
export function serverOptions(limits: HttpLimits): ServerOptions {
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: Math.max(limits.requestTimeoutMs, limits.headersTimeoutMs),
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // Node looks for late requests this often; its default of 30 s would let a slow client stay three times as long.
    connectionsCheckingInterval: Math.min(2_000, Math.max(100, limits.headersTimeoutMs / 4)),
    keepAlive: true,
    noDelay: true,
    requireHostHeader: true,
    insecureHTTPParser: false,
  }
}

/** Attaches a handler to a server made with `serverOptions`. */
export function serveHttp(server: Server, handler: HttpHandler, limits: HttpLimits, clock: Clock): void {
  server.maxConnections = limits.maxConnections
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection
  // Without this Node drops headers silently after the 1,000th; the size limit above bounds them anyway.
  server.maxHeadersCount = 0
  const answer = (request: IncomingMessage, response: ServerResponse, wantsContinue: boolean) => {
    void answerRequest({ request, response, handler, limits, clock, wantsContinue })
  }
  server.on('request', (request, response) => answer(request, response, false))
  server.on('checkContinue', (request, response) => answer(request, response, true))
  server.on('checkExpectation', (_request, response) =>
    send(response, textResponse(417, 'leave out the Expect header'), true),
  )
  server.on('clientError', answerClientError)
  // CONNECT and Upgrade have no meaning here; without a listener Node closes the former and ignores the latter.
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly handler: HttpHandler
  readonly limits: HttpLimits
  readonly clock: Clock
  readonly wantsContinue: boolean
}

async function answerRequest(exchange: Exchange): Promise<void> {
  const { request, response, handler, limits, wantsContinue } = exchange
  const head = requestHead(request)
  const maxBodyBytes = handler.maxBodyBytes?.(head) ?? limits.maxBodyBytes
  const early = handler.refuseEarly(head, request) ?? refuseLength(request, maxBodyBytes)
  if (early) {
    await sendWithoutReading(exchange, early)
    return
  }
  let body: Uint8Array | null = noBody
  if (hasBody(request)) {
    if (wantsContinue) response.writeContinue()
    body = await readBody(request, maxBodyBytes)
    if (body === null) {
      if (!request.destroyed) await sendWithoutReading(exchange, tooLarge(maxBodyBytes))
      return
    }
  }
  const last = await handler.handle(head, body, request)
  send(response, last, last.isLast === true)
}

const noBody = new Uint8Array(0)

function requestHead(request: IncomingMessage): HttpRequestHead {
  const url = request.url ?? '/'
  const query = url.indexOf('?')
  return {
    method: request.method ?? 'GET',
    path: query === -1 ? url : url.slice(0, query),
    headers: request.headers,
  }
}

function hasBody(request: IncomingMessage): boolean {
  const length = announcedLength(request)
  return (length !== null && length > 0) || request.headers['transfer-encoding'] !== undefined
}

function refuseLength(request: IncomingMessage, maxBytes: number): HttpResponse | null {
  return (announcedLength(request) ?? 0) > maxBytes ? tooLarge(maxBytes) : null
}

function tooLarge(maxBytes: number): HttpResponse {
  return textResponse(413, `the request body may have at most ${maxBytes} bytes`)
}

function send(response: ServerResponse, answer: HttpResponse, close: boolean): void {
  if (response.destroyed) return
  writeHead(response, answer, close)
  if (answer.onSent) response.once('finish', answer.onSent)
  if (response.req.method === 'HEAD') response.end()
  else if (typeof answer.body === 'string' || answer.body.length > smallBytes) response.end(answer.body)
  else response.end(latin1(answer.body), 'latin1')
}

/**
 * Node sends headers and a text in one write, headers and bytes in two parts, which costs a third of a small answer. So small
 * bodies go out as text of one character per byte.
 */
const smallBytes = 4_096
const texts = new WeakMap<Uint8Array, string>()

function latin1(bytes: Uint8Array): string {
  let text = texts.get(bytes)
  if (text === undefined) {
    text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
    texts.set(bytes, text)
  }
  return text
}

/** The whole answer goes out, then the rest of the request is dropped, then the connection closes. */
async function sendWithoutReading(exchange: Exchange, answer: HttpResponse): Promise<void> {
  const { request, response, clock } = exchange
  if (request.complete || !hasBody(request)) {
    send(response, answer, false)
    return
  }
  if (exchange.wantsContinue) {
    // It has not sent its body and now will not.
    send(response, answer, true)
    return
  }
  writeHead(response, answer, true)
  response.write(answer.body)
  const patience = new AbortController()
  const discarded = discardBody(request, lingerBytes).then(() => patience.abort())
  await Promise.race([discarded, clock.sleep(lingerMs, patience.signal).catch(() => undefined)])
  response.end()
  if (!request.complete) request.destroy()
}

function writeHead(response: ServerResponse, answer: HttpResponse, close: boolean): void {
  const headers: Record<string, string | number> = { ...answer.headers }
  // RFC 9110 §8.6: 204 has none. Everywhere else clients need it (docs/rfc/est.md).
  if (answer.status !== 204) headers['Content-Length'] = Buffer.byteLength(answer.body)
  if (close) headers['Connection'] = 'close'
  response.writeHead(answer.status, headers)
}

/** The parser gave up: garbage, headers over the limit, both Content-Length and Transfer-Encoding, or too slow. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, text] = clientErrors[error.code ?? ''] ?? [
    '400 Bad Request',
    'this is not HTTP/1.1 as we understand it',
  ]
  const body = `${text}\n`
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  socket.end(head + body, () => socket.destroy())
}

const clientErrors: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the request headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
}

/** HTTP over TLS, byte by byte: what well-behaved clients never send, and what they never look at. */
import assert from 'node:assert/strict'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { pemOfKey, type EstRig } from '../helpers/est-rig.ts'
import type { ClientIdentity } from '../../src/agent/est-client.ts'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  /** Status line and headers with the empty line, as they came. */
  readonly head: string
  readonly body: string
}

export interface RawRequest {
  readonly method?: string
  /** Below `/.well-known/est/` unless it begins with a slash. */
  readonly path: string
  readonly headers?: readonly string[]
  readonly body?: string
  readonly identity?: ClientIdentity
  readonly tls?: ConnectionOptions
}

export async function openTls(
  rig: EstRig,
  { identity, tls }: Pick<RawRequest, 'identity' | 'tls'> = {},
): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: rig.port,
    servername: 'localhost',
    ca: rig.rootPem,
    ...(identity ? { cert: identity.chainPem, key: pemOfKey(identity.key) } : {}),
    ...tls,
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  return socket
}

export function requestText({ method, path, headers = [], body }: RawRequest): string {
  const target = path.startsWith('/') ? path : `/.well-known/est/${path}`
  const lines = [
    `${method ?? (body === undefined ? 'GET' : 'POST')} ${target} HTTP/1.1`,
    'Host: localhost',
    ...headers,
  ]
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** One request on a connection of its own. */
export async function ask(rig: EstRig, request: RawRequest): Promise<RawAnswer> {
  const socket = await openTls(rig, request)
  socket.write(requestText({ ...request, headers: [...(request.headers ?? []), 'Connection: close'] }))
  return parseAnswer(await readAll(socket))
}

/** An enrolment request; `text/plain` or no header at all is for the caller to say. */
export function post(path: string, der: Uint8Array, headers: readonly string[] = []): RawRequest {
  const body = Buffer.from(der).toString('base64')
  return { path, body, headers: ['Content-Type: application/pkcs10', ...headers] }
}

/** Everything until the server closes. */
export async function readAll(socket: TLSSocket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (text += chunk))
  await new Promise<void>((resolve) => {
    socket.once('end', resolve)
    socket.once('close', () => resolve())
    socket.once('error', () => resolve())
  })
  socket.destroy()
  return text
}

/** One answer of a connection that stays open. */
export async function readAnswer(socket: TLSSocket): Promise<RawAnswer> {
  let text = ''
  for (;;) {
    const chunk = (await new Promise((resolve, reject) => {
      socket.once('data', resolve)
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('the connection closed')))
    })) as Buffer
    text += chunk.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) continue
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, end + 4))?.[1] ?? '0')
    if (text.length >= end + 4 + length) return parseAnswer(text)
  }
}

/** Checks on the way what holds for every answer (docs/rfc/est.md): Content-Length, no chunks, a head that strongSwan can read. */
export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  assert.ok(end >= 0, `no answer: ${JSON.stringify(text.slice(0, 200))}`)
  const head = text.slice(0, end + 4)
  const body = text.slice(end + 4)
  const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
  const headers = new Map(lines.map((line) => splitHeader(line)))
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
  assert.ok(head.length < 1_024, `the head has ${head.length} bytes`)
  assert.equal(headers.get('transfer-encoding'), undefined)
  assert.equal(headers.get('content-length'), String(body.length), head)
  if (status === 401 || status === 202) assert.equal(body, '')
  if (status === 401) assert.match(headers.get('www-authenticate') ?? '', /^Basic realm="/)
  const retryAfter = headers.get('retry-after')
  if (status === 202 || status === 503) assert.match(retryAfter ?? '', /^[1-9]\d*$/)
  if (retryAfter !== undefined) assert.match(retryAfter, /^\d+$/)
  if (headers.get('content-transfer-encoding') === 'base64') assert.match(body, /^[A-Za-z0-9+/]+={0,2}$/)
  if (status >= 400 && body !== '') {
    assert.equal(headers.get('content-type'), 'text/plain; charset=utf-8')
    assert.match(body, /^[^\r\n]{10,510}\n$/)
  }
  return { status, headers, head, body }
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

/** One HTTPS exchange with an EST server, on a connection of its own: no pool, no resumption, bounded in bytes and time. */
import type { KeyObject } from 'node:crypto'
import { request as plainRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as tlsRequest, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Clock, Instant } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import { connectAt } from './tls-at.ts'
import type { TlsIdentity } from './tls-key.ts'

/** With which certificate the device presents itself, where this process holds its key. */
export interface ClientIdentity {
  /** PEM, leaf first, then what leads to its CA. */
  readonly chainPem: string
  readonly key: KeyObject
}

export interface Exchange {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /** Trust anchors, PEM: the only ones; the system's are not used (RFC 7030 §3.6.1, explicit trust anchors).
   * Null takes whoever answers: for the first look at /cacerts alone, and never together with a secret or an identity. */
  readonly trustPem: string | null
  readonly identity: TlsIdentity | null
  /** Name or address that the server's certificate must carry, when it is not that of the URL. */
  readonly serverName: string | null
  readonly clock: Clock
  /** When the server's certificate must be valid, where the system's clock is known to be wrong; absent: by that clock. */
  readonly at?: Instant | undefined
  /** For the whole exchange, ms. */
  readonly timeoutMs: number
  /** For tests of one version. */
  readonly tlsVersion: 'TLSv1.2' | 'TLSv1.3' | null
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<IncomingHttpHeaders>
  readonly body: Uint8Array
}

/** Larger than any answer of EST: a /cacerts with many ML-DSA certificates, a generated key. */
const maxAnswerBytes = 262_144

/** @throws Refusal `server-unreachable` when no answer comes in time, `server-answer-invalid` when it is too long */
export async function exchange(options: Exchange): Promise<Answer> {
  const { url, clock, timeoutMs } = options
  const finished = new AbortController()
  const late = clock.sleep(timeoutMs, finished.signal).then(() => {
    throw new Refusal('server-unreachable', `no answer from ${url.host} within ${timeoutMs} ms`)
  })
  try {
    return await Promise.race([late, send(options, finished.signal)])
  } finally {
    late.catch(() => undefined)
    finished.abort()
  }
}

/** @param signal ends the exchange, whatever its state */
async function send(options: Exchange, signal: AbortSignal): Promise<Answer> {
  const { url, identity, body, method } = options
  const isBare = identity === null && body === null && !('Authorization' in options.headers)
  assert(options.trustPem !== null || isBare, 'strangers are shown nothing')
  const headers = {
    ...options.headers,
    // what our clock shows (RFC 9110 §6.6.1): the server tells people of one that is off
    Date: new Date(options.clock.now()).toUTCString(),
    ...(body === null ? {} : { 'Content-Length': String(body.length) }),
  }
  const common = { method, headers, signal }
  if (options.at === undefined && (identity === null || 'key' in identity)) {
    return await answerTo(options, (on) =>
      tlsRequest(url, { ...common, agent: false, ...tlsOptions(options) }, on),
    )
  }
  const stream = await connect(options, signal)
  try {
    // HTTP/1.1 as Node speaks it, over TLS that is not Node's; an agent would open a connection of its own
    const plain = { ...common, headers: { Host: url.host, ...headers }, createConnection: () => stream }
    return await answerTo(options, (on) => plainRequest({ ...plain, path: url.pathname }, on))
  } finally {
    stream.destroy()
  }
}

function answerTo(
  { url, body }: Exchange,
  request: (onAnswer: (incoming: IncomingMessage) => void) => ReturnType<typeof plainRequest>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request((incoming) => {
      readAnswer(incoming).then(resolve, reject)
    })
    outgoing.once('error', (error: Error) => {
      const detail = `no answer from ${url.host}: ${error.message}`
      reject(new Refusal('server-unreachable', detail, { cause: error }))
    })
    outgoing.end(body ?? undefined)
  })
}

/** TLS that is not that of `https.request`: with a key in hardware, or as of another instant than the system's clock shows. */
async function connect(options: Exchange, signal: AbortSignal): Promise<Duplex> {
  const { url, identity, serverName, trustPem, at } = options
  assert(trustPem !== null, 'strangers are shown nothing')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port === '' ? 443 : url.port)
  const target = { host, port, serverName: serverName ?? host, trustPem }
  if (identity && 'tls' in identity) {
    return await identity.tls.connect({ ...target, at, chainPem: identity.chainPem }, signal)
  }
  assert(at !== undefined, 'else Node does it')
  return await connectAt({ ...target, at, options: tlsOptions(options) }, signal).catch((error: Error) => {
    const detail = `no answer from ${url.host}: ${error.message}`
    throw new Refusal('server-unreachable', detail, { cause: error })
  })
}

function tlsOptions({ identity, serverName, tlsVersion, trustPem }: Exchange): RequestOptions {
  return {
    ...(trustPem === null ? { rejectUnauthorized: false } : { ca: trustPem }),
    minVersion: tlsVersion ?? 'TLSv1.2',
    ...(tlsVersion === null ? {} : { maxVersion: tlsVersion }),
    ...(serverName === null ? {} : { servername: serverName }),
    ...(identity && 'key' in identity
      ? { cert: identity.chainPem, key: identity.key.export({ type: 'pkcs8', format: 'pem' }) }
      : {}),
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > maxAnswerBytes) {
        throw new Refusal(
          'server-answer-invalid',
          `the server's answer is longer than ${maxAnswerBytes} bytes`,
        )
      }
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal('server-unreachable', 'the connection broke inside the answer', { cause: error })
  }
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }
}

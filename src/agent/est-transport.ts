/** EST (RFC 7030) as the agent's transport, with our server's own questions about a certificate beside it. */
import type { Clock, Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { leafOf } from './agent-core.ts'
import type { Window } from './agent-inbox.ts'
import { isObject } from './agent-inbox.ts'
import { parseWindow, parseWindowHeader } from './agent-message.ts'
import type {
  AgentTransport,
  Bearer,
  CertificateBearer,
  Report,
  TransportAnswer,
  TransportRequest,
} from './agent-transport.ts'
import { type Answer, EstClient, type EstClientOptions, retryAfterMs } from './est-client.ts'
import { exchange, type Exchange } from './est-exchange.ts'

export interface EstTransportOptions {
  readonly url: string
  readonly label: string | null
  /** Pinned trust anchors, PEM, as they are now. */
  readonly trustPem: () => string
  readonly clock: Clock
  readonly timeoutMs?: number
  /** In place of the network: a simulated device asks its server in the same process. Throws as `exchange` does. */
  readonly exchange?: (request: Exchange) => Promise<Answer>
}

export class EstTransport implements AgentTransport {
  readonly #options: EstTransportOptions

  constructor(options: EstTransportOptions) {
    this.#options = options
  }

  async ask(request: TransportRequest): Promise<TransportAnswer> {
    switch (request.operation) {
      case 'credential':
        return await this.#try(request)
      case 'renewal-info':
        return await this.#askWindow(request)
      default:
        return await this.#est(request)
    }
  }

  /**
   * `stored` goes with the trial that follows it; a failure has no other way. A server that has no such page does not hear
   * of it, and nothing depends on that.
   */
  async report({ state, fingerprint, bearer }: Report): Promise<void> {
    if (state !== 'failed') return
    const body = JSON.stringify({
      v: 1,
      state,
      clientToken: fingerprint.slice(0, 16),
      certificate: fingerprint,
    })
    await this.#call({ page: 'report', method: 'POST', body }, { bearer })
  }

  async #est(
    request: TransportRequest & { operation: 'enroll' | 'reenroll' | 'cacerts' },
  ): Promise<TransportAnswer> {
    let answer: Answer | null = null
    const trustPem = 'trustPem' in request ? request.trustPem : undefined
    const client = new EstClient({
      ...this.#clientOptions(request.bearer, trustPem),
      at: request.at,
      onAnswer: (each) => void (answer = each),
    })
    try {
      const certificates = await send(client, request)
      return { kind: 'done', certificates, serverNow: dateOf(answer) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { ...meaningOf(error, answer), serverNow: dateOf(answer) }
    }
  }

  /**
   * `GET /perennial/v1/credential`. Only a 200 about this certificate is a yes, and only a refusal that names its code a
   * no; a server that has no such page is asked for /cacerts, which shows that certificate, key and chain work in TLS.
   */
  async #try(by: Caller): Promise<TransportAnswer> {
    const { bearer, at } = by
    const answer = await this.#call({ page: 'credential', method: 'GET', body: null }, by)
    if ('kind' in answer) return answer
    const serverNow = dateOf(answer)
    const said = jsonOf(answer)
    if (answer.status === 200 && isObject(said)) {
      const { serialNumber } = leafOf(bearer)
      if (said['serialNumber'] !== serialNumber) {
        return { kind: 'failed', detail: 'the server answers for another certificate', serverNow }
      }
      return { kind: 'done', certificates: [], serverNow, window: windowOf(answer, said['renewalInfo']) }
    }
    const code = answer.headers['perennial-refusal']
    if (answer.status === 403 && typeof code === 'string') {
      const text = printable(Buffer.from(answer.body.subarray(0, 300)).toString('utf8').trim())
      return { kind: 'refused', detail: `${printable(code).slice(0, 64)}: ${text}`, serverNow }
    }
    if (answer.status >= 500 || answer.status === 429) return this.#notNow(answer)
    return await this.#est({ operation: 'cacerts', bearer, at })
  }

  async #askWindow(by: Caller): Promise<TransportAnswer> {
    const answer = await this.#call({ page: 'renewal-info', method: 'GET', body: null }, by)
    if ('kind' in answer) return answer
    const serverNow = dateOf(answer)
    const askAgainMs = retryAfterMs(answer, this.#options.clock.now())
    if (answer.status === 200) {
      return {
        kind: 'done',
        certificates: [],
        serverNow,
        window: windowOf(answer, jsonOf(answer)),
        askAgainMs,
      }
    }
    const detail = `the server answered ${answer.status}`
    return { kind: 'failed', detail, serverNow, askAgainMs }
  }

  /** @returns the server's answer, or what came instead of one */
  async #call(
    { page, method, body }: Call,
    { bearer: { identity }, at }: Caller,
  ): Promise<Answer | TransportAnswer> {
    const { url, trustPem, clock, timeoutMs = 30_000 } = this.#options
    try {
      return await (this.#options.exchange ?? exchange)({
        url: new URL(`/perennial/v1/${page}`, url),
        method,
        headers: {
          Accept: 'application/json',
          ...(page === 'credential' ? { 'Perennial-Report': 'stored' } : {}),
          ...(body === null ? {} : { 'Content-Type': 'application/json' }),
        },
        body,
        trustPem: trustPem(),
        identity,
        serverName: null,
        clock,
        at,
        timeoutMs,
        tlsVersion: null,
      })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { ...meaningOf(error, null), serverNow: null }
    }
  }

  #notNow(answer: Answer): TransportAnswer {
    const serverNow = dateOf(answer)
    const detail = `the server answered ${answer.status}`
    const afterMs = retryAfterMs(answer, this.#options.clock.now())
    return afterMs === null
      ? { kind: 'failed', detail, serverNow }
      : { kind: 'later', afterMs, detail, serverNow }
  }

  #clientOptions(bearer: Bearer, trust: string | undefined): EstClientOptions {
    const { url, label, trustPem, clock, timeoutMs = 30_000 } = this.#options
    return {
      url,
      trustPem: trust ?? trustPem(),
      clock,
      timeoutMs,
      ...(this.#options.exchange ? { exchange: this.#options.exchange } : {}),
      ...(label === null ? {} : { label }),
      ...(bearer.kind === 'secret' ? { credentials: bearer } : {}),
      ...(bearer.kind === 'certificate' ? { identity: bearer.identity } : {}),
    }
  }
}

interface Caller {
  readonly bearer: CertificateBearer
  readonly at?: Instant | undefined
}

/** A request to the device API of our server. */
interface Call {
  readonly page: 'credential' | 'renewal-info' | 'report'
  readonly method: 'GET' | 'POST'
  readonly body: string | null
}

async function send(
  client: EstClient,
  request: TransportRequest & { operation: 'enroll' | 'reenroll' | 'cacerts' },
): Promise<Uint8Array[]> {
  switch (request.operation) {
    case 'cacerts':
      return await client.cacerts()
    case 'enroll':
      return [await client.enroll(request.csr)]
    case 'reenroll':
      return [await client.reenroll(request.csr)]
  }
}

type Meaning =
  | { readonly kind: 'later'; readonly afterMs: number; readonly detail: string }
  | { readonly kind: 'refused' | 'failed'; readonly detail: string; readonly isOutOfTime?: boolean }

function meaningOf(error: Refusal, answer: Answer | null): Meaning {
  const detail = error.message
  if (error.retryAfterMs !== null) return { kind: 'later', afterMs: error.retryAfterMs, detail }
  if (error.code === 'server-refused') {
    const status = answer?.status ?? 0
    // the server's own trouble says nothing about us; 429 and 202 without Retry-After are waits without a length
    const isAboutUs = status >= 300 && status < 500 && status !== 408 && status !== 429
    return { kind: isAboutUs ? 'refused' : 'failed', detail }
  }
  if (isOutOfTime(error)) return { kind: 'failed', detail, isOutOfTime: true }
  return { kind: isAlert(error.cause) ? 'refused' : 'failed', detail }
}

/** By the clock of the system: Node's codes, and the words of `openssl s_client` (X509_verify_cert_error_string). */
function isOutOfTime({ message, cause }: Refusal): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return (
    code === 'CERT_HAS_EXPIRED' ||
    code === 'CERT_NOT_YET_VALID' ||
    /certificate (?:has expired|is not yet valid)|certificate verify failed/.test(message)
  )
}

/** The server ended the handshake because of what we showed (RFC 8446 §6.2). */
export function isAlert(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^ERR_SSL_.*ALERT.*(?:CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)
}

/** RFC 9773 §4.2: `suggestedWindow`; in the header of other answers the same. */
function windowOf(answer: Answer, info: unknown): Window | null {
  const header = answer.headers['perennial-renewal']
  const inBody = isObject(info) ? parseWindow(info['suggestedWindow']) : null
  return inBody ?? parseWindowHeader(typeof header === 'string' ? header : undefined)
}

function jsonOf({ body }: Answer): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return null
  }
}

function dateOf(answer: Answer | null): number | null {
  const at = Date.parse(answer?.headers.date ?? '')
  return Number.isNaN(at) ? null : at
}

/** EST (RFC 7030) as the agent's transport. */
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { AgentTransport, Bearer, TransportAnswer, TransportRequest } from './agent-transport.ts'
import { type Answer, EstClient, type EstClientOptions } from './est-client.ts'

export interface EstTransportOptions {
  readonly url: string
  readonly label: string | null
  /** Pinned trust anchors, PEM. */
  readonly trustPem: string
  readonly clock: Clock
  readonly timeoutMs?: number
}

export class EstTransport implements AgentTransport {
  readonly #options: EstTransportOptions

  constructor(options: EstTransportOptions) {
    this.#options = options
  }

  async ask(request: TransportRequest): Promise<TransportAnswer> {
    let answer: Answer | null = null
    const client = new EstClient({
      ...this.#clientOptions(request.bearer),
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

  #clientOptions(bearer: Bearer): EstClientOptions {
    const { url, label, trustPem, clock, timeoutMs = 30_000 } = this.#options
    return {
      url,
      trustPem,
      clock,
      timeoutMs,
      ...(label === null ? {} : { label }),
      ...(bearer.kind === 'secret' ? { credentials: bearer } : {}),
      ...(bearer.kind === 'certificate' ? { identity: bearer.identity } : {}),
    }
  }
}

async function send(client: EstClient, request: TransportRequest): Promise<Uint8Array[]> {
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
  | { readonly kind: 'refused' | 'failed'; readonly detail: string }

function meaningOf(error: Refusal, answer: Answer | null): Meaning {
  const detail = error.message
  if (error.retryAfterMs !== null) return { kind: 'later', afterMs: error.retryAfterMs, detail }
  if (error.code === 'server-refused') {
    const status = answer?.status ?? 0
    // the server's own trouble says nothing about us; 429 and 202 without Retry-After are waits without a length
    const isAboutUs = status >= 300 && status < 500 && status !== 408 && status !== 429
    return { kind: isAboutUs ? 'refused' : 'failed', detail }
  }
  return { kind: isAlert(error.cause) ? 'refused' : 'failed', detail }
}

/** The server ended the handshake because of what we showed (RFC 8446 §6.2). */
function isAlert(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^ERR_SSL_.*ALERT.*(?:CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)
}

function dateOf(answer: Answer | null): number | null {
  const at = Date.parse(answer?.headers.date ?? '')
  return Number.isNaN(at) ? null : at
}

/** The device's side of EST (RFC 7030): what the agent, the demo and the tests enrol with. */
import { fromBase64, toBase64 } from '../base/bytes.ts'
import type { Clock, Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { parseCertsOnly } from '../pki/cms.ts'
import { type Answer, exchange, type Exchange } from './est-exchange.ts'
import type { TlsIdentity } from './tls-key.ts'

export type { Answer, ClientIdentity } from './est-exchange.ts'

export interface EstClientOptions {
  /** `https://host:port`; the well-known path is added. */
  readonly url: string
  /** EST label: the name of a profile. */
  readonly label?: string
  /** Trust anchors for the server, PEM. */
  readonly trustPem: string
  /** Certificate to present in TLS. */
  readonly identity?: TlsIdentity
  /** One-time enrolment secret, sent as HTTP Basic. */
  readonly credentials?: { readonly username: string; readonly password: string }
  readonly clock: Clock
  /** Of one exchange, ms; default 30 s. */
  readonly timeoutMs?: number
  /** How long 202 and 503 are followed by further attempts altogether, ms; default 0: the first one is the result. */
  readonly maxWaitMs?: number
  readonly serverName?: string
  readonly tlsVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** As `Exchange` has it. */
  readonly at?: Instant | undefined
  /** In place of the network. Throws as `exchange` does. */
  readonly exchange?: (request: Exchange) => Promise<Answer>
  /** Sees each answer of the server, whose identity TLS has proved by then: its status, its `Date`. */
  readonly onAnswer?: (answer: Answer) => void
}

/**
 * /cacerts of a server that nobody has vouched for yet (RFC 7030 §4.1.1): worth nothing until a certificate among them
 * has been compared with a fingerprint that came another way.
 */
export async function fetchUnverifiedCacerts(
  options: Pick<EstClientOptions, 'url' | 'label' | 'clock' | 'timeoutMs'>,
): Promise<Uint8Array[]> {
  const answer = await exchange({
    url: operationUrl(options, 'cacerts'),
    method: 'GET',
    headers: {},
    body: null,
    trustPem: null,
    identity: null,
    serverName: null,
    clock: options.clock,
    timeoutMs: options.timeoutMs ?? 30_000,
    tlsVersion: null,
  })
  if (answer.status !== 200) throw refusalOf(answer, null)
  return certificatesOf(answer)
}

/**
 * Every method throws Refusal: `server-refused` when the server said no (with its reason, and `retryAfterMs` when it gave
 * one), `server-unreachable`, or `server-answer-invalid` when the answer is not what RFC 7030 and RFC 8951 allow.
 */
export class EstClient {
  readonly #options: EstClientOptions

  constructor(options: EstClientOptions) {
    this.#options = options
  }

  /** CA certificates, DER, as the server sent them (§4.1). Verify them before you trust them. */
  async cacerts(): Promise<Uint8Array[]> {
    return certificatesOf(await this.#ask('GET', 'cacerts', null))
  }

  /** CsrAttrs, DER; null when the server has none (§4.5, RFC 8951 §3.2). */
  async csrAttributes(): Promise<Uint8Array | null> {
    const answer = await this.#ask('GET', 'csrattrs', null, [204, 404])
    if (answer.status !== 200) return null
    return bodyOf(answer, 'application/csrattrs')
  }

  /** @param csr PKCS #10, DER. @returns the certificate, DER (§4.2.1) */
  async enroll(csr: Uint8Array): Promise<Uint8Array> {
    return certificateOf(await this.#ask('POST', 'simpleenroll', csr))
  }

  /** Renews the certificate of `identity` (§4.2.2). */
  async reenroll(csr: Uint8Array): Promise<Uint8Array> {
    return certificateOf(await this.#ask('POST', 'simplereenroll', csr))
  }

  /** Asks, and asks again as the server says, until it says yes or no, or the patience is used up. */
  async #ask(
    method: 'GET' | 'POST',
    operation: string,
    der: Uint8Array | null,
    alsoGood: readonly number[] = [],
  ): Promise<Answer> {
    const { clock, maxWaitMs = 0 } = this.#options
    const giveUpAt = clock.now() + maxWaitMs
    for (;;) {
      const answer = await this.#exchange(method, operation, der)
      if (answer.status === 200 || alsoGood.includes(answer.status)) return answer
      const waitMs = retryAfterMs(answer, clock.now())
      const isWaiting = answer.status === 202 || answer.status === 503
      if (!isWaiting || waitMs === null || clock.now() + waitMs > giveUpAt) throw refusalOf(answer, waitMs)
      await clock.sleep(waitMs)
    }
  }

  async #exchange(method: 'GET' | 'POST', operation: string, der: Uint8Array | null): Promise<Answer> {
    const options = this.#options
    const headers: Record<string, string> = {}
    if (der !== null) headers['Content-Type'] = 'application/pkcs10'
    if (der !== null) headers['Content-Transfer-Encoding'] = 'base64'
    if (options.credentials) {
      const { username, password } = options.credentials
      headers['Authorization'] = `Basic ${toBase64(Buffer.from(`${username}:${password}`))}`
    }
    const answer = await (options.exchange ?? exchange)({
      url: operationUrl(options, operation),
      method,
      headers,
      body: der === null ? null : toBase64(der),
      trustPem: options.trustPem,
      identity: options.identity ?? null,
      serverName: options.serverName ?? null,
      clock: options.clock,
      at: options.at,
      timeoutMs: options.timeoutMs ?? 30_000,
      tlsVersion: options.tlsVersion ?? null,
    })
    options.onAnswer?.(answer)
    return answer
  }
}

function operationUrl({ url, label }: Pick<EstClientOptions, 'url' | 'label'>, operation: string): URL {
  return new URL(`/.well-known/est/${label === undefined ? '' : `${label}/`}${operation}`, url)
}

function refusalOf(answer: Answer, waitMs: number | null): Refusal {
  const text = printable(Buffer.from(answer.body.subarray(0, 500)).toString('utf8').trim())
  const reason = text === '' ? (reasons[answer.status] ?? 'no reason given') : text
  const hints = waitMs === null ? {} : { retryAfterMs: waitMs }
  return new Refusal('server-refused', `the EST server answered ${answer.status}: ${reason}`, hints)
}

/** Of answers whose body is empty by rule. */
const reasons: Readonly<Record<number, string>> = {
  202: 'the request waits for approval',
  401: 'it does not accept these credentials',
}

/** Delta seconds or an HTTP date (RFC 9110 §10.2.3); at least a second, so that no server makes us spin. */
export function retryAfterMs(answer: Answer, now: number): number | null {
  const value = answer.headers['retry-after']
  if (value === undefined) return null
  if (/^\d{1,9}$/.test(value)) return Math.max(1, Number(value)) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(1000, at - now)
}

function certificateOf(answer: Answer): Uint8Array {
  const [certificate, ...others] = certificatesOf(answer)
  if (certificate === undefined || others.length > 0) {
    throw new Refusal('server-answer-invalid', 'the answer must hold one certificate (RFC 7030 §4.2.3)')
  }
  return certificate
}

function certificatesOf(answer: Answer): Uint8Array[] {
  return parseCertsOnly(bodyOf(answer, 'application/pkcs7-mime'))
}

function bodyOf(answer: Answer, wantedType: string): Uint8Array {
  const type = (answer.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== wantedType) {
    throw new Refusal('server-answer-invalid', `the answer is ${type || 'of no type'}, not ${wantedType}`)
  }
  const der = fromBase64(Buffer.from(answer.body).toString('latin1'))
  if (der === null) throw new Refusal('server-answer-invalid', 'the answer is not base64 (RFC 8951 §3.1)')
  return der
}

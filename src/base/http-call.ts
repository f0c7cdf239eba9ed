/** One HTTP call to a provider: bounded in time and size, no redirects, and every failure a refusal that names no secret. */
import type { Clock } from './clock.ts'
import { Refusal } from './errors.ts'
import { parseRetryAfter } from './retry-after.ts'
import { secureUrlProblem } from './secure-url.ts'
import { printable } from './text.ts'

export interface HttpCallHost {
  readonly clock: Clock
  readonly fetch: typeof fetch
}

export interface HttpCall {
  /** Who is called, for messages: `the webhook`. */
  readonly who: string
  readonly url: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** From the call to the end of the answer, ms. */
  readonly timeoutMs: number
  /** What a failure is called; default `trigger-failed`. */
  readonly failure?: 'trigger-failed' | 'connector-failed'
  /** Statuses besides 2xx that are no failure, such as 404 where something is to be deleted. */
  readonly accept?: readonly number[]
}

/** Answers of providers are short; more than this is not read. */
const maxAnswerBytes = 65_536

/**
 * @returns the text of a 2xx answer
 * @throws Refusal `trigger-failed`, or what `failure` says: with `retryAfterMs` when the answer had a Retry-After; with a TimeoutError or AbortError
 *   as its cause when the request was cut off, so that nobody knows whether it arrived
 */
export async function callHttp(host: HttpCallHost, call: HttpCall, signal: AbortSignal): Promise<string> {
  const { who, url, method, headers, body, timeoutMs, failure = 'trigger-failed', accept = [] } = call
  signal.throwIfAborted()
  const stop = new AbortController()
  const settled = new AbortController()
  const onAbort = () => stop.abort(signal.reason)
  signal.addEventListener('abort', onAbort)
  host.clock.sleep(timeoutMs, settled.signal).then(
    () => stop.abort(new DOMException('no answer in time', 'TimeoutError')),
    () => {},
  )
  try {
    const response = await host.fetch(url, {
      method,
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
      // A redirect would take the message, its signature and our password to wherever an attacker likes.
      redirect: 'manual',
      signal: stop.signal,
    })
    const text = await readBounded(response)
    if (response.ok || accept.includes(response.status)) return text
    throw refusedBy(call, response, host.clock.now())
  } catch (error) {
    if (error instanceof Refusal) throw error
    if (stop.signal.aborted) throw cutOff(call, stop.signal.reason)
    throw new Refusal(failure, `${who} could not be reached: ${reasonOf(error)}`)
  } finally {
    settled.abort()
    signal.removeEventListener('abort', onAbort)
  }
}

/** @throws Refusal `configuration-invalid` */
export function refuseBadUrl(
  key: string,
  text: string,
  insecureKey: string,
  isInsecureAllowed: boolean,
): void {
  const problem = secureUrlProblem(text, isInsecureAllowed)
  if (problem !== null) {
    throw new Refusal(
      'configuration-invalid',
      `${key}: ${problem}, or set ${insecureKey} if a wall guards it`,
    )
  }
}

function refusedBy({ who, failure = 'trigger-failed' }: HttpCall, response: Response, now: number): Refusal {
  const { status, headers } = response
  // 3xx, of which we follow none, has no Retry-After for us
  const retryAfterMs =
    status === 429 || status === 503 ? parseRetryAfter(headers.get('retry-after'), now) : null
  const why = status >= 300 && status < 400 ? ' (redirects are not followed)' : ''
  return new Refusal(
    failure,
    `${who} answered ${status}${why}`,
    retryAfterMs === null ? {} : { retryAfterMs },
  )
}

function cutOff({ who, failure = 'trigger-failed' }: HttpCall, reason: unknown): Refusal {
  const isTimeOut = reason instanceof Error && reason.name === 'TimeoutError'
  const cause = isTimeOut ? reason : new DOMException('aborted', 'AbortError')
  return new Refusal(failure, `${who} ${isTimeOut ? 'did not answer in time' : 'was not waited for'}`, {
    cause,
  })
}

async function readBounded(response: Response): Promise<string> {
  if (!response.body) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    chunks.push(chunk)
    size += chunk.byteLength
    if (size > maxAnswerBytes) throw new Error('the answer is too long')
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The system's word for it (`ECONNREFUSED`), never the error's text: that may hold the URL with what is in it. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (inner instanceof Error && 'code' in inner && typeof inner.code === 'string')
    return printable(inner.code)
  return error instanceof Error && error.message === 'the answer is too long'
    ? error.message
    : 'no connection'
}

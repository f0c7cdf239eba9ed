/** One POST of JSON to a notifier's receiver: guarded address, bounded in time and size, no redirects, no secrets in errors. */
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { Refusal } from '../base/errors.ts'
import type { ExtensionHost } from '../base/extension.ts'
import { parseRetryAfter } from '../base/retry-after.ts'
import { secureUrlProblem } from '../base/secure-url.ts'
import { printable } from '../base/text.ts'
import { AddressRefused, addressRule, guardedLookup, type AddressRule } from './public-address.ts'

export interface HttpOptions {
  readonly timeoutMs: number
  /** Addresses that are not public and may be reached. */
  readonly allow: readonly string[]
  readonly insecureHttp: boolean
}

export interface Receiver {
  /** For messages: `notifiers.tickets`. */
  readonly who: string
  /** @returns the text of a 2xx answer. @throws Refusal `notify-failed`, `notify-impossible` */
  post(request: PostRequest, signal: AbortSignal): Promise<string>
}

export interface PostRequest {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

const maxAnswerBytes = 65_536

/** @throws Refusal `configuration-invalid` */
export function openReceiver(who: string, options: HttpOptions, host: ExtensionHost): Receiver {
  const isAllowed = addressRule(options.allow, `${who}.allow`)
  return {
    who,
    async post(request, signal) {
      signal.throwIfAborted()
      const stop = new AbortController()
      const settled = new AbortController()
      const onAbort = () => stop.abort()
      signal.addEventListener('abort', onAbort)
      host.clock.sleep(options.timeoutMs, settled.signal).then(onAbort, () => {})
      try {
        const response = await send(who, request, isAllowed, stop.signal)
        return accepted(who, response, host.clock.now())
      } catch (error) {
        if (error instanceof Refusal) throw error
        throw failed(who, error, stop.signal.aborted)
      } finally {
        settled.abort()
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

/** @throws Refusal `configuration-invalid` */
export function checkUrl(who: string, url: string, { insecureHttp }: HttpOptions): void {
  const problem = secureUrlProblem(url, insecureHttp)
  if (problem !== null) {
    throw new Refusal(
      'configuration-invalid',
      `${who}.url: ${problem}, or set ${who}.insecureHttp: true if a wall guards it`,
    )
  }
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly text: string
}

async function send(
  who: string,
  { url, headers, body }: PostRequest,
  isAllowed: AddressRule,
  signal: AbortSignal,
): Promise<Answer> {
  const target = new URL(url)
  const literal = target.hostname.replace(/^\[|\]$/g, '')
  // a literal is never looked up
  if (isIP(literal) !== 0 && !isAllowed(literal)) throw refusedAddress(who)
  const request = target.protocol === 'https:' ? requestHttps : requestHttp
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      target,
      {
        method: 'POST',
        // a connection of its own: one that is kept was checked for another name
        agent: false,
        lookup: guardedLookup(isAllowed),
        signal,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Perennial',
          ...headers,
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => void readAnswer(response).then(resolve, reject),
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > maxAnswerBytes) {
      response.destroy()
      break
    }
    chunks.push(chunk)
  }
  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'] ?? null,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}

function accepted(who: string, { status, retryAfter, text }: Answer, now: number): string {
  if (status >= 200 && status < 300) return text
  const words = printable(text.trim()).slice(0, 80)
  const said = `${who} answered ${status}${words === '' || status >= 500 ? '' : `: ${words}`}`
  if (status >= 300 && status < 400)
    throw new Refusal('notify-impossible', `${who} answered ${status}: redirects are not followed`)
  const isTemporary = status >= 500 || [408, 425, 429].includes(status)
  if (!isTemporary) throw new Refusal('notify-impossible', said)
  const retryAfterMs = parseRetryAfter(retryAfter, now)
  throw new Refusal('notify-failed', said, retryAfterMs === null ? {} : { retryAfterMs })
}

function failed(who: string, error: unknown, isCutOff: boolean): Refusal {
  if (error instanceof AddressRefused) return refusedAddress(who)
  if (isCutOff) return new Refusal('notify-failed', `${who} did not answer in time`)
  const code = error instanceof Error && 'code' in error ? printable(String(error.code)) : 'no connection'
  // never the error's own text: it may hold the address with what is in it
  return new Refusal('notify-failed', `${who} could not be reached: ${code}`)
}

function refusedAddress(who: string): Refusal {
  return new Refusal(
    'notify-impossible',
    `${who} leads to an address that is not public: add it to ${who}.allow if that is meant`,
  )
}

/**
 * OCSP over HTTP (RFC 6960 Appendix A, RFC 9919 §5, §7): POST, and GET with the request in base64 in the path. Errors are OCSP
 * responses as well and ride on 200, which is what clients read.
 */
import { fromBase64, sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import { answerAgain, answerOcsp, textOf, type OcspAnswer } from '../engine/revocation/ocsp.ts'
import { maxOcspRequestBytes } from '../pki/ocsp-request.ts'
import { encodeOcspError } from '../pki/ocsp-response.ts'
import { isFresh } from './http-cache.ts'
import { type HttpRequestHead, type HttpResponse, textResponse } from './http-message.ts'

export { maxOcspRequestBytes }

export function isOcspPath(path: string): boolean {
  return path === '/ocsp' || path.startsWith('/ocsp/')
}

/** GET carries the request in its path, POST in its body. */
export async function ocspResponse(
  engine: Engine,
  head: HttpRequestHead,
  body: Uint8Array,
  answered?: (result: string) => void,
): Promise<HttpResponse> {
  const isPost = head.method === 'POST'
  if (!isPost && /^\/ocsp\/*$/.test(head.path)) {
    return textResponse(200, 'OCSP responder: POST a request, or GET /ocsp/<request in base64>')
  }
  // GET is kept by its path: what stands there is read only the first time
  const question = isPost ? textOf(body) : head.path
  const answer = await answerOrApologise(engine, question, () => (isPost ? body : requestInPath(head.path)))
  answered?.(answer.kind === 'error' ? answer.error : answer.says)
  if (answer.kind === 'error') return errorResponse(answer.der)
  return signedResponse(answer, head, engine.clock.now())
}

const malformed = {
  kind: 'error',
  error: 'malformedRequest',
  der: encodeOcspError('malformedRequest'),
} as const

/** A bug or a store that is away is an OCSP error as well: clients read nothing else (RFC 6960 §2.3). */
async function answerOrApologise(
  engine: Engine,
  question: string,
  read: () => Uint8Array | null,
): Promise<OcspAnswer> {
  try {
    const again = await answerAgain(engine, question)
    if (again) return again
    const request = read()
    return request === null ? malformed : await answerOcsp(engine, request, question)
  } catch (err) {
    engine.log.error({ err }, 'an OCSP request failed inside the server')
    const error = err instanceof Refusal ? 'tryLater' : 'internalError'
    return { kind: 'error', error, der: encodeOcspError(error) }
  }
}

/** Never kept: the next answer may be a good one (RFC 9919 §7). */
function errorResponse(der: Uint8Array): HttpResponse {
  return { status: 200, headers: { 'Content-Type': contentType, 'Cache-Control': 'no-store' }, body: der }
}

/** RFC 9919 §7.2. */
function signedResponse(
  answer: OcspAnswer & { kind: 'signed' },
  head: HttpRequestHead,
  now: number,
): HttpResponse {
  const { der, producedAt, hasNonce } = answer
  if (hasNonce || head.method === 'POST') {
    const headers = { 'Content-Type': contentType, ...(hasNonce ? { 'Cache-Control': 'no-store' } : {}) }
    return { status: 200, headers, body: der }
  }
  const headers = headersOf(answer, now)
  if (isFresh(head, [headers.ETag], producedAt)) {
    const { 'Content-Type': _, ...rest } = headers
    return { status: 304, headers: rest, body: '' }
  }
  return { status: 200, headers, body: der }
}

type SignedHeaders = ReturnType<typeof makeHeaders>

const madeHeaders = new WeakMap<OcspAnswer, { readonly second: number; readonly headers: SignedHeaders }>()

/** The same for a second: only max-age changes. */
function headersOf(answer: OcspAnswer & { kind: 'signed' }, now: number): SignedHeaders {
  const second = Math.floor(now / 1000)
  const made = madeHeaders.get(answer)
  if (made?.second === second) return made.headers
  const headers = makeHeaders(answer, now, made?.headers.ETag)
  madeHeaders.set(answer, { second, headers })
  return headers
}

function makeHeaders(
  { der, producedAt, nextUpdate }: OcspAnswer & { kind: 'signed' },
  now: number,
  etag = `"${sha256Hex(der).slice(0, 32)}"`,
) {
  const seconds = Math.max(0, Math.floor((nextUpdate - now) / 1000))
  return {
    ETag: etag,
    'Last-Modified': new Date(producedAt).toUTCString(),
    Expires: new Date(nextUpdate).toUTCString(),
    'Cache-Control': `max-age=${seconds}, public, no-transform, must-revalidate`,
    'Content-Type': contentType,
  }
}

const contentType = 'application/ocsp-response'

/**
 * What follows `/ocsp/`: base64, percent-encoded or not, with the slashes that base64 has and that some clients double or
 * leave in front; a plus sign that a proxy turned into a space is one again.
 */
function requestInPath(path: string): Uint8Array | null {
  if (path.length > 4 * maxOcspRequestBytes) return null
  const encoded = path.slice('/ocsp/'.length)
  try {
    const text = decodeURIComponent(encoded).replaceAll(' ', '+')
    const padding = '='.repeat((4 - (text.length % 4)) % 4)
    return fromBase64(text) ?? fromBase64(text + padding) ?? fromBase64(text.replace(/^\/+/, ''))
  } catch {
    // a percent sign that begins nothing
    return null
  }
}

/**
 * Answers of the EST endpoint, in the form that real clients can read (docs/rfc/est.md): base64 in one line, empty 401 and 202,
 * few headers. The shell adds Content-Length.
 */
import { toBase64 } from '../base/bytes.ts'
import { Refusal, refusalRules, type RefusalCode } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { token, type Random } from '../base/random.ts'
import { printable } from '../base/text.ts'
import { certsOnly } from '../pki/cms.ts'
import { retryAfterSeconds, textResponse, type HttpResponse } from './http-message.ts'
import { jitteredRetryAfter } from './overload.ts'

/** What became of a request, for metrics: few values, none of them a device. */
export type EstResult = 'issued' | 'repeated' | 'pending' | 'answered' | 'error' | RefusalCode

export interface EstResponse extends HttpResponse {
  readonly result: EstResult
}

const certsOnlyType = 'application/pkcs7-mime; smime-type=certs-only'

/** A certs-only SignedData (RFC 7030 §4.1.3 and §4.2.3, RFC 8951 §3.1: base64 whatever Content-Transfer-Encoding says). */
export function certsOnlyResponse(certificates: readonly Uint8Array[], result: EstResult): EstResponse {
  return base64Response(certsOnlyType, certsOnly(certificates), result)
}

export function base64Response(contentType: string, der: Uint8Array, result: EstResult): EstResponse {
  return {
    status: 200,
    headers: { 'Content-Type': contentType, 'Content-Transfer-Encoding': 'base64' },
    body: toBase64(der),
    result,
  }
}

/** 202: a person has to approve; the client repeats the same request (RFC 7030 §4.2.3). */
export function pendingResponse(retryAfterMs: number): EstResponse {
  return {
    status: 202,
    headers: { 'Retry-After': retryAfterSeconds(retryAfterMs) },
    body: '',
    result: 'pending',
  }
}

interface FailureHost {
  readonly log: Log
  readonly random: Random
}

/**
 * The answer to anything thrown: a Refusal says what to do; everything else is our bug and leaves as an id that is also in
 * the log.
 */
export function failureResponse(host: FailureHost, error: unknown): EstResponse {
  if (error instanceof Refusal) return refusalResponse(host.random, error)
  const id = token(host.random, 6)
  host.log.error({ err: error, errorId: id }, 'a request failed inside the server')
  return {
    ...textResponse(500, `the server failed; ask its operator to look for error ${id} in the log`),
    result: 'error',
  }
}

/** What ends a kept-alive connection: the certificate that it began with is worth nothing any more. */
const ends: ReadonlySet<RefusalCode> = new Set([
  'device-revoked',
  'device-quarantined',
  'device-decommissioned',
  'issuer-revoked',
  'certificate-expired',
  'certificate-retired',
])

function refusalResponse(random: Random, refusal: Refusal): EstResponse {
  const status = refusalRules[refusal.code].http
  if (status === 401) {
    // Bouncy Castle repeats with credentials only when the challenge is here, and breaks on a body it has not read.
    const headers = { 'WWW-Authenticate': 'Basic realm="perennial", charset="UTF-8"' }
    return { status, headers, body: '', result: refusal.code }
  }
  const headers: Record<string, string> = {}
  if (refusal.retryAfterMs !== null) headers['Retry-After'] = retryAfterSeconds(refusal.retryAfterMs)
  else if (status === 503) headers['Retry-After'] = jitteredRetryAfter(random)
  const answer = textResponse(status, oneLine(refusal.message), headers)
  return { ...answer, result: refusal.code, ...(ends.has(refusal.code) ? { isLast: true } : {}) }
}

/** Details quote what clients sent; a device's log must not be written by them. */
function oneLine(detail: string): string {
  const line = printable(detail)
  return line.length <= 500 ? line : `${line.slice(0, 499)}…`
}

/**
 * The plain HTTP endpoint of verifiers: certificates of our CAs where the AIA extension of what they issued points
 * (RFC 5280 §4.2.2.1), CRLs (crl.ts) and OCSP (ocsp.ts). Plain HTTP on purpose: whoever checks a certificate cannot be asked to check another one first.
 */
import { sha256Hex } from '../base/bytes.ts'
import { hourMs } from '../base/clock.ts'
import type { Engine } from '../engine/context.ts'
import { crlResponse, crlScopeOf } from './crl.ts'
import { failureResponse } from './est-response.ts'
import { isFresh } from './http-cache.ts'
import { type HttpRequestHead, type HttpResponse, textResponse } from './http-message.ts'
import type { HttpHandler, HttpLimits } from './http-server.ts'
import { isOcspPath, maxOcspRequestBytes, ocspResponse } from './ocsp.ts'
import { answerRenewalInfo } from './renewal-info.ts'
import { verifierList } from './verifier-list.ts'

/** Tight: nobody has a reason to send this endpoint anything. */
export const statusLimits: HttpLimits = {
  maxBodyBytes: 0,
  maxHeaderBytes: 8_192,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 5_000,
  maxConnections: 10_000,
  maxRequestsPerConnection: 1_000,
}

/** A CA certificate at its URL changes at most when the CA gets another certificate for the same key. */
const maxAgeMs = hourMs

/** What happened, for metrics. Called for each answer; must not throw. */
export interface StatusObserver {
  /** `signed`, `nonce`, or the name of an OCSP error. */
  readonly ocspAnswered?: (result: string) => void
}

export function statusHandler(engine: Engine, observer: StatusObserver = {}): HttpHandler {
  return {
    refuseEarly: refuseMethod,
    maxBodyBytes: ({ method, path }) => (method === 'POST' && isOcspPath(path) ? maxOcspRequestBytes : null),
    handle: (head, body) => handleStatus(engine, head, body, observer),
  }
}

const pages =
  'CA certificates are under /ca/<issuer>.cer, CRLs under /crl/<issuer>.crl, OCSP at /ocsp, renewal windows under /renewal-info/<certificate-id> (RFC 9773)'

/** Never throws. */
export async function handleStatus(
  engine: Engine,
  head: HttpRequestHead,
  body: Uint8Array = new Uint8Array(),
  observer: StatusObserver = {},
): Promise<HttpResponse> {
  const early = refuseMethod(head)
  if (early) return early
  try {
    if (isOcspPath(head.path)) return await ocspResponse(engine, head, body, observer.ocspAnswered)
    const issuerId = /^\/ca\/([a-z0-9-]{1,64})\.cer$/.exec(head.path)?.[1]
    if (issuerId !== undefined) return await caCertificate(engine, issuerId, head)
    const crl = crlScopeOf(head.path)
    if (crl !== null) return await crlResponse(engine, crl, head)
    const certificateName = /^\/renewal-info\/([^/]+)$/.exec(head.path)?.[1]
    if (certificateName !== undefined) return await answerRenewalInfo(engine, certificateName)
    if (head.path === '/verifier.json') return await verifierList(engine, head)
    if (head.path === '/') return textResponse(200, `Perennial status endpoint: ${pages}`)
    return textResponse(404, `no such page: ${pages}`)
  } catch (error) {
    return failureResponse(engine, error)
  }
}

function refuseMethod({ method, path }: HttpRequestHead): HttpResponse | null {
  if (method === 'GET' || method === 'HEAD') return null
  if (isOcspPath(path)) {
    return method === 'POST'
      ? null
      : textResponse(405, 'OCSP takes POST and GET', { Allow: 'GET, HEAD, POST' })
  }
  return textResponse(405, 'this endpoint takes GET', { Allow: 'GET, HEAD' })
}

/** DER as application/pkix-cert (RFC 2585 §4.1). */
async function caCertificate(engine: Engine, issuerId: string, head: HttpRequestHead): Promise<HttpResponse> {
  const issuer = (await engine.issuers.list()).find((each) => each.id === issuerId)
  if (!issuer?.certificate) return textResponse(404, 'there is no such issuer here')
  const etag = `"${sha256Hex(issuer.certificate).slice(0, 32)}"`
  const headers = {
    ETag: etag,
    'Last-Modified': new Date(issuer.createdAt).toUTCString(),
    'Cache-Control': `public, max-age=${maxAgeMs / 1000}`,
  }
  if (isFresh(head, [etag], issuer.createdAt)) return { status: 304, headers, body: '' }
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': 'application/pkix-cert' },
    body: issuer.certificate,
  }
}

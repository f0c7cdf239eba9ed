/**
 * CRLs over plain HTTP (RFC 5280 §4.2.1.13, RFC 2585 §3): where certificates and complete CRLs point, plain because whoever
 * checks a certificate cannot be asked to check another one first. Readers wait for no publisher and block none.
 */
import type { IssuerId } from '../base/id.ts'
import type { Engine } from '../engine/context.ts'
import { currentCrl, type CrlScope, type PublishedCrl } from '../engine/revocation/crl.ts'
import { acceptsGzip, gzipped, isFresh } from './http-cache.ts'
import { type HttpRequestHead, type HttpResponse, textResponse } from './http-message.ts'

/** Which CRL a path names; null when it is no path of a CRL. */
export function crlScopeOf(path: string): CrlScope | null {
  const [, issuer, part] =
    /^\/crl\/([a-z0-9][a-z0-9-]{0,63})(?:\/(delta|0|[1-9][0-9]{0,3}))?\.crl$/.exec(path) ?? []
  if (issuer === undefined) return null
  const issuerId = issuer as IssuerId
  if (part === undefined) return { issuerId, kind: 'complete', shard: 0 }
  return part === 'delta'
    ? { issuerId, kind: 'delta', shard: 0 }
    : { issuerId, kind: 'shard', shard: Number(part) }
}

/** DER as application/pkix-crl (RFC 2585 §4.2). */
export async function crlResponse(
  engine: Engine,
  scope: CrlScope,
  head: HttpRequestHead,
): Promise<HttpResponse> {
  const published = await currentCrl(engine, scope)
  if (!published) return textResponse(404, 'no such CRL is published here', { 'Cache-Control': 'no-store' })
  const { record, der } = published
  const etag = `"${record.sha256.slice(0, 32)}"`
  const gzipEtag = `"${record.sha256.slice(0, 32)}-gzip"`
  const isGzip = acceptsGzip(head) && der.length >= smallest
  const headers = {
    ETag: isGzip ? gzipEtag : etag,
    Vary: 'Accept-Encoding',
    ...cacheHeaders(published, engine.clock.now()),
  }
  if (isFresh(head, [etag, gzipEtag], record.thisUpdate)) return { status: 304, headers, body: '' }
  const typed = { ...headers, 'Content-Type': 'application/pkix-crl' }
  if (!isGzip) return { status: 200, headers: typed, body: der }
  return { status: 200, headers: { ...typed, 'Content-Encoding': 'gzip' }, body: await gzipped(der) }
}

/** Below this, gzip saves nothing worth its header, bytes. */
const smallest = 1_024

/** In force until nextUpdate, and not a second longer. */
function cacheHeaders({ record }: PublishedCrl, now: number): Record<string, string> {
  const seconds = Math.max(0, Math.floor((record.nextUpdate - now) / 1000))
  return {
    'Last-Modified': new Date(record.thisUpdate).toUTCString(),
    Expires: new Date(record.nextUpdate).toUTCString(),
    'Cache-Control': `public, max-age=${seconds}, must-revalidate`,
  }
}

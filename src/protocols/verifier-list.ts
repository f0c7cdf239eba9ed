/**
 * `/verifier.json`: the CAs that a verifier in the field is to know, for those who keep its files fresh. It is not signed and need
 * not be: each certificate is believed only when it leads to a root that the verifier has pinned.
 */
import { sha256Hex, toBase64 } from '../base/bytes.ts'
import type { Engine } from '../engine/context.ts'
import { isFresh } from './http-cache.ts'
import type { HttpRequestHead, HttpResponse } from './http-message.ts'

const maxAgeSeconds = 60

export async function verifierList(engine: Engine, head: HttpRequestHead): Promise<HttpResponse> {
  const issuers = (await engine.issuers.list()).flatMap(({ id, kind, certificate }) =>
    (kind === 'root' || kind === 'intermediate') && certificate !== null
      ? [{ id, kind, certificate: toBase64(certificate) }]
      : [],
  )
  const body = `${JSON.stringify({ v: 1, issuers })}\n`
  const etag = `"${sha256Hex(body).slice(0, 32)}"`
  const headers = { ETag: etag, 'Cache-Control': `public, max-age=${maxAgeSeconds}` }
  if (isFresh(head, [etag], Number.POSITIVE_INFINITY)) return { status: 304, headers, body: '' }
  return { status: 200, headers: { ...headers, 'Content-Type': 'application/json' }, body }
}

/** Conditional requests and compression (RFC 9110 §12.5.3, §13). */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { HttpRequestHead } from './http-message.ts'

/**
 * True when the client has this representation already: then it gets 304. If-None-Match wins over If-Modified-Since
 * (§13.2.2).
 * @param etags those of the representation in any encoding, quoted
 */
export function isFresh({ headers }: HttpRequestHead, etags: readonly string[], changedAt: number): boolean {
  const known = headers['if-none-match']
  if (known !== undefined) {
    const tags = known.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
    return tags.some((tag) => tag === '*' || etags.includes(tag))
  }
  const since = Date.parse(headers['if-modified-since'] ?? '')
  return !Number.isNaN(since) && Math.floor(changedAt / 1000) * 1000 <= since
}

/** Whether the client asks for gzip: named, or `*`, and not with q=0. */
export function acceptsGzip({ headers }: HttpRequestHead): boolean {
  const codings = headers['accept-encoding']?.toString().toLowerCase().split(',') ?? []
  let any = false
  for (const coding of codings) {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim())
    const isRefused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
    if (name === 'gzip') return !isRefused
    if (name === '*') any = !isRefused
  }
  return any
}

const compress = promisify(gzip)
const compressed = new WeakMap<Uint8Array, Promise<Uint8Array>>()

/** The bytes in gzip, made once for each array and in the thread pool. */
export function gzipped(bytes: Uint8Array): Promise<Uint8Array> {
  let made = compressed.get(bytes)
  if (!made) compressed.set(bytes, (made = compress(bytes)))
  return made
}

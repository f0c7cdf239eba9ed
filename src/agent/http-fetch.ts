/** Fetching small and large files over plain HTTP: bounded in time and size, conditional, without redirects. */
import { secondMs, type Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'

export interface FetchRequest {
  readonly url: string
  /** Then it is a POST of this type. */
  readonly body?: { readonly type: string; readonly bytes: Uint8Array }
  /** Entity tag of what is there already. */
  readonly etag?: string | null
  readonly maxBytes: number
  /** From the call to the end of the answer, ms; default 30 s. */
  readonly timeoutMs?: number
}

export interface Fetched {
  readonly bytes: Uint8Array
  readonly etag: string | null
}

/**
 * @returns null when what is there already is still the newest (304)
 * @throws Refusal `server-unreachable` when nobody answers in time or is able to, `server-refused` for any other answer than
 *   200 and 304, `too-large`
 */
export async function fetchBytes(
  clock: Clock,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<Fetched | null> {
  const { url, body, etag = null, maxBytes, timeoutMs = 30 * secondMs } = request
  signal.throwIfAborted()
  const settled = new AbortController()
  const late = new AbortController()
  clock.sleep(timeoutMs, settled.signal).then(
    () => late.abort(),
    () => {},
  )
  try {
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      headers: {
        ...(body ? { 'Content-Type': body.type } : {}),
        ...(etag === null ? {} : { 'If-None-Match': etag }),
      },
      ...(body ? { body: Buffer.from(body.bytes) } : {}),
      redirect: 'manual',
      signal: AbortSignal.any([signal, late.signal]),
    })
    if (response.status === 304 && etag !== null) return null
    if (response.status !== 200) {
      const code = response.status >= 500 ? 'server-unreachable' : 'server-refused'
      throw new Refusal(code, `${url} answered ${response.status}`)
    }
    return { bytes: await readBounded(response, url, maxBytes), etag: response.headers.get('etag') }
  } catch (error) {
    if (error instanceof Refusal) throw error
    if (signal.aborted) throw signal.reason
    const why = late.signal.aborted ? 'no answer in time' : reasonOf(error)
    throw new Refusal('server-unreachable', `${url} is not reached: ${why}`)
  } finally {
    settled.abort()
  }
}

async function readBounded(response: Response, url: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    size += chunk.byteLength
    if (size > maxBytes) throw new Refusal('too-large', `${url} has more than ${maxBytes} bytes`)
  }
  return Buffer.concat(chunks)
}

/** The system's word for it: `ECONNREFUSED`. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return inner instanceof Error && 'code' in inner ? String(inner.code) : 'no connection'
}

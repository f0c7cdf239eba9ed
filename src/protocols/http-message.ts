/** Plain HTTP messages: what protocol handlers take and give, so that tests and the simulator need no socket. */
import type { IncomingHttpHeaders } from 'node:http'

export interface HttpRequestHead {
  readonly method: string
  /** Path without the query; percent-encoding is left as it came, none of our paths has any. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<IncomingHttpHeaders>
}

export interface HttpRequest extends HttpRequestHead {
  readonly body: Uint8Array
}

export interface HttpResponse {
  readonly status: number
  /** Without Content-Length: the shell always adds it. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
  /** Called when all of it was handed to the network. Must not throw. */
  readonly onSent?: () => void
  /** The connection ends with it: whoever asked counts for nothing any more. */
  readonly isLast?: boolean
}

/** `Retry-After` in whole seconds, never 0, which some clients take for "at once, for ever" (RFC 9110 §10.2.3). */
export function retryAfterSeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}

/**
 * The media type in lower case without its parameters, or null (RFC 9110 §8.3.1: types are case-insensitive).
 */
export function mediaType(contentType: string | undefined): string | null {
  if (contentType === undefined) return null
  return (contentType.split(';', 1)[0] as string).trim().toLowerCase()
}

/** A short plain-text answer. One line, so that a person at a serial console can read it. */
export function textResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body: `${text}\n` }
}

/** Reading a request body under a bound, and giving up politely. */
import type { IncomingMessage } from 'node:http'

/** The announced length, or null when the body is chunked or absent. Node has refused anything that is no number. */
export function announcedLength(request: IncomingMessage): number | null {
  const length = request.headers['content-length']
  return length === undefined ? null : Number(length)
}

/**
 * @returns the body; null when it is longer than `maxBytes` (the rest is not read) or the client went away
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let size = 0
    const finish = (body: Uint8Array | null) => {
      request.off('data', onData)
      resolve(body)
    }
    const onData = (chunk: Uint8Array) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > maxBytes) {
        request.pause()
        finish(null)
      }
    }
    request.on('data', onData)
    request.once('end', () => finish(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)))
    request.once('error', () => finish(null))
    request.once('close', () => finish(null))
  })
}

/**
 * Reads and drops what the client is still sending, up to a bound: closing at once would reset the connection, and many
 * clients would never see our answer.
 * @param maxBytes then we stop being polite
 * @returns when the client has finished, gone, or sent `maxBytes`
 */
export function discardBody(request: IncomingMessage, maxBytes: number): Promise<void> {
  return new Promise((resolve) => {
    let size = 0
    request.on('data', (chunk: Uint8Array) => {
      size += chunk.length
      if (size > maxBytes) {
        request.pause()
        resolve()
      }
    })
    request.once('end', resolve)
    request.once('error', () => resolve())
    request.once('close', resolve)
    request.resume()
  })
}

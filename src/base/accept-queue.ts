/**
 * How many connections the kernel has accepted on a listening port that the process has not taken yet. Linux tells it in
 * /proc; elsewhere it is not known.
 */
import { closeSync, openSync, readSync } from 'node:fs'

/** Listening sockets come first in the file, so its beginning is enough however many connections there are. */
const headBytes = 16_384
const listening = '0A'

/** @returns null where the system does not tell */
export function acceptQueue(address: { readonly port: number; readonly family: string }): number | null {
  const head = readHead(address.family === 'IPv6' ? '/proc/net/tcp6' : '/proc/net/tcp')
  return head === null ? null : parseAcceptQueue(head, address.port)
}

/**
 * @param table the text of /proc/net/tcp, which may end in the middle of a line
 * @returns of several sockets on one port, which share its connections, the mean; null when there is none
 */
export function parseAcceptQueue(table: string, port: number): number | null {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  let sockets = 0
  let waiting = 0
  for (const line of table.split('\n').slice(1)) {
    const [, local, , state, queues] = line.trim().split(/\s+/)
    if (state !== listening || !local?.endsWith(`:${wanted}`)) continue
    const queue = /:([0-9A-F]{8})$/.exec(queues ?? '')?.[1]
    if (queue === undefined) continue
    sockets++
    waiting += Number.parseInt(queue, 16)
  }
  return sockets === 0 ? null : Math.round(waiting / sockets)
}

function readHead(path: string): string | null {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    // no such file: another system, or one that hides it
    return null
  }
  try {
    const buffer = Buffer.alloc(headBytes)
    return buffer.toString('latin1', 0, readSync(file, buffer, 0, headBytes, 0))
  } finally {
    closeSync(file)
  }
}

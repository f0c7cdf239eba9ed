/** Start and graceful end of one listening server. */
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'

export interface ListenOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Several processes share the port and the kernel spreads connections over them (Linux). */
  readonly reusePort: boolean
}

export interface Listener {
  /** The port really bound. */
  readonly port: number
  readonly openConnections: () => number
  /**
   * No new connections; requests already begun are answered; idle connections close. After `timeoutMs` the rest is cut.
   * @returns true when everything begun was finished
   */
  stop(timeoutMs: number): Promise<boolean>
}

/** While draining: how often kept-alive connections that have become idle are closed, ms. */
const drainStepMs = 25

/** A server of HTTP tells which of its connections are idle; of others none is closed before the time-out. */
export type ListeningServer = Server & { readonly closeIdleConnections?: () => void }

/** @throws Refusal `configuration-invalid` when the address is taken or not ours */
export async function listen(
  server: ListeningServer,
  options: ListenOptions,
  clock: Clock,
): Promise<Listener> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await bind(server, options)
  const { port } = server.address() as AddressInfo
  let stopping: Promise<boolean> | null = null
  const drain = async (timeoutMs: number) => {
    const giveUpAt = clock.now() + timeoutMs
    server.close()
    while (sockets.size > 0 && clock.now() < giveUpAt) {
      server.closeIdleConnections?.()
      await clock.sleep(drainStepMs)
    }
    const isFinished = sockets.size === 0
    for (const socket of sockets) socket.destroy()
    return isFinished
  }
  return { port, openConnections: () => sockets.size, stop: (timeoutMs) => (stopping ??= drain(timeoutMs)) }
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(bindRefusal(error, options))
    server.once('error', fail)
    // A queue of 511 overflows when a fleet comes back after a power cut; the kernel caps this at net.core.somaxconn.
    server.listen({ ...options, backlog: 4096 }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

function bindRefusal(error: NodeJS.ErrnoException, { host, port }: ListenOptions): Refusal {
  const where = `${host}:${port}`
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `${where} is already in use: stop the other process or configure another port`,
    EACCES: `${where} may not be bound by this user: use a port above 1023 or grant the capability`,
    EADDRNOTAVAIL: `${host} is no address of this machine`,
    ENOTSUP: 'this operating system cannot share a port between processes: use one worker',
  }
  return new Refusal(
    'configuration-invalid',
    reasons[error.code ?? ''] ?? `cannot listen on ${where}: ${error.message}`,
    {
      cause: error,
    },
  )
}

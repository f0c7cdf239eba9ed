/** A web server on loopback that keeps what it is sent and answers as a test says. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface PeerRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface PeerAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpPeer {
  /** `http://127.0.0.1:port`, the same after a repair. */
  readonly url: string
  /** Those that were answered with a 2xx, oldest first. */
  readonly taken: readonly PeerRequest[]
  /** Everything that arrived. */
  readonly seen: readonly PeerRequest[]
  /** How requests are answered from now on; `never` leaves them without an answer. */
  answer: ((request: PeerRequest) => PeerAnswer) | 'never'
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
  /** Listens again, on the same port. */
  start(): Promise<void>
}

export async function httpPeer(answer: HttpPeer['answer'] = () => ({ status: 204 })): Promise<HttpPeer> {
  const taken: PeerRequest[] = []
  const seen: PeerRequest[] = []
  let server: Server | null = null
  let port = 0
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request
    const received = { method, url, headers, body: await text(request) }
    seen.push(received)
    if (peer.answer === 'never') return
    const { status, headers: answered = {}, body = '' } = peer.answer(received)
    if (status >= 200 && status < 300) taken.push(received)
    response.writeHead(status, answered).end(body)
  }
  const peer = {
    url: '',
    taken,
    seen,
    answer,
    async stop() {
      const stopping = server
      server = null
      if (!stopping) return
      await new Promise<void>((resolve) => {
        stopping.close(() => resolve())
        stopping.closeAllConnections()
      })
    },
    async start() {
      if (server) return
      const starting = createServer((request, response) => {
        void respond(request, response)
      })
      await new Promise<void>((resolve) => starting.listen(port, '127.0.0.1', resolve))
      port = (starting.address() as AddressInfo).port
      peer.url = `http://127.0.0.1:${port}`
      server = starting
    },
  }
  await peer.start()
  return peer
}

/** A web server that keeps what it is sent, and answers as it is told. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface HttpReceiver {
  readonly url: string
  readonly requests: ReceivedRequest[]
  answer: { status: number; headers?: Readonly<Record<string, string>>; body?: string }
  close(): Promise<void>
}

export async function startReceiver(host = '127.0.0.1'): Promise<HttpReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      const { url: path = '', headers } = request
      receiver.requests.push({ path, headers, body: Buffer.concat(chunks).toString('utf8') })
      const { status, headers: own = {}, body = '' } = receiver.answer
      response.writeHead(status, own).end(body)
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const receiver: HttpReceiver = {
    url: `http://${host}:${port}`,
    requests: [],
    answer: { status: 202 },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  return receiver
}

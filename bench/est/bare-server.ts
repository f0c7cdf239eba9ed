/** The yardstick: a bare node:https server that completes the handshake, reads the body and answers canned bytes. */
import { constants } from 'node:crypto'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface BareOptions {
  readonly cert: string
  readonly key: string
  /** What a server with client authentication is usually given; null: OpenSSL gets no anchors and judges nothing. */
  readonly ca: string | null
  /** As long as a real answer. */
  readonly body: string
}

// the benchmark is gone: nobody is left to measure for
process.on('disconnect', () => process.exit())

process.once('message', (options: BareOptions) => {
  const server = createServer(tlsOptions(options), (request, response) => {
    request.resume()
    request.once('end', () => {
      response.writeHead(200, {
        'Content-Type': 'application/pkcs7-mime; smime-type=certs-only',
        'Content-Transfer-Encoding': 'base64',
        'Content-Length': String(options.body.length),
      })
      response.end(options.body)
    })
  })
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicros: user + system })
  })
})

function tlsOptions({ cert, key, ca }: BareOptions): ServerOptions {
  const common = { cert, key, requestCert: true, rejectUnauthorized: false }
  if (ca !== null) return { ...common, ca }
  const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION
  return { ...common, ca: [], secureOptions }
}

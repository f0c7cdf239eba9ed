/**
 * The HTTPS endpoint of the devices.
 *
 * Client certificates are asked for and not judged here. OpenSSL proves one thing: the client has the private key of the
 * certificate it shows (CertificateVerify). Whether that certificate means anything is decided by the engine at every
 * request, by byte equality with the inventory or by its own path validation, at the instant of the request. So OpenSSL
 * gets no trust anchors: its verdict would be a second, weaker opinion (it hides revocation behind expiry and knows
 * neither status nor grace windows), it costs one or two signature checks per handshake, and the list of CA names that it
 * would send makes some clients hold back a factory certificate and tells everybody whose devices we know. An empty
 * list means "any certificate" (RFC 5246 §7.4.4, RFC 8446 §4.2.4).
 */
import { constants } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { TlsOptions, TLSSocket } from 'node:tls'
import { stopwatch } from '../base/clock.ts'
import { tracedRequest } from '../base/trace.ts'
import type { Engine } from '../engine/context.ts'
import { effectivePeer } from './client-cert-header.ts'
import { Bursts } from './bursts.ts'
import { ConnectionGate } from './connection-gate.ts'
import type { DeviceApiOptions } from './device-api.ts'
import { createDeviceRoutes, deviceOperation } from './device-routes.ts'
import { failureResponse, type EstResponse } from './est-response.ts'
import type { HttpRequestHead } from './http-message.ts'
import { type HttpLimits, serveHttp, serverOptions } from './http-server.ts'
import { Admission, overloadResponse } from './overload.ts'
import { keyPackageSigner } from './server-keygen.ts'
import { forgetPathErrors, type TlsPeer, tlsPeer } from './tls-peer.ts'

/** What the server shows to clients: PEM, leaf first. */
export interface ServerIdentity {
  readonly chainPem: string
  readonly keyPem: string
}

export interface EstServerOptions {
  readonly engine: Engine
  readonly identity: ServerIdentity
  readonly limits: HttpLimits
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Requests at work at once before new ones are answered 503. */
  readonly maxConcurrent: number
  /** Centre of the Retry-After of such an answer, ms. */
  readonly overloadRetryAfterMs: number
  /** SHA-256 of the certificates of proxies that may send Client-Cert, lower-case hex. Empty: nobody may. */
  readonly proxyPins: ReadonlySet<string>
  readonly deviceApi?: DeviceApiOptions
  /** For metrics; must not throw. */
  readonly observer?: EstObserver
}

export interface EstObserver {
  /** A request was answered. `seconds` counts from its headers to the answer being handed to the socket. */
  readonly answered?: (operation: string, result: EstResponse['result'], seconds: number) => void
  readonly handshakeFailed?: () => void
}

export interface EstServer {
  readonly server: Server
  readonly admission: Admission
  /** New connections get the new certificate; open ones keep theirs. */
  reload(identity: ServerIdentity): void
}

export function createEstServer(options: EstServerOptions): EstServer {
  const { engine, limits, observer } = options
  const server = createServer({
    ...serverOptions(limits),
    ...tlsOptions(options),
    handshakeTimeout: limits.headersTimeoutMs,
  })
  let signer = keyPackageSigner(options.identity)
  const admission = new Admission(options.maxConcurrent)
  const routes = createDeviceRoutes(engine, options.deviceApi)
  const gate = new ConnectionGate({
    maxConnections: limits.maxConnections,
    retryAfterMs: options.overloadRetryAfterMs,
  })
  const bursts = new Bursts()
  const peers = new WeakMap<TLSSocket, TlsPeer>()
  const peerOf = (socket: TLSSocket) => {
    const known = peers.get(socket)
    if (known) return known
    const peer = tlsPeer(socket)
    peers.set(socket, peer)
    return peer
  }
  const refused = (): number => {
    gate.overloaded()
    return options.overloadRetryAfterMs
  }
  const respond = async (
    head: HttpRequestHead,
    body: Uint8Array,
    socket: TLSSocket,
  ): Promise<EstResponse> => {
    const waitMs = gate.wait() ?? (admission.enter() ? null : refused())
    if (waitMs !== null) return { ...overloadResponse(engine.random, waitMs), result: 'overloaded' }
    try {
      await bursts.join()
      const connection = peerOf(socket)
      const peer = effectivePeer(connection, head.headers, options.proxyPins)
      const isDirect = peer === connection
      return await routes.handle({
        ...head,
        body,
        peer: isDirect ? connection : { ...peer, address: connection.address },
        tlsUnique: isDirect ? connection.tlsUnique : null,
        keyPackageSigner: signer,
      })
    } catch (error) {
      return failureResponse(engine, error)
    } finally {
      admission.leave()
    }
  }
  const handler = {
    refuseEarly: (head: HttpRequestHead) => {
      const early = routes.refuseEarly(head)
      if (early) observer?.answered?.('other', early.result, 0)
      return early
    },
    maxBodyBytes: (head: HttpRequestHead) => routes.maxBodyBytes(head),
    handle: async (head: HttpRequestHead, body: Uint8Array, request: { readonly socket: unknown }) => {
      const elapsedMs = stopwatch()
      const socket = request.socket as TLSSocket
      const operation = deviceOperation(head.path)
      const answer = await tracedRequest(`device ${operation}`, {}, async (span) => {
        const given = await respond(head, body, socket)
        span.setAttribute('perennial.result', given.result)
        return given
      })
      gate.answered(socket)
      observer?.answered?.(operation, answer.result, elapsedMs() / 1000)
      return answer
    },
  }
  serveHttp(server, handler, limits, engine.clock)
  gate.guard(server)
  server.on('secureConnection', (socket) => forgetPathErrors(socket, options.identity.chainPem))
  server.on('tlsClientError', (_error, socket) => {
    observer?.handshakeFailed?.()
    socket.destroy()
  })
  return {
    server,
    admission,
    reload(identity) {
      server.setSecureContext(tlsOptions({ ...options, identity }))
      signer = keyPackageSigner(identity)
    },
  }
}

/**
 * ECDHE with authenticated encryption only. AES-CCM is for small devices; static RSA and CBC suites are out.
 * The key exchange stays OpenSSL's default, X25519MLKEM768 first: 95 µs that protect today's secrets from tomorrow.
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-CCM',
  'ECDHE-ECDSA-AES256-CCM',
].join(':')

export interface DeviceTls {
  readonly identity: ServerIdentity
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** For connections that stay and come back: a resumed handshake is half the work, and says no less of the peer. */
  readonly tickets?: boolean
}

/** How every TLS endpoint of devices is set up. */
export function tlsOptions({ identity, minVersion, tickets = false }: DeviceTls): TlsOptions {
  return {
    cert: identity.chainPem,
    key: identity.keyPem,
    ca: [],
    requestCert: true,
    rejectUnauthorized: false,
    minVersion,
    ciphers,
    honorCipherOrder: true,
    // No tickets: a renewal is one connection, resumption would only carry an old identity on (and cost 80 µs). No
    // session cache either: Node keeps none unless asked. No renegotiation: Node's default allows three.
    secureOptions: (tickets ? 0 : constants.SSL_OP_NO_TICKET) | constants.SSL_OP_NO_RENEGOTIATION,
  }
}

/** The EST endpoint of one process: the server of protocols/ with the limits of the configuration. */
import { Metrics, type MetricsSnapshot } from '../api/metrics.ts'
import type { Config } from '../config.ts'
import type { Engine } from '../engine/context.ts'
import { createEstServer, type ServerIdentity } from '../protocols/tls-server.ts'
import { type Listener, listen, type ListenOptions } from './listener.ts'

export interface EstEndpoint {
  readonly port: number
  reload(identity: ServerIdentity): void
  snapshot(): Promise<MetricsSnapshot>
  stop(timeoutMs: number): Promise<boolean>
}

export interface EstEndpointOptions {
  readonly engine: Engine
  readonly config: Config
  readonly identity: ServerIdentity
  readonly listen: ListenOptions
  readonly version: string
}

/** Behind a proxy the device's certificate chain comes in headers: base64 of up to nine certificates. */
const headerBytes = { direct: 8_192, proxied: 32_768 }

export async function openEstEndpoint(options: EstEndpointOptions): Promise<EstEndpoint> {
  const { engine, identity } = options
  const { est } = options.config
  const pins = est.clientCertHeader && est.proxyFingerprint ? [est.proxyFingerprint] : []
  let listener: Listener | null = null
  const metrics = new Metrics({
    version: options.version,
    inFlight: () => endpoint.admission.inFlight,
    openConnections: () => listener?.openConnections() ?? 0,
  })
  const endpoint = createEstServer({
    engine,
    identity,
    limits: {
      maxBodyBytes: est.maxBody,
      maxHeaderBytes: pins.length > 0 ? headerBytes.proxied : headerBytes.direct,
      headersTimeoutMs: est.headersTimeoutMs,
      requestTimeoutMs: est.requestTimeoutMs,
      keepAliveTimeoutMs: est.keepAliveTimeoutMs,
      maxConnections: est.maxConnections,
      maxRequestsPerConnection: 100,
    },
    minVersion: est.tlsMinVersion,
    maxConcurrent: est.maxConcurrent,
    overloadRetryAfterMs: est.retryAfterMs,
    proxyPins: new Set(pins),
    observer: {
      answered: (operation, result, seconds) => metrics.answered('est', operation, result, seconds),
      handshakeFailed: () => metrics.handshakeFailed(),
    },
  })
  listener = await listen(endpoint.server, options.listen, engine.clock)
  const { port, stop } = listener
  return { port, stop, reload: (next) => endpoint.reload(next), snapshot: () => metrics.snapshot() }
}

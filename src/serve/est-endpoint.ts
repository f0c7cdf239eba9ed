/** The EST endpoint of one process: the server of protocols/ with the limits of the configuration. */
import type { Metrics } from '../api/metrics.ts'
import type { Config } from '../config.ts'
import type { Engine } from '../engine/context.ts'
import { recordReceipt } from '../engine/triggers/trigger-receipts.ts'
import { createSmsReceipts } from '../protocols/sms-receipts.ts'
import { createEstServer, type ServerIdentity } from '../protocols/tls-server.ts'
import { smsReceiptKeys } from '../trigger-channels.ts'
import { listen, type ListenOptions } from './listener.ts'

export interface EstEndpoint {
  readonly port: number
  reload(identity: ServerIdentity): void
  stop(timeoutMs: number): Promise<boolean>
}

export interface EstEndpointOptions {
  readonly engine: Engine
  readonly config: Config
  readonly identity: ServerIdentity
  readonly listen: ListenOptions
  /** Of this process. */
  readonly metrics: Metrics
}

/** Behind a proxy the device's certificate chain comes in headers: base64 of up to nine certificates. */
const headerBytes = { direct: 8_192, proxied: 32_768 }

export async function openEstEndpoint(options: EstEndpointOptions): Promise<EstEndpoint> {
  const { engine, identity, metrics } = options
  const { est } = options.config
  const pins = est.clientCertHeader && est.proxyFingerprint ? [est.proxyFingerprint] : []
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
    deviceApi: {
      sightingsToken: options.config.sightings.token,
      smsReceipts: createSmsReceipts(
        smsReceiptKeys(options.config),
        async (receipt) => await recordReceipt(engine, 'sms', receipt),
      ),
    },
    observer: {
      answered: (operation, result, seconds) => metrics.answered('est', operation, result, seconds),
      handshakeFailed: () => metrics.handshakeFailed(),
    },
  })
  const { port, stop, openConnections } = await listen(endpoint.server, options.listen, engine.clock)
  metrics.watchServer({ inFlight: () => endpoint.admission.inFlight, openConnections })
  return { port, stop, reload: (next) => endpoint.reload(next) }
}

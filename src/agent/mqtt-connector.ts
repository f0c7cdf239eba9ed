/** One connection to an MQTT broker, through the npm package `mqtt`: it never reconnects by itself, and bounds what comes in. */
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { MqttClient, type IClientOptions, type Packet } from 'mqtt'
import { secondMs, type Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { isAlert } from './est-transport.ts'
import type { TlsIdentity } from './tls-key.ts'

export interface MqttConnectRequest {
  readonly clientId: string
  readonly identity: TlsIdentity
  /** A message that rejects is not acknowledged, and ends the connection: the broker sends it again over the next one. */
  readonly onMessage: (topic: string, payload: Uint8Array) => Promise<void>
}

export interface MqttConnection {
  /** Resolves with the broker's acknowledgement (QoS 1). @throws Refusal `server-unreachable` */
  publish(topic: string, payload: string): Promise<void>
  /** QoS 1. @throws Refusal `server-refused` when the broker does not grant each of them, `server-unreachable` */
  subscribe(topics: readonly string[]): Promise<void>
  /** Resolves with the reason. */
  readonly closed: Promise<string>
  close(): Promise<void>
}

/** The network of `MqttTransport`. */
export interface MqttConnector {
  /**
   * Connects with a session that the broker keeps while the device is away.
   * @throws Refusal `server-refused` when the broker does not let this certificate in, `server-unreachable` else
   */
  connect(request: MqttConnectRequest): Promise<MqttConnection>
}

export interface BrokerConnectorOptions {
  /** `mqtts://host:port` */
  readonly url: string
  /** Pinned trust anchors, PEM, as they are now. */
  readonly trustPem: () => string
  readonly clock: Clock
  /** For TLS and CONNECT together, and for each acknowledgement, ms. */
  readonly timeoutMs?: number
}

const defaultPort = 8_883
const keepAliveSeconds = 300
/** An OTA bundle with all that is around it. More than this between two whole packets ends the connection. */
const maxPacketBytes = 262_144

export function brokerConnector(options: BrokerConnectorOptions): MqttConnector {
  return {
    async connect(request: MqttConnectRequest): Promise<MqttConnection> {
      const { clock, timeoutMs = 30 * secondMs } = options
      const given = new AbortController()
      const late = clock.sleep(timeoutMs, given.signal).then(() => {
        throw unreachable('the broker does not answer in time')
      })
      const stopped = new AbortController()
      try {
        return await Promise.race([late, open(options, request, stopped.signal)])
      } catch (error) {
        stopped.abort()
        throw error
      } finally {
        late.catch(() => undefined)
        given.abort()
      }
    },
  }
}

async function open(
  options: BrokerConnectorOptions,
  request: MqttConnectRequest,
  signal: AbortSignal,
): Promise<MqttConnection> {
  const stream = await openStream(options, request.identity, signal)
  const client = new MqttClient(() => stream, {
    ...sessionOptions,
    clientId: request.clientId,
  } as IClientOptions)
  let reason = 'the broker has closed the connection'
  const closed = new Promise<string>((resolve) => {
    client.once('close', () => resolve(reason))
  })
  signal.addEventListener('abort', () => void client.end(true), { once: true })
  const keep = async (topic: string, payload: Uint8Array, acknowledge: () => void): Promise<void> => {
    try {
      await request.onMessage(topic, payload)
    } catch (error) {
      reason = `a message could not be kept: ${String(error)}`
      client.end(true)
      return
    }
    acknowledge()
  }
  client.handleMessage = (packet, done) => {
    if (packet.cmd === 'publish') void keep(packet.topic, Buffer.from(packet.payload), done)
    else done()
  }
  boundPackets(client, stream)
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.on('error', (error) => {
      reason = printable(error.message)
      reject(meaningOf(error))
    })
    client.once('close', () => reject(unreachable(reason)))
  })
  return connectionOf(options, { client, closed })
}

const sessionOptions = {
  protocolVersion: 4,
  clean: false,
  // one connection, one life: mqtt-transport.ts decides what comes next
  reconnectPeriod: 0,
  connectTimeout: 2 ** 31 - 1,
  keepalive: keepAliveSeconds,
  resubscribe: false,
  queueQoSZero: false,
} as const satisfies Partial<IClientOptions>

interface Opened {
  readonly client: MqttClient
  readonly closed: Promise<string>
}

function connectionOf(
  { clock, timeoutMs = 30 * secondMs }: BrokerConnectorOptions,
  { client, closed }: Opened,
): MqttConnection {
  /** The package waits for an acknowledgement for ever, and keeps what is not acknowledged for a connection that never comes. */
  const bounded = async <Value>(work: Promise<Value>): Promise<Value> => {
    const over = new AbortController()
    const lost = closed.then((reason) => {
      throw unreachable(reason)
    })
    const late = clock.sleep(timeoutMs, over.signal).then(() => {
      throw unreachable('the broker does not acknowledge in time')
    })
    try {
      return await Promise.race([work, lost, late])
    } finally {
      for (const promise of [work, lost, late]) promise.catch(() => undefined)
      over.abort()
    }
  }
  return {
    closed,
    async publish(topic, payload) {
      await bounded(client.publishAsync(topic, payload, { qos: 1 }))
    },
    async subscribe(topics) {
      const granted = await bounded(client.subscribeAsync([...topics], { qos: 1 }))
      const missing = granted.find(({ qos }) => (qos as number) > 2)
      if (missing)
        throw new Refusal('server-refused', `the broker does not let this device read ${missing.topic}`)
    },
    async close() {
      client.end(true)
      await closed
    },
  }
}

async function openStream(
  { url, trustPem }: BrokerConnectorOptions,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<Duplex> {
  const { hostname, port: given } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const port = given === '' ? defaultPort : Number(given)
  const { chainPem } = identity
  if ('tls' in identity) {
    return await identity.tls.connect(
      { host, port, serverName: host, trustPem: trustPem(), chainPem },
      signal,
    )
  }
  const key = identity.key.export({ type: 'pkcs8', format: 'pem' })
  const name = isIP(host) === 0 ? { servername: host } : {}
  const socket = connectTls({
    host,
    port,
    ...name,
    ca: trustPem(),
    cert: chainPem,
    key,
    minVersion: 'TLSv1.2',
  })
  signal.addEventListener('abort', () => socket.destroy(), { once: true })
  await secured(socket)
  return socket
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve())
    socket.once('error', (error) => reject(meaningOf(error)))
  })
}

/** The package's parser would collect a packet of 256 MiB. */
function boundPackets(client: MqttClient, stream: Duplex): void {
  let bytes = 0
  stream.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes > maxPacketBytes) stream.destroy(new Error('the broker sends a packet that is too long'))
  })
  client.on('packetreceive', (_packet: Packet) => {
    bytes = 0
  })
}

/** CONNACK return codes of MQTT 3.1.1 §3.2.2.3: 4 and 5 are about who we are, as are TLS alerts about our certificate. */
function meaningOf(error: Error): Refusal {
  const code = 'code' in error ? error.code : null
  const isAboutUs = code === 4 || code === 5 || isAlert(error)
  if (isAboutUs)
    return new Refusal(
      'server-refused',
      `the broker does not let this certificate in: ${printable(error.message)}`,
    )
  return unreachable(error.message)
}

function unreachable(detail: string): Refusal {
  return new Refusal('server-unreachable', `no MQTT: ${printable(detail)}`)
}

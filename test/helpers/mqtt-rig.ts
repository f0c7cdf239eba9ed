/** The embedded broker in this process, over real TLS sockets, and devices that connect with the `mqtt` client. */
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { secondMs, systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { deviceTopic, type TopicLeaf } from '../../src/base/mqtt-topics.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { openBroker, type Broker, type BrokerOptions } from '../../src/serve/broker.ts'
import { listen } from '../../src/serve/listener.ts'
import { enrolDevice, type Enrolled } from './app.ts'
import { pemOfKey, startEstRig, type EstRig, type EstRigOptions } from './est-rig.ts'

export const rigPrefix = 'perennial/v1'

export interface MqttRig extends Omit<EstRig, 'port' | 'url'> {
  readonly broker: Broker
  readonly port: number
  readonly estUrl: string
  /** A device with a certificate that may be renewed at once. */
  enrol(id: string): Promise<Enrolled>
  /** Connects once; rejects with what the broker said. */
  connect(device: Pick<Enrolled, 'certificate' | 'key'> | null, options?: IClientOptions): Promise<MqttClient>
}

export async function startMqttRig(
  options: EstRigOptions & { readonly broker?: Partial<BrokerOptions> } = {},
): Promise<MqttRig> {
  const rig = await startEstRig(options)
  const broker = await openBroker({
    engine: rig.engine,
    identity: await rig.newIdentity(),
    minVersion: 'TLSv1.2',
    prefix: rigPrefix,
    maxMessageBytes: 65_536,
    maxConnections: 200,
    handshakeTimeoutMs: 3 * secondMs,
    maxInFlight: 100,
    publishTimeoutMs: 10 * secondMs,
    maxConcurrent: 100,
    overloadRetryAfterMs: 30 * secondMs,
    ...options.broker,
  })
  const where = { host: '127.0.0.1', port: 0, reusePort: false }
  const listener = await listen(broker.server, where, systemClock)
  const clients: MqttClient[] = []
  return {
    ...rig,
    broker,
    port: listener.port,
    estUrl: rig.url,
    enrol: (id) => enrolDevice(rig.engine, id, { profile: 'open' }),
    async connect(device, clientOptions = {}) {
      const client = await connectDevice(
        { port: listener.port, ca: rig.rootPem, issuing: rig.issuingPem },
        device,
        clientOptions,
      )
      clients.push(client)
      return client
    },
    async close() {
      for (const client of clients) client.end(true)
      await broker.close()
      await listener.stop(2 * secondMs)
      await rig.close()
    },
  }
}

interface BrokerAddress {
  readonly port: number
  /** PEM of the CA that the server is verified with. */
  readonly ca: string
  readonly issuing: string
}

/** One attempt, MQTT 3.1.1, a clean session. */
export function connectDevice(
  { port, ca, issuing }: BrokerAddress,
  device: Pick<Enrolled, 'certificate' | 'key'> | null,
  options: IClientOptions = {},
): Promise<MqttClient> {
  const credential = device
    ? { cert: encodePem('CERTIFICATE', device.certificate) + issuing, key: pemOfKey(device.key.privateKey) }
    : {}
  const client = connect({
    protocol: 'mqtts',
    host: 'localhost',
    port,
    ca,
    ...credential,
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ...options,
  })
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client))
    client.once('error', (error) => {
      client.end(true)
      reject(error)
    })
    client.once('close', () => reject(new Error('the connection was closed')))
  })
}

/** What a client has got, in order, and a way to wait for more. */
export class Inbox {
  readonly messages: { readonly topic: string; readonly text: string; readonly retained: boolean }[] = []
  #waiting: { readonly count: number; readonly resolve: () => void }[] = []

  constructor(client: MqttClient) {
    client.on('message', (topic, payload, { retain }) => {
      this.messages.push({ topic, text: payload.toString('utf8'), retained: retain })
      this.#waiting = this.#waiting.filter(({ count, resolve }) => {
        if (this.messages.length < count) return true
        resolve()
        return false
      })
    })
  }

  async wait(count: number): Promise<Inbox['messages']> {
    if (this.messages.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
    }
    return this.messages
  }
}

export function topicOf(id: string, leaf: TopicLeaf): string {
  return deviceTopic(rigPrefix, id as DeviceId, leaf)
}

/** Resolves when the connection has ended. */
export function ended(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (client.disconnecting || client.stream.destroyed) resolve()
    else client.once('close', () => resolve())
  })
}

/** The QoS granted; 128 is a refusal (MQTT 3.1.1 §3.9.3). */
export async function granted(client: MqttClient, filter: string): Promise<number> {
  try {
    const [grant] = await client.subscribeAsync(filter, { qos: 1 })
    return grant?.qos ?? -1
  } catch {
    return 128
  }
}

/**
 * MQTT in this process: the embedded broker or the link to another one, what devices say over it, and the trigger channels
 * that need it.
 */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Metrics } from '../api/metrics.ts'
import type { App } from '../app.ts'
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import {
  deviceLeaves,
  everyDevice,
  isDeviceLeaf,
  parseDeviceTopic,
  shareGroup,
  sharedFilter,
} from '../base/mqtt-topics.ts'
import type { Job } from '../engine/jobs.ts'
import { disconnectJob } from '../engine/sessions/cut-jobs.ts'
import { CutWatcher } from '../engine/sessions/watch.ts'
import { publishHintsJob } from '../engine/renewals/publish-hints.ts'
import { standingTriggersJob } from '../engine/triggers/standing-triggers.ts'
import type { MqttLink, MqttReceived, TriggerChannel, TriggerKind } from '../engine/ports.ts'
import { createMosquittoDisconnector } from '../connectors/mosquitto.ts'
import { openMqttLink, type MqttCredentials } from '../protocols/mqtt-client.ts'
import { MqttService } from '../protocols/mqtt-service.ts'
import type { ServerIdentity } from '../protocols/tls-server.ts'
import { createOtaOverMqtt } from '../trigger-channels.ts'
import { createMqttTrigger } from '../triggers/mqtt.ts'
import { createTwinTrigger } from '../triggers/twin.ts'
import { openBroker, type Broker } from './broker.ts'
import { listen } from './listener.ts'
import { mosquittoLogJob } from './mosquitto-log.ts'

export interface MqttRole {
  /** Of the embedded broker; null when it is not ours. */
  readonly port: number | null
  readonly link: MqttLink
  readonly jobs: readonly Job[]
  /** What is wrong with the link; null when all is well. */
  problem(): string | null
  reload(identity: ServerIdentity): void
  stop(timeoutMs: number): Promise<void>
}

export interface MqttRoleOptions {
  /** False in a process that only publishes: triggers of the jobs role over an external broker. */
  readonly listens: boolean
  /** What the embedded broker shows; asked only for it. */
  readonly identity: () => Promise<ServerIdentity>
  readonly metrics: Metrics
}

const recheckIntervalMs = secondMs
/** A decision of any process is acted on within this. */
const cutIntervalMs = secondMs / 4

/** For `perennial revoke status`: where the broker is, of several on one database. */
function brokerName(port: number): string {
  return `broker ${hostname()}:${port}`
}

/** @returns null when there is no broker for this process. @throws Refusal `configuration-invalid` */
export async function startMqtt(app: App, options: MqttRoleOptions): Promise<MqttRole | null> {
  const { broker } = app.config.mqtt
  if (broker === 'none' || (broker === 'embedded' && !options.listens)) return null
  const role = broker === 'embedded' ? await startEmbedded(app, options) : await startExternal(app, options)
  const kinds = addTriggers(app, role.link)
  const { mosquittoLog } = app.config.mqtt
  return {
    ...role,
    jobs: [
      ...role.jobs,
      publishHintsJob(role.link, app.config.mqtt.topicPrefix),
      // another broker keeps over its own restart what stands
      ...(broker === 'embedded' ? [standingTriggersJob(kinds)] : []),
      ...(mosquittoLog !== null && options.listens ? [mosquittoLogJob(app.engine, mosquittoLog)] : []),
    ],
  }
}

async function startEmbedded(app: App, { identity, metrics }: MqttRoleOptions): Promise<MqttRole> {
  const { engine, config } = app
  const { mqtt, est } = config
  const broker: Broker = await openBroker({
    engine,
    identity: await identity(),
    minVersion: est.tlsMinVersion,
    prefix: mqtt.topicPrefix,
    maxMessageBytes: mqtt.maxMessage,
    maxConnections: mqtt.maxConnections,
    handshakeTimeoutMs: est.headersTimeoutMs,
    maxInFlight: mqtt.maxInFlight,
    publishTimeoutMs: mqtt.publishTimeoutMs,
    maxConcurrent: est.maxConcurrent,
    overloadRetryAfterMs: est.retryAfterMs,
    observer: {
      answered: (operation, result, seconds) => metrics.answered('mqtt', operation, result, seconds),
      handshakeFailed: () => metrics.handshakeFailed(),
    },
  })
  try {
    const { host, port } = mqtt
    const listener = await listen(broker.server, { host, port, reusePort: false }, engine.clock)
    const recheck: Job = {
      name: 'mqtt-sessions',
      intervalMs: recheckIntervalMs,
      isShared: true,
      run: (_engine, now) => broker.recheck(now),
    }
    const watcher = new CutWatcher(engine, brokerName(listener.port))
    const cuts: Job = {
      name: 'session-cuts',
      intervalMs: cutIntervalMs,
      isShared: true,
      run: (_engine, now) => watcher.pass(now, (cut) => broker.cut(cut, engine.clock.now())),
    }
    return {
      port: listener.port,
      link: broker.link,
      jobs: [recheck, cuts],
      problem: () => (broker.link.isConnected ? null : 'the broker is closed'),
      reload: (next) => broker.reload(next),
      stop: async (timeoutMs) => {
        await broker.close()
        await listener.stop(timeoutMs)
      },
    }
  } catch (error) {
    await broker.close()
    throw error
  }
}

async function startExternal(app: App, { listens, metrics }: MqttRoleOptions): Promise<MqttRole> {
  const { engine, config } = app
  const { clock, random, log } = engine
  const { mqtt, est } = config
  const credentials = () => readCredentials(app)
  // a file that is missing is found now and not at the first reconnection
  await credentials()
  const link = openMqttLink({
    url: mqtt.url as string,
    credentials,
    clock,
    random,
    log,
    maxInFlight: mqtt.maxInFlight,
    publishTimeoutMs: mqtt.publishTimeoutMs,
  })
  if (listens) {
    const service = new MqttService({
      engine,
      link,
      prefix: mqtt.topicPrefix,
      maxMessageBytes: mqtt.maxMessage,
      maxConcurrent: est.maxConcurrent,
      overloadRetryAfterMs: est.retryAfterMs,
      answered: (operation, result, seconds) => metrics.answered('mqtt', operation, result, seconds),
    })
    for (const leaf of deviceLeaves) {
      const filter = sharedFilter(shareGroup, everyDevice(mqtt.topicPrefix, leaf))
      await link.subscribe(filter, (message) => takeMessage(service, mqtt.topicPrefix, message))
    }
  }
  const { mosquitto } = config.connectors
  const connectors = mosquitto.dynsec
    ? [await createMosquittoDisconnector({ link, timeoutMs: mosquitto.timeoutMs }, engine)]
    : []
  return {
    port: null,
    link,
    jobs: connectors.map(disconnectJob),
    problem: () => link.problem,
    reload: () => undefined,
    stop: () => link.close(),
  }
}

/** A retained message had been lying there for no one knows how long: it is nothing that a device asks now. */
export async function takeMessage(
  service: MqttService,
  prefix: string,
  { topic, payload, retained }: MqttReceived,
): Promise<void> {
  const parsed = parseDeviceTopic(prefix, topic)
  if (parsed === null || retained || !isDeviceLeaf(parsed.leaf)) return
  await service.take({ deviceId: parsed.deviceId, leaf: parsed.leaf, payload, connection: null })
}

async function readCredentials({ config }: App): Promise<MqttCredentials> {
  const { caFile, certificateFile, keyFile } = config.mqtt
  const [ca, certificate, key] = await Promise.all([
    readPem('mqtt.caFile', caFile),
    readPem('mqtt.certificateFile', certificateFile),
    readPem('mqtt.keyFile', keyFile),
  ])
  return { ca, certificate, key }
}

async function readPem(name: string, file: string | null): Promise<string> {
  try {
    return await readFile(file ?? '', 'utf8')
  } catch (error) {
    throw new Refusal('configuration-invalid', `${name}: cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Until now rungs of these kinds were passed over. @returns the kinds */
function addTriggers({ engine, config, otaSigner }: App, link: MqttLink): TriggerKind[] {
  const { topicPrefix: prefix, maxInFlight: parallel } = config.mqtt
  const bundles = createOtaOverMqtt(config, { link, parallel, otaSigner })
  const channels: readonly TriggerChannel[] = [
    createMqttTrigger({ link, prefix, parallel }),
    createTwinTrigger({ link, prefix, parallel }),
    ...(bundles ? [bundles] : []),
  ]
  // the engine reads it, and whoever composes the process makes it grow
  const known = engine.triggers as Map<TriggerKind, TriggerChannel>
  for (const channel of channels) known.set(channel.kind, channel)
  return channels.map(({ kind }) => kind)
}

/**
 * The embedded MQTT broker: mutual TLS as on the EST endpoint, and access by the certificate alone.
 *
 * A connection is looked at before a byte of it reaches the broker: without a certificate that is in the inventory, live,
 * and of a device in service, it gets a CONNACK "not authorized" of ours and is gone. A session is looked at again while
 * it lasts. User names, passwords and client ids decide nothing; client ids are only told apart within one device.
 */
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import { Aedes, type Client, type PublishPacket, type Subscription } from 'aedes'
import { secondMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import { admitConnection, type ConnectedPeer } from '../engine/inventory/device-connection.ts'
import type { JobResult } from '../engine/jobs.ts'
import type { MqttLink } from '../engine/ports.ts'
import type { SessionCut } from '../engine/sessions/watch.ts'
import { mayReceive, maySubscribe, publishLeaf } from '../protocols/mqtt-access.ts'
import { limitPackets } from '../protocols/mqtt-frames.ts'
import { MqttService } from '../protocols/mqtt-service.ts'
import { logRefusal } from '../protocols/refusal-log.ts'
import { forgetPathErrors, tlsPeer } from '../protocols/tls-peer.ts'
import { tlsOptions, type DeviceTls, type ServerIdentity } from '../protocols/tls-server.ts'
import { brokerLink } from './broker-link.ts'
import { BrokerMemory } from './broker-memory.ts'
import { BrokerSessions, type Session } from './broker-sessions.ts'

export interface BrokerOptions {
  readonly engine: Engine
  readonly identity: ServerIdentity
  readonly minVersion: DeviceTls['minVersion']
  readonly prefix: string
  readonly maxMessageBytes: number
  readonly maxConnections: number
  /** From the connection to the end of the handshake, and from there to CONNECT. */
  readonly handshakeTimeoutMs: number
  readonly maxInFlight: number
  readonly publishTimeoutMs: number
  /** Enrolments at work at once. */
  readonly maxConcurrent: number
  readonly overloadRetryAfterMs: number
  /** For metrics; must not throw. */
  readonly observer?: BrokerObserver
}

export interface BrokerObserver {
  readonly answered?: (operation: string, result: string, seconds: number) => void
  readonly handshakeFailed?: () => void
}

export interface Broker {
  readonly server: Server
  readonly link: MqttLink
  readonly service: MqttService
  /** Devices that are connected now, each connection counted. */
  readonly connected: () => number
  /** Sessions that a decision is about, looked at once. @returns how many were ended */
  cut(cut: SessionCut, now: Instant): Promise<number>
  /** One bounded pass over the sessions whose certificate was not looked at for a while. */
  recheck(now: Instant): Promise<JobResult>
  /** New connections get the new certificate; open ones keep theirs. */
  reload(identity: ServerIdentity): void
  /** Ends every connection. The listener is the caller's. Idempotent. */
  close(): Promise<void>
}

/** The first bytes of a device that is not let in are awaited for this long, so that it reads why. */
const refusalMs = 5 * secondMs
/** A device that does not read is cut off. */
const drainTimeoutMs = 15 * secondMs
/** What a packet has around its payload: topic, identifiers, user name. */
const packetOverhead = 4_096
/** CONNACK, return code 5: not authorized (MQTT 3.1.1 §3.2.2.3). */
const notAuthorized = Buffer.from([0x20, 0x02, 0x00, 0x05])

export async function openBroker(options: BrokerOptions): Promise<Broker> {
  const { engine, prefix, observer } = options
  const sessions = new BrokerSessions(engine)
  const aedes: Aedes = await Aedes.createBroker({
    persistence: new BrokerMemory(prefix),
    // Bounded by our own counts: publishing waits, and a device has one batch of packets at work.
    concurrency: 0,
    connectTimeout: options.handshakeTimeoutMs,
    drainTimeout: drainTimeoutMs,
    maxInflightInbound: 16,
    maxClientsIdLength: 256,
    ...brokerHooks({ sessions, prefix, service: () => service }),
  })
  aedes.on(
    'error' as never,
    ((error: Error) => engine.log.error({ err: error }, 'the MQTT broker failed')) as never,
  )
  aedes.on('clientError', (_client, error) => engine.log.debug({ err: error }, 'an MQTT connection ended'))
  aedes.on('connectionError', (_client, error) =>
    engine.log.debug({ err: error }, 'an MQTT connection failed'),
  )
  const { clock, log } = engine
  const { maxInFlight, publishTimeoutMs } = options
  const link = brokerLink({ broker: aedes, clock, log, maxInFlight, publishTimeoutMs })
  const service = new MqttService({
    ...options,
    link,
    ...(observer?.answered ? { answered: observer.answered } : {}),
  })

  const tls = (identity: ServerIdentity) =>
    tlsOptions({ identity, minVersion: options.minVersion, tickets: true })
  const server = createServer({ ...tls(options.identity), handshakeTimeout: options.handshakeTimeoutMs })
  server.maxConnections = options.maxConnections
  const closing = new AbortController()
  const admit = async (socket: TLSSocket) => {
    const session = await admitSocket(engine, socket)
    if (session === null) {
      await refuseSocket(engine, socket, closing.signal)
      return
    }
    if (socket.destroyed || aedes.closed) {
      socket.destroy()
      return
    }
    const stream = limitPackets(socket, options.maxMessageBytes + packetOverhead)
    sessions.add(stream, session)
    stream.once('close', () => sessions.remove(stream))
    session.close = () => stream.destroy()
    aedes.handle(stream)
  }
  server.on('secureConnection', (socket) => {
    forgetPathErrors(socket, options.identity.chainPem)
    socket.on('error', () => undefined)
    socket.setKeepAlive(true, 60 * secondMs)
    admit(socket).catch((error: unknown) => {
      engine.log.error({ err: error }, 'an MQTT connection could not be looked at')
      socket.destroy()
    })
  })
  server.on('tlsClientError', (_error, socket) => {
    observer?.handshakeFailed?.()
    socket.destroy()
  })
  const close = async () => {
    closing.abort()
    await link.close()
    await new Promise<void>((resolve) => void aedes.close(() => resolve()))
    for (const session of sessions.all()) session.close()
  }
  let closed: Promise<void> | null = null
  return {
    server,
    link,
    service,
    connected: () => sessions.size,
    cut: (cut, now) => sessions.cut(cut, now),
    recheck: (now) => sessions.recheck(now),
    reload: (identity) => server.setSecureContext(tls(identity)),
    close: () => (closed ??= close()),
  }
}

/** @returns null for a connection that is not let in */
async function admitSocket(engine: Engine, socket: TLSSocket): Promise<Session | null> {
  const { address, certificate } = tlsPeer(socket)
  const now = engine.clock.now()
  try {
    if (certificate === null) throw new Refusal('unauthenticated', 'connect with a device certificate')
    const peer: ConnectedPeer = { address, certificate }
    const connection = await admitConnection(engine, peer, now)
    const { notAfter, issuerId } = connection.certificate
    return {
      peer,
      deviceId: connection.deviceId,
      issuerId,
      notAfter,
      checkedAt: now,
      isDead: false,
      close: () => undefined,
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    logRefusal(
      engine.log,
      { method: 'CONNECT', path: 'mqtt', headers: {}, peer: { address, certificate } },
      error,
    )
    return null
  }
}

async function refuseSocket({ clock }: Engine, socket: TLSSocket, signal: AbortSignal): Promise<void> {
  const done = new AbortController()
  socket.once('close', () => done.abort())
  socket.once('data', () => void socket.end(notAuthorized))
  await clock.sleep(refusalMs, AbortSignal.any([signal, done.signal])).catch(() => undefined)
  socket.destroy()
}

interface HookParts {
  readonly sessions: BrokerSessions
  readonly prefix: string
  readonly service: () => MqttService
}

/** What aedes asks us; see its documentation for when. */
function brokerHooks({ sessions, prefix, service }: HookParts) {
  const sessionOf = (client: Client) => sessions.of(client.conn as Duplex)
  return {
    preConnect(
      client: Client,
      packet: { clientId: string; clean?: boolean; will?: unknown },
      done: Done<boolean>,
    ) {
      const session = sessionOf(client)
      if (!session || packet.clientId.length > 128) {
        done(new Error('not let in'), false)
        return
      }
      // A client id is a name within one device: nobody takes over the session of another device.
      packet.clientId = `${session.deviceId}/${packet.clientId || sessions.nextName()}`
      // Nothing is queued for the absent: what is to wait for a device is a retained message.
      packet.clean = true
      delete packet.will
      done(null, true)
    },
    authenticate(
      client: Client,
      _username: unknown,
      _password: unknown,
      done: (error: null, ok: boolean) => void,
    ) {
      done(null, sessionOf(client)?.isDead === false)
    },
    authorizePublish(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void) {
      const session = client && sessionOf(client)
      if (!session) {
        done(client === null ? null : new Error('no session'))
        return
      }
      const leaf = publishLeaf(prefix, session.deviceId, packet.topic)
      if (leaf === null) {
        done(new Error('not a topic that this device may publish on'))
        return
      }
      // Devices leave nothing behind on a topic.
      packet.retain = false
      const { deviceId, peer } = session
      const payload = Buffer.from(packet.payload)
      const take = async () => {
        await sessions.check(session)
        await service().take({ deviceId, leaf, payload, connection: peer })
      }
      void callBack(take(), done)
    },
    authorizeSubscribe(
      client: Client,
      subscription: Subscription,
      done: (error: Error | null, subscription?: Subscription | null) => void,
    ) {
      const session = sessionOf(client)
      const isOwn = session !== null && maySubscribe(prefix, session.deviceId, subscription.topic)
      if (!isOwn || !sessions.mayAdd(client)) {
        done(null, null)
        return
      }
      void callBack(sessions.check(session), (error) => done(error, error ? null : subscription))
    },
    authorizeForward<Packet extends { topic: string }>(client: Client, packet: Packet): Packet | null {
      const session = sessionOf(client)
      return session && sessions.isGood(session) && mayReceive(prefix, session.deviceId, packet.topic)
        ? packet
        : null
    },
  }
}

/** aedes speaks in callbacks. */
async function callBack(work: Promise<void>, done: (error: Error | null) => void): Promise<void> {
  let failure: Error | null = null
  try {
    await work
  } catch (error) {
    failure = error as Error
  }
  done(failure)
}

type Done<Value> = (error: Error | null, value: Value) => void

/**
 * The link to a broker that is not ours: mutual TLS, connected again by itself with jitter, and bounded. The library's own
 * reconnection is not used: it would hold what is under way in memory over an outage of any length, where we say that it
 * failed and let the task come again.
 */
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { secondMs, type Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { InFlight } from '../base/in-flight.ts'
import type { Log } from '../base/log.ts'
import { topicFits } from '../base/mqtt-topics.ts'
import { backoffMs } from '../base/retry.ts'
import { token, type Random } from '../base/random.ts'
import type { MqttLink, MqttReceived } from '../engine/ports.ts'

export interface MqttCredentials {
  /** PEM. */
  readonly ca: string
  /** PEM, leaf first. */
  readonly certificate: string
  readonly key: string
}

export interface MqttClientLinkOptions {
  /** `mqtts://host:port` */
  readonly url: string
  /** Asked before each connection, so that a renewed certificate is used without a restart. */
  readonly credentials: () => Promise<MqttCredentials>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Messages that the broker has not acknowledged; beyond it publishing waits. */
  readonly maxInFlight: number
  readonly publishTimeoutMs: number
}

export interface MqttClientLink extends MqttLink {
  /** Why there is no connection, or a subscription was refused; null when all is well. */
  readonly problem: string | null
  /** Not acknowledged, and callers that wait. */
  readonly load: () => { readonly underWay: number; readonly waiting: number }
}

interface Subscribed {
  readonly filter: string
  /** Without `$share/<group>/`. */
  readonly fits: string
  readonly handler: (message: MqttReceived) => Promise<void>
}

const reconnect = { baseMs: secondMs, capMs: 60 * secondMs }
const connectTimeoutMs = 15 * secondMs
const endTimeoutMs = 2 * secondMs
/** Messages of devices at work at once; the broker keeps the next ones until one is done. */
const maxHandled = 200
/** CONNACK of a broker that knows no MQTT 5: Unsupported Protocol Version, and its forms in 3.1.1. */
const versionCodes: ReadonlySet<unknown> = new Set([1, 132])

/** Begins to connect and returns at once: a broker that is down is no reason not to start. */
export function openMqttLink(options: MqttClientLinkOptions): MqttClientLink {
  return new ClientLink(options)
}

class ClientLink implements MqttClientLink {
  readonly #options: MqttClientLinkOptions
  readonly #inFlight: InFlight
  readonly #subscribed: Subscribed[] = []
  readonly #closing = new AbortController()
  readonly #clientId: string
  readonly #loop: Promise<void>
  #client: MqttClient | null = null
  #problem: string | null = 'not connected yet'
  // 5 has reason codes: a 3.1.1 broker drops silently what it does not allow us to publish
  #version: 4 | 5 = 5
  /** Of this connection: the library does not say that it has given them up. */
  readonly #unanswered = new Set<(error: Error) => void>()
  #handled = 0
  #held: (() => void)[] = []

  constructor(options: MqttClientLinkOptions) {
    const { maxInFlight, publishTimeoutMs, clock, random } = options
    this.#options = options
    this.#inFlight = new InFlight({
      limit: maxInFlight,
      timeoutMs: publishTimeoutMs,
      clock,
      late: () =>
        new Refusal('trigger-failed', `the broker did not acknowledge within ${publishTimeoutMs} ms`),
    })
    this.#clientId = `perennial-${token(random, 9)}`
    this.#loop = this.#run()
  }

  get isConnected(): boolean {
    return this.#client?.connected === true
  }

  get problem(): string | null {
    return this.#problem
  }

  load(): { underWay: number; waiting: number } {
    return { underWay: this.#inFlight.underWay, waiting: this.#inFlight.waiting }
  }

  async publish(
    { topic, payload, retain }: Parameters<MqttLink['publish']>[0],
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted()
    if (!this.isConnected) throw this.#noConnection()
    await this.#inFlight.run((done) => {
      const client = this.#client
      if (!client?.connected) {
        done(this.#noConnection())
        return
      }
      const answered = (error?: Error | null) => {
        this.#unanswered.delete(answered)
        done(error ? new Refusal('trigger-failed', publishProblem(error), { cause: error }) : null)
      }
      this.#unanswered.add(answered)
      client.publish(topic, Buffer.from(payload), { qos: 1, retain }, answered)
    }, signal)
  }

  async subscribe(filter: string, handler: Subscribed['handler']): Promise<void> {
    const subscribed = { filter, fits: filter.replace(/^\$share\/[^/]+\//, ''), handler }
    this.#subscribed.push(subscribed)
    if (this.#client?.connected) await this.#ask(this.#client, subscribed)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const client = this.#client
    if (client) {
      const { clock } = this.#options
      const ended = new Promise<void>((resolve) => void client.end(false, {}, () => resolve()))
      await Promise.race([ended, clock.sleep(endTimeoutMs)])
      client.end(true)
    }
    await this.#loop
  }

  #noConnection(): Refusal {
    return new Refusal('trigger-failed', `there is no connection to the broker: ${this.#problem ?? 'closed'}`)
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#options
    const { signal } = this.#closing
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const client = await this.#connect()
        attempt = 0
        log.info({ url: this.#options.url }, 'connected to the MQTT broker')
        await closeOf(client)
        this.#problem = 'the broker closed the connection'
      } catch (error) {
        if (versionCodes.has((error as { code?: unknown }).code)) this.#version = 4
        this.#problem = error instanceof Error ? error.message : String(error)
      }
      this.#client = null
      this.#release()
      for (const answered of this.#unanswered) answered(new Error('the connection was lost'))
      if (signal.aborted) break
      const waitMs = backoffMs(reconnect, attempt, random)
      log.warn({ url: this.#options.url, problem: this.#problem, waitMs }, 'no connection to the MQTT broker')
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #connect(): Promise<MqttClient> {
    const { ca, certificate, key } = await this.#options.credentials()
    const { signal } = this.#closing
    signal.throwIfAborted()
    const settings: IClientOptions = {
      ca,
      cert: certificate,
      key,
      clientId: this.#clientId,
      clean: true,
      protocolVersion: this.#version,
      keepalive: 30,
      connectTimeout: connectTimeoutMs,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      rejectUnauthorized: true,
      ...(this.#version === 5 ? { properties: { receiveMaximum: maxHandled } } : {}),
    }
    const client = connect(this.#options.url, settings)
    client.handleMessage = (packet, done) => this.#take(packet, done)
    const abort = () => void client.end(true)
    signal.addEventListener('abort', abort)
    try {
      await new Promise<void>((resolve, reject) => {
        client.once('connect', () => resolve())
        client.once('close', () => reject(new Error('the broker closed the connection at once')))
        // stays: an error without a listener ends the process
        client.on('error', reject)
      })
    } catch (error) {
      client.end(true)
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
    this.#client = client
    this.#problem = null
    for (const subscribed of this.#subscribed) await this.#ask(client, subscribed)
    return client
  }

  /** A refused subscription is an access rule that is missing at the broker: said, and asked again at the next connection. */
  async #ask(client: MqttClient, { filter }: Subscribed): Promise<void> {
    try {
      const [grant] = await client.subscribeAsync(filter, { qos: 1 })
      if (grant === undefined || grant.qos < 128) return
      this.#problem = `the broker does not let us subscribe to ${filter}`
    } catch (error) {
      this.#problem = `cannot subscribe to ${filter}: ${(error as Error).message}`
    }
    this.#options.log.error({ filter, problem: this.#problem }, 'a subscription was refused')
  }

  /** `done` lets the next message in. */
  #take(packet: { topic: string; payload: string | Buffer; retain: boolean }, done: () => void): void {
    const { topic, retain: retained } = packet
    const message = { topic, payload: Buffer.from(packet.payload), retained }
    for (const { fits, handler } of this.#subscribed) {
      if (topicFits(fits, topic)) void this.#handle(handler, message)
    }
    if (this.#handled < maxHandled) done()
    else this.#held.push(done)
  }

  async #handle(handler: Subscribed['handler'], message: MqttReceived): Promise<void> {
    this.#handled++
    try {
      await handler(message)
    } catch (error) {
      this.#options.log.error(
        { err: error, topic: message.topic },
        'a message over MQTT could not be handled',
      )
    }
    this.#handled--
    if (this.#handled < maxHandled) this.#held.shift()?.()
  }

  #release(): void {
    for (const done of this.#held.splice(0)) done()
  }
}

function closeOf(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (client.connected) client.once('close', () => resolve())
    else resolve()
  })
}

function publishProblem(error: Error): string {
  const { code } = error as { code?: unknown }
  return code === 135
    ? 'the broker does not let us publish on this topic: check its access rules (`perennial broker acl`)'
    : `the broker did not take the message: ${error.message}`
}

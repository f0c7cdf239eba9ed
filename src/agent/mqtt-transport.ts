/**
 * MQTT as the agent's transport: requests and their answers over the device's own topics, and a connection that is kept for
 * what the server has to say. One connection at a time: a trial connects with the new certificate in place of the old one,
 * under the same client id, so that the broker's session goes on.
 */
import { fromBase64, sha256Hex, toBase64 } from '../base/bytes.ts'
import { minuteMs, secondMs, type Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { deviceTopic, parseDeviceTopic, serverLeaves, type ServerLeaf } from '../base/mqtt-topics.ts'
import { type Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import { printable } from '../base/text.ts'
import { requestToSign, statusToSign } from '../pki/mqtt-proof.ts'
import { decodePem } from '../pki/pem.ts'
import { isObject } from './agent-inbox.ts'
import type { AgentMessage } from './agent-message.ts'
import type {
  AgentTransport,
  CertificateBearer,
  Report,
  TransportAnswer,
  TransportRequest,
} from './agent-transport.ts'
import type { MqttConnection, MqttConnector } from './mqtt-connector.ts'
import { pause } from './pause.ts'

export interface MqttTransportOptions {
  readonly connector: MqttConnector
  readonly deviceId: DeviceId
  readonly topicPrefix: string
  readonly clock: Clock
  readonly random: Random
  /** How long an answer is waited for; a later one is found by the next try. Default one minute. */
  readonly answerMs?: number
}

/** Of connections that failed, with jitter: a broker that comes back finds its fleet one by one. */
const backoff = { baseMs: 2 * secondMs, capMs: 10 * minuteMs }

/** Longest answer to a request that is looked at. */
const maxAnswerBytes = 131_072

interface Line {
  /** SHA-256 of the certificate that it was opened with. */
  readonly fingerprint: string
  readonly connection: MqttConnection
  isClosed: boolean
}

interface Listening {
  readonly bearer: CertificateBearer
  readonly signal: AbortSignal
}

export class MqttTransport implements AgentTransport {
  readonly #options: MqttTransportOptions
  readonly #waiting = new Map<string, (answer: TransportAnswer) => void>()
  /** Certificates whose use was reported over a connection of theirs, by this process. */
  readonly #reported = new Set<string>()
  #receive: ((message: AgentMessage) => Promise<void>) | null = null
  #line: Line | null = null
  #opening: Promise<unknown> = Promise.resolve()
  #listening: Listening | null = null
  #loop: Promise<void> | null = null

  constructor(options: MqttTransportOptions) {
    this.#options = options
  }

  deliver(receive: (message: AgentMessage) => Promise<void>): void {
    this.#receive = receive
  }

  listen(bearer: CertificateBearer, signal: AbortSignal): void {
    this.#listening = { bearer, signal }
    // the loop opens the next one
    if (this.#line !== null && this.#line.fingerprint !== fingerprintOf(bearer))
      void this.#line.connection.close()
    this.#loop ??= this.#keepOpen().finally(() => {
      this.#loop = null
    })
  }

  async close(): Promise<void> {
    this.#listening = null
    await this.#line?.connection.close()
    await this.#loop
  }

  async ask(request: TransportRequest): Promise<TransportAnswer> {
    const { bearer } = request
    if (bearer.kind !== 'certificate') return failed('MQTT takes a device that shows a certificate')
    try {
      switch (request.operation) {
        case 'renewal-info':
          return failed('hints come by themselves over MQTT')
        case 'cacerts':
        case 'credential':
          // to be let in is the answer
          await this.#open(bearer)
          return { kind: 'done', certificates: [], serverNow: null }
        case 'enroll':
        case 'reenroll':
          return await this.#request(request.operation, { bearer, csr: request.csr })
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      // a broker that lets nobody in says nothing about a request that it has not seen
      const isRefused = error.code === 'server-refused' && request.operation === 'credential'
      const kind = isRefused ? 'refused' : 'failed'
      return { kind, detail: error.message, serverNow: null }
    }
  }

  async report({ state, csr, fingerprint, bearer, sign }: Report): Promise<void> {
    try {
      const line = await this.#open(bearer)
      const clientToken = csr === null ? fingerprint.slice(0, 32) : tokenOf(csr)
      await this.#publishStatus(line, { state, clientToken, fingerprint, sign })
    } catch (error) {
      // the server learns of it from the first connection with the new certificate
      if (!(error instanceof Refusal)) throw error
    }
  }

  async #request(
    operation: 'enroll' | 'reenroll',
    { bearer, csr }: { readonly bearer: CertificateBearer; readonly csr: Uint8Array },
  ): Promise<TransportAnswer> {
    const { clock, deviceId, answerMs = minuteMs } = this.#options
    const line = await this.#open(bearer)
    const clientToken = tokenOf(csr)
    const [certificate, ...chain] = chainOf(bearer).map((der) => toBase64(der))
    const signature = toBase64(await bearer.sign(requestToSign({ deviceId, clientToken, csr })))
    const message = { v: 1, clientToken, operation, csr: toBase64(csr), certificate, chain, signature }
    const over = new AbortController()
    const answer = new Promise<TransportAnswer>((resolve) => void this.#waiting.set(clientToken, resolve))
    const late = clock.sleep(answerMs, over.signal).then(
      () => failed(`no answer over MQTT within ${answerMs} ms`),
      () => failed('over'),
    )
    try {
      await line.connection.publish(this.#topic('csr'), JSON.stringify(message))
      const lost = line.connection.closed.then((reason) => failed(`no answer over MQTT: ${reason}`))
      return await Promise.race([answer, lost, late])
    } finally {
      this.#waiting.delete(clientToken)
      over.abort()
    }
  }

  /** A line for this bearer, after all that was asked for before. */
  async #open(bearer: CertificateBearer): Promise<Line> {
    const turn = this.#openNext(this.#opening, bearer)
    this.#opening = turn.catch(() => undefined)
    return await turn
  }

  async #openNext(earlier: Promise<unknown>, bearer: CertificateBearer): Promise<Line> {
    await earlier
    const fingerprint = fingerprintOf(bearer)
    if (this.#line?.fingerprint === fingerprint && !this.#line.isClosed) return this.#line
    await this.#line?.connection.close()
    const { connector, deviceId } = this.#options
    const connection = await connector.connect({
      clientId: deviceId,
      identity: bearer.identity,
      onMessage: async (topic, payload) => await this.#take(topic, payload),
    })
    const line: Line = { fingerprint, connection, isClosed: false }
    const markClosed = async (): Promise<void> => {
      await connection.closed
      line.isClosed = true
    }
    void markClosed()
    this.#line = line
    try {
      await this.#introduce(line, bearer)
    } catch (error) {
      await connection.close()
      throw error
    }
    return line
  }

  /** The first connection with a certificate is the proof that it is in use; a broker of somebody else's does not say so. */
  async #introduce(line: Line, { sign }: CertificateBearer): Promise<void> {
    await line.connection.subscribe(serverLeaves.map((leaf) => this.#topic(leaf)))
    const { fingerprint } = line
    if (this.#reported.has(fingerprint)) return
    const clientToken = fingerprint.slice(0, 32)
    await this.#publishStatus(line, { state: 'confirmed', clientToken, fingerprint, sign })
    this.#reported.add(fingerprint)
  }

  async #publishStatus(
    { connection }: Line,
    status: Pick<Report, 'state' | 'fingerprint' | 'sign'> & { readonly clientToken: string },
  ): Promise<void> {
    const { deviceId } = this.#options
    const { state, clientToken, fingerprint: certificate, sign } = status
    const signature = toBase64(await sign(statusToSign({ deviceId, clientToken, state, certificate })))
    const message = { v: 1, state, clientToken, certificate, signature }
    await connection.publish(this.#topic('status'), JSON.stringify(message))
  }

  #topic(leaf: Parameters<typeof deviceTopic>[2]): string {
    return deviceTopic(this.#options.topicPrefix, this.#options.deviceId, leaf)
  }

  async #take(topic: string, payload: Uint8Array): Promise<void> {
    const { topicPrefix, deviceId } = this.#options
    const parsed = parseDeviceTopic(topicPrefix, topic)
    if (parsed?.deviceId !== deviceId) return
    const { leaf } = parsed
    if (leaf === 'csr/accepted' || leaf === 'csr/rejected') {
      this.#answer(leaf, payload)
      return
    }
    const kind = messageKinds[leaf as keyof typeof messageKinds]
    if (kind !== undefined) await this.#receive?.({ kind, payload })
  }

  /** One that nobody waits for is passed over: the request goes out again, and the server repeats its answer. */
  #answer(leaf: 'csr/accepted' | 'csr/rejected', payload: Uint8Array): void {
    const message = payload.length > maxAnswerBytes ? null : parseJson(payload)
    if (!isObject(message) || typeof message['clientToken'] !== 'string') return
    const resolve = this.#waiting.get(message['clientToken'])
    resolve?.(leaf === 'csr/accepted' ? accepted(message) : rejected(message))
  }

  /** Until there is nobody to listen for. */
  async #keepOpen(): Promise<void> {
    const { clock, random } = this.#options
    let attempt = 0
    for (;;) {
      const listening = this.#listening
      if (listening === null || listening.signal.aborted) return
      const { bearer, signal } = listening
      try {
        const { connection } = await this.#open(bearer)
        attempt = 0
        await Promise.race([connection.closed, aborted(signal)])
        if (signal.aborted) {
          await connection.close()
          return
        }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
      await pause(clock, backoffMs(backoff, attempt++, random), signal)
    }
  }
}

const messageKinds: Partial<Record<ServerLeaf, AgentMessage['kind']>> = {
  renew: 'renew',
  hint: 'hint',
  'twin/desired': 'desired',
  ota: 'bundle',
}

/** The same for the same request, so that an answer which comes late is one to the repeat as well. */
function tokenOf(csr: Uint8Array): string {
  return sha256Hex(csr).slice(0, 32)
}

function chainOf({ identity }: CertificateBearer): Uint8Array[] {
  return decodePem(identity.chainPem).map(({ der }) => der)
}

function fingerprintOf(bearer: CertificateBearer): string {
  const [leaf = new Uint8Array()] = chainOf(bearer)
  return sha256Hex(leaf)
}

function accepted({ certificate, chain }: Record<string, unknown>): TransportAnswer {
  const leaf = derOf(certificate)
  const issuers = Array.isArray(chain) ? chain.slice(0, 16).map(derOf) : []
  if (leaf === null || issuers.some((each) => each === null)) {
    return failed('the answer over MQTT is not base64')
  }
  return {
    kind: 'done',
    certificates: [leaf],
    chain: issuers.filter((each) => each !== null),
    serverNow: null,
  }
}

/** The server's own trouble says nothing about us. */
const passing = new Set(['error', 'overloaded', 'store-busy', 'issuer-unavailable', 'disk-full'])

function rejected({ code, message, retryAfterSeconds }: Record<string, unknown>): TransportAnswer {
  const name = typeof code === 'string' ? printable(code).slice(0, 64) : 'no code'
  const text = typeof message === 'string' ? printable(message).slice(0, 500) : 'no reason given'
  const detail = `the server refused: ${name}: ${text}`
  if (typeof retryAfterSeconds === 'number' && retryAfterSeconds >= 0 && retryAfterSeconds < 1e9) {
    return { kind: 'later', afterMs: Math.max(1, retryAfterSeconds) * secondMs, detail, serverNow: null }
  }
  return passing.has(name) || name === 'pending'
    ? failed(detail)
    : { kind: 'refused', detail, serverNow: null }
}

function derOf(value: unknown): Uint8Array | null {
  const bytes = typeof value === 'string' ? fromBase64(value) : null
  return bytes !== null && bytes.length > 0 ? bytes : null
}

function failed(detail: string): TransportAnswer {
  return { kind: 'failed', detail, serverNow: null }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return null
  }
}

/**
 * One bound SMPP 3.4 session (transceiver) that is made when it is first needed, kept alive with enquire_link, and made
 * again in the background when it is lost: delivery receipts come over it at any time.
 */
import { isIP } from 'node:net'
import smpp, { type Pdu, type PduFields, type Session } from 'smpp'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { backoffMs, type Backoff } from '../base/retry.ts'

export interface SmppLinkOptions {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly systemId: string
  readonly password: string
  readonly systemType: string
  /** Silence after which the SMSC is asked whether it is there, ms. */
  readonly enquireMs: number
  /** How long it may take to connect, to bind and to answer, ms. */
  readonly timeoutMs: number
}

export interface SmppLinkParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Carries out a deliver_sm before it is acknowledged: when it fails, the SMSC is asked to deliver again. */
  onDeliver(pdu: Pdu): Promise<void>
}

const reconnect: Backoff = { baseMs: 1_000, capMs: 60_000 }
/** SMPP 3.4 §5.1.3: "ESME Receiver Temporary App Error Code": the SMSC keeps the message and tries again. */
const receiverTemporaryError = 0x64

export class SmppLink {
  readonly #options: SmppLinkOptions
  readonly #parts: SmppLinkParts
  readonly #closing = new AbortController()
  #bound: Promise<BoundSession> | null = null

  constructor(options: SmppLinkOptions, parts: SmppLinkParts) {
    this.#options = options
    this.#parts = parts
  }

  /**
   * Sends one request over the bound session, which is made if there is none.
   * @throws Refusal `trigger-failed`: not connected, not bound, no answer in time (cause: TimeoutError)
   */
  async request(command: string, fields: PduFields, signal: AbortSignal): Promise<Pdu> {
    const session = await abortable(this.#session(), signal)
    return await session.request(command, fields, signal)
  }

  /** Says goodbye (unbind) and ends the connection. Idempotent. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    const session = await this.#bound?.catch(() => null)
    await session?.end()
  }

  #session(): Promise<BoundSession> {
    if (this.#closing.signal.aborted) {
      return Promise.reject(new Refusal('trigger-failed', 'the SMPP link is closed'))
    }
    this.#bound ??= this.#open()
    return this.#bound
  }

  async #open(): Promise<BoundSession> {
    try {
      const session = await BoundSession.open(this.#options, this.#parts)
      // Not awaited: it goes on in the background for as long as the session lives.
      void this.#keep(session)
      return session
    } catch (error) {
      this.#bound = null
      throw error
    }
  }

  async #keep(session: BoundSession): Promise<void> {
    const { clock, random, log } = this.#parts
    await session.keepAlive(this.#options.enquireMs, this.#closing.signal)
    this.#bound = null
    for (let attempt = 0; !this.#closing.signal.aborted; attempt++) {
      log.warn({ attempt }, 'the SMPP session is lost; it is made again')
      try {
        await clock.sleep(backoffMs(reconnect, attempt, random), this.#closing.signal)
        await this.#session()
        return
      } catch (error) {
        // the outermost loop of the link: whatever it was, there is nothing to do but to try again
        if (!this.#closing.signal.aborted && !(error instanceof Refusal)) log.error({ err: error }, 'SMPP')
      }
    }
  }
}

class BoundSession {
  readonly #session: Session
  readonly #options: SmppLinkOptions
  readonly #parts: SmppLinkParts
  /** Ends when the connection does, with the reason. */
  readonly #over = new AbortController()

  private constructor(session: Session, options: SmppLinkOptions, parts: SmppLinkParts) {
    this.#session = session
    this.#options = options
    this.#parts = parts
    const lose = (why: string) => () => {
      this.#over.abort(new Refusal('trigger-failed', why))
      session.destroy()
    }
    session.on('close', lose('the SMSC closed the connection'))
    session.on('error', lose('the SMSC could not be reached'))
    session.on('unbind', (pdu: Pdu) => {
      session.send(pdu.response())
      lose('the SMSC ended the session')()
    })
    session.on('enquire_link', (pdu: Pdu) => void session.send(pdu.response()))
    session.on('deliver_sm', (pdu: Pdu) => void this.#deliver(pdu))
  }

  static async open(options: SmppLinkOptions, parts: SmppLinkParts): Promise<BoundSession> {
    const { host, port, tls, systemId, password, systemType } = options
    // RFC 6066 §3: an address is not a server name
    const session = smpp.connect({
      host,
      port,
      tls,
      ...(tls && isIP(host) === 0 ? { servername: host } : {}),
    })
    const bound = new BoundSession(session, options, parts)
    await bound.#settled(
      new Promise<void>((resolve) => session.once(tls ? 'secureConnect' : 'connect', () => resolve())),
      new AbortController().signal,
    )
    const answer = await bound.request('bind_transceiver', {
      system_id: systemId,
      password,
      system_type: systemType,
      interface_version: 0x34,
    })
    if (answer.command_status === 0) return bound
    session.destroy()
    throw new Refusal('trigger-failed', `the SMSC refused to bind: ${smppStatus(answer.command_status)}`)
  }

  async request(
    command: string,
    fields: PduFields,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Pdu> {
    const answer = new Promise<Pdu>((resolve, reject) => {
      if (this.#session.send(new smpp.PDU(command, fields), resolve)) return
      reject(new Refusal('trigger-failed', 'the connection to the SMSC takes nothing any more'))
    })
    return await this.#settled(answer, signal)
  }

  /** Resolves when the session is over. */
  async keepAlive(enquireMs: number, signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.#over.signal])
    while (!over.aborted) {
      try {
        await this.#parts.clock.sleep(enquireMs, over)
        await this.request('enquire_link', {})
      } catch {
        // Aborted, or no answer: either way there is nothing more to keep alive.
        if (!signal.aborted) this.#session.destroy()
        return
      }
    }
  }

  async end(): Promise<void> {
    await this.request('unbind', {}).catch(() => null)
    this.#session.destroy()
  }

  async #deliver(pdu: Pdu): Promise<void> {
    try {
      await this.#parts.onDeliver(pdu)
      this.#session.send(pdu.response())
    } catch (error) {
      this.#parts.log.warn(
        { err: error },
        'a delivery receipt could not be recorded; the SMSC is to repeat it',
      )
      this.#session.send(pdu.response({ command_status: receiverTemporaryError }))
    }
  }

  /** The work's result, unless the connection ends, the time runs out or the caller gives up before. */
  async #settled<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
    const stop = new AbortController()
    const late = this.#parts.clock.sleep(this.#options.timeoutMs, stop.signal).then(
      () => {
        this.#session.destroy()
        const cause = new DOMException('no answer in time', 'TimeoutError')
        throw new Refusal('trigger-failed', 'the SMSC did not answer in time', { cause })
      },
      async () => await new Promise<never>(() => {}),
    )
    try {
      return await abortable(abortable(Promise.race([work, late]), this.#over.signal), signal)
    } finally {
      stop.abort()
    }
  }
}

/** The work's result, or the reason of the signal: a Refusal as it is, anything else as the cause of one. */
function abortable<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function abortReason({ reason }: AbortSignal): Refusal {
  if (reason instanceof Refusal) return reason
  const cause = new DOMException('aborted', 'AbortError')
  return new Refusal('trigger-failed', 'the SMSC was not waited for', { cause })
}

/** `ESME_RINVPASWD` for 0x0e, and the number for those that the standard leaves to the provider. */
export function smppStatus(status: number): string {
  const name = Object.entries(smpp.errors).find(([, value]) => value === status)?.[0]
  return name ?? `0x${status.toString(16).padStart(8, '0')}`
}

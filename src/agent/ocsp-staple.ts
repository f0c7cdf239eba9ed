/**
 * Stapling: the signed OCSP answer about a server's own certificate, fetched before it is needed and given in each handshake
 * (RFC 6066 §8), so that no client has to ask anybody. What cannot be renewed is given until its end, and never after.
 */
import type { Server } from 'node:tls'
import { hourMs, minuteMs, type Clock, type Instant } from '../base/clock.ts'
import { equalBytes } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs, jitteredMs } from '../base/retry.ts'
import { checkOcspResponse } from '../pki/ocsp-read.ts'
import type { AgentEvent } from './agent-core.ts'
import { fetchOcsp, type FetchedOcsp, type OcspSubject } from './ocsp-fetch.ts'
import { pause } from './pause.ts'

export interface OcspStapleOptions {
  readonly clock: Clock
  readonly random: Random
  /** The certificate in use now: asked before each fetch, so that a renewal is noticed. Null: there is none. */
  readonly subject: () => Promise<OcspSubject | null>
  /** A new answer, for a file or another server. What it throws is told, and it is called again with the next answer. */
  readonly onAnswer?: (answer: FetchedOcsp) => Promise<void>
  readonly onEvent?: (event: AgentEvent) => void
}

/** What is given in handshakes at this moment. */
interface Held {
  readonly answer: FetchedOcsp
  readonly leafDer: Uint8Array
}

const retry = { baseMs: minuteMs, capMs: hourMs }
/** A renewed certificate waits no longer than this for an answer of its own. */
const longestWaitMs = 5 * minuteMs

export class OcspStaple {
  readonly #options: OcspStapleOptions
  #held: Held | null = null
  #failures = 0
  #dueAt: Instant = Number.NEGATIVE_INFINITY

  constructor(options: OcspStapleOptions) {
    this.#options = options
  }

  /** DER, in force now; null when there is none. */
  get response(): Uint8Array | null {
    const held = this.#held
    return held && this.#options.clock.now() < held.answer.nextUpdate ? held.answer.der : null
  }

  /** Gives the answer in the handshakes of a TLS server of Node, to each client that asks. */
  attach(server: Server): void {
    server.on('OCSPRequest', (certificate: Buffer, _issuer: Buffer, done: OcspDone) => {
      const isOurs = this.#held !== null && equalBytes(certificate, this.#held.leafDer)
      const response = isOurs ? this.response : null
      done(null, response === null ? null : Buffer.from(response))
    })
  }

  /** Takes an answer that came another way, such as in a bundle. @throws Refusal as `checkOcspResponse` */
  async take(der: Uint8Array): Promise<void> {
    const subject = await this.#options.subject()
    if (!subject) throw new Refusal('not-found', 'there is no certificate that the answer could be about')
    const { leaf, issuer } = subject
    const checked = checkOcspResponse({ der, leaf, issuer, now: this.#options.clock.now() })
    await this.#hold({ answer: { ...checked, der }, leafDer: leaf.der })
  }

  /**
   * Fetches when it is time: half of the answer's life is gone, or the certificate is another one.
   * @returns when to come again; never throws for a responder that is away or refuses
   */
  async refresh(signal: AbortSignal): Promise<Instant> {
    const { clock, random, subject } = this.#options
    const now = clock.now()
    const current = await subject()
    const isSame = current !== null && this.#held !== null && equalBytes(current.leaf.der, this.#held.leafDer)
    if (!isSame && this.#held !== null) this.#forget()
    if (current === null || now < this.#dueAt)
      return Math.min(now + longestWaitMs, Math.max(now, this.#dueAt))
    try {
      const answer = await fetchOcsp(clock, current, signal)
      await this.#hold({ answer, leafDer: current.leaf.der })
      this.#failures = 0
      const half = (answer.nextUpdate - now) / 2
      this.#dueAt = now + jitteredMs(half, 0.1, random)
      this.#say('info', `OCSP answer: ${answer.status}, renewed from ${half / minuteMs} minutes on`)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#failures += 1
      this.#dueAt = now + backoffMs(retry, this.#failures, random)
      this.#say('warn', error.message)
    }
    return Math.min(now + longestWaitMs, this.#dueAt)
  }

  /** Keeps the answer fresh until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      let next: Instant
      try {
        next = await this.refresh(signal)
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      await pause(clock, Math.max(1_000, next - clock.now()), signal)
    }
  }

  async #hold(held: Held): Promise<void> {
    // whoever staples that it was revoked says the truth, but the handshake would be of no use
    this.#held = held
    try {
      await this.#options.onAnswer?.(held.answer)
    } catch (error) {
      this.#say('warn', `the answer is not handed on: ${error instanceof Error ? error.message : 'unknown'}`)
    }
  }

  #forget(): void {
    this.#held = null
    this.#dueAt = Number.NEGATIVE_INFINITY
  }

  #say(level: AgentEvent['level'], message: string): void {
    this.#options.onEvent?.({ level, event: 'ocsp', message })
  }
}

type OcspDone = (error: Error | null, response: Buffer | null) => void

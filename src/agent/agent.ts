/**
 * The device agent: keeps one device's certificate alive. What to do next is decided in agent-state.ts; this is the
 * executor, and the way in for programs that embed it. Clock, randomness, keys, files and network are parameters.
 */
import { hourMs, minuteMs, secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Certificate } from '../pki/certificate.ts'
import { takeBundle } from './agent-bundles.ts'
import { AgentCore, resting, type AgentParts, type StepResult } from './agent-core.ts'
import { isAboutAnother, receiveMessage, type AgentMessage } from './agent-message.ts'
import {
  activeCredential,
  nextStep,
  trustedNow,
  type AgentState,
  type Step,
  type Wish,
} from './agent-state.ts'
import { activate, askHint, askTime, createKey, makeRequest, request, trial } from './agent-steps.ts'
import type { OcspFile } from './agent-ocsp.ts'
import { pause } from './pause.ts'
import { renewalInstant } from './renewal-due.ts'

/** The loop looks at the clock at least this often, because clocks are set. */
const longestSleepMs = hourMs
/** A renewal has five steps. More of them in a row without an end mean that what is written does not stay. */
const mostSteps = 12
/** Messages that nobody has signed cost no more than a report in so long. */
const confirmAgainMs = 10 * secondMs

export class Agent {
  readonly #core: AgentCore
  #stepsInRow = 0
  /** Ends the sleep of the loop. */
  #wake = new AbortController()
  /** Fingerprint of the certificate with which messages are listened for. */
  #listening: string | null = null
  #confirmedAt = -Infinity

  constructor(parts: AgentParts) {
    this.#core = new AgentCore(parts)
    parts.transport.deliver?.(async (message) => {
      await this.receive(message)
    })
  }

  /** Whom the device trusts now. */
  anchors(): readonly Certificate[] {
    return this.#core.parts.anchors.current()
  }

  /** Where the newest OCSP answer about the certificate in use is kept. */
  get ocspFile(): Pick<OcspFile, 'read' | 'replace'> | null {
    return this.#core.parts.ocsp ?? null
  }

  /** What is on the device now. */
  async state(wish: Wish = 'keep'): Promise<AgentState> {
    const { config, credentials, inbox, memory } = this.#core.parts
    return {
      config,
      wish,
      ...(await credentials.read()),
      memory: await memory.read(),
      inbox: await inbox.read(),
    }
  }

  /**
   * Takes one step. What it changed is on the storage when the promise resolves, and a power cut before that leaves the
   * device with a working credential.
   */
  async step(wish: Wish = 'keep'): Promise<StepResult> {
    const now = this.#core.parts.clock.now()
    const state = await this.state(wish)
    const step = nextStep(state, now)
    if (this.#stepsInRow >= mostSteps) {
      this.#stepsInRow = 0
      const detail = 'the storage does not keep what is written: nothing more is written for an hour'
      this.#core.say('warn', 'storage', detail)
      return { ...resting, step, outcome: 'failed', detail, retryAt: now + hourMs }
    }
    const result = await this.#orLater(step, state)
    const isMore = goesOn(result) && !result.isActivated
    this.#stepsInRow = isMore ? this.#stepsInRow + 1 : 0
    const level = result.outcome === 'done' ? 'info' : 'warn'
    if (step.kind !== 'wait') this.#core.say(level, step.kind, result.detail)
    return result
  }

  /** Steps until another credential is active, or nothing can be done for now. */
  async settle(wish: Wish): Promise<StepResult> {
    for (;;) {
      const result = await this.step(wish)
      if (result.isActivated || !goesOn(result)) return result
    }
  }

  /**
   * A message that came in. It is on the storage when the promise resolves; what it asks for is done by later steps.
   * Never throws for what a message says: one that says nothing to this device is passed over.
   * @returns why a bundle is not taken; null for all else
   */
  async receive(message: AgentMessage): Promise<Refusal | null> {
    const { config, clock, inbox } = this.#core.parts
    const state = await this.state()
    const serialNumber = activeCredential(state)?.certificate.serialNumber ?? null
    const reading = { config, serialNumber, now: trustedNow(state.memory, clock.now()) }
    if (isAboutAnother(message, reading)) void this.#confirmAgain(state)
    try {
      let isNews = false
      await inbox.update((before) => {
        const after = receiveMessage(before, message, reading)
        isNews = after !== before
        return after
      })
      if (!isNews) return null
      this.#core.say('info', 'message', `a message has come: ${message.kind}`)
      this.#wake.abort()
      return null
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#core.say('warn', 'message', `a message is not taken: ${error.message}`)
      return error
    }
  }

  /**
   * Whoever asks for the renewal of a certificate that was replaced has not heard of it: a report was lost on its way. Not
   * awaited by `receive`: the report's acknowledgement comes after that of the message.
   */
  async #confirmAgain(state: AgentState): Promise<void> {
    const { clock } = this.#core.parts
    const current = activeCredential(state)
    const now = clock.now()
    if (current === null || state.active === null || now < this.#confirmedAt + confirmAgainMs) return
    this.#confirmedAt = now
    try {
      const bearer = await this.#core.bearerOf(state.active, current)
      await this.#core.report('confirmed', state.active, { held: current, bearer })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#core.say('warn', 'message', error.message)
    }
  }

  /**
   * Keeps the certificate alive until the signal, and listens for messages where the transport can.
   * @throws Refusal `not-found` when the device has no certificate
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, transport } = this.#core.parts
    let announced = ''
    try {
      while (!signal.aborted) {
        await this.#listen(signal)
        this.#wake = new AbortController()
        const result = await this.#stepOrWait()
        const { step, detail, retryAt } = result
        if (step.kind === 'stuck') throw new Refusal('not-found', step.why)
        if (goesOn(result)) continue
        if (step.kind === 'wait' && detail !== announced) this.#core.say('info', 'wait', detail)
        announced = detail
        const waitMs = (retryAt ?? clock.now() + minuteMs) - clock.now()
        const either = AbortSignal.any([signal, this.#wake.signal])
        await pause(clock, Math.min(longestSleepMs, Math.max(secondMs, waitMs)), either)
      }
    } finally {
      await transport.close?.()
    }
  }

  /** With the active credential, and from a new one on with that. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { credentials, transport } = this.#core.parts
    if (!transport.listen) return
    const held = await credentials.read()
    const current = activeCredential(held)
    if (current === null || held.active === null || current.fingerprint === this.#listening) return
    try {
      const bearer = await this.#core.bearerOf(held.active, current)
      transport.listen(bearer, signal)
      this.#listening = current.fingerprint
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'keystore-failed') throw error
      this.#core.say('warn', 'message', error.message)
    }
  }

  /** A storage that is full or failing is no reason to end: the credential in use goes on working. */
  async #stepOrWait(): Promise<StepResult> {
    try {
      return await this.step()
    } catch (error) {
      const isStorage = error instanceof Error && 'syscall' in error
      if (!isStorage) throw error
      this.#core.say('warn', 'storage', error.message)
      const step: Step = { kind: 'wait', until: this.#core.parts.clock.now() + minuteMs, why: error.message }
      return { ...resting, step, outcome: 'failed', detail: error.message, retryAt: step.until }
    }
  }

  /** Hardware that does not answer now is asked again, as a server is. */
  async #orLater(step: Step, state: AgentState): Promise<StepResult> {
    try {
      return await this.#take(step, state)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'keystore-failed') throw error
      const answer = { kind: 'failed', detail: error.message } as const
      return await this.#core.notNow(step, { state, memory: state.memory, answer })
    }
  }

  async #take(step: Step, state: AgentState): Promise<StepResult> {
    switch (step.kind) {
      case 'wait':
        return { ...resting, step, outcome: 'waiting', detail: step.why, retryAt: step.until }
      case 'stuck':
        return { ...resting, step, outcome: 'refused', detail: step.why }
      case 'create-key':
        return await createKey(this.#core, step, state)
      case 'make-request':
        return await makeRequest(this.#core, step, state)
      case 'ask-time':
        return await askTime(this.#core, step, state)
      case 'ask-hint':
        return await askHint(this.#core, step, state)
      case 'take-bundle':
        return await takeBundle(this.#core, step, state)
      case 'request':
        return await request(this.#core, step, state)
      case 'try':
        return await trial(this.#core, step, state)
      case 'activate':
        return await activate(this.#core, step, state, step.why)
    }
  }
}

/** A bundle that could not be acted on holds nothing up. */
function goesOn({ step, outcome }: StepResult): boolean {
  return outcome === 'done' || step.kind === 'take-bundle'
}

export { nextStep, renewalInstant, type AgentState, type Step, type Wish }
export type { AgentEvent, AgentParts, StepResult } from './agent-core.ts'
export type { AgentMessage } from './agent-message.ts'
export { openAgentStaple } from './agent-ocsp.ts'
export { OfflineStatus, type OfflineAnswer } from './offline-status.ts'
export { OcspStaple, type OcspStapleOptions } from './ocsp-staple.ts'

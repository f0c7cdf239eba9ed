/**
 * The device agent: keeps one device's certificate alive. What to do next is decided in agent-state.ts; this is the
 * executor, and the way in for programs that embed it. Clock, randomness, keys, files and network are parameters.
 */
import { encodePem } from '../pki/pem.ts'
import { hourMs, iso, minuteMs, secondMs, type Clock, type Instant } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import { fraction, type Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import type { AgentConfig } from './agent-config.ts'
import { noMemory, withAttempt, type AgentMemory, type Attempt, type MemoryFile } from './agent-memory.ts'
import { buildRequest } from './agent-request.ts'
import {
  activeCredential,
  clockToleranceMs,
  nextStep,
  predecessor,
  renewalInstant,
  trustedNow,
  type AgentState,
  type Step,
  type Wish,
} from './agent-state.ts'
import type { AgentTransport, Bearer, TransportAnswer, TransportRequest } from './agent-transport.ts'
import { checkCredential } from './agent-trust.ts'
import type { CredentialSlots, StoredCredential } from './credential-slots.ts'
import type { Keystore, Slot } from './keystore.ts'

export interface AgentEvent {
  readonly level: 'info' | 'warn'
  /** Stable: the kind of step, or `clock`, `storage`. */
  readonly event: Step['kind'] | 'clock' | 'storage'
  readonly message: string
}

export interface AgentParts {
  readonly config: AgentConfig
  /** Pinned. */
  readonly anchors: readonly Certificate[]
  readonly clock: Clock
  readonly random: Random
  readonly keystore: Keystore
  readonly credentials: CredentialSlots
  readonly memory: MemoryFile
  readonly transport: AgentTransport
  /** For a first certificate: secret or factory identity. */
  readonly bootstrap?: Bearer
  readonly onEvent?: (event: AgentEvent) => void
}

export interface StepResult {
  readonly step: Step
  readonly outcome: Attempt['outcome']
  readonly detail: string
  /** When it is worth trying again, local clock. */
  readonly retryAt: Instant | null
  /** True when another credential is active now. */
  readonly isActivated: boolean
}

/** Of requests that failed. A fleet that lost its server together must not come back together. */
const backoff = { baseMs: minuteMs, capMs: 6 * hourMs }
/** The loop looks at the clock at least this often, because clocks are set. */
const longestSleepMs = hourMs
/** A renewal has five steps. More of them in a row without an end mean that what is written does not stay. */
const mostSteps = 12

export class Agent {
  readonly #parts: AgentParts
  #stepsInRow = 0

  constructor(parts: AgentParts) {
    this.#parts = parts
  }

  /** What is on the device now. */
  async state(wish: Wish = 'keep'): Promise<AgentState> {
    const { config, credentials, memory } = this.#parts
    return { config, wish, ...(await credentials.read()), memory: await memory.read() }
  }

  /**
   * Takes one step. What it changed is on the storage when the promise resolves, and a power cut before that leaves the
   * device with a working credential.
   */
  async step(wish: Wish = 'keep'): Promise<StepResult> {
    const now = this.#parts.clock.now()
    const state = await this.state(wish)
    const step = nextStep(state, now)
    if (this.#stepsInRow >= mostSteps) {
      this.#stepsInRow = 0
      const detail = 'the storage does not keep what is written: nothing more is written for an hour'
      this.#say('warn', 'storage', detail)
      return { ...resting, step, outcome: 'failed', detail, retryAt: now + hourMs }
    }
    const result = await this.#take(step, state)
    this.#stepsInRow = result.outcome === 'done' && !result.isActivated ? this.#stepsInRow + 1 : 0
    if (step.kind !== 'wait') this.#say(result.outcome === 'done' ? 'info' : 'warn', step.kind, result.detail)
    return result
  }

  /** Steps until another credential is active, or nothing can be done for now. */
  async settle(wish: Wish): Promise<StepResult> {
    for (;;) {
      const result = await this.step(wish)
      if (result.isActivated || result.outcome !== 'done') return result
    }
  }

  /**
   * Keeps the certificate alive until the signal.
   * @throws Refusal `not-found` when the device has no certificate
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    let announced = ''
    while (!signal.aborted) {
      const { step, outcome, detail, retryAt } = await this.#stepOrWait()
      if (step.kind === 'stuck') throw new Refusal('not-found', step.why)
      if (outcome === 'done') continue
      if (step.kind === 'wait' && detail !== announced) this.#say('info', 'wait', detail)
      announced = detail
      const waitMs = (retryAt ?? clock.now() + minuteMs) - clock.now()
      await clock
        .sleep(Math.min(longestSleepMs, Math.max(secondMs, waitMs)), signal)
        .catch((error: unknown) => {
          if (!signal.aborted) throw error
        })
    }
  }

  /** A storage that is full or failing is no reason to end: the credential in use goes on working. */
  async #stepOrWait(): Promise<StepResult> {
    try {
      return await this.step()
    } catch (error) {
      const isStorage = error instanceof Error && 'syscall' in error
      if (!isStorage) throw error
      this.#say('warn', 'storage', error.message)
      const step: Step = { kind: 'wait', until: this.#parts.clock.now() + minuteMs, why: error.message }
      return { ...resting, step, outcome: 'failed', detail: error.message, retryAt: step.until }
    }
  }

  async #take(step: Step, state: AgentState): Promise<StepResult> {
    switch (step.kind) {
      case 'wait':
        return { ...resting, step, outcome: 'waiting', detail: step.why, retryAt: step.until }
      case 'stuck':
        return { ...resting, step, outcome: 'refused', detail: step.why }
      case 'create-key':
        return await this.#orLater(step, state, async () => await this.#createKey(step, state))
      case 'make-request':
        return await this.#orLater(step, state, async () => await this.#makeRequest(step, state))
      case 'ask-time':
        return await this.#askTime(step, state)
      case 'request':
        return await this.#request(step, state)
      case 'try':
        return await this.#try(step, state)
      case 'activate':
        return await this.#activate(step, state, step.why)
    }
  }

  /** Hardware that does not answer now is asked again, as a server is. */
  async #orLater(step: Step, state: AgentState, take: () => Promise<StepResult>): Promise<StepResult> {
    try {
      return await take()
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'keystore-failed') throw error
      const answer = { kind: 'failed', detail: error.message } as const
      return await this.#notNow(step, { state, memory: state.memory, answer })
    }
  }

  async #createKey(step: Step & { kind: 'create-key' }, { config, memory }: AgentState): Promise<StepResult> {
    await this.#parts.keystore.create(step.slot, config.keyAlgorithm)
    await this.#parts.memory.save({ ...memory, refusals: 0, refusedTrial: null })
    return done(step, `new ${config.keyAlgorithm} key in slot ${step.slot}`)
  }

  async #makeRequest(step: Step & { kind: 'make-request' }, state: AgentState): Promise<StepResult> {
    const { config, credentials, keystore } = this.#parts
    const { slot } = step
    const spki = await keystore.find(slot)
    assert(spki, 'a request is made for a key that is there')
    const before = predecessor(state)
    const csr = await buildRequest({ keystore, slot, spki, before, deviceId: config.deviceId })
    await credentials.saveRequest(slot, csr)
    return done(step, `request of slot ${slot} is written`)
  }

  async #askTime(step: Step & { kind: 'ask-time' }, state: AgentState): Promise<StepResult> {
    const current = activeCredential(state)
    assert(current && state.active, 'the time is asked with a credential')
    const bearer = await this.#bearerOf(state.active, current)
    const { answer, memory } = await this.#ask({ operation: 'cacerts', bearer }, state.memory)
    if (answer.kind !== 'done') return await this.#notNow(step, { state, memory, answer })
    await this.#parts.memory.save({ ...memory, failures: 0, hold: null })
    return done(step, `${step.why}; the server has answered`)
  }

  async #request(step: Step & { kind: 'request' }, state: AgentState): Promise<StepResult> {
    const { slot, as } = step
    const held = state.slots[slot]
    assert('csr' in held && held.csr, 'what is sent was written before')
    const current = activeCredential(state)
    const operation = as === 'bootstrap' ? 'enroll' : 'reenroll'
    const bearer = as === 'bootstrap' ? this.#bootstrap() : await this.#bearerOf(as, current)
    const { answer, memory } = await this.#ask({ operation, bearer, csr: held.csr.der }, state.memory)
    const candidate = held.kind === 'stored' ? held : null
    if (answer.kind === 'refused' && candidate && as !== 'bootstrap') {
      return await this.#activate(step, { ...state, memory }, `the active one is refused (${answer.detail})`)
    }
    if (answer.kind !== 'done') return await this.#notNow(step, { state, memory, answer })
    const leaf = answer.certificates[0]
    assert(leaf, 'the client checks that there is one certificate')
    if (candidate && Buffer.compare(leaf, candidate.certificate.der) === 0) {
      const detail = 'the server gives this certificate and does not let it in'
      const doubtful = { ...memory, refusedTrial: null, refusals: memory.refusals + 1 }
      return await this.#notNow(step, { state, memory: doubtful, answer: { kind: 'failed', detail } })
    }
    return await this.#store(step, { state, memory, leaf })
  }

  /** Checks, writes, reads back, checks again: what is `stored` has been read from the storage. */
  async #store(
    step: Step & { kind: 'request' },
    { state, memory, leaf }: { state: AgentState; memory: AgentMemory; leaf: Uint8Array },
  ): Promise<StepResult> {
    const { credentials } = this.#parts
    const bundle = await this.#ask({ operation: 'cacerts', bearer: { kind: 'nobody' } }, memory)
    const { answer: cas } = bundle
    if (cas.kind !== 'done') return await this.#notNow(step, { state, memory: bundle.memory, answer: cas })
    try {
      const candidates = cas.certificates.map((der) => parseCertificate(der))
      const certificate = parseCertificate(leaf)
      const chain = await this.#check(step.slot, { state, memory: bundle.memory, certificate, candidates })
      await credentials.saveCertificate(step.slot, [leaf, ...chain.map(({ der }) => der)])
      const written = (await credentials.read()).slots[step.slot]
      if (written.kind !== 'stored' || Buffer.compare(written.certificate.der, leaf) !== 0) {
        throw new Refusal('disk-full', 'the certificate that was written does not read back')
      }
      await this.#check(step.slot, { state, memory: bundle.memory, ...contentOf(written) })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const answer = { kind: 'refused', detail: error.message } as const
      return await this.#notNow(step, { state, memory: bundle.memory, answer })
    }
    await this.#parts.memory.save({ ...bundle.memory, failures: 0, refusals: 0, hold: null })
    return done(step, `certificate of slot ${step.slot} is stored`)
  }

  async #try(step: Step & { kind: 'try' }, state: AgentState): Promise<StepResult> {
    const held = state.slots[step.slot]
    assert(held.kind === 'stored', 'what is tried is stored')
    const refused = { ...state.memory, refusedTrial: held.fingerprint }
    try {
      await this.#check(step.slot, { state, memory: state.memory, ...contentOf(held) })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return await this.#notNow(step, {
        state,
        memory: refused,
        answer: { kind: 'refused', detail: error.message },
      })
    }
    const bearer = await this.#bearerOf(step.slot, held)
    const { answer, memory } = await this.#ask({ operation: 'cacerts', bearer }, state.memory)
    if (answer.kind === 'done') return await this.#activate(step, { ...state, memory }, 'the server took it')
    const isRefused = answer.kind === 'refused'
    const after = isRefused ? { ...memory, refusedTrial: held.fingerprint } : memory
    return await this.#notNow(step, { state, memory: after, answer })
  }

  async #activate(step: Step & { slot: Slot }, state: AgentState, why: string): Promise<StepResult> {
    const { clock, credentials, memory } = this.#parts
    await credentials.activate(step.slot, activeCredential(state))
    const held = state.slots[step.slot]
    const serial = held.kind === 'stored' ? held.certificate.serialNumber : '?'
    const detail = `certificate ${serial} in slot ${step.slot} is active: ${why}`
    const attempt = { at: clock.now(), step: step.kind, outcome: 'done', detail } as const
    const { time, attempts } = state.memory
    await memory.save(withAttempt({ ...noMemory, time, attempts }, attempt))
    return { ...done(step, detail), isActivated: true }
  }

  #bootstrap(): Bearer {
    const { bootstrap } = this.#parts
    if (bootstrap) return bootstrap
    throw new Refusal(
      'unauthenticated',
      'a first certificate needs an enrolment secret or a factory identity',
    )
  }

  async #bearerOf(slot: Slot, credential: StoredCredential | null): Promise<Bearer> {
    assert(credential, 'a slot that is used holds a certificate')
    const chain = [credential.certificate.der, ...credential.intermediates]
    const chainPem = chain.map((der) => encodePem('CERTIFICATE', der)).join('')
    return { kind: 'certificate', identity: { chainPem, ...(await this.#parts.keystore.tls(slot)) } }
  }

  async #check(slot: Slot, input: CheckInput): Promise<Certificate[]> {
    const { anchors, clock, keystore } = this.#parts
    const { state, memory, certificate: leaf, candidates } = input
    const spki = await keystore.find(slot)
    assert(spki, 'a certificate is checked against its key')
    const at = trustedNow(memory, clock.now())
    return checkCredential({ spki, leaf, candidates, anchors, before: predecessor(state), at })
  }

  /** One exchange. The server's clock counts from here on, because TLS has proved whose it is. */
  async #ask(
    request: TransportRequest,
    memory: AgentMemory,
  ): Promise<{ answer: TransportAnswer; memory: AgentMemory }> {
    const answer = await this.#parts.transport.ask(request)
    if (answer.serverNow === null) return { answer, memory }
    const observedAt = this.#parts.clock.now()
    const offsetMs = answer.serverNow - observedAt
    if (Math.abs(offsetMs) > clockToleranceMs) {
      const text = `this device says ${iso(observedAt)} and the server ${iso(answer.serverNow)}: the server's clock decides`
      this.#say('warn', 'clock', text)
    }
    return { answer, memory: { ...memory, time: { observedAt, offsetMs } } }
  }

  /** Writes down what happened and when to come back. */
  async #notNow(step: Step, { state, memory, answer }: NotNow): Promise<StepResult> {
    const { clock, memory: file } = this.#parts
    const now = clock.now()
    const { detail } = answer
    const isLater = answer.kind === 'later'
    const waitMs = isLater ? this.#politeWait(answer.afterMs, state, now) : this.#backoff(state, memory, now)
    const isRenewal = step.kind === 'request' && step.as !== 'bootstrap'
    const outcome = isLater ? 'waiting' : answer.kind
    const next: AgentMemory = {
      ...memory,
      failures: isLater ? memory.failures : memory.failures + 1,
      // a secret that was mistyped says nothing about the key, and an approval may be waiting for that key
      refusals: memory.refusals + (answer.kind === 'refused' && isRenewal ? 1 : 0),
      hold: { setAt: now, until: now + waitMs, why: detail },
    }
    await file.save(withAttempt(next, { at: now, step: step.kind, outcome, detail }))
    return { ...resting, step, outcome, detail, retryAt: now + waitMs }
  }

  /** Never sooner than the server said, a little later so that its callers do not return as one; never past our end. */
  #politeWait(afterMs: number, state: AgentState, now: Instant): number {
    const waitMs = afterMs + Math.round(fraction(this.#parts.random) * Math.min(afterMs / 20, hourMs))
    const current = activeCredential(state)
    if (current === null) return waitMs
    const { notBefore, notAfter } = current.certificate
    const lastMs = notAfter - (notAfter - notBefore) / 20 - trustedNow(state.memory, now)
    return Math.round(Math.min(waitMs, Math.max(lastMs, backoff.capMs)))
  }

  /** Shorter towards the end of the certificate: the last hours are no time for long pauses. */
  #backoff(state: AgentState, { failures }: AgentMemory, now: Instant): number {
    const current = activeCredential(state)
    const leftMs = current ? current.certificate.notAfter - trustedNow(state.memory, now) : Infinity
    const capMs = Math.min(backoff.capMs, Math.max(5 * minuteMs, leftMs / 20))
    return backoffMs({ ...backoff, capMs }, failures + 1, this.#parts.random)
  }

  #say(level: AgentEvent['level'], event: AgentEvent['event'], message: string): void {
    this.#parts.onEvent?.({ level, event, message })
  }
}

interface CheckInput {
  readonly state: AgentState
  readonly memory: AgentMemory
  readonly certificate: Certificate
  readonly candidates: readonly Certificate[]
}

interface NotNow {
  readonly state: AgentState
  readonly memory: AgentMemory
  readonly answer:
    | { readonly kind: 'later'; readonly afterMs: number; readonly detail: string }
    | { readonly kind: 'refused' | 'failed'; readonly detail: string }
}

const resting = { retryAt: null, isActivated: false } as const

function done(step: Step, detail: string): StepResult {
  return { ...resting, step, outcome: 'done', detail }
}

function contentOf({
  certificate,
  intermediates,
}: StoredCredential): Pick<CheckInput, 'certificate' | 'candidates'> {
  return { certificate, candidates: intermediates.map((der) => parseCertificate(der)) }
}

export { nextStep, renewalInstant, type AgentState, type Step, type Wish }

/** The steps of an enrolment and of a renewal, as agent-state.ts decides on them. */
import { assert, Refusal } from '../base/errors.ts'
import { minuteMs, type Instant } from '../base/clock.ts'
import { fraction } from '../base/random.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { contentOf, done, issuerOf, type AgentCore, type StepResult } from './agent-core.ts'
import { firstHintMs, noMemory, withAttempt, type AgentMemory } from './agent-memory.ts'
import { buildRequest } from './agent-request.ts'
import { activeCredential, predecessor, summonedBy, type AgentState, type Step } from './agent-state.ts'
import type { StoredCredential } from './credential-slots.ts'
import type { Slot } from './keystore.ts'

type StepOf<Kind extends Step['kind']> = Step & { readonly kind: Kind }

export async function createKey(
  { parts }: AgentCore,
  step: StepOf<'create-key'>,
  { config, memory }: AgentState,
): Promise<StepResult> {
  await parts.keystore.create(step.slot, config.keyAlgorithm)
  await parts.memory.save({ ...memory, refusals: 0, refusedTrial: null })
  return done(step, `new ${config.keyAlgorithm} key in slot ${step.slot}`)
}

export async function makeRequest(
  { parts }: AgentCore,
  step: StepOf<'make-request'>,
  state: AgentState,
): Promise<StepResult> {
  const { config, credentials, keystore } = parts
  const { slot } = step
  const spki = await keystore.find(slot)
  assert(spki, 'a request is made for a key that is there')
  const before = predecessor(state)
  const csr = await buildRequest({ keystore, slot, spki, before, deviceId: config.deviceId })
  await credentials.saveRequest(slot, csr)
  return done(step, `request of slot ${slot} is written`)
}

export async function askTime(
  core: AgentCore,
  step: StepOf<'ask-time'>,
  state: AgentState,
): Promise<StepResult> {
  const current = activeCredential(state)
  assert(current && state.active, 'the time is asked with a credential')
  const bearer = await core.bearerOf(state.active, current)
  const { answer, memory } = await core.ask({ operation: 'cacerts', bearer }, state.memory)
  if (answer.kind !== 'done') return await core.notNow(step, { state, memory, answer })
  await core.parts.memory.save({ ...memory, failures: 0, hold: null })
  return done(step, `${step.why}; the server has answered`)
}

/** How long until the next poll, ms: what the server says, within these bounds; where it says nothing, `silentMs`. */
const polls = { shortestMs: minuteMs, silentMs: firstHintMs, longestMs: 7 * firstHintMs }

/** Nothing waits for a hint: when there is none, the device's own rule holds. */
export async function askHint(
  core: AgentCore,
  step: StepOf<'ask-hint'>,
  state: AgentState,
): Promise<StepResult> {
  const current = activeCredential(state)
  assert(current && state.active, 'a hint is asked for with a credential')
  const bearer = await core.bearerOf(state.active, current)
  const { answer, memory } = await core.ask({ operation: 'renewal-info', bearer }, state.memory)
  const saidMs = answer.kind === 'later' ? answer.afterMs : answer.askAgainMs
  const bounded = Math.min(polls.longestMs, Math.max(polls.shortestMs, saidMs ?? polls.silentMs))
  const hintAskAt = core.parts.clock.now() + spread(core, bounded)
  await core.parts.memory.save({ ...memory, hintAskAt })
  const found = answer.window ? 'the server has said when to renew' : `no renewal hint: ${detailOf(answer)}`
  return done(step, found)
}

function detailOf(answer: { readonly kind: string; readonly detail?: string }): string {
  return answer.detail ?? 'the server has none'
}

/** Up to a tenth longer, so that a fleet that was switched on together does not ask together. */
function spread({ parts }: AgentCore, ms: number): number {
  return Math.round(ms * (1 + 0.1 * fraction(parts.random)))
}

export async function request(
  core: AgentCore,
  step: StepOf<'request'>,
  state: AgentState,
): Promise<StepResult> {
  const { slot, as } = step
  const held = state.slots[slot]
  assert('csr' in held && held.csr, 'what is sent was written before')
  const current = activeCredential(state)
  const operation = as === 'bootstrap' ? 'enroll' : 'reenroll'
  const bearer = as === 'bootstrap' ? core.bootstrap() : await core.bearerOf(as, current)
  const { answer, memory } = await core.ask({ operation, bearer, csr: held.csr.der }, state.memory)
  const candidate = held.kind === 'stored' ? held : null
  if (answer.kind === 'refused' && candidate && as !== 'bootstrap') {
    return await activate(core, step, { ...state, memory }, `the active one is refused (${answer.detail})`)
  }
  if (answer.kind !== 'done') return await core.notNow(step, { state, memory, answer })
  const leaf = answer.certificates[0]
  assert(leaf, 'the client checks that there is one certificate')
  if (candidate && Buffer.compare(leaf, candidate.certificate.der) === 0) {
    const detail = 'the server gives this certificate and does not let it in'
    const doubtful = { ...memory, refusedTrial: null, refusals: memory.refusals + 1 }
    return await core.notNow(step, { state, memory: doubtful, answer: { kind: 'failed', detail } })
  }
  const issuers = answer.chain ?? null
  const stored = await store(core, step, { state, memory, leaf, issuers })
  if (stored.outcome === 'done' && bearer.kind === 'certificate') {
    const written = (await core.parts.credentials.read()).slots[slot]
    if (written.kind === 'stored') await core.report('stored', slot, { held: written, bearer })
  }
  return stored
}

interface Received {
  readonly state: AgentState
  readonly memory: AgentMemory
  /** DER. */
  readonly leaf: Uint8Array
  /** CA certificates that came with it; null = they are asked for. */
  readonly issuers: readonly Uint8Array[] | null
}

/** Checks, writes, reads back, checks again: what is `stored` has been read from the storage. */
async function store(
  core: AgentCore,
  step: StepOf<'request'>,
  { state, memory: before, leaf, issuers }: Received,
): Promise<StepResult> {
  let memory = before
  const known = issuers ?? core.takeIssuers()
  if (known !== null) {
    const problem = await problemOf(core, step.slot, { state, memory, leaf, issuers: known })
    // what was said a moment ago may be another chain than that of this certificate: then it is asked for
    if (problem === null) return await kept(core, step, memory)
    if (issuers !== null) return await core.notNow(step, { state, memory, answer: problem })
  }
  const bundle = await core.ask({ operation: 'cacerts', bearer: { kind: 'nobody' } }, memory)
  memory = bundle.memory
  if (bundle.answer.kind !== 'done') return await core.notNow(step, { state, memory, answer: bundle.answer })
  const received = { state, memory, leaf, issuers: bundle.answer.certificates }
  const problem = await problemOf(core, step.slot, received)
  if (problem !== null) return await core.notNow(step, { state, memory, answer: problem })
  return await kept(core, step, memory)
}

async function problemOf(
  core: AgentCore,
  slot: Slot,
  received: Received & { readonly issuers: readonly Uint8Array[] },
): Promise<{ readonly kind: 'refused'; readonly detail: string } | null> {
  try {
    await storeChecked(core, slot, received)
    return null
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { kind: 'refused', detail: error.message }
  }
}

async function kept(core: AgentCore, step: StepOf<'request'>, memory: AgentMemory): Promise<StepResult> {
  await core.parts.memory.save({ ...memory, failures: 0, refusals: 0, hold: null })
  return done(step, `certificate of slot ${step.slot} is stored`)
}

/** @throws Refusal when it is not ours, not good for use, or does not read back */
export async function storeChecked(
  core: AgentCore,
  slot: Slot,
  { state, memory, leaf, issuers }: Received & { readonly issuers: readonly Uint8Array[] },
): Promise<StoredCredential> {
  const { credentials } = core.parts
  const candidates = issuers.map(issuerOf)
  const certificate = parseCertificate(leaf)
  const chain = await core.check(slot, { state, memory, certificate, candidates })
  await credentials.saveCertificate(slot, [leaf, ...chain.map(({ der }) => der)])
  const written = (await credentials.read()).slots[slot]
  if (written.kind !== 'stored' || Buffer.compare(written.certificate.der, leaf) !== 0) {
    throw new Refusal('disk-full', 'the certificate that was written does not read back')
  }
  await core.check(slot, { state, memory, ...contentOf(written) })
  return written
}

export async function trial(core: AgentCore, step: StepOf<'try'>, state: AgentState): Promise<StepResult> {
  const held = state.slots[step.slot]
  assert(held.kind === 'stored', 'what is tried is stored')
  const refused = { ...state.memory, refusedTrial: held.fingerprint }
  try {
    await core.check(step.slot, { state, memory: state.memory, ...contentOf(held) })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const answer = { kind: 'refused', detail: error.message } as const
    return await core.notNow(step, { state, memory: refused, answer })
  }
  const bearer = await core.bearerOf(step.slot, held)
  const { answer, memory } = await core.ask({ operation: 'credential', bearer }, state.memory)
  if (answer.kind === 'done') return await activate(core, step, { ...state, memory }, 'the server took it')
  const isRefused = answer.kind === 'refused'
  const current = activeCredential(state)
  if (isRefused && current && state.active) {
    const old = await core.bearerOf(state.active, current)
    await core.report('failed', step.slot, { held, bearer: old })
  }
  const after = isRefused ? { ...memory, refusedTrial: held.fingerprint } : memory
  return await core.notNow(step, { state, memory: after, answer })
}

export async function activate(
  { parts }: AgentCore,
  step: Step & { readonly slot: Slot },
  state: AgentState,
  why: string,
): Promise<StepResult> {
  const { clock, credentials, memory } = parts
  const now = clock.now()
  await credentials.activate(step.slot, activeCredential(state))
  const held = state.slots[step.slot]
  const serial = held.kind === 'stored' ? held.certificate.serialNumber : '?'
  const detail = `certificate ${serial} in slot ${step.slot} is active: ${why}`
  const attempt = { at: now, step: step.kind, outcome: 'done', detail } as const
  await memory.save(withAttempt({ ...fresh(state, now) }, attempt))
  return { ...done(step, detail), isActivated: true }
}

/** Of what was remembered, what is true of the new certificate as well. */
function fresh(state: AgentState, now: Instant): AgentMemory {
  const { time, attempts } = state.memory
  const summonedAt = summonedBy(state, now) === null ? null : now
  return { ...noMemory, time, attempts, summonedAt, hintAskAt: now + firstHintMs }
}

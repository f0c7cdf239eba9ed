/**
 * What to do next, as a pure function of what is on the device and what time it is. The executor is agent.ts; a simulated
 * device runs both with a virtual clock.
 *
 *   empty → keyed → requested → stored → (trial connection) → active
 *
 * All of it happens in the slot that is not active. The active credential is given up at one point only, the swap of the
 * pointer, and after the server has taken the new one.
 */
import { dayMs, iso, type Instant } from '../base/clock.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { Csr } from '../pki/csr.ts'
import { equalGeneralNameSets } from '../pki/general-name.ts'
import { sameRdnSet } from '../pki/name.ts'
import type { AgentConfig } from './agent-config.ts'
import type { InboxState } from './agent-inbox.ts'
import { firstHintMs, holdAt, timeHintAt, type AgentMemory } from './agent-memory.ts'
import type { Credentials, StoredCredential } from './credential-slots.ts'
import { otherSlot, slots, type Slot } from './keystore.ts'
import { renewalDue, type Due } from './renewal-due.ts'

/** What somebody asks of the agent at the moment. */
export type Wish =
  /** Renew when it is time. */
  | 'keep'
  /** Renew now. */
  | 'renew'
  /** Get a certificate with the secret or factory identity at hand. */
  | 'enrol'

export interface AgentState extends Credentials {
  readonly config: AgentConfig
  readonly memory: AgentMemory
  readonly inbox: InboxState
  readonly wish: Wish
}

export type Step =
  /** `until`: local clock. */
  | { readonly kind: 'wait'; readonly until: Instant; readonly why: string }
  /** Nothing that the agent can do by itself. */
  | { readonly kind: 'stuck'; readonly why: string }
  /** Asks the server for the time, with the active credential. */
  | { readonly kind: 'ask-time'; readonly why: string }
  /** Asks the server when it wishes a renewal. Nothing waits for the answer. */
  | { readonly kind: 'ask-hint' }
  /** Acts on the bundle that waits. */
  | { readonly kind: 'take-bundle' }
  | { readonly kind: 'create-key'; readonly slot: Slot }
  | { readonly kind: 'make-request'; readonly slot: Slot }
  /** Sends the request of `slot`; `as`: with which credential. The same request however often it is repeated. */
  | { readonly kind: 'request'; readonly slot: Slot; readonly as: Slot | 'bootstrap' }
  /** Connects with the credential in `slot` and, when the server takes it, makes it the active one. */
  | { readonly kind: 'try'; readonly slot: Slot }
  /** Without a trial: what was active cannot be read any more. */
  | { readonly kind: 'activate'; readonly slot: Slot; readonly why: string }

/** After so many refusals a request will not get better by being repeated: the next one has a new key. */
export const refusalsPerKey = 3
/** A difference between our clock and the server's that counts. */
export const clockToleranceMs = dayMs

export function nextStep(state: AgentState, now: Instant): Step {
  const { active, slots: held, memory, wish } = state
  const current = activeCredential(state)
  if (current === null) {
    const usable = oldestStored(state)
    if (usable !== null && (active !== null || isBoth(state))) {
      return { kind: 'activate', slot: usable, why: 'the active credential cannot be read' }
    }
    if (usable === null && wish !== 'enrol') {
      return { kind: 'stuck', why: 'this device has no certificate: enrol it with `perennial agent enrol`' }
    }
  }
  if (isBundleDue(state, now)) return { kind: 'take-bundle' }
  const hold = holdAt(memory, now)
  if (hold && wish === 'keep') return { kind: 'wait', until: hold.until, why: hold.why }

  const slot = idleSlot(state)
  const idle = held[slot]
  const as = wish === 'enrol' || active === null ? 'bootstrap' : active
  const isGivenUp = memory.refusals >= refusalsPerKey
  if (isCandidate(idle, trustedNow(memory, now)) && !isGivenUp) {
    // Refused: does the server still want the active one? Its answer to the same request says so.
    const isDoubtful = current !== null && idle.csr !== null && memory.refusedTrial === idle.fingerprint
    return isDoubtful ? { kind: 'request', slot, as } : { kind: 'try', slot }
  }
  if (idle.kind === 'keyed' || idle.kind === 'requested') {
    if (isGivenUp) return { kind: 'create-key', slot }
    if (idle.kind === 'keyed' || !isRequestFor(idle.csr, predecessor(state)))
      return { kind: 'make-request', slot }
    return { kind: 'request', slot, as }
  }
  return (current && wish === 'keep' && notYet(state, current, now)) || { kind: 'create-key', slot }
}

/** A renewal starts when its instant has come by a clock that the server has agreed with. */
function notYet(state: AgentState, current: StoredCredential, now: Instant): Step | null {
  const { memory } = state
  const hint = timeHintAt(memory, now)
  const due = dueOf(state, current, now)
  if (hint === null) {
    const { notBefore } = current.certificate
    if (now < notBefore) {
      return { kind: 'ask-time', why: `the clock says ${iso(now)}, the certificate begins ${iso(notBefore)}` }
    }
    if (now < latestRecord(memory) - clockToleranceMs) {
      return { kind: 'ask-time', why: `the clock says ${iso(now)}, which has been before` }
    }
    const askedAt = askedInstant(state, current)
    if (now < askedAt - clockToleranceMs) {
      return {
        kind: 'ask-time',
        why: `the clock says ${iso(now)}, and the server has asked at ${iso(askedAt)}`,
      }
    }
    if (now >= due.at) return { kind: 'ask-time', why: `the renewal is due${dueWords[due.by]}` }
  }
  const trusted = trustedNow(memory, now)
  if (trusted >= due.at) return null
  const pollAt = pollInstant(state, now)
  if (now >= pollAt) return { kind: 'ask-hint' }
  const byServer = trusted === now ? '' : ' by the clock of the server'
  return {
    kind: 'wait',
    until: Math.min(pollAt, now + (due.at - trusted)),
    why: `the renewal is due on ${iso(due.at)}${dueReasons[due.by]}${byServer}`,
  }
}

/** When the server asked for the renewal, by its clock: one that is behind it would sleep over what it was asked for. */
function askedInstant({ inbox: { trigger } }: AgentState, { certificate }: StoredCredential): Instant {
  return trigger?.serialNumber === certificate.serialNumber ? (trigger.issuedAt ?? -Infinity) : -Infinity
}

const dueWords = {
  life: ' by the clock of this device',
  trigger: ': the server has asked for it',
  hint: ': the server has hinted at it',
} as const

const dueReasons = {
  life: '',
  trigger: ', as the server has asked',
  hint: ', as the server has hinted',
} as const

function dueOf({ config, inbox, memory }: AgentState, { certificate }: StoredCredential, now: Instant): Due {
  const { summonedAt } = memory
  // a clock that was set back voids the pause
  const past = summonedAt !== null && summonedAt <= now ? summonedAt : null
  return renewalDue(config, certificate, { inbox, summonedAt: past })
}

/** Whether a wish of the server, and not the age of the certificate, has begun the renewal that is under way. */
export function summonedBy(state: AgentState, now: Instant): Due['by'] | null {
  const current = activeCredential(state)
  if (current === null || state.wish !== 'keep') return null
  const { by, at } = dueOf(state, current, now)
  return by !== 'life' && trustedNow(state.memory, now) >= at ? by : null
}

/** Where a broker brings hints, nobody asks for them. A clock that was set back makes it now. */
function pollInstant({ config, memory: { hintAskAt } }: AgentState, now: Instant): Instant {
  if (!config.hints || config.mqtt !== null) return Infinity
  return hintAskAt === null || hintAskAt - now > 8 * firstHintMs ? now : hintAskAt
}

function isBundleDue({ inbox: { bundle } }: AgentState, now: Instant): boolean {
  if (bundle === null) return false
  const { retryAt } = bundle
  return retryAt === null || now >= retryAt || retryAt - now > dayMs
}

/** Our clock, or the server's where the two are far apart and TLS has proved that it was the server. */
export function trustedNow(memory: AgentMemory, now: Instant): Instant {
  const hint = timeHintAt(memory, now)
  return hint && Math.abs(hint.offsetMs) > clockToleranceMs ? now + hint.offsetMs : now
}

export function activeCredential({ active, slots: held }: Credentials): StoredCredential | null {
  const state = active === null ? null : held[active]
  return state?.kind === 'stored' ? state : null
}

/** Where the next credential is made. Before the first one is active: the slot in which work has begun. */
export function idleSlot({ active, slots: held }: Credentials): Slot {
  if (active !== null) return otherSlot(active)
  return held.a.kind === 'empty' && held.b.kind !== 'empty' ? 'b' : 'a'
}

function isCandidate(state: Credentials['slots'][Slot], now: Instant): state is StoredCredential {
  return state.kind === 'stored' && !state.isRetired && now <= state.certificate.notAfter
}

/** Of two whose pointer is lost, the older one: the newer one then has its trial. */
function oldestStored({ slots: held }: Credentials): Slot | null {
  const stored = slots.flatMap((slot) => {
    const state = held[slot]
    return state.kind === 'stored' ? [{ slot, at: state.certificate.notBefore }] : []
  })
  return stored.sort((one, other) => one.at - other.at)[0]?.slot ?? null
}

function isBoth({ slots: held }: Credentials): boolean {
  return held.a.kind === 'stored' && held.b.kind === 'stored'
}

/** Whose names a new certificate must have; null when it may have any: a device that enrols anew may be renamed. */
export function predecessor(state: AgentState): Certificate | null {
  return state.wish === 'enrol' ? null : (activeCredential(state)?.certificate ?? null)
}

/** RFC 7030 §4.2.2: a renewal asks for the names of the certificate that it renews. */
function isRequestFor({ subject, extensionRequest }: Csr, before: Certificate | null): boolean {
  if (before === null) return true
  const asked = extensionRequest?.subjectAltName ?? []
  return (
    sameRdnSet(subject, before.subject) && equalGeneralNameSets(asked, before.extensions.subjectAltName ?? [])
  )
}

function latestRecord({ hold, time, attempts }: AgentMemory): Instant {
  return Math.max(hold?.setAt ?? 0, time?.observedAt ?? 0, attempts.at(-1)?.at ?? 0)
}

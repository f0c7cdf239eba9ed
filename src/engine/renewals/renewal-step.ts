/**
 * What happens next to one renewal, as a pure function: its state, the instant and the ladder go in, the new state and
 * what is to be done come out. docs/renewals.md draws it.
 */
import { dayMs, type Instant } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import type { Ladder, Rung } from './ladder.ts'
import type { TriggerKind } from '../ports.ts'

/** The part of a renewal that its steps move. */
export type RenewalState = Pick<
  RenewalRecord,
  'status' | 'climb' | 'rung' | 'attempt' | 'nextAt' | 'notAfter' | 'triggeredAt' | 'endedAt' | 'reason'
>

/** Why people must look at a device. */
export type EscalationReason =
  /** Every rung was tried. */
  | 'ladder-exhausted'
  /** The certificate ended. */
  | 'expired'
  /** It got a new certificate and never used it. */
  | 'never-used'

/** Why a renewal is given up. */
export type AbandonReason =
  | 'certificate-revoked'
  | 'certificate-replaced'
  | 'device-quarantined'
  | 'device-decommissioned'
  | 'campaign-aborted'
  /** The device does not match the selection of its campaign any more. */
  | 'no-longer-selected'
  /** The campaign came to its end time before the device was asked. */
  | 'rollout-ended'
  | 'skipped'

/** The reason of a renewal that climbs its ladder again because a person has dealt with the device. */
export const resolvedReason = 'resolved'

export type RenewalEffect =
  | {
      readonly kind: 'send'
      readonly channel: TriggerKind
      readonly rung: number
      /** From 1. */
      readonly attempt: number
    }
  | { readonly kind: 'escalate'; readonly reason: EscalationReason }
  | { readonly kind: 'abandon'; readonly reason: AbandonReason }

export interface StepContext {
  readonly ladder: Ladder
  /** Which channels can be used: a rung of any other is passed over. */
  readonly channels: Pick<ReadonlySet<TriggerKind>, 'has'>
  /** What makes the renewal pointless by now, if anything. */
  readonly obstacle: AbandonReason | null
}

export interface Step {
  readonly state: RenewalState
  readonly effects: readonly RenewalEffect[]
}

/** How often an entry of the field list is looked at: whether its device was taken out of service. */
const escalatedLookMs = dayMs

/**
 * Too early, or at an end, it changes nothing: safe to call at any time, and twice.
 * @param now epoch ms; may be before the instants of the state when the clock went back: then nothing is due
 */
export function stepRenewal(state: RenewalState, now: Instant, context: StepContext): Step {
  if (state.nextAt === null || now < state.nextAt) return { state, effects: [] }
  switch (state.status) {
    case 'retired':
    case 'abandoned':
      return { state: { ...state, nextAt: null }, effects: [] }
    case 'confirmed':
      // the retirement of the old certificate moves it, whatever becomes of the device
      return { state: { ...state, nextAt: null }, effects: [] }
    case 'planned':
    case 'triggered':
    case 'issued':
    case 'escalated':
      break
    default:
      return state.status satisfies never
  }
  if (context.obstacle !== null) return abandon(state, now, context.obstacle)
  if (state.status === 'escalated') return waitOnList(state, now)
  return climb(state, now, context)
}

function abandon(state: RenewalState, now: Instant, reason: AbandonReason): Step {
  const next = { ...state, status: 'abandoned', nextAt: null, endedAt: now, reason } as const
  return { state: next, effects: [{ kind: 'abandon', reason }] }
}

function waitOnList(state: RenewalState, now: Instant): Step {
  const isLate = hasEnded(state, now) && state.reason !== ('never-used' satisfies EscalationReason)
  const reason = isLate ? 'expired' : state.reason
  return { state: { ...state, reason, nextAt: now + escalatedLookMs }, effects: [] }
}

function climb(state: RenewalState, now: Instant, { ladder, channels }: StepContext): Step {
  if (hasEnded(state, now) && !isResolved(state)) return escalate(state, now, ladder)
  const forced = forcedRung(state, now, ladder)
  let { rung, attempt } = forced > state.rung ? { rung: forced, attempt: 0 } : state
  while (rung < ladder.length) {
    const { channel, repeats, beforeMs } = rungAt(ladder, rung)
    const instant = climbInstant(state, beforeMs)
    // the rungs below are used up, and this one's time has not come: wait for it, with nothing more to ask
    if (attempt === 0 && instant !== null && instant > now) {
      const waiting = { ...state, rung, attempt }
      return { state: { ...waiting, nextAt: nextLook(waiting, instant, { now, ladder }) }, effects: [] }
    }
    if (channel === 'field') break
    if (attempt < repeats && channels.has(channel)) {
      return ask({ ...state, rung, attempt: attempt + 1 }, now, ladder)
    }
    rung += 1
    attempt = 0
  }
  return escalate(state, now, ladder)
}

function ask(state: RenewalState, now: Instant, ladder: Ladder): Step {
  const { channel, waitMs } = rungAt(ladder, state.rung)
  const { rung, attempt } = state
  const asked: RenewalState = {
    ...state,
    status: state.status === 'planned' ? 'triggered' : state.status,
    triggeredAt: state.triggeredAt ?? now,
    nextAt: nextLook(state, now + waitMs, { now, ladder }),
  }
  return { state: asked, effects: [{ kind: 'send', channel, rung, attempt }] }
}

function escalate(state: RenewalState, now: Instant, ladder: Ladder): Step {
  const reason =
    state.status === 'issued' ? 'never-used' : hasEnded(state, now) ? 'expired' : 'ladder-exhausted'
  const next = {
    ...state,
    status: 'escalated',
    rung: ladder.length - 1,
    attempt: 1,
    nextAt: now + escalatedLookMs,
    reason,
  } as const
  return { state: next, effects: [{ kind: 'escalate', reason }] }
}

/**
 * At the foot of its ladder as one that was never asked: what was sent before is history, and its message for this attempt is
 * another one.
 */
export function climbedAgain<State extends Pick<RenewalState, 'climb'>>(state: State) {
  return {
    ...state,
    status: 'planned',
    climb: state.climb + 1,
    rung: 0,
    attempt: 0,
    triggeredAt: null,
    endedAt: null,
    // instants of the ladder that have passed do not count
    reason: resolvedReason,
  } as const
}

/** A person has been there: the ladder is climbed again from its foot, and instants that have passed do not count. */
export function resolveRenewal(state: RenewalState, now: Instant): RenewalState {
  return { ...climbedAgain(state), nextAt: now }
}

/**
 * The device has a new certificate: it gets time to use it. When that passes, the ladder goes on where it was.
 * @param patienceMs how long a healthy device of its kind may stay silent
 */
export function issuedState<State extends RenewalState>(
  state: State,
  now: Instant,
  { ladder, patienceMs }: { readonly ladder: Ladder; readonly patienceMs: number },
): State {
  const rung = Math.min(state.rung, ladder.length - 1)
  // From the field list it comes back to the last rung that asks.
  const back = rungAt(ladder, rung).channel === 'field' ? Math.max(0, rung - 1) : rung
  const attempt = back === rung ? state.attempt : rungAt(ladder, back).repeats
  const waitMs = Math.max(patienceMs, rungAt(ladder, back).waitMs)
  return { ...state, status: 'issued', rung: back, attempt, reason: null, nextAt: now + waitMs }
}

/** Never later than the instant at which a higher rung must be climbed, or the end of the certificate. */
export function nextLook(
  state: Pick<RenewalState, 'rung' | 'notAfter' | 'reason'>,
  at: Instant,
  { now, ladder }: { readonly now: Instant; readonly ladder: Ladder },
): Instant {
  let earliest = state.notAfter + secondOfEnd > now ? Math.min(at, state.notAfter + secondOfEnd) : at
  for (const rung of ladder.slice(state.rung + 1)) {
    const instant = climbInstant(state, rung.beforeMs)
    if (instant !== null && instant > now) earliest = Math.min(earliest, instant)
  }
  return earliest
}

/** The highest rung whose instant has come; -1 when there is none, or a person let the instants pass. */
function forcedRung(state: RenewalState, now: Instant, ladder: Ladder): number {
  if (isResolved(state)) return -1
  return ladder.findLastIndex(({ beforeMs }) => {
    const instant = climbInstant(state, beforeMs)
    return instant !== null && instant <= now
  })
}

function climbInstant({ notAfter }: Pick<RenewalState, 'notAfter'>, beforeMs: number | null): Instant | null {
  return beforeMs === null ? null : notAfter - beforeMs
}

// notAfter is inclusive and counts whole seconds
const secondOfEnd = 1_000

function hasEnded({ notAfter }: RenewalState, now: Instant): boolean {
  return now >= notAfter + secondOfEnd
}

function isResolved({ reason }: RenewalState): boolean {
  return reason === resolvedReason
}

function rungAt(ladder: Ladder, at: number): Rung {
  const rung = ladder[at] ?? ladder.at(-1)
  assert(rung, 'a ladder has a last rung, and it is the field list')
  return rung
}

/**
 * The rule of two persons: one proposes, another decides, the platform does it. What is done is what was proposed, byte for
 * byte; nobody decides on what he asked for himself; what waits too long expires. Each step is a fact.
 */
import { canonicalJson, type CanonicalValue } from '../../base/canonical-json.ts'
import { iso, minuteMs, type Instant } from '../../base/clock.ts'
import { assert, Refusal, refusalRules } from '../../base/errors.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import {
  findProposal,
  insertProposal,
  lapsedProposals,
  listProposals,
  lockProposal,
  updateProposal,
  type ProposalRecord,
  type ProposalState,
} from '../../store/proposals.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects, type FactAction } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import { enqueue, type TaskHandler } from '../tasks.ts'
import { approvalSettings, type ApprovedProposal } from './approval-rule.ts'

export type { ProposalRecord, ProposalState }

/** A kind of act. */
export interface ProposalKind<Payload> {
  readonly kind: string
  /** Reads what was stored or what an edge was given. @throws Refusal `invalid-input` */
  parse(payload: unknown): Payload
  /** What it would do, in a line for the one who decides. @throws Refusal when it cannot be done at all */
  summary(engine: Engine, payload: Payload): Promise<string>
  /**
   * Does it; again after a crash, unless `approved.settle` was called in its transaction.
   * @returns what came of it, in a line
   * @throws Refusal to end it as failed; one of our own state (503) to be tried again
   */
  run(engine: Engine, payload: Payload, approved: ApprovedProposal): Promise<string>
}

/** A kind for whoever need not know its payload. */
export interface AnyProposalKind {
  readonly kind: string
  summary(engine: Engine, payload: unknown): Promise<string>
  run(engine: Engine, payload: unknown, approved: ApprovedProposal): Promise<string>
}

export function proposalKind<Payload>(kind: ProposalKind<Payload>): AnyProposalKind {
  return {
    kind: kind.kind,
    summary: async (engine, payload) => await kind.summary(engine, kind.parse(payload)),
    run: async (engine, payload, approved) => await kind.run(engine, kind.parse(payload), approved),
  }
}

export interface Proposal {
  readonly kind: AnyProposalKind
  readonly payload: CanonicalValue
  readonly why: string | null
  readonly actor: string
}

const maxPayloadBytes = 16_384

/** Puts it on record. Nothing happens until somebody else approves. @throws Refusal of the kind: `invalid-input`, … */
export async function propose(
  engine: Engine,
  { kind, payload, why, actor }: Proposal,
): Promise<ProposalRecord> {
  const now = engine.clock.now()
  const text = canonicalJson(payload)
  if (text.length > maxPayloadBytes)
    throw new Refusal('too-large', `a proposal has at most ${maxPayloadBytes} bytes`)
  const summary = await kind.summary(engine, JSON.parse(text))
  const expiresAt = now + approvalSettings(engine.settings).lifetimeMs
  return await engine.store.transaction(async (tx) => {
    const record = await insertProposal(tx, {
      kind: kind.kind,
      payload: text,
      summary,
      why,
      requestedBy: actor,
      requestedAt: now,
      expiresAt,
    })
    const details = { kind: kind.kind, payload, expiresAt: iso(expiresAt) }
    await recordStep(tx, record, { action: 'proposal.opened', actor, now, why, details })
    return record
  })
}

export interface ProposalDecision {
  readonly id: number
  readonly decision: 'approved' | 'rejected'
  readonly actor: string
  readonly note?: string
}

/**
 * An approved one is carried out by a task.
 * @throws Refusal `not-found`, `proposal-own`, `proposal-state` when it is decided already or has expired
 */
export async function decideProposal(engine: Engine, decision: ProposalDecision): Promise<ProposalRecord> {
  const { id, decision: state, actor, note = null } = decision
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    const record = await lockProposal(tx, id)
    if (!record) throw notFound(id)
    if (record.state !== 'open')
      throw new Refusal('proposal-state', `proposal ${id} is not open: ${record.state}`)
    if (now >= record.expiresAt) {
      throw new Refusal('proposal-state', `proposal ${id} expired on ${iso(record.expiresAt)}: propose again`)
    }
    if (record.requestedBy === actor) {
      throw new Refusal('proposal-own', `you asked for proposal ${id} yourself: somebody else must decide`)
    }
    const endedAt = state === 'rejected' ? now : null
    await updateProposal(tx, id, { state, decidedBy: actor, decidedAt: now, note, endedAt })
    const action = state === 'approved' ? 'proposal.approved' : 'proposal.rejected'
    await recordStep(tx, record, { action, actor, now, why: note })
    if (state === 'approved')
      await enqueue(tx, now, { kind: taskKind, key: String(id), payload: { proposal: id } })
  })
  return await requireProposal(engine, id)
}

/** @throws Refusal `not-found` */
export async function requireProposal({ store }: Engine, id: number): Promise<ProposalRecord> {
  const record = await findProposal(store.db, id)
  if (!record) throw notFound(id)
  return record
}

/** Newest first. */
export async function proposals(
  { store }: Engine,
  request: PageRequest & { readonly state?: ProposalState },
): Promise<Page<ProposalRecord>> {
  return await listProposals(store.db, request)
}

const taskKind = 'proposal'

/** Carries out what was approved. @param kinds those that there are */
export function proposalHandler(kinds: readonly AnyProposalKind[]): TaskHandler {
  return {
    kind: taskKind,
    isForgotten: true,
    lockMs: 10 * minuteMs,
    async run(engine, payload) {
      const { proposal } = payload as { readonly proposal: number }
      await carryOut(engine, kinds, proposal)
    },
  }
}

async function carryOut(engine: Engine, kinds: readonly AnyProposalKind[], id: number): Promise<void> {
  const record = await requireProposal(engine, id)
  if (record.state !== 'approved') return
  const { requestedBy, decidedBy } = record
  assert(decidedBy !== null && decidedBy !== requestedBy, 'two persons have agreed')
  const settle = async (tx: Tx, outcome: string) =>
    await end(tx, id, { state: 'done', outcome, now: engine.clock.now() })
  const kind = kinds.find((each) => each.kind === record.kind)
  try {
    if (!kind) throw new Refusal('invalid-input', `nothing here carries out ${record.kind}`)
    const approved = { id, requestedBy, approvedBy: decidedBy, settle }
    const outcome = await kind.run(engine, JSON.parse(record.payload), approved)
    await engine.store.transaction(async (tx) => {
      if ((await lockProposal(tx, id))?.state === 'approved') await settle(tx, outcome)
    })
  } catch (error) {
    if (!(error instanceof Refusal) || refusalRules[error.code].http === 503) throw error
    const outcome = `${error.code}: ${error.message}`
    await engine.store.transaction(async (tx) => {
      if ((await lockProposal(tx, id))?.state !== 'approved') return
      await end(tx, id, { state: 'failed', outcome, now: engine.clock.now() })
    })
  }
}

interface End {
  readonly state: 'done' | 'failed'
  readonly outcome: string
  readonly now: Instant
}

async function end(tx: Tx, id: number, { state, outcome, now }: End): Promise<void> {
  const record = await lockProposal(tx, id)
  if (record?.state !== 'approved')
    throw new Refusal('proposal-state', `proposal ${id} was carried out already`)
  await updateProposal(tx, id, { state, outcome, endedAt: now })
  const action = state === 'done' ? 'proposal.done' : 'proposal.failed'
  await recordStep(tx, record, { action, actor: actors.job(taskKind), now, details: { outcome } })
}

/** Proposals in one pass. */
const batch = 100

export const expireProposalsJob: Job = {
  name: 'expire-proposals',
  intervalMs: minuteMs,
  async run(engine, now, _signal, fence) {
    const lapsed = await lapsedProposals(engine.store.db, now, batch)
    for (const { id } of lapsed) {
      await engine.store.transaction(async (tx) => {
        await fence(tx)
        const record = await lockProposal(tx, id)
        if (record?.state !== 'open') return
        await updateProposal(tx, id, { state: 'expired', endedAt: now })
        await recordStep(tx, record, {
          action: 'proposal.expired',
          actor: actors.job('expire-proposals'),
          now,
        })
      })
    }
    return { worked: lapsed.length, isBehind: lapsed.length === batch }
  },
}

interface Step {
  readonly action: FactAction
  readonly actor: string
  readonly now: Instant
  readonly why?: string | null
  readonly details?: { readonly [key: string]: CanonicalValue }
}

async function recordStep(
  tx: Tx,
  { id }: ProposalRecord,
  { action, actor, now, why, details }: Step,
): Promise<void> {
  await recordFacts(
    tx,
    fact(now, {
      actor,
      action,
      subject: subjects.proposal(id),
      ...(why === null || why === undefined ? {} : { reason: why }),
      ...(details === undefined ? {} : { details }),
    }),
  )
}

function notFound(id: number): Refusal {
  return new Refusal('not-found', `there is no proposal ${id}: see \`perennial proposal list\``)
}

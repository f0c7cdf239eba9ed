/**
 * Triggers leave: the tasks of one channel are claimed and ended many at a time, because a broker takes ten thousand in a
 * second. Whether a device is still to be asked is looked at again just before.
 */
import { secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { backoffMs, type Backoff } from '../../base/retry.ts'
import { printable } from '../../base/text.ts'
import { campaignStatus } from '../../store/campaigns.ts'
import { settleAttempts, type SettledAttempt } from '../../store/renewal-attempts.ts'
import { noCampaign, type RenewalRecord } from '../../store/renewal-record.ts'
import { lockRenewal, updateRenewal } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import { claimTasks, failTask, type TaskRecord } from '../../store/tasks.ts'
import { deleteTasks, hasDueTask, triggerSubjects, type TriggerSubject } from '../../store/trigger-queue.ts'
import type { Engine } from '../context.ts'
import type { Job, JobResult } from '../jobs.ts'
import { triggerKinds, type Trigger, type TriggerChannel, type TriggerKind } from '../ports.ts'
import { checkClock } from '../renewals/clock-guard.ts'
import { connectivityOf } from '../renewals/renewal-events.ts'
import { nextLook } from '../renewals/renewal-step.ts'
import { obstacleOf } from '../renewals/renewals.ts'
import { sendWithinBudget } from './trigger-budget.ts'
import { readPayload, triggerKey, triggerTaskKind, type TriggerPayload } from './trigger-key.ts'

/** Claimed at one time: with the slowest channels, less than the lock lasts. */
const claimed = 1_000
const lockMs = 600 * secondMs
/** Of a channel that fails: until the renewal's next attempt, which overtakes this one. */
const backoff: Backoff = { baseMs: 15 * secondMs, capMs: 1_800 * secondMs }
const maxDetail = 300

/** One job for each channel, so that a slow one does not hold up the others. Nodes share the work task by task. */
export function triggerJobs(intervalMs: number): Job[] {
  return triggerKinds
    .filter((kind) => kind !== 'field')
    .map((kind) => ({
      name: triggerTaskKind(kind),
      intervalMs,
      isShared: true,
      run: async (engine, now, signal) => await sendTriggers(engine, kind, now, signal),
    }))
}

/** One bounded pass: what is due of one channel, a batch at a time. */
export async function sendTriggers(
  engine: Engine,
  kind: TriggerKind,
  now: Instant,
  signal: AbortSignal,
): Promise<JobResult> {
  const channel = engine.triggers.get(kind)
  // its link may come yet: what waits stays
  if (!channel || signal.aborted) return { worked: 0 }
  if (!(await hasDueTask(engine.store.db, triggerTaskKind(kind), now))) return { worked: 0 }
  // what was decided before a jump of the clock is not sent after it: certificates would seem to have ended
  if (!(await checkClock(engine, now)).isTrusted) return { worked: 0 }
  const limit = Math.min(claimed, channel.parallel * 16)
  const tasks = await engine.store.transaction((tx) =>
    claimTasks(tx, { kinds: [triggerTaskKind(kind)], now, limit, lockMs }),
  )
  const outcomes = await sendBatch(engine, channel, tasks, signal)
  await engine.store.transaction(async (tx) => await settle(engine, tx, { kind, outcomes }))
  await engine.faults?.at('settled')
  return { worked: tasks.length, isBehind: tasks.length === limit }
}

type SendResult =
  | { readonly kind: 'sent'; readonly reference: string | null }
  | { readonly kind: 'failed'; readonly error: unknown }

type Result =
  | SendResult
  /** It did not leave, and this attempt will not: too late, or pointless. */
  | { readonly kind: 'dropped'; readonly detail: string }
  /** It did not leave because its campaign stands still: it is asked for again when that goes on. */
  | { readonly kind: 'held'; readonly detail: string }

interface Outcome {
  readonly task: TaskRecord
  readonly payload: TriggerPayload
  readonly result: Result
}

async function sendBatch(
  engine: Engine,
  channel: TriggerChannel,
  tasks: readonly TaskRecord[],
  signal: AbortSignal,
): Promise<Outcome[]> {
  const items = tasks.map((task) => ({ task, payload: readPayload(task.payload) }))
  const subjects = await triggerSubjects(
    engine.store.db,
    items.map(({ payload }) => payload.renewal),
  )
  const gate = createGate(engine)
  const outcomes: Outcome[] = []
  // after a pause, no more leave than were under way
  for (let from = 0; from < items.length; from += channel.parallel) {
    await gate.look(subjects)
    const some = items
      .slice(from, from + channel.parallel)
      .map(async ({ task, payload }): Promise<Outcome> => {
        const subject = subjects.get(payload.renewal)
        const refused = refusedFor(payload, subject, gate)
        const result =
          refused ?? (await sendOne(engine, channel, { payload, subject: subject as TriggerSubject }, signal))
        return { task, payload, result }
      })
    outcomes.push(...(await Promise.all(some)))
  }
  return outcomes
}

interface Gate {
  /** Reads again which campaigns run. */
  look(subjects: ReadonlyMap<number, TriggerSubject>): Promise<void>
  isOpen(campaignId: string): boolean
}

function createGate({ store }: Engine): Gate {
  const running = new Map<string, boolean>([[noCampaign, true]])
  let isNew = true
  return {
    async look(subjects) {
      if (isNew)
        for (const { campaignId } of subjects.values()) running.set(campaignId, campaignId === noCampaign)
      isNew = false
      for (const id of running.keys()) {
        if (id !== noCampaign) running.set(id, (await campaignStatus(store.db, id)) === 'running')
      }
    },
    isOpen: (campaignId) => running.get(campaignId) === true,
  }
}

function refusedFor(
  payload: TriggerPayload,
  subject: TriggerSubject | undefined,
  gate: Gate,
): Exclude<Result, SendResult> | null {
  if (!subject) return { kind: 'dropped', detail: 'the certificate is not in the inventory any more' }
  const { status } = subject
  if ((status !== 'triggered' && status !== 'issued') || !isAttemptOf(subject, payload)) {
    return { kind: 'dropped', detail: `the renewal is ${status} and has moved on` }
  }
  const obstacle = obstacleOf({ ...subject, certificateStatus: subject.certificate.status })
  if (obstacle !== null) return { kind: 'dropped', detail: obstacle }
  if (!gate.isOpen(subject.campaignId)) return { kind: 'held', detail: 'the campaign is not running' }
  return null
}

/** False when the renewal has moved on. */
function isAttemptOf(
  { climb, rung, attempt }: Pick<RenewalRecord, 'climb' | 'rung' | 'attempt'>,
  payload: TriggerPayload,
): boolean {
  return climb === payload.climb && rung === payload.rung && attempt === payload.attempt
}

interface Sending {
  readonly payload: TriggerPayload
  readonly subject: TriggerSubject
}

async function sendOne(
  engine: Engine,
  channel: TriggerChannel,
  { payload, subject }: Sending,
  signal: AbortSignal,
): Promise<SendResult> {
  await engine.faults?.at('send')
  const trigger = triggerOf(engine, subject, payload)
  const result = await sendWithinBudget(engine, channel, trigger, signal).then(
    ({ reference }): SendResult => ({ kind: 'sent', reference }),
    (error: unknown): SendResult => ({
      kind: 'failed',
      error: error ?? new Error('the channel threw nothing'),
    }),
  )
  if (result.kind === 'sent') await engine.faults?.at('sent')
  return result
}

/** The message of an attempt, as it is at this instant. */
export function triggerOf(engine: Engine, subject: TriggerSubject, payload: TriggerPayload): Trigger {
  const now = engine.clock.now()
  const { ladder } = connectivityOf(engine, subject)
  const waitMs = ladder[subject.rung]?.waitMs ?? 0
  const { issuerId, serialNumber } = subject.certificate
  const { id, campaignId, deviceId, slot, notAfter, tags, site } = subject
  // A reminder keeps the first window: a device that calls in as often as it is reminded would be put off each time.
  const askedAt = subject.triggeredAt ?? now
  return {
    renewalId: id,
    idempotencyKey: triggerKey(payload),
    campaignId: campaignId === noCampaign ? null : campaignId,
    deviceId,
    slot,
    certificate: `${issuerId}/${serialNumber}`,
    notAfter,
    // half of the wait is for the device, the rest for its network
    window: { start: askedAt, end: Math.max(askedAt + secondMs, Math.min(askedAt + waitMs / 2, notAfter)) },
    issuedAt: now,
    tags,
    site,
  }
}

interface Settlement {
  readonly kind: TriggerKind
  readonly outcomes: readonly Outcome[]
}

async function settle(engine: Engine, tx: Tx, { kind, outcomes }: Settlement): Promise<void> {
  const now = engine.clock.now()
  const attempts: SettledAttempt[] = []
  const ended: TaskRecord[] = []
  for (const outcome of outcomes) {
    const { task, payload } = outcome
    const conclusion = await conclude(engine, tx, { outcome, now })
    attempts.push({
      renewalId: payload.renewal,
      climb: payload.climb,
      rung: payload.rung,
      attempt: payload.attempt,
      channel: kind,
      updatedAt: now,
      ...conclusion,
    })
    if (conclusion.status !== 'queued') ended.push(task)
  }
  await settleAttempts(tx, attempts)
  await deleteTasks(tx, ended)
}

type Conclusion = Pick<SettledAttempt, 'status' | 'detail' | 'reference'>

/** What one outcome means for its renewal. */
async function conclude(
  engine: Engine,
  tx: Tx,
  { outcome: { task, payload, result }, now }: { readonly outcome: Outcome; readonly now: Instant },
): Promise<Conclusion> {
  switch (result.kind) {
    case 'sent':
      return { status: 'sent', detail: null, reference: result.reference }
    case 'dropped':
      return { status: 'withheld', detail: result.detail, reference: null }
    case 'held':
      await askAgain(engine, tx, payload, { at: now, now })
      return { status: 'withheld', detail: result.detail, reference: null }
    case 'failed':
      return await concludeFailure(engine, tx, { task, payload, error: result.error }, now)
    default:
      return result satisfies never
  }
}

async function concludeFailure(
  engine: Engine,
  tx: Tx,
  { task, payload, error }: Pick<Outcome, 'task' | 'payload'> & { readonly error: unknown },
  now: Instant,
): Promise<Conclusion> {
  const detail = describe(error)
  const code = error instanceof Refusal ? error.code : null
  if (code === 'trigger-impossible') {
    await climbOn(engine, tx, payload, now)
    return { status: 'failed', detail, reference: null }
  }
  const askedMs = error instanceof Refusal ? (error.retryAfterMs ?? 0) : 0
  if (code === 'trigger-over-budget') {
    await askAgain(engine, tx, payload, { at: now + Math.max(askedMs, secondMs), now })
    return { status: 'withheld', detail, reference: null }
  }
  if (code === null) engine.log.error({ task: task.id, err: error }, 'a trigger failed for a reason of ours')
  const waitMs = Math.max(askedMs, backoffMs(backoff, task.attempts, engine.random))
  await failTask(tx, { id: task.id, attempts: task.attempts, lastError: detail, runAt: now + waitMs })
  return { status: 'queued', detail, reference: null }
}

/** The attempt does not count: the renewal is looked at again, and asked for the first time as it were. */
async function askAgain(
  engine: Engine,
  tx: Tx,
  payload: TriggerPayload,
  { at, now }: { readonly at: Instant; readonly now: Instant },
): Promise<void> {
  const renewal = await lockRenewal(tx, payload.renewal)
  if (renewal === null || !isAttemptOf(renewal, payload)) return
  if (renewal.status !== 'triggered' && renewal.status !== 'issued') return
  const { ladder } = connectivityOf(engine, renewal)
  const nextAt = nextLook(renewal, at, { now, ladder })
  await updateRenewal(tx, renewal, { attempt: payload.attempt - 1, nextAt })
}

/** This way there is no reaching the device: the next rung is climbed now, or when its time comes. */
async function climbOn(engine: Engine, tx: Tx, payload: TriggerPayload, now: Instant): Promise<void> {
  const renewal = await lockRenewal(tx, payload.renewal)
  if (renewal === null || !isAttemptOf(renewal, payload)) return
  if (renewal.status !== 'triggered' && renewal.status !== 'issued') return
  const { rung, attempt } = payload
  const repeats = connectivityOf(engine, renewal).ladder[rung]?.repeats ?? attempt
  await updateRenewal(tx, renewal, { attempt: Math.max(attempt, repeats), nextAt: now })
}

/** Kept for a person to read: one line, bounded. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return printable(text.toWellFormed()).slice(0, maxDetail).toWellFormed()
}

/**
 * Tasks: durable intents to touch the outside world. A task is written in the transaction of the decision that asks for
 * it and carried out afterwards, at least once: a handler must be able to do the same thing twice. What keeps failing is
 * repeated ever later and in the end becomes a dead letter, which a person sees and can send again.
 */
import { minuteMs, type Instant } from '../base/clock.ts'
import { canonicalJson, type CanonicalValue } from '../base/canonical-json.ts'
import { assert, Refusal } from '../base/errors.ts'
import { backoffMs, type Backoff } from '../base/retry.ts'
import { printable } from '../base/text.ts'
import { traced } from '../base/trace.ts'
import type { Page, PageRequest } from '../store/page.ts'
import type { Tx } from '../store/schema.ts'
import {
  claimTasks,
  completeTask,
  deleteDone,
  enqueueTask,
  failTask,
  listTasks,
  retryTask as retryDeadTask,
  type TaskRecord,
  type TaskStatus,
} from '../store/tasks.ts'
import { actors, fact, recordFacts, subjects } from './audit/audit.ts'
import type { Engine } from './context.ts'
import type { Job, JobResult } from './jobs.ts'

export { taskStatuses } from '../store/tasks.ts'
export type { TaskRecord }

export interface TaskRequest {
  /** Which handler carries it out. */
  readonly kind: string
  /** Idempotency key: while a task of this kind and key is open, a further one is the same one. Null: always a new task. */
  readonly key: string | null
  readonly payload: CanonicalValue
  /** Not before this instant; now when left out. */
  readonly runAt?: Instant
}

export interface TaskHandler {
  readonly kind: string
  /** The n-th failure makes it a dead letter. Default 10: with the default backoff, about a day. */
  readonly maxAttempts?: number
  readonly backoff?: Backoff
  /** After this long without an answer another worker takes the task over. Well above the time-out of the handler. */
  readonly lockMs?: number
  /** True: its row is deleted when it is done, because there are as many as devices and nobody asks for them. */
  readonly isForgotten?: boolean
  /** Tasks carried out at one time. */
  readonly parallel?: number
  /**
   * Does it. Called again after any failure and after a crash, also of a call that had succeeded.
   * @param payload what was asked for, as JSON gives it back: parse it
   * @throws Refusal with `retryAfterMs` to be asked again no earlier; TaskHopeless to be asked never again
   */
  run(engine: Engine, payload: unknown, signal: AbortSignal): Promise<void>
}

/** Thrown by a handler that knows that repeating is useless: the task becomes a dead letter at once. */
export class TaskHopeless extends Error {
  override readonly name = 'TaskHopeless'
}

const defaultAttempts = 10
const defaultBackoff: Backoff = { baseMs: 5_000, capMs: 240 * minuteMs }
const defaultLockMs = 5 * minuteMs
const defaultParallel = 16
const maxErrorText = 500

/** Asks for a task within the transaction of the decision. @returns its id, or null when it is asked for already */
export async function enqueue(tx: Tx, now: Instant, request: TaskRequest): Promise<number | null> {
  const { kind, key, payload, runAt } = request
  return await enqueueTask(tx, {
    kind,
    key,
    payload: canonicalJson(payload),
    runAt: runAt ?? now,
    createdAt: now,
  })
}

/** The pass that carries out what is due. Nodes share the work task by task. */
export function taskJob(handlers: readonly TaskHandler[], intervalMs: number): Job {
  return {
    name: 'tasks',
    intervalMs,
    isShared: true,
    run: async (engine, now, signal) => await runTasks(engine, handlers, now, signal),
  }
}

/**
 * One bounded pass: of each kind, as many due tasks as its handler takes at one time. Each kind is claimed by itself, so
 * that the backlog of one dead connector does not stand before the others.
 */
export async function runTasks(
  engine: Engine,
  handlers: readonly TaskHandler[],
  now: Instant,
  signal: AbortSignal,
): Promise<JobResult> {
  const kinds = new Set(handlers.map(({ kind }) => kind))
  assert(kinds.size === handlers.length, 'one handler for each kind of task')
  const results = await Promise.all(
    handlers.map(async (handler) => await runKind(engine, handler, now, signal)),
  )
  return {
    worked: results.reduce((sum, result) => sum + result.worked, 0),
    isBehind: results.some((result) => result.isBehind === true),
  }
}

/** In the order in which they were made. */
export async function taskPage(
  { store }: Pick<Engine, 'store'>,
  request: PageRequest & { readonly status?: TaskStatus },
): Promise<Page<TaskRecord>> {
  return await listTasks(store.db, request)
}

/** Sends a dead letter again. @throws Refusal `not-found` when there is no dead task of this id */
export async function retryTask(
  engine: Pick<Engine, 'store'>,
  now: Instant,
  { id, actor }: { readonly id: number; readonly actor: string },
): Promise<void> {
  await engine.store.transaction(async (tx) => {
    if (!(await retryDeadTask(tx, id, now))) {
      throw new Refusal('not-found', `there is no dead task ${id}; it may have been sent again already`)
    }
    await recordFacts(tx, fact(now, { actor, action: 'task.retried', subject: subjects.task(id) }))
  })
}

async function runKind(
  engine: Engine,
  handler: TaskHandler,
  now: Instant,
  signal: AbortSignal,
): Promise<JobResult> {
  if (signal.aborted) return { worked: 0 }
  const limit = handler.parallel ?? defaultParallel
  const lockMs = handler.lockMs ?? defaultLockMs
  const tasks = await engine.store.transaction((tx) =>
    claimTasks(tx, { kinds: [handler.kind], now, limit, lockMs }),
  )
  await Promise.all(tasks.map(async (task) => await runTask(engine, handler, task, signal)))
  return { worked: tasks.length, isBehind: tasks.length === limit }
}

/** Carries out one claimed task. Only the store failing comes out; what the handler throws is the task's result. */
async function runTask(
  engine: Engine,
  handler: TaskHandler,
  task: TaskRecord,
  signal: AbortSignal,
): Promise<void> {
  const { id, attempts } = task
  let failure: unknown = null
  try {
    const attributes = { 'perennial.task': id, 'perennial.attempt': attempts }
    await traced(`task ${task.kind}`, attributes, () => handler.run(engine, JSON.parse(task.payload), signal))
  } catch (error) {
    failure = error ?? new Error('the handler threw nothing')
  }
  const now = engine.clock.now()
  // False means that the lock ran out and another worker has the task: what happens to it is decided there.
  const isOurs = await engine.store.transaction(async (tx) => {
    if (failure === null) {
      if (!(await completeTask(tx, { id, attempts }))) return false
      if (handler.isForgotten === true) await deleteDone(tx, id)
      return true
    }
    return await settleFailure(engine, tx, { handler, task, failure, now })
  })
  const outcome = { task: id, kind: task.kind, attempts }
  if (!isOurs) engine.log.warn(outcome, 'a task took longer than its lock; another worker took it over')
  else if (failure !== null) engine.log.warn({ ...outcome, err: failure }, 'a task failed')
}

interface TaskFailure {
  readonly handler: TaskHandler
  readonly task: TaskRecord
  readonly failure: unknown
  readonly now: Instant
}

async function settleFailure(
  engine: Engine,
  tx: Tx,
  { handler, task, failure, now }: TaskFailure,
): Promise<boolean> {
  const { id, attempts } = task
  const lastError = describe(failure)
  const isDead = failure instanceof TaskHopeless || attempts >= (handler.maxAttempts ?? defaultAttempts)
  const askedMs = failure instanceof Refusal ? (failure.retryAfterMs ?? 0) : 0
  const waitMs = Math.max(askedMs, backoffMs(handler.backoff ?? defaultBackoff, attempts, engine.random))
  const isOurs = await failTask(tx, { id, attempts, lastError, runAt: isDead ? null : now + waitMs })
  if (isOurs && isDead) {
    const details = { kind: task.kind, key: task.key, attempts }
    const subject = subjects.task(id)
    const actor = actors.job('tasks')
    await recordFacts(tx, fact(now, { actor, action: 'task.abandoned', subject, reason: lastError, details }))
  }
  return isOurs
}

// Kept for a person to read: one line, bounded, nothing that could harm a terminal.
function describe(failure: unknown): string {
  const text =
    failure instanceof Refusal
      ? `${failure.code}: ${failure.message}`
      : failure instanceof Error
        ? `${failure.name}: ${failure.message}`
        : String(failure)
  return printable(text.toWellFormed()).slice(0, maxErrorText).toWellFormed()
}

/**
 * Long work that a request begins and does not wait for: its progress and its end are in a row that the caller looks at. It
 * runs in the process that took the request and dies with it; then the row says that it was interrupted. Work that must
 * outlive a process is a job of its own, such as a batch of revocations.
 */
import { dayMs, hourMs, minuteMs, secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { token } from '../../base/random.ts'
import {
  deleteOldApiJobs,
  findApiJob,
  insertApiJob,
  listApiJobs,
  updateApiJob,
  type ApiJobRecord,
} from '../../store/api-jobs.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'

export interface LongWork {
  /** What it is, as one word: `import`. */
  readonly kind: string
  /** Account whose work it is. */
  readonly caller: string
  /** How many things there are to do; null when that is not known. */
  readonly total: number | null
  /** @returns what came of it, as JSON can carry it. Tells how far it is as often as it likes. @throws Refusal to end as failed */
  run(told: (done: number) => void): Promise<unknown>
}

const touchMs = 20 * secondMs
/** A row that nobody has touched for so long is of a process that has died. */
const lostMs = minuteMs
const keptMs = 7 * dayMs

/** @returns its row, with which it is looked up; the work goes on */
export async function beginWork(engine: Engine, work: LongWork): Promise<ApiJobRecord> {
  const now = engine.clock.now()
  const record: ApiJobRecord = {
    // ordered by time; the rest cannot be guessed
    id: `${now.toString(36).padStart(9, '0')}-${token(engine.random, 9)}`,
    kind: work.kind,
    caller: work.caller,
    status: 'running',
    done: 0,
    total: work.total,
    result: null,
    problem: null,
    createdAt: now,
    updatedAt: now,
    endedAt: null,
  }
  await engine.store.transaction(async (tx) => await insertApiJob(tx, record))
  void carryOut(engine, work, record.id)
  return record
}

async function carryOut(engine: Engine, work: LongWork, id: string): Promise<void> {
  const ended = new AbortController()
  const progress = { done: 0 }
  const touching = touch(engine, { id, progress, signal: ended.signal })
  const end = await outcome(engine, work, progress)
  ended.abort()
  await touching
  const at = engine.clock.now()
  try {
    await engine.store.transaction(
      async (tx) => await updateApiJob(tx, { id, ...end, done: progress.done, updatedAt: at, endedAt: at }),
    )
  } catch (error) {
    // The row stays as it is, and is shown as interrupted.
    engine.log.error({ err: error, job: id }, 'the end of long work could not be written')
  }
}

async function outcome(
  engine: Engine,
  work: LongWork,
  progress: { done: number },
): Promise<Pick<ApiJobRecord, 'status' | 'result' | 'problem'>> {
  try {
    const result = await work.run((done) => void (progress.done = done))
    return { status: 'done', result: JSON.stringify(result ?? null), problem: null }
  } catch (error) {
    if (error instanceof Refusal) {
      const { code, message } = error
      return { status: 'failed', result: null, problem: JSON.stringify({ code, detail: message }) }
    }
    const errorId = token(engine.random, 9)
    engine.log.error({ err: error, id: errorId, kind: work.kind }, 'long work failed')
    const detail = `internal error, see the log at ${errorId}`
    return { status: 'failed', result: null, problem: JSON.stringify({ code: 'internal', detail }) }
  }
}

interface Touching {
  readonly id: string
  readonly progress: { readonly done: number }
  readonly signal: AbortSignal
}

/** Writes how far it is, now and then, which also says that it lives. */
async function touch(engine: Engine, { id, progress, signal }: Touching): Promise<void> {
  for (let waitMs = secondMs; ; waitMs = Math.min(touchMs, waitMs * 2)) {
    try {
      await engine.clock.sleep(waitMs, signal)
      const change = { id, done: progress.done, updatedAt: engine.clock.now() }
      await engine.store.transaction(async (tx) => await updateApiJob(tx, change))
    } catch (error) {
      if (signal.aborted) return
      engine.log.warn({ err: error, job: id }, 'the progress of long work could not be written')
    }
  }
}

/** @throws Refusal `not-found` */
export async function requireWork({ store, clock }: Engine, id: string): Promise<ApiJobRecord> {
  const record = await findApiJob(store.db, id)
  if (!record) throw new Refusal('not-found', `there is no job ${id}, or it was forgotten after seven days`)
  return asSeen(record, clock.now())
}

/** Oldest first. */
export async function workPage({ store, clock }: Engine, request: PageRequest): Promise<Page<ApiJobRecord>> {
  const { rows, next } = await listApiJobs(store.db, request)
  const now = clock.now()
  return { rows: rows.map((row) => asSeen(row, now)), next }
}

function asSeen(record: ApiJobRecord, now: Instant): ApiJobRecord {
  if (record.status !== 'running' || now < record.updatedAt + lostMs) return record
  const detail = 'the process that did it has ended: begin again, what was done stays done'
  return { ...record, status: 'failed', problem: JSON.stringify({ code: 'overloaded', detail }) }
}

export const forgetWorkJob: Job = {
  name: 'forget-work',
  intervalMs: hourMs,
  async run(engine, now, _signal, fence) {
    const worked = await engine.store.transaction(async (tx) => {
      await fence(tx)
      return await deleteOldApiJobs(tx, now - keptMs)
    })
    return { worked, isBehind: false }
  },
}

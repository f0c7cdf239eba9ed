/**
 * Jobs: idempotent passes over the records, run at an interval. This loop is the only place of the engine that sleeps;
 * tests and the simulator call `pass` themselves. A job that fails is logged and comes again; the others do not notice.
 */
import type { Instant } from '../base/clock.ts'
import { minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { token } from '../base/random.ts'
import { backoffMs, jitteredMs } from '../base/retry.ts'
import { traced } from '../base/trace.ts'
import { acquireLease, checkFence, releaseLease } from '../store/leases.ts'
import type { Tx } from '../store/schema.ts'
import type { Engine } from './context.ts'

export interface JobResult {
  /** Records acted upon; 0 means that there was nothing to do. */
  readonly worked: number
  /** True when the bounded pass left work behind: the loop comes back at once. */
  readonly isBehind?: boolean
}

/** Throws when the lease went to another node: call it first in every transaction that must not be done twice. */
export type Fence = (tx: Tx) => Promise<void>

export interface Job {
  /** Also the name of its lease and its label in the metrics. */
  readonly name: string
  readonly intervalMs: number
  /** True when several nodes may run it at one time, because it shares work record by record. Default: one node at a time. */
  readonly isShared?: boolean
  /**
   * One bounded pass. Safe to run twice, late, or never to the end.
   * @param signal aborted when the process stops: finish the record at hand and return
   */
  run(engine: Engine, now: Instant, signal: AbortSignal, fence: Fence): Promise<JobResult>
}

export interface JobStatus {
  readonly name: string
  readonly intervalMs: number
  readonly isRunning: boolean
  /** False when another node ran it the last time. */
  readonly isHolder: boolean
  readonly passes: number
  readonly failures: number
  /** Since the last good pass; 0 when all is well. */
  readonly failuresInARow: number
  readonly worked: number
  readonly startedAt: Instant | null
  readonly succeededAt: Instant | null
  readonly durationMs: number | null
  readonly lastError: string | null
}

export interface Jobs {
  /** One pass of one job, now. Never throws: what happened is in the status. Null when another node holds the job. */
  pass(name: string, signal?: AbortSignal): Promise<JobResult | null>
  /** Every job at its interval until the signal is aborted; resolves when the passes under way have ended. */
  run(signal: AbortSignal): Promise<void>
  status(): readonly JobStatus[]
}

// A failing job comes back ever later, but never later than this unless its interval is longer.
const failureCapMs = 5 * minuteMs
// Kept over several passes, so that an idle job does not write. A node that dies is replaced after this long.
const leaseMinMs = minuteMs
const leaseIntervals = 3
const neverAborted = new AbortController().signal

interface State {
  readonly job: Job
  status: JobStatus
  lease: { readonly token: number; readonly expiresAt: Instant } | null
}

export function createJobs(engine: Engine, jobs: readonly Job[]): Jobs {
  const holder = token(engine.random, 12)
  const states = new Map(jobs.map((job) => [job.name, newState(job)]))

  return {
    async pass(name, signal = neverAborted) {
      const state = states.get(name)
      if (!state) throw new Refusal('not-found', `there is no job ${name}`)
      return await runPass(engine, state, holder, signal)
    },
    async run(signal) {
      // each loop ends by itself when the signal is aborted; none of them throws
      await Promise.all([...states.values()].map((state) => runLoop(engine, state, holder, signal)))
      await release(engine, [...states.values()])
    },
    status: () => [...states.values()].map((state) => state.status),
  }
}

async function runLoop(engine: Engine, state: State, holder: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const result = await runPass(engine, state, holder, signal)
    const waitMs = result?.isBehind === true ? 0 : waitAfter(engine, state)
    try {
      await engine.clock.sleep(waitMs, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

function waitAfter(engine: Engine, { job, status }: State): number {
  const { intervalMs } = job
  if (status.failuresInARow === 0) return jitteredMs(intervalMs, 0.1, engine.random)
  const backoff = { baseMs: intervalMs, capMs: Math.max(intervalMs, failureCapMs) }
  return backoffMs(backoff, status.failuresInARow, engine.random)
}

async function runPass(
  engine: Engine,
  state: State,
  holder: string,
  signal: AbortSignal,
): Promise<JobResult | null> {
  const { job } = state
  const startedAt = engine.clock.now()
  try {
    const fence = await takeLease(engine, state, holder, startedAt)
    if (!fence) return null
    state.status = { ...state.status, isRunning: true, isHolder: true, startedAt }
    const result = await traced(`job ${job.name}`, {}, async (span) => {
      const ended = await job.run(engine, startedAt, signal, fence)
      span.setAttribute('perennial.worked', ended.worked)
      return ended
    })
    succeeded(engine, state, result)
    return result
  } catch (error) {
    failed(engine, state, error)
    return { worked: 0 }
  }
}

/** @returns the fence of the pass, or null when another node holds the lease */
async function takeLease(engine: Engine, state: State, holder: string, now: Instant): Promise<Fence | null> {
  const { job, lease } = state
  if (job.isShared === true) return async () => {}
  const ttlMs = Math.max(leaseMinMs, leaseIntervals * job.intervalMs)
  const isFresh = lease !== null && now < lease.expiresAt - ttlMs / 2
  if (!isFresh) {
    const wanted = { name: `job:${job.name}`, holder, now, ttlMs }
    const taken = await engine.store.transaction((tx) => acquireLease(tx, wanted))
    state.lease = taken && { token: taken.token, expiresAt: now + ttlMs }
    if (!taken) state.status = { ...state.status, isHolder: false }
  }
  const held = state.lease
  if (!held) return null
  return async (tx) => {
    if (await checkFence(tx, { name: `job:${job.name}`, token: held.token })) return
    state.lease = null
    throw new Refusal('store-busy', `another node took over the job ${job.name}; it goes on there`)
  }
}

/** Lets another node take over at once instead of after the lease has run out. */
async function release(engine: Engine, states: readonly State[]): Promise<void> {
  for (const { job, lease } of states) {
    if (!lease) continue
    try {
      await engine.store.transaction((tx) =>
        releaseLease(tx, { name: `job:${job.name}`, token: lease.token }),
      )
    } catch (error) {
      engine.log.warn({ job: job.name, err: error }, 'the lease was not given back; it runs out by itself')
    }
  }
}

function succeeded(engine: Engine, state: State, result: JobResult): void {
  const { status } = state
  const now = engine.clock.now()
  state.status = {
    ...status,
    isRunning: false,
    passes: status.passes + 1,
    failuresInARow: 0,
    worked: status.worked + result.worked,
    succeededAt: now,
    durationMs: now - (status.startedAt ?? now),
  }
}

// The outermost loop: the one place where an error is logged and life goes on.
function failed(engine: Engine, state: State, error: unknown): void {
  const { status, job } = state
  const lastError = error instanceof Refusal ? `${error.code}: ${error.message}` : String(error)
  state.status = {
    ...status,
    isRunning: false,
    passes: status.passes + 1,
    failures: status.failures + 1,
    failuresInARow: status.failuresInARow + 1,
    durationMs: engine.clock.now() - (status.startedAt ?? engine.clock.now()),
    lastError,
  }
  engine.log.error({ job: job.name, err: error }, `the job ${job.name} failed and will come again`)
}

function newState(job: Job): State {
  const status: JobStatus = {
    name: job.name,
    intervalMs: job.intervalMs,
    isRunning: false,
    isHolder: false,
    passes: 0,
    failures: 0,
    failuresInARow: 0,
    worked: 0,
    startedAt: null,
    succeededAt: null,
    durationMs: null,
    lastError: null,
  }
  return { job, status, lease: null }
}

/**
 * TLS worker processes on one port. Each has its own event loop, its own handle on the store and its own listening socket
 * (SO_REUSEPORT): the kernel spreads connections, which costs nothing, where a round-robin cluster costs 15 % (PERF).
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { MetricsSnapshot } from '../api/metrics.ts'
import { type Clock, type Instant, minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { ServerIdentity } from '../protocols/tls-server.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

export interface WorkerPoolOptions {
  readonly count: number
  readonly start: Omit<ToWorker & { kind: 'start' }, 'kind'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly stopTimeoutMs: number
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A worker that dies is started again: at once the first time, ever later when it keeps dying. */
const restart = { baseMs: 200, capMs: 30_000 }
/** After living this long a worker counts as healthy again. */
const healthyAfterMs = minuteMs
const startTimeoutMs = 30_000
const snapshotTimeoutMs = 2_000

export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #slots = new Map<number, ChildProcess>()
  readonly #restarts: Promise<void>[] = []
  /** By slot: deaths in a row, each soon after the start. */
  readonly #deaths = new Map<number, number>()
  readonly #ending = new AbortController()
  #identity: ServerIdentity
  #port: number
  #snapshotId = 0

  private constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#identity = options.start.identity
    this.#port = options.start.port
  }

  /** Resolves when all listen. @throws Refusal `configuration-invalid` when a worker cannot start */
  static async open(options: WorkerPoolOptions): Promise<WorkerPool> {
    const pool = new WorkerPool(options)
    try {
      // The first one settles the port when it is 0; the others can then start together.
      await pool.#start(0)
      await Promise.all(Array.from({ length: options.count - 1 }, (_, index) => pool.#start(index + 1)))
    } catch (error) {
      await pool.stop()
      throw error
    }
    return pool
  }

  get port(): number {
    return this.#port
  }

  /** Workers that are running now. */
  get alive(): number {
    return this.#slots.size
  }

  get processIds(): number[] {
    return [...this.#slots.values()].flatMap((child) => child.pid ?? [])
  }

  reload(identity: ServerIdentity): void {
    this.#identity = identity
    for (const child of this.#slots.values()) tell(child, { kind: 'reload', identity })
  }

  /** Of the workers that answer in time. */
  async snapshots(): Promise<MetricsSnapshot[]> {
    const id = ++this.#snapshotId
    const answers = [...this.#slots.values()].map(async (child) => {
      const answer = hear(child, 'snapshot', (message) => message.id === id)
      tell(child, { kind: 'snapshot', id })
      const message = await this.#within(snapshotTimeoutMs, answer.heard)
      answer.forget()
      return message ? [message.metrics] : []
    })
    return (await Promise.all(answers)).flat()
  }

  /** Each worker finishes what it has begun, or is killed after the stop time-out. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await Promise.all(
      [...this.#slots.values()].map(async (child) => {
        const exited = exitOf(child)
        tell(child, { kind: 'stop' })
        // The worker itself gives up after its time-out; the rest is for flushing and closing.
        await this.#within(this.#options.stopTimeoutMs + 2_000, exited)
        child.kill('SIGKILL')
      }),
    )
    await Promise.all(this.#restarts)
  }

  async #start(slot: number): Promise<void> {
    const { clock, start, env } = this.#options
    const child = fork(new URL('worker.ts', import.meta.url), [], {
      execArgv: [],
      env: { ...env } as NodeJS.ProcessEnv,
    })
    this.#slots.set(slot, child)
    const startedAt = clock.now()
    const exited = exitOf(child)
    const failed = hear(child, 'failed').heard.then((message) => message.message)
    const listening = hear(child, 'listening').heard
    tell(child, { ...start, kind: 'start', identity: this.#identity, port: this.#port })
    const started = await this.#within(
      startTimeoutMs,
      Promise.race([listening, failed, exited.then((how) => `it ended with ${how}`)]),
    )
    if (typeof started !== 'object' || started === null) {
      this.#slots.delete(slot)
      child.kill('SIGKILL')
      throw new Refusal(
        'configuration-invalid',
        `a TLS worker could not start: ${started ?? 'no sign of life'}`,
      )
    }
    this.#port = started.port
    child.once('exit', (code, signal) => this.#died(slot, startedAt, signal ?? `exit code ${code}`))
  }

  #died(slot: number, startedAt: Instant, how: string): void {
    const { clock, log } = this.#options
    this.#slots.delete(slot)
    if (this.#ending.signal.aborted) return
    log.error({ slot, how }, 'a TLS worker died; starting another')
    const deaths = clock.now() - startedAt > healthyAfterMs ? 0 : (this.#deaths.get(slot) ?? 0)
    this.#deaths.set(slot, deaths + 1)
    this.#restarts.push(this.#restart(slot, deaths))
  }

  /** Until it runs again or the pool ends. */
  async #restart(slot: number, firstAttempt: number): Promise<void> {
    const { clock, random, log } = this.#options
    for (let attempt = firstAttempt; !this.#ending.signal.aborted; attempt++) {
      try {
        await clock.sleep(backoffMs(restart, attempt, random), this.#ending.signal)
        await this.#start(slot)
        return
      } catch (error) {
        if (!this.#ending.signal.aborted)
          log.error({ err: error, slot }, 'a TLS worker could not be restarted yet')
      }
    }
  }

  /** The value, or null after `ms`. */
  async #within<Value>(ms: number, value: Promise<Value>): Promise<Value | null> {
    const settled = new AbortController()
    const late = this.#options.clock.sleep(ms, settled.signal).then(
      () => null,
      () => null,
    )
    try {
      return await Promise.race([value, late])
    } finally {
      settled.abort()
    }
  }
}

function tell(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined)
}

type MessageOf<Kind extends FromWorker['kind']> = Extract<FromWorker, { kind: Kind }>

/** The next message of a kind. Never rejects: a worker that dies is noticed by its exit. */
function hear<Kind extends FromWorker['kind']>(
  child: ChildProcess,
  kind: Kind,
  isWanted: (message: MessageOf<Kind>) => boolean = () => true,
): { readonly heard: Promise<MessageOf<Kind>>; readonly forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<MessageOf<Kind>>()
  const listener = (message: unknown) => {
    const heard = message as FromWorker
    if (heard.kind !== kind || !isWanted(heard as MessageOf<Kind>)) return
    child.off('message', listener)
    resolve(heard as MessageOf<Kind>)
  }
  child.on('message', listener)
  return { heard: promise, forget: () => child.off('message', listener) }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
    child.once('error', (error) => resolve(error.message))
  })
}

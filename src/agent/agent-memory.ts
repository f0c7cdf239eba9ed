/** What the agent remembers between steps. None of it is needed to go on: losing it costs a question to the server. */
import { join } from 'node:path'
import { dayMs, type Instant } from '../base/clock.ts'
import { readPrivateFile, type ReadFile, type WriteFile } from './agent-directory.ts'
import { isInstant, isObject } from './agent-inbox.ts'

/** Why no request is made for now. */
export interface Hold {
  /** Local clock. A clock that is set back behind this instant voids the hold. */
  readonly setAt: Instant
  readonly until: Instant
  readonly why: string
}

export interface TimeHint {
  /** Local clock. */
  readonly observedAt: Instant
  /** Server's clock less ours, ms. */
  readonly offsetMs: number
}

export interface Attempt {
  readonly at: Instant
  readonly step: string
  readonly outcome: 'done' | 'waiting' | 'refused' | 'failed'
  readonly detail: string
}

export interface AgentMemory {
  /** Failures in a row: the backoff grows with them. */
  readonly failures: number
  /** Refusals of the key that is being certified: after some of them a new key is made. */
  readonly refusals: number
  /** Fingerprint of a certificate that the server would not let in. */
  readonly refusedTrial: string | null
  readonly hold: Hold | null
  readonly time: TimeHint | null
  /** When the certificate in use came into use, if its predecessor was renewed on somebody's wish. */
  readonly summonedAt: Instant | null
  /** When a renewal hint is worth asking for again. */
  readonly hintAskAt: Instant | null
  /** Newest last. */
  readonly attempts: readonly Attempt[]
}

export const noMemory: AgentMemory = {
  failures: 0,
  refusals: 0,
  refusedTrial: null,
  hold: null,
  time: null,
  summonedAt: null,
  hintAskAt: null,
  attempts: [],
}

/** A new certificate is not asked about for a day. */
export const firstHintMs = dayMs

const keptAttempts = 20

export function withAttempt(memory: AgentMemory, attempt: Attempt): AgentMemory {
  return { ...memory, attempts: [...memory.attempts, attempt].slice(-keptAttempts) }
}

/** The hold, while it holds. */
export function holdAt({ hold }: AgentMemory, now: Instant): Hold | null {
  return hold && now >= hold.setAt && now < hold.until ? hold : null
}

/** What the server's clock said, while it can be believed: a clock that jumps makes it stale. */
export function timeHintAt({ time }: AgentMemory, now: Instant): TimeHint | null {
  return time && now >= time.observedAt && now - time.observedAt <= dayMs ? time : null
}

export class MemoryFile {
  readonly #path: string
  readonly #write: WriteFile
  readonly #read: ReadFile

  constructor(directory: string, write: WriteFile, read: ReadFile = readPrivateFile) {
    this.#read = read
    this.#path = join(directory, 'memory.json')
    this.#write = write
  }

  async read(): Promise<AgentMemory> {
    const text = await this.#read(this.#path)
    return text === null ? noMemory : (parseMemory(text) ?? noMemory)
  }

  async save(memory: AgentMemory): Promise<void> {
    await this.#write(this.#path, `${JSON.stringify(memory, null, 1)}\n`, 0o600)
  }
}

function parseMemory(text: string): AgentMemory | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(value)) return null
  const { failures, refusals, refusedTrial, hold, time, summonedAt, hintAskAt, attempts } = value
  if (!Array.isArray(attempts)) return null
  return {
    failures: count(failures),
    refusals: count(refusals),
    refusedTrial: typeof refusedTrial === 'string' ? refusedTrial : null,
    hold: isObject(hold) ? holdOf(hold) : null,
    time: isObject(time) ? timeOf(time) : null,
    summonedAt: isInstant(summonedAt) ? summonedAt : null,
    hintAskAt: isInstant(hintAskAt) ? hintAskAt : null,
    attempts: attempts.filter(isAttempt),
  }
}

function holdOf({ setAt, until, why }: Record<string, unknown>): Hold | null {
  return isInstant(setAt) && isInstant(until) ? { setAt, until, why: String(why) } : null
}

function timeOf({ observedAt, offsetMs }: Record<string, unknown>): TimeHint | null {
  return isInstant(observedAt) && isInstant(offsetMs) ? { observedAt, offsetMs } : null
}

function isAttempt(value: unknown): value is Attempt {
  return (
    isObject(value) &&
    isInstant(value['at']) &&
    typeof value['step'] === 'string' &&
    typeof value['detail'] === 'string' &&
    ['done', 'waiting', 'refused', 'failed'].includes(String(value['outcome']))
  )
}

function count(value: unknown): number {
  return isInstant(value) && value > 0 ? value : 0
}

/**
 * Group commit on SQLite. Units of work queue; a group of them shares one BEGIN IMMEDIATE and one COMMIT with its fsync,
 * one after the other. A unit that throws is rolled back alone. Every promise, of success or of failure, settles after
 * the commit: what a unit saw of its neighbours is then durable.
 *
 * Units hardly ever throw, and a savepoint keeps a copy in memory of every page that its statements change: a tenth of
 * a unit's cost, and most of an import's. So units run without, and when one throws the group is rolled back and its
 * units run again, each in a savepoint of its own. That is why a unit may run twice, as on PostgreSQL.
 */
import type { DatabaseSync } from 'node:sqlite'
import { stopwatch, watchTurns, type Clock } from '../base/clock.ts'
import { InvariantError, Refusal } from '../base/errors.ts'
import { gather } from '../base/gather.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import { isSqliteBusy, sqliteRefusal, type SqliteConnection } from './dialects/sqlite.ts'
import { closeUnitEnd, openUnitEnd, UnitEnd, unitEndOf, writeUnitEnd } from './unit-end.ts'
import type { Tx } from './schema.ts'
import type { TransactionGuard, Unit, Work } from './transaction.ts'

/** A group takes no further unit after so many ms. */
const groupMs = 10
/** A group waits no longer than this for company, however busy the process is. */
const gatherMs = 20
/** A group takes no more units than this. */
const groupUnits = 512
/** A unit that has waited this long for the write lock is refused. */
export const lockWaitMs = 10_000
/** Waits between two attempts at the lock: short, because a busy process lets go of it for a moment only. */
export const lockBackoff = { baseMs: 1, capMs: 3 }
/** So long after another process was met, each group leaves a gap of a ms in which that one can get the lock. */
const courtesyMs = 1_000

type Outcome = { readonly value: unknown } | { readonly error: unknown }

interface Queued extends Unit {
  readonly queuedAt: number
  readonly work: Work<unknown>
  /** Runs in a savepoint: a unit of its group threw. */
  isCareful: boolean
  /** Set once the work is done; the promise settles after the commit. */
  outcome: Outcome | null
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

export interface GroupCommitParts {
  readonly database: DatabaseSync
  readonly connection: SqliteConnection
  readonly tx: Tx
  readonly guard: TransactionGuard
  readonly clock: Clock
  readonly random: Random
  /** Called after each group. */
  readonly onCommit: () => void
}

export class GroupCommit {
  readonly #parts: GroupCommitParts
  #queue: Queued[] = []
  #current: Queued | null = null
  /** Settles when the queue is empty; null when it is. */
  #running: Promise<void> | null = null
  #underWay: Promise<void> | null = null
  #courteousUntil = 0
  #isClosed = false

  constructor(parts: GroupCommitParts) {
    this.#parts = parts
  }

  run<T>(work: Work<T>): Promise<T> {
    if (this.#isClosed) throw new InvariantError('the store is closed')
    return new Promise<T>((resolve, reject) => {
      const queuedAt = this.#parts.clock.now()
      this.#queue.push({ queuedAt, work, isCareful: false, outcome: null, resolve, reject, isOpen: true })
      this.#running ??= this.#drain()
    })
  }

  /** The unit that may use the writing connection now. */
  get current(): Unit | null {
    return this.#current
  }

  /** A promise while a group is under way: a reader on the same connection must not see half of it. */
  get underWay(): Promise<void> | null {
    return this.#underWay
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      // requests under way become units of this group
      await gather({ count: () => this.#queue.length, most: groupUnits, longestMs: gatherMs })
      if (!(await this.#begin())) continue
      this.#underWay = this.#group()
      await this.#underWay
      const { clock } = this.#parts
      if (this.#queue.length > 0 && clock.now() < this.#courteousUntil) await clock.sleep(1)
    }
    this.#running = null
  }

  /** Takes the write lock, or refuses the units that have waited too long. @returns whether a group may run */
  async #begin(): Promise<boolean> {
    for (let attempt = 0; this.#queue.length > 0; attempt++) {
      try {
        this.#parts.database.exec('begin immediate')
        return true
      } catch (error) {
        if (!isSqliteBusy(error)) {
          this.#refuse(() => true, sqliteRefusal(error))
          return false
        }
        this.#courteousUntil = this.#parts.clock.now() + courtesyMs
        const latest = this.#parts.clock.now() - lockWaitMs
        this.#refuse((unit) => unit.queuedAt <= latest, storeBusy(error))
        if (this.#queue.length > 0) {
          await this.#parts.clock.sleep(backoffMs(lockBackoff, attempt, this.#parts.random))
        }
      }
    }
    return false
  }

  #refuse(which: (unit: Queued) => boolean, error: unknown): void {
    const refused = this.#queue.filter(which)
    this.#queue = this.#queue.filter((unit) => !refused.includes(unit))
    for (const unit of refused) {
      unit.isOpen = false
      unit.reject(error)
    }
  }

  async #group(): Promise<void> {
    const { database } = this.#parts
    const done: Queued[] = []
    try {
      await this.#units(done)
      if (database.isTransaction) database.exec('commit')
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      for (const unit of done) unit.outcome = { error }
    }
    this.#underWay = null
    for (const unit of done) settle(unit)
    this.#parts.onCommit()
  }

  /** Runs units from the queue until the group is full. Throws when the whole group is lost. */
  async #units(done: Queued[]): Promise<void> {
    const { connection, database } = this.#parts
    const end = new UnitEnd()
    const elapsed = stopwatch()
    // Every query of SQLite is synchronous, so a whole group runs within one turn of the event loop. A turn that passes
    // means that the unit waits for a timer, a socket or a thread, and with it everyone behind it.
    const watch = watchTurns(() => this.#abandonCurrent())
    try {
      for (;;) {
        const unit = this.#queue.shift()
        if (!unit) break
        done.push(unit)
        // Nothing is lost when the first one rolls back the transaction itself.
        const isFirst = done.length === 1
        const inSavepoint = unit.isCareful && !isFirst
        if (inSavepoint) connection.run('savepoint unit', [])
        const outcome = await this.#work(unit, end)
        unit.outcome = outcome
        const hasFailed = 'error' in outcome
        if (hasFailed && isFirst) {
          if (database.isTransaction) database.exec('rollback')
          return
        }
        // On a full disk or a failed read SQLite may have rolled the whole group back by itself.
        if (!database.isTransaction) throw hasFailed ? outcome.error : new InvariantError(endedEarly)
        if (hasFailed && !inSavepoint) {
          database.exec('rollback')
          this.#repeatWithCare(done.splice(0))
          return
        }
        if (inSavepoint) {
          if (hasFailed) connection.run('rollback to unit', [])
          connection.run('release unit', [])
        }
        if (done.length >= groupUnits || elapsed() >= groupMs) break
      }
      await this.#writeUnitEnd(end)
    } finally {
      watch.stop()
    }
  }

  /** Puts units that were rolled back at the head of the queue. All that wait are careful too: no unit runs three times. */
  #repeatWithCare(units: readonly Queued[]): void {
    for (const unit of units) {
      unit.outcome = null
      unit.isOpen = true
    }
    this.#queue.unshift(...units)
    for (const unit of this.#queue) unit.isCareful = true
  }

  async #work(unit: Queued, end: UnitEnd): Promise<Outcome> {
    const { guard, tx } = this.#parts
    this.#current = unit
    openUnitEnd(tx)
    try {
      const value = await new Promise((resolve, reject) => {
        this.#abandonCurrent = () => reject(new InvariantError(foreignWait))
        guard.enter(unit, () => unit.work(tx)).then(resolve, reject)
      })
      end.merge(unitEndOf(tx))
      return { value }
    } catch (error) {
      return { error }
    } finally {
      closeUnitEnd(tx)
      unit.isOpen = false
      this.#current = null
      this.#abandonCurrent = () => {}
    }
  }

  #abandonCurrent: () => void = () => {}

  async #writeUnitEnd(end: UnitEnd): Promise<void> {
    const { guard, tx } = this.#parts
    const unit: Queued = {
      queuedAt: 0,
      work: noWork,
      isCareful: false,
      outcome: null,
      resolve: noWork,
      reject: noWork,
      isOpen: true,
    }
    this.#current = unit
    try {
      await guard.enter(unit, () => writeUnitEnd(tx, end, 0))
    } finally {
      this.#current = null
    }
  }
}

async function noWork(): Promise<void> {}

function settle(unit: Queued): void {
  const { outcome } = unit
  if (outcome && 'value' in outcome) unit.resolve(outcome.value as never)
  else unit.reject(sqliteRefusal(outcome?.error))
}

const endedEarly = 'a unit of work ended the transaction that it shares with others'

const foreignWait =
  'a unit of work waited for something other than the database: do that before or after the transaction'

export function storeBusy(cause: unknown): Refusal {
  return new Refusal(
    'store-busy',
    `another process held the database for more than ${lockWaitMs / 1000} s: repeat later, and look for a program that keeps it open`,
    { cause, retryAfterMs: lockWaitMs },
  )
}

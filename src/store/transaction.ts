/**
 * The guard of the units of work. A unit is the function given to `store.transaction`; while it runs, `store.db` and a
 * second `store.transaction` throw at once, because on SQLite they would wait for the unit that waits for them.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { InvariantError } from '../base/errors.ts'
import type { Tx } from './schema.ts'

/** Statements only: awaits nothing but queries on `tx`, signs nothing, calls no one. */
export type Work<T> = (tx: Tx) => Promise<T>

export interface Unit {
  isOpen: boolean
}

export class TransactionGuard {
  readonly #units = new AsyncLocalStorage<Unit>()

  /** Runs `work` marked as part of `unit`; the mark follows everything that it awaits. */
  enter<T>(unit: Unit, work: () => T): T {
    return this.#units.run(unit, work)
  }

  isInside(unit: Unit | null): boolean {
    return unit !== null && unit.isOpen && this.#units.getStore() === unit
  }

  assertOutside(what: 'db' | 'transaction'): void {
    if (this.#units.getStore()?.isOpen !== true) return
    throw new InvariantError(
      what === 'db'
        ? 'store.db was used inside a transaction: use the transaction that the function was given'
        : 'a transaction was opened inside a transaction: pass the outer one on',
    )
  }
}

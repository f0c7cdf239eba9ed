/**
 * What a unit of work collects in memory and writes last: facts, and roll-ups, the sums that pages show. So the locks on
 * the rows of the sums are held for the shortest time, and on SQLite all units of one physical commit share one statement
 * for the facts and one for each sum. It is the same transaction; only the unit itself cannot read it back.
 */
import { sql } from 'kysely'
import { assert } from '../base/errors.ts'
import { dayMs, type Instant } from '../base/clock.ts'
import { preparedRows } from './prepared.ts'
import type { Schema, Tx } from './schema.ts'

export interface NewFact {
  readonly at: Instant
  readonly action: string
  readonly subject: string
  /** The exact canonical bytes that are hashed. */
  readonly entry: Uint8Array
}

/** What identifies one sum of certificates that are live and expire on one day. */
export interface ExpiryKey {
  readonly notAfter: Instant
  readonly issuerId: string
  readonly profile: string | null
  readonly cohort: string | null
}

export class UnitEnd {
  readonly facts: NewFact[] = []
  readonly #counters: CounterChange[] = []
  readonly #expiries: ExpiryChange[] = []

  add(name: string, delta: number): void {
    this.#counters.push({ name, delta })
  }

  addExpiry(key: ExpiryKey, delta: number): void {
    this.#expiries.push({ key, delta })
  }

  merge(other: UnitEnd): void {
    for (const fact of other.facts) this.facts.push(fact)
    for (const change of other.#counters) this.#counters.push(change)
    for (const change of other.#expiries) this.#expiries.push(change)
  }

  /** What is left of all changes, by name. */
  counters(): Map<string, number> {
    const sums = new Map<string, number>()
    for (const { name, delta } of this.#counters) sums.set(name, (sums.get(name) ?? 0) + delta)
    return sums
  }

  expiries(): ExpiryCell[] {
    const sums = new ExpirySums()
    for (const { key, delta } of this.#expiries) sums.add(key, delta)
    return sums.cells()
  }
}

interface CounterChange {
  readonly name: string
  readonly delta: number
}

interface ExpiryChange {
  readonly key: ExpiryKey
  readonly delta: number
}

type ExpiryCell = Omit<Schema['expiry_counts'], 'slot'>

/** Maps in maps: one joined text as the key would cost an import more than its binding to SQL. */
class ExpirySums {
  readonly #byCohort = new Map<string, Map<string, Map<string, Map<number, number>>>>()

  add({ notAfter, cohort, profile, issuerId }: ExpiryKey, delta: number): void {
    const day = Math.floor(notAfter / dayMs)
    const days = inside(inside(inside(this.#byCohort, cohort ?? ''), profile ?? ''), issuerId)
    days.set(day, (days.get(day) ?? 0) + delta)
  }

  cells(): ExpiryCell[] {
    const cells: ExpiryCell[] = []
    for (const [cohort, byProfile] of this.#byCohort) {
      for (const [profile, byIssuer] of byProfile) {
        for (const [issuer, days] of byIssuer) {
          for (const [day, count] of days) cells.push({ day, cohort, profile, issuer_id: issuer, count })
        }
      }
    }
    return cells
  }
}

function inside<Key, InnerKey, Value>(map: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  let inner = map.get(key)
  if (!inner) {
    inner = new Map()
    map.set(key, inner)
  }
  return inner
}

const open = new WeakMap<Tx, UnitEnd>()

/** For the stores only: begins to collect for one unit of work. */
export function openUnitEnd(tx: Tx): void {
  open.set(tx, new UnitEnd())
}

/** For the stores only: ends the collection. */
export function closeUnitEnd(tx: Tx): UnitEnd {
  const end = unitEndOf(tx)
  open.delete(tx)
  return end
}

export function unitEndOf(tx: Tx): UnitEnd {
  const end = open.get(tx)
  assert(end, 'facts and sums change only inside a unit of work')
  return end
}

const upsertCounters = preparedRows<Schema['counters'], never>((db, rows) =>
  db
    .insertInto('counters')
    .values(rows.map((row) => ({ name: row.name, slot: row.slot, value: row.value })))
    .onConflict((on) =>
      on.columns(['name', 'slot']).doUpdateSet({ value: sql`counters.value + excluded.value` }),
    ),
)

const upsertExpiries = preparedRows<Schema['expiry_counts'], never>((db, rows) =>
  db
    .insertInto('expiry_counts')
    .values(
      rows.map((row) => ({
        day: row.day,
        issuer_id: row.issuer_id,
        profile: row.profile,
        cohort: row.cohort,
        slot: row.slot,
        count: row.count,
      })),
    )
    .onConflict((on) =>
      on
        .columns(['day', 'cohort', 'profile', 'issuer_id', 'slot'])
        .doUpdateSet({ count: sql`expiry_counts.count + excluded.count` }),
    ),
)

const insertFacts = preparedRows<NewFact, never>((db, rows) =>
  db.insertInto('facts').values(
    rows.map((row) => ({
      at: row.at,
      action: row.action,
      subject: row.subject,
      entry: row.entry,
      log_index: null,
    })),
  ),
)

/**
 * Writes the facts in their order, and the sums in the order of their keys so that two writers cannot wait for each other
 * in a circle.
 * @param slot which copy of each sum to add to: PostgreSQL spreads writers over several, a reader adds them up
 */
export async function writeUnitEnd(tx: Tx, end: UnitEnd, slot: number): Promise<void> {
  await insertFacts(tx, end.facts)
  const counters = [...end.counters()].filter(([, delta]) => delta !== 0).sort(([a], [b]) => byText(a, b))
  await upsertCounters(
    tx,
    counters.map(([name, value]) => ({ name, slot, value })),
  )
  const expiries = end
    .expiries()
    .filter(({ count }) => count !== 0)
    .sort(byPrimaryKey)
  await upsertExpiries(
    tx,
    expiries.map((cell) => Object.assign(cell, { slot })),
  )
}

function byPrimaryKey(a: ExpiryCell, b: ExpiryCell): number {
  return (
    a.day - b.day ||
    byText(a.cohort, b.cohort) ||
    byText(a.profile, b.profile) ||
    byText(a.issuer_id, b.issuer_id)
  )
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

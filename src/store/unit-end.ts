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
  readonly counters = new Map<string, number>()
  readonly expiries = new Map<string, ExpiryCell>()
  readonly facts: NewFact[] = []

  add(name: string, delta: number): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + delta)
  }

  addExpiry(key: ExpiryKey, delta: number): void {
    const day = Math.floor(key.notAfter / dayMs)
    const profile = key.profile ?? ''
    const cohort = key.cohort ?? ''
    const id = `${String(day).padStart(7, '0')}\0${cohort}\0${profile}\0${key.issuerId}`
    const cell = this.expiries.get(id)
    if (cell) cell.count += delta
    else this.expiries.set(id, { day, issuer_id: key.issuerId, profile, cohort, count: delta })
  }

  merge(other: UnitEnd): void {
    for (const fact of other.facts) this.facts.push(fact)
    for (const [name, delta] of other.counters) this.add(name, delta)
    for (const [id, cell] of other.expiries) {
      const own = this.expiries.get(id)
      if (own) own.count += cell.count
      else this.expiries.set(id, { ...cell })
    }
  }
}

interface ExpiryCell {
  readonly day: number
  readonly issuer_id: string
  readonly profile: string
  readonly cohort: string
  count: number
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
  const counters = [...end.counters].filter(([, delta]) => delta !== 0).sort(byKey)
  await upsertCounters(
    tx,
    counters.map(([name, value]) => ({ name, slot, value })),
  )
  const expiries = [...end.expiries].filter(([, cell]) => cell.count !== 0).sort(byKey)
  await upsertExpiries(
    tx,
    expiries.map(([, cell]) => Object.assign(cell, { slot })),
  )
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

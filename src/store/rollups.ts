/**
 * Roll-ups: sums that pages show, kept in the same transaction as the rows they count. A unit of work collects its
 * changes in memory and they are written last, so that the rows' locks are held for the shortest time; on SQLite all
 * units of one physical commit share one write. Inside the unit the sums read as they were before it.
 */
import { sql } from 'kysely'
import { assert } from '../base/errors.ts'
import { dayMs, type Instant } from '../base/clock.ts'
import { preparedRows } from './prepared.ts'
import type { Schema, Tx } from './schema.ts'

/** What identifies one sum of certificates that are live and expire on one day. */
export interface ExpiryKey {
  readonly notAfter: Instant
  readonly issuerId: string
  readonly profile: string | null
  readonly cohort: string | null
}

export class Rollup {
  readonly counters = new Map<string, number>()
  readonly expiries = new Map<string, ExpiryCell>()

  add(name: string, delta: number): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + delta)
  }

  addExpiry(key: ExpiryKey, delta: number): void {
    const day = Math.floor(key.notAfter / dayMs)
    const profile = key.profile ?? ''
    const cohort = key.cohort ?? ''
    const id = `${String(day).padStart(7, '0')}\0${key.issuerId}\0${profile}\0${cohort}`
    const cell = this.expiries.get(id)
    if (cell) cell.count += delta
    else this.expiries.set(id, { day, issuer_id: key.issuerId, profile, cohort, count: delta })
  }

  merge(other: Rollup): void {
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

const open = new WeakMap<Tx, Rollup>()

/** For the engines only: begins to collect for one unit of work. */
export function openRollup(tx: Tx): void {
  open.set(tx, new Rollup())
}

/** For the engines only: ends the collection. */
export function closeRollup(tx: Tx): Rollup {
  const rollup = rollupOf(tx)
  open.delete(tx)
  return rollup
}

export function rollupOf(tx: Tx): Rollup {
  const rollup = open.get(tx)
  assert(rollup, 'sums change only inside a unit of work')
  return rollup
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
        .columns(['day', 'issuer_id', 'profile', 'cohort', 'slot'])
        .doUpdateSet({ count: sql`expiry_counts.count + excluded.count` }),
    ),
)

/**
 * Writes the sums, in the order of their keys so that two writers cannot wait for each other in a circle.
 * @param slot which copy of each sum to add to: PostgreSQL spreads writers over several, a reader adds them up
 */
export async function writeRollup(tx: Tx, rollup: Rollup, slot: number): Promise<void> {
  const counters = [...rollup.counters].filter(([, delta]) => delta !== 0).sort(byKey)
  await upsertCounters(
    tx,
    counters.map(([name, value]) => ({ name, slot, value })),
  )
  const expiries = [...rollup.expiries].filter(([, cell]) => cell.count !== 0).sort(byKey)
  await upsertExpiries(
    tx,
    expiries.map(([, cell]) => Object.assign(cell, { slot })),
  )
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

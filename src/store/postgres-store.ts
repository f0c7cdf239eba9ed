/** The store on PostgreSQL: one pool for reads and transactions, for fleets that have outgrown one machine. */
import { Kysely, sql } from 'kysely'
import { Refusal } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import { isRepeatable, openPool, postgresDialect } from './dialects/postgres.ts'
import { migrateToLatest, schemaVersion } from './migrations.ts'
import type { Store, StoreParts } from './open.ts'
import { closeUnitEnd, openUnitEnd, writeUnitEnd } from './unit-end.ts'
import type { Schema, Tx } from './schema.ts'
import { TransactionGuard, type Unit, type Work } from './transaction.ts'

/** Copies of each sum: that many transactions can add to it at the same time. */
const rollupSlots = 16
/** A unit of work that deadlocks so often has lost its way. */
const maxAttempts = 8
const repeatBackoff = { baseMs: 2, capMs: 200 }

export function openPostgresStore(url: string, parts: StoreParts): Store {
  const pool = openPool(url, parts.log)
  const guard = new TransactionGuard()
  const db = new Kysely<Schema>({ dialect: postgresDialect(pool, () => guard.assertOutside('db')) })
  const writer = new Kysely<Schema>({ dialect: postgresDialect(pool, () => {}) })
  let units = 0
  let closing: Promise<void> | null = null

  async function once<T>(work: Work<T>): Promise<T> {
    const slot = units++ % rollupSlots
    return writer
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (tx) => {
        const unit: Unit = { isOpen: true }
        openUnitEnd(tx)
        try {
          const value = await guard.enter(unit, () => work(tx))
          await writeUnitEnd(tx, closeUnitEnd(tx), slot)
          return value
        } finally {
          unit.isOpen = false
        }
      })
  }

  async function transaction<T>(work: Work<T>): Promise<T> {
    guard.assertOutside('transaction')
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(work)
      } catch (error) {
        if (!isRepeatable(error) || attempt >= maxAttempts) throw error
        await parts.clock.sleep(backoffMs(repeatBackoff, attempt, parts.random))
      }
    }
  }

  return {
    engine: 'postgres',
    db,
    transaction,
    migrate: () => transaction(migrateAlone),
    schemaVersion: () => schemaVersion(db),
    async backup() {
      throw new Refusal('not-implemented', 'use pg_dump to back up a PostgreSQL database')
    },
    close: () => (closing ??= pool.end()),
  }
}

/** Several nodes may start at once: the first one migrates, the others wait and find nothing to do. */
async function migrateAlone(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(7310579645)`.execute(tx)
  await migrateToLatest(tx, 'postgres')
}

/** For the first load of a big fleet: building an index once costs a third of growing it row by row. */
import { sql } from 'kysely'
import { Refusal } from '../base/errors.ts'
import { isUniqueViolation } from './dialects/errors.ts'
import { engineOf } from './prepared.ts'
import type { Tx } from './schema.ts'

/**
 * Runs an import without the secondary indexes of devices and certificates and builds them at its end, in the same unit
 * of work: all of it or nothing. Nobody else can write meanwhile (a running server refuses with `store-busy`), and it
 * pays only when the import is larger than what is stored. Two certificates that collide are found at the end: the whole
 * import is then refused with `already-exists`, where `insertCertificates` by itself would leave one of them out.
 */
export async function withIndexesLast<T>(tx: Tx, work: () => Promise<T>): Promise<T> {
  const indexes = await secondaryIndexes(tx)
  for (const { name } of indexes) await sql`drop index ${sql.id(name)}`.execute(tx)
  const value = await work()
  for (const { definition } of indexes) await rebuild(tx, definition)
  return value
}

interface Index {
  readonly name: string
  readonly definition: string
}

/**
 * Indexes with a definition of their own; primary keys have none. certificates_reserved and certificates_revoked stay: an
 * import has no reservations and next to nothing revoked, so they cost nothing, and building each reads the whole table.
 */
async function secondaryIndexes(tx: Tx): Promise<Index[]> {
  const query =
    engineOf(tx) === 'postgres'
      ? sql<Index>`
          select indexname as name, indexdef as definition from pg_indexes
          where schemaname = current_schema() and tablename in ('devices', 'certificates')
            and indexname not in (select conname from pg_constraint) and indexname not in ('certificates_reserved', 'certificates_revoked')
          order by indexname`
      : sql<Index>`
          select name, sql as definition from sqlite_schema
          where type = 'index' and tbl_name in ('devices', 'certificates') and sql is not null
            and name not in ('certificates_reserved', 'certificates_revoked')
          order by name`
  return (await query.execute(tx)).rows
}

async function rebuild(tx: Tx, definition: string): Promise<void> {
  try {
    await sql.raw(definition).execute(tx)
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw new Refusal(
      'already-exists',
      'two certificates of the import have the same issuer and serial number, or the same key for one device; nothing was stored: import them without building the indexes last, which names the ones that collide',
      { cause: error },
    )
  }
}

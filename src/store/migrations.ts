/** Schema changes in order. A migration that has left this repository is never edited: add the next one. */
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { Refusal } from '../base/errors.ts'
import { foundation } from './migrations/0001-foundation.ts'
import { renewals } from './migrations/0002-renewals.ts'
import { fingerprints } from './migrations/0003-fingerprints.ts'
import { revocation } from './migrations/0004-revocation.ts'
import { campaignCounts } from './migrations/0005-campaign-counts.ts'
import { forgetting } from './migrations/0006-forgetting.ts'
import { cases } from './migrations/0007-cases.ts'
import { status } from './migrations/0008-status.ts'
import { operators } from './migrations/0009-operators.ts'
import { alerts } from './migrations/0010-alerts.ts'
import { climbs } from './migrations/0011-campaigns.ts'
import { listing } from './migrations/0012-listing.ts'
import { rehearsals } from './migrations/0013-rehearsals.ts'
import { deviceOddities } from './migrations/0018-device-oddities.ts'
import type { Db, Engine, Tx } from './schema.ts'

const migrations: Readonly<Record<string, (engine: Engine) => string[]>> = {
  '0001-foundation': foundation,
  '0002-renewals': renewals,
  '0003-fingerprints': fingerprints,
  '0004-revocation': revocation,
  '0005-campaign-counts': campaignCounts,
  '0006-forgetting': forgetting,
  '0007-cases': cases,
  '0008-status': status,
  '0009-operators': operators,
  '0010-alerts': alerts,
  '0011-campaigns': climbs,
  '0012-listing': listing,
  '0013-rehearsals': rehearsals,
  '0018-device-oddities': deviceOddities,
}

/** Every statement that leads to the schema of today. */
export function schemaStatements(engine: Engine): string[] {
  return Object.values(migrations).flatMap((statements) => statements(engine))
}

export interface SchemaVersion {
  /** Names of the migrations that the database has seen, oldest first. */
  readonly applied: readonly string[]
  /** Names of those still to run; empty when the database is ready. */
  readonly pending: readonly string[]
}

/** Brings the schema up to date: all of it or nothing. */
export async function migrateToLatest(tx: Tx, engine: Engine): Promise<void> {
  const migrator = new Migrator({
    db: tx,
    provider: { getMigrations: () => Promise.resolve(compiled(engine)) },
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

function compiled(engine: Engine): Record<string, Migration> {
  return Object.fromEntries(
    Object.entries(migrations).map(([name, statements]) => [
      name,
      {
        async up(db: Kysely<unknown>) {
          for (const statement of statements(engine)) await sql.raw(statement).execute(db)
        },
      },
    ]),
  )
}

/** Refuses when a newer Perennial wrote the database. */
export async function schemaVersion(db: Db): Promise<SchemaVersion> {
  const applied = await appliedMigrations(db)
  const known = Object.keys(migrations)
  const unknown = applied.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new Refusal(
      'data-directory-newer',
      `the database was written by a newer version (it has ${unknown.join(', ')}): start that version, or restore an older backup`,
    )
  }
  return { applied, pending: known.filter((name) => !applied.includes(name)) }
}

async function appliedMigrations(db: Db): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some((table) => table.name === 'kysely_migration')) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.map((row) => row.name)
}

/** Runs a suite against every engine of the store. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'
import { openStore, type Store } from '../../src/store/open.ts'
import { startPostgres, whyNoPostgres, type PostgresServer } from './postgres.ts'

export type EngineName = 'sqlite in memory' | 'sqlite file' | 'postgres'

export interface StoreOpener {
  /** A fresh, empty, migrated store; closed at the end of the suite when the test has not done so. */
  (): Promise<Store>
  /** Where a fresh, empty database is, for tests that open it more than once. */
  url(): Promise<string>
}

export const allEngines: readonly EngineName[] = ['sqlite in memory', 'sqlite file', 'postgres']

/**
 * @param suite declares tests with `test(…)`; called once for each engine, inside a `describe` of its name. An engine
 *   that this machine does not have is reported as skipped, with the reason.
 */
export function forEachStore(
  suite: (name: EngineName, open: StoreOpener) => void,
  engines: readonly EngineName[] = ['sqlite in memory', 'postgres'],
): void {
  for (const name of engines) {
    const reason = name === 'postgres' ? whyNoPostgres() : null
    describe(`store: ${name}`, reason === null ? {} : { skip: reason }, () => {
      const databases = databasesOf(name)
      const stores: Store[] = []
      after(async () => {
        for (const store of stores) await store.close()
        await databases.end()
      })
      const open = async (): Promise<Store> => {
        const url = await (databases.createMigrated ?? databases.create)()
        const store = await openStore({ url, synchronous: 'off' })
        stores.push(store)
        if (!databases.createMigrated) await store.migrate()
        return store
      }
      suite(name, Object.assign(open, { url: databases.create }))
    })
  }
}

interface Databases {
  /** An empty database. */
  create(): Promise<string>
  /** One with the schema in place, for engines where copying is quicker than migrating. */
  createMigrated?(): Promise<string>
  end(): Promise<void>
}

function databasesOf(name: EngineName): Databases {
  switch (name) {
    case 'sqlite in memory':
      return { create: async () => 'sqlite::memory:', end: async () => {} }
    case 'sqlite file':
      return sqliteFiles()
    case 'postgres':
      return postgresDatabases()
  }
}

function sqliteFiles(): Databases {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-store-'))
  let count = 0
  return {
    create: async () => `sqlite:${join(directory, `${count++}.db`)}`,
    end: async () => rmSync(directory, { recursive: true, force: true }),
  }
}

function postgresDatabases(): Databases {
  let starting: Promise<{ readonly server: PostgresServer; readonly template: string }> | null = null
  const ready = () => (starting ??= started())
  return {
    async create() {
      return (await ready()).server.createDatabase()
    },
    async createMigrated() {
      const { server, template } = await ready()
      return server.createDatabase(template)
    },
    async end() {
      await (await starting)?.server.stop()
    },
  }
}

async function started(): Promise<{ readonly server: PostgresServer; readonly template: string }> {
  const server = await startPostgres()
  if ('reason' in server) throw new Error(server.reason)
  const template = await server.createDatabase()
  const store = await openStore({ url: template })
  await store.migrate()
  await store.close()
  return { server, template }
}

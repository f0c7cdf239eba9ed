/** Opens the one database of a Perennial: embedded SQLite or PostgreSQL behind the same interface. */
import { systemClock, type Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { silentLog, type Log } from '../base/log.ts'
import { systemRandom, type Random } from '../base/random.ts'
import type { SchemaVersion } from './migrations.ts'
import { openPostgresStore } from './postgres-store.ts'
import type { Db, Engine } from './schema.ts'
import { openSqliteStore } from './sqlite-store.ts'
import type { Work } from './transaction.ts'

export interface Store {
  readonly engine: Engine
  /** Reads of committed state, outside transactions; throws when it is used inside one. */
  readonly db: Db
  /**
   * Runs a unit of work and resolves after its durable commit; when `work` throws, nothing of it is stored and the error
   * comes out unchanged. On SQLite many units share one physical commit. On PostgreSQL `work` runs again after a deadlock.
   * Refuses with `store-busy` when another process holds the database for 10 s, and `disk-full`.
   */
  transaction<T>(work: Work<T>): Promise<T>
  /** Brings the schema up to date, all of it or nothing; harmless when it is. */
  migrate(): Promise<void>
  /** Refuses with `data-directory-newer` when a newer Perennial wrote the database. */
  schemaVersion(): Promise<SchemaVersion>
  /** Copies the database to a new file while it is in use. SQLite only. */
  backup(path: string): Promise<void>
  /** Finishes what was begun. Idempotent. */
  close(): Promise<void>
}

export interface StoreOptions {
  /** `sqlite:/path/file`, `sqlite::memory:` or `postgres://user:password@host:port/database`. */
  readonly url: string
  readonly log?: Log
  /** Times the waits for a lock that another process holds. Leave it out when the application lives in virtual time. */
  readonly clock?: Clock
  readonly random?: Random
  /** `off` trades the durability of the last seconds for speed: imports that can be repeated, and tests. SQLite only. */
  readonly synchronous?: 'full' | 'off'
  /**
   * For the first load of a big fleet: no other process may have the file open, which is refused with `store-busy` when
   * one has, and a transaction of gigabytes is written once instead of twice. With `synchronous: 'off'` what a rollback needs
   * is kept in memory: the file is of no use when the process dies. SQLite only.
   */
  readonly isExclusive?: boolean
  /** Page cache, kB; default 48 MB. SQLite only. */
  readonly cacheKb?: number
}

export interface StoreParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly synchronous: 'full' | 'off'
  readonly isExclusive: boolean
  /** Null: the default. */
  readonly cacheKb: number | null
}

/** Opens the database, creating an empty SQLite file when there is none. The schema is left alone: see `migrate`. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const store = await open(options)
  try {
    await store.schemaVersion()
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

async function open({ url, ...given }: StoreOptions): Promise<Store> {
  const parts: StoreParts = {
    clock: given.clock ?? systemClock,
    random: given.random ?? systemRandom,
    log: given.log ?? silentLog,
    synchronous: given.synchronous ?? 'full',
    isExclusive: given.isExclusive ?? false,
    cacheKb: given.cacheKb ?? null,
  }
  if (url.startsWith('sqlite:')) return openSqliteStore(url.slice('sqlite:'.length), parts)
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgresStore(url, parts)
  throw new Refusal(
    'configuration-invalid',
    'the database must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE',
  )
}

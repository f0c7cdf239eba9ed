/**
 * The store on SQLite: one connection, which writes behind the group commit and reads between its groups. A connection of
 * its own for reading would have to throw its page cache away after each commit: its look-ups cost a third more, and the
 * pages are in memory twice.
 */
import { backup, type DatabaseSync } from 'node:sqlite'
import { Kysely, Transaction } from 'kysely'
import { InvariantError } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import { Checkpointer } from './checkpointer.ts'
import {
  isSqliteBusy,
  openSqlite,
  SqliteConnection,
  kyselyOn,
  sqliteRefusal,
  type SqliteFile,
} from './dialects/sqlite.ts'
import { GroupCommit, lockBackoff, lockWaitMs, storeBusy } from './group-commit.ts'
import { migrateToLatest, schemaVersion } from './migrations.ts'
import type { Store, StoreParts } from './open.ts'
import type { Schema } from './schema.ts'
import { TransactionGuard } from './transaction.ts'

const defaultCacheKb = 48 * 1024
/** A backup reads every page once. */
const backupCacheKb = 1024

export async function openSqliteStore(path: string, parts: StoreParts): Promise<Store> {
  const isMemory = path === ':memory:'
  const isAlone = isMemory || parts.isExclusive
  const guard = new TransactionGuard()
  const file = { path, synchronous: parts.synchronous, isExclusive: parts.isExclusive && !isMemory }
  const database = await opened({ ...file, cacheKb: parts.cacheKb ?? defaultCacheKb, isReader: false }, parts)

  const writing = new SqliteConnection(database, {
    isReadOnly: false,
    gate: () => {
      if (!guard.isInside(group.current)) {
        throw new InvariantError('a transaction was used outside the function that it was given to')
      }
      return null
    },
    whenFree: (action) => action(),
  })
  const checkpointer = isAlone ? null : new Checkpointer(path, database, parts.log)
  const tx = new Transaction<Schema>(kyselyOn(writing))
  const group = new GroupCommit({
    ...parts,
    database,
    connection: writing,
    tx,
    guard,
    onCommit: () => checkpointer?.committed(),
  })
  const reading = new SqliteConnection(database, {
    isReadOnly: true,
    gate: () => {
      guard.assertOutside('db')
      // nobody sees half of a group
      return group.underWay
    },
    whenFree: (action) => whenFree(action, parts),
  })
  const db = new Kysely<Schema>(kyselyOn(reading))

  let closing: Promise<void> | null = null
  async function close(): Promise<void> {
    await group.close()
    await checkpointer?.close()
    // the last process to close the file writes the log back into it
    database.close()
  }

  return {
    engine: 'sqlite',
    db,
    transaction(work) {
      guard.assertOutside('transaction')
      return group.run(work)
    },
    migrate: () => group.run((unit) => migrateToLatest(unit, 'sqlite')),
    schemaVersion: () => schemaVersion(db),
    async backup(target) {
      // in steps, with a snapshot of its own: groups go on meanwhile
      const source = isAlone
        ? database
        : await opened({ ...file, cacheKb: backupCacheKb, isReader: true }, parts)
      try {
        await backup(source, target)
      } finally {
        if (source !== database) source.close()
      }
    },
    close: () => (closing ??= close()),
  }
}

/** Another process that opens the file at the same moment is waited for. */
async function opened(file: SqliteFile, parts: StoreParts): Promise<DatabaseSync> {
  return whenFree(() => {
    try {
      return openSqlite(file)
    } catch (error) {
      throw isSqliteBusy(error) ? error : sqliteRefusal(error)
    }
  }, parts)
}

/** Reads are refused only while another process recovers the log or empties it on closing. */
function whenFree<T>(action: () => T, parts: StoreParts): T | Promise<T> {
  try {
    return action()
  } catch (error) {
    if (!isSqliteBusy(error)) throw sqliteRefusal(error)
    return repeated(action, parts)
  }
}

async function repeated<T>(action: () => T, { clock, random }: StoreParts): Promise<T> {
  const until = clock.now() + lockWaitMs
  for (let attempt = 0; ; attempt++) {
    await clock.sleep(backoffMs(lockBackoff, attempt, random))
    try {
      return action()
    } catch (error) {
      if (!isSqliteBusy(error)) throw sqliteRefusal(error)
      if (clock.now() >= until) throw storeBusy(error)
    }
  }
}

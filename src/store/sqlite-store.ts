/** The store on SQLite: one writing connection behind the group commit, one reading connection beside it. */
import { backup, type DatabaseSync } from 'node:sqlite'
import { Kysely, Transaction } from 'kysely'
import { InvariantError } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import { Checkpointer } from './checkpointer.ts'
import {
  isSqliteBusy,
  isSqliteReadOnly,
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

const writerCacheKb = 48 * 1024
/** Small: what it holds is void with each commit of the writer. */
const readerCacheKb = 8 * 1024

export async function openSqliteStore(path: string, parts: StoreParts): Promise<Store> {
  const isMemory = path === ':memory:'
  // Such a database belongs to its connection: reads share it and wait for the group that is under way.
  const isAlone = isMemory || parts.isExclusive
  const guard = new TransactionGuard()
  const file = { path, synchronous: parts.synchronous, isExclusive: parts.isExclusive && !isMemory }
  const writer = await opened({ ...file, cacheKb: writerCacheKb, isReader: false }, parts)
  const reader = isAlone ? writer : await opened({ ...file, cacheKb: readerCacheKb, isReader: true }, parts)

  const writing = new SqliteConnection(
    writer,
    () => {
      if (!guard.isInside(group.current)) {
        throw new InvariantError('a transaction was used outside the function that it was given to')
      }
      return null
    },
    (action) => action(),
  )
  const checkpointer = isAlone ? null : new Checkpointer(path, writer, parts.log)
  const tx = new Transaction<Schema>(kyselyOn(writing))
  const group = new GroupCommit({
    ...parts,
    database: writer,
    connection: writing,
    tx,
    guard,
    onCommit: () => checkpointer?.committed(),
  })
  const reading = new SqliteConnection(
    reader,
    () => {
      guard.assertOutside('db')
      return isAlone ? group.underWay : null
    },
    (action) => whenFree(action, parts),
  )
  const db = new Kysely<Schema>(kyselyOn(reading))

  let closing: Promise<void> | null = null
  async function close(): Promise<void> {
    await group.close()
    await checkpointer?.close()
    if (!isAlone) reader.close()
    // the last process to close the file writes the log back into it
    writer.close()
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
      await backup(reader, target)
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
    if (!isSqliteBusy(error)) throw readingError(error)
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
      if (!isSqliteBusy(error)) throw readingError(error)
      if (clock.now() >= until) throw storeBusy(error)
    }
  }
}

function readingError(error: unknown): unknown {
  if (isSqliteReadOnly(error)) return new InvariantError('store.db only reads: write in a transaction')
  return sqliteRefusal(error)
}

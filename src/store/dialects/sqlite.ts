/** Kysely on `node:sqlite`: a thin dialect with a statement cache. Everything that is peculiar to SQLite is in this file. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  DummyDriver,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  DefaultQueryExecutor,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type KyselyProps,
  type QueryResult,
} from 'kysely'
import { InvariantError, Refusal } from '../../base/errors.ts'

/** Distinct SQL texts kept prepared on one connection; multi-row inserts and filtered lists bring a few hundred. */
const maxStatements = 1_000

/**
 * The log begins anew at this many pages (400 MB): a checkpoint every 1,000 pages, which is the default, halves the rate of
 * commits. The log is emptied when the last process closes the store.
 */
export const walPages = 100_000

export interface SqliteFile {
  /** A path, or `:memory:`. */
  readonly path: string
  readonly synchronous: 'full' | 'off'
  /** Page cache, kB. */
  readonly cacheKb: number
  readonly isReader: boolean
  /** Nobody else has the file open: changes go straight into it, with a rollback journal instead of the log. */
  readonly isExclusive: boolean
}

export function openSqlite({ path, synchronous, cacheKb, isReader, isExclusive }: SqliteFile): DatabaseSync {
  // busy_timeout 0: waiting inside SQLite would stop the event loop, so the caller waits and repeats
  const database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true })
  try {
    if (isExclusive) takeAlone(database, synchronous === 'off' ? 'memory' : 'delete')
    else if (!isReader && path !== ':memory:') database.exec('pragma journal_mode = wal')
    database.exec(`pragma synchronous = ${synchronous}`)
    database.exec(`pragma wal_autocheckpoint = ${walPages}`)
    database.exec(`pragma cache_size = -${cacheKb}`)
    if (isReader) database.exec('pragma query_only = on')
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** Throws SQLITE_BUSY when somebody else has the file open. */
function takeAlone(database: DatabaseSync, journal: 'memory' | 'delete'): void {
  database.exec('pragma locking_mode = exclusive')
  database.exec(`pragma journal_mode = ${journal}`)
  // the lock is taken by the first write
  database.exec('begin exclusive; commit')
}

/** Called before each query: throws when the query must not run here and now; a promise when it has to wait. */
export type Gate = () => Promise<void> | null

/** Repeats a query while another process holds a lock. */
export type WhenFree = <T>(action: () => T) => T | Promise<T>

export interface ConnectionRules {
  /** Statements that would write are refused. */
  readonly isReadOnly: boolean
  readonly gate: Gate
  readonly whenFree: WhenFree
}

export class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #rules: ConnectionRules
  readonly #statements = new Map<string, Prepared>()

  constructor(database: DatabaseSync, rules: ConnectionRules) {
    this.#database = database
    this.#rules = rules
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { gate, whenFree } = this.#rules
    for (let waits = gate(); waits; waits = gate()) await waits
    return whenFree(() => this.run<Row>(query.sql, query.parameters))
  }

  /** Runs one statement now. Kysely's signatures promise the row type; STRICT tables keep the promise. */
  run<Row>(sql: string, parameters: readonly unknown[]): QueryResult<Row> {
    const { statement, hasRows } = this.#prepare(sql)
    const values = bindable(parameters)
    if (hasRows) return { rows: statement.all(...values) as Row[] }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  streamQuery(): never {
    throw new InvariantError(
      'streaming holds a snapshot open and stops the log from being emptied: read by pages',
    )
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql)
    if (known) return known
    if (this.#statements.size >= maxStatements) {
      const oldest = this.#statements.keys().next()
      if (!oldest.done) this.#statements.delete(oldest.value)
    }
    if (this.#rules.isReadOnly && wouldWrite(this.#database, sql)) {
      throw new InvariantError('store.db only reads: write in a transaction')
    }
    const statement = this.#database.prepare(sql)
    const prepared = { statement, hasRows: statement.columns().length > 0 }
    this.#statements.set(sql, prepared)
    return prepared
  }
}

/**
 * Whether the program that SQLite makes of a statement opens a writing transaction (P2 of its Transaction opcode).
 * `pragma query_only` would say so too, but switching it has every prepared statement prepared anew.
 */
function wouldWrite(database: DatabaseSync, sql: string): boolean {
  const program = database.prepare(`explain ${sql}`).all()
  return program.some(({ opcode, p2 }) => opcode === 'Transaction' && p2 !== 0)
}

interface Prepared {
  readonly statement: StatementSync
  /** A select, or a statement with a returning clause. */
  readonly hasRows: boolean
}

/** Most statements can be bound as they are: then nothing is copied. */
function bindable(parameters: readonly unknown[]): readonly SQLInputValue[] {
  return parameters.every(isBindable) ? parameters : parameters.map(bound)
}

/** A number is bound as REAL; the STRICT column turns it back into an INTEGER, but `?1 / 2` in SQL needs a CAST. */
function isBindable(value: unknown): value is SQLInputValue {
  return (
    typeof value === 'string' ||
    typeof value === 'number' ||
    value === null ||
    value instanceof Uint8Array ||
    typeof value === 'bigint'
  )
}

function bound(value: unknown): SQLInputValue {
  if (isBindable(value)) return value
  if (value === undefined) return null
  if (typeof value === 'boolean') return value ? 1 : 0
  throw new InvariantError(`a ${typeof value} cannot be stored: convert it in the record's file`)
}

class Adapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
  // The store hands out its one writing connection by itself, one unit of work after the other.
  override get supportsMultipleConnections(): true {
    return true
  }
}

function sqliteDialect(): Dialect {
  return {
    createAdapter: () => new Adapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => new NoDriver(),
  }
}

class NoDriver extends DummyDriver {
  override acquireConnection(): Promise<DatabaseConnection> {
    throw new InvariantError('use store.db or store.transaction()')
  }
}

/** What Kysely needs to run its queries on one connection whose transactions are the store's own business. */
export function kyselyOn(connection: SqliteConnection): KyselyProps {
  const dialect = sqliteDialect()
  const executor = new DefaultQueryExecutor(dialect.createQueryCompiler(), dialect.createAdapter(), {
    provideConnection: (consumer) => consumer(connection),
  })
  return { config: { dialect }, dialect, driver: dialect.createDriver(), executor }
}

const sqliteBusy = 5
const sqliteReadOnly = 8
const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteFull = 13
const sqliteCantOpen = 14
const sqliteConstraint = 19
const sqliteNotADatabase = 26

/** The primary result code of an error of SQLite, or null. */
function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

/** Another process is writing (or recovering, or emptying the log): try again. */
export function isSqliteBusy(error: unknown): boolean {
  return resultCode(error) === sqliteBusy
}

/** Called where only a unique constraint can fail. */
export function isSqliteUniqueViolation(error: unknown): boolean {
  return resultCode(error) === sqliteConstraint
}

/** Errors of the machine become refusals; anything else is ours and stays as it is. */
export function sqliteRefusal(error: unknown): unknown {
  const code = resultCode(error)
  if (code === sqliteFull || code === sqliteIoError) {
    return new Refusal(
      'disk-full',
      'the database could not write to its disk; nothing of this was stored: free space or repair the disk, then repeat',
      { cause: error },
    )
  }
  if (code === sqliteReadOnly || code === sqliteCantOpen) {
    return new Refusal(
      'data-directory-invalid',
      'the database file cannot be opened for writing: check the path, its owner and its permissions',
      { cause: error },
    )
  }
  if (code === sqliteNotADatabase || code === sqliteCorrupt) {
    return new Refusal(
      'data-directory-invalid',
      'the database file is damaged or is not a database: restore a backup',
      { cause: error },
    )
  }
  return error
}

/** Kysely on `pg`. Everything that is peculiar to PostgreSQL is in this file. */
import {
  PostgresDialect,
  type PostgresCursor,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
} from 'kysely'
import { Pool, types, type PoolClient } from 'pg'
import { InvariantError, Refusal } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'

/** Connections of one process. More do not help: PostgreSQL does best with about two per core. */
const poolSize = 16
/** A connection or a lock that is not had by then is refused with `store-busy`, ms. */
const waitMs = 10_000
/** Statements that stay prepared on each connection; texts beyond are parsed each time. */
const maxStatements = 300

const { builtins } = types

const parsers = new Map<number, (text: string) => unknown>([
  // every whole number of ours is below 2^53
  [builtins.INT8, Number],
  [
    builtins.BYTEA,
    (text) => {
      // plain Uint8Array as on SQLite, not Buffer, so that both compare alike
      const bytes = Buffer.from(text.slice(2), 'hex')
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    },
  ],
])

export function openPool(url: string, log: Log): Pool {
  const pool = new Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: waitMs,
    lock_timeout: waitMs,
    application_name: 'perennial',
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        format === 'binary'
          ? types.getTypeParser(oid, 'binary')
          : (parsers.get(oid) ?? types.getTypeParser(oid)),
    },
  })
  // A connection that the server closes: the pool replaces it, and the query that was under way rejects by itself.
  const lost = (error: Error): void =>
    log.warn({ error: error.message }, 'a connection to the database was lost')
  pool.on('error', lost)
  pool.on('connect', (client) => client.on('error', lost))
  return pool
}

/** @param gate called before each connection is taken: throws when this handle must not be used here and now */
export function postgresDialect(pool: Pool, gate: () => void): PostgresDialect {
  const clients = new WeakMap<PoolClient, PreparingClient>()
  const gated: PostgresPool = {
    options: pool.options,
    async connect() {
      gate()
      let client: PoolClient
      try {
        client = await pool.connect()
      } catch (error) {
        throw postgresRefusal(error)
      }
      let preparing = clients.get(client)
      if (!preparing) {
        preparing = new PreparingClient(client)
        clients.set(client, preparing)
      }
      return preparing
    },
    end: async () => {},
  }
  return new PostgresDialect({ pool: gated })
}

const statementNames = new Map<string, string>()

/** The name under which a text is prepared; undefined once there are too many. */
function statementName(sql: string): string | undefined {
  let name = statementNames.get(sql)
  if (name === undefined && statementNames.size < maxStatements) {
    name = `p${statementNames.size}`
    statementNames.set(sql, name)
  }
  return name
}

/** A client that lets the server parse and plan each text once. */
class PreparingClient implements PostgresPoolClient {
  readonly #client: PoolClient

  constructor(client: PoolClient) {
    this.#client = client
  }

  query<Row>(sql: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>>
  query<Row>(cursor: PostgresCursor<Row>): PostgresCursor<Row>
  query<Row>(
    sql: string | PostgresCursor<Row>,
    values: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<Row>> | PostgresCursor<Row> {
    if (typeof sql === 'string') return this.#run(sql, values)
    throw new InvariantError('cursors are not used: read by pages')
  }

  /** Kysely's signatures promise the row type. */
  async #run<Row>(sql: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>> {
    const name = statementName(sql)
    const query = { text: sql, values: [...values], ...(name === undefined ? {} : { name }) }
    try {
      const { command, rowCount, rows } = await this.#client.query(query)
      return { command: command as PostgresQueryResult<Row>['command'], rowCount: rowCount ?? 0, rows }
    } catch (error) {
      throw postgresRefusal(error)
    }
  }

  release(destroy?: boolean): void {
    this.#client.release(destroy)
  }
}

/** The five-character code of an error of PostgreSQL, the system's code of a lost connection, or null. */
function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** Two transactions waited for each other, or saw each other's rows: the same work again will do. */
export function isRepeatable(error: unknown): boolean {
  const code = errorCode(error)
  return code === '40001' || code === '40P01'
}

export function isPostgresUniqueViolation(error: unknown): boolean {
  return errorCode(error) === '23505'
}

const unreachable = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EPIPE'])

/** Errors of the machine become refusals; anything else is ours and stays as it is. */
export function postgresRefusal(error: unknown): unknown {
  const code = errorCode(error)
  if (code === null) {
    const isLost =
      error instanceof Error && /connection (terminated|timeout)|timeout exceeded/i.test(error.message)
    return isLost ? notAnswering(error) : error
  }
  if (unreachable.has(code) || code.startsWith('08') || code.startsWith('57P') || code === '53300') {
    return notAnswering(error)
  }
  if (code === '55P03') {
    return new Refusal(
      'store-busy',
      `another program held a row of the database for more than ${waitMs / 1000} s: repeat later`,
      { cause: error, retryAfterMs: waitMs },
    )
  }
  if (code === '53100' || code === '58030') {
    return new Refusal(
      'disk-full',
      'the database server could not write to its disk; nothing of this was stored: free space, then repeat',
      { cause: error },
    )
  }
  if (code.startsWith('28') || code === '3D000') {
    return new Refusal(
      'configuration-invalid',
      'the database server refuses the user, the password or the database name of the database URL',
      { cause: error },
    )
  }
  return error
}

function notAnswering(cause: unknown): Refusal {
  return new Refusal(
    'store-busy',
    'the database server does not answer: check that it runs and that the database URL is right',
    { cause, retryAfterMs: waitMs },
  )
}

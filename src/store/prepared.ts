/**
 * Queries that are compiled once and executed with new parameters. Building and compiling a query with Kysely costs 10
 * to 50 µs, executing it on SQLite 3 to 10, so everything on the path of a certificate is prepared.
 */
import {
  PostgresAdapter,
  type Compilable,
  type CompiledQuery,
  type QueryResult,
  type SelectQueryBuilder,
} from 'kysely'
import type { Db, Engine, Queries, Schema } from './schema.ts'

export function engineOf(q: Queries): Engine {
  return q.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite'
}

/** Stands in the compiled query where a parameter goes. */
class Hole {
  readonly row: number
  readonly name: string

  constructor(row: number, name: string) {
    this.row = row
    this.name = name
  }
}

/** An object whose every property is a hole of that name. */
function holes<Parameters extends object>(row: number): Parameters {
  return new Proxy<Parameters>({} as Parameters, { get: (_, name) => new Hole(row, String(name)) })
}

/**
 * @param build gets holes in place of the parameters: it may pass them on as values and must not look at them
 * @returns a function that executes the query
 */
export function prepared<Parameters extends object, Row>(
  build: (db: Db, parameters: Parameters) => Compilable<Row>,
): (q: Queries, parameters: Parameters) => Promise<QueryResult<Row>> {
  const plans = new Map<Engine, CompiledQuery<Row>>()
  return (q, parameters) => {
    const engine = engineOf(q)
    let plan = plans.get(engine)
    if (!plan) {
      plan = build(q, holes(0)).compile()
      plans.set(engine, plan)
    }
    return q.executeQuery<Row>(filled(plan, [parameters]))
  }
}

/** Rows in one statement: few texts, so that each stays prepared. 64 rows of 27 columns stay under SQLite's 32,766. */
const sizes = [64, 8, 1]

/**
 * The same for a statement over any number of rows, such as a multi-row insert; it is executed in pieces.
 * @returns a function that gives the results of the pieces in order
 */
export function preparedRows<Parameters extends object, Row>(
  build: (db: Db, rows: Parameters[]) => Compilable<Row>,
): (q: Queries, rows: readonly Parameters[]) => Promise<QueryResult<Row>[]> {
  const plans = new Map<string, CompiledQuery<Row>>()
  return async (q, rows) => {
    const engine = engineOf(q)
    const results: QueryResult<Row>[] = []
    let from = 0
    for (const size of sizes) {
      for (; rows.length - from >= size; from += size) {
        let plan = plans.get(`${engine}${size}`)
        if (!plan) {
          plan = build(
            q,
            Array.from({ length: size }, (_, row) => holes(row)),
          ).compile()
          plans.set(`${engine}${size}`, plan)
        }
        results.push(await q.executeQuery<Row>(filled(plan, rows, from)))
      }
    }
    return results
  }
}

function filled<Parameters extends object, Row>(
  plan: CompiledQuery<Row>,
  rows: readonly Parameters[],
  from = 0,
): CompiledQuery<Row> {
  const parameters = plan.parameters.map((value) =>
    value instanceof Hole ? Reflect.get(rows[from + value.row] as Parameters, value.name) : value,
  )
  return { sql: plan.sql, query: plan.query, queryId: plan.queryId, parameters }
}

/**
 * Keeps the rows that a transaction reads as they are until its commit. On SQLite a transaction has the whole database
 * to itself.
 */
export function locked<Table extends keyof Schema, Row>(
  db: Db,
  query: SelectQueryBuilder<Schema, Table, Row>,
): SelectQueryBuilder<Schema, Table, Row> {
  return engineOf(db) === 'postgres' ? query.forUpdate() : query
}

/**
 * Queries that are compiled once and executed with new parameters. Building and compiling a query with Kysely costs 10
 * to 50 µs, executing it on SQLite 3 to 10, so everything on the path of a certificate is prepared.
 */
import {
  CompiledQuery,
  PostgresAdapter,
  type Compilable,
  type InsertResult,
  type QueryResult,
  type SelectQueryBuilder,
} from 'kysely'
import type { Db, Engine, Queries, Schema, Tx } from './schema.ts'

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

type BuildRows<Parameters, Row> = (db: Db, rows: Parameters[]) => Compilable<Row>

/** The same statement for each of the sizes, compiled on first use. */
function plansOf<Parameters extends object, Row>(
  build: BuildRows<Parameters, Row>,
): (q: Queries, size: number) => CompiledQuery<Row> {
  const plans = new Map<string, CompiledQuery<Row>>()
  return (q, size) => {
    const key = `${engineOf(q)}${size}`
    let plan = plans.get(key)
    if (!plan) {
      const rows = Array.from({ length: size }, (_, row) => holes<Parameters>(row))
      plan = build(q, rows).compile()
      plans.set(key, plan)
    }
    return plan
  }
}

/**
 * The same for a statement over any number of rows, such as a multi-row insert; it is executed in pieces.
 * @returns a function that gives the results of the pieces in order
 */
export function preparedRows<Parameters extends object, Row>(
  build: BuildRows<Parameters, Row>,
): (q: Queries, rows: readonly Parameters[]) => Promise<QueryResult<Row>[]> {
  const planOf = plansOf(build)
  return async (q, rows) => {
    const results: QueryResult<Row>[] = []
    let from = 0
    for (const size of sizes) {
      for (; rows.length - from >= size; from += size) {
        results.push(await q.executeQuery<Row>(filled(planOf(q, size), rows, from)))
      }
    }
    return results
  }
}

/**
 * An insert that leaves out the rows that collide with others (`on conflict do nothing`). A returning clause would tell
 * which, but costs every row of an import; so a piece of which some are left out is rolled back and repeated one by one.
 * @returns a function that gives the rows that were left out
 */
export function preparedInsert<Parameters extends object>(
  build: BuildRows<Parameters, InsertResult>,
): (tx: Tx, rows: readonly Parameters[]) => Promise<Set<Parameters>> {
  const planOf = plansOf(build)
  async function insert(tx: Tx, rows: readonly Parameters[], from: number, size: number): Promise<boolean> {
    const { numAffectedRows } = await tx.executeQuery(filled(planOf(tx, size), rows, from))
    return numAffectedRows === BigInt(size)
  }
  return async (tx, rows) => {
    const left = new Set<Parameters>()
    let from = 0
    for (const size of sizes) {
      for (; rows.length - from >= size; from += size) {
        if (size > 1) await tx.executeQuery(savepoint)
        if (await insert(tx, rows, from, size)) {
          if (size > 1) await tx.executeQuery(release)
          continue
        }
        if (size > 1) {
          await tx.executeQuery(rollback)
          await tx.executeQuery(release)
        }
        for (const [i, row] of rows.slice(from, from + size).entries()) {
          if (size === 1 || !(await insert(tx, rows, from + i, 1))) left.add(row)
        }
      }
    }
    return left
  }
}

const savepoint = CompiledQuery.raw('savepoint piece')
const rollback = CompiledQuery.raw('rollback to savepoint piece')
const release = CompiledQuery.raw('release savepoint piece')

function filled<Parameters extends object, Row>(
  plan: CompiledQuery<Row>,
  rows: readonly Parameters[],
  from = 0,
): CompiledQuery<Row> {
  // a plain loop: an import fills two thousand holes in each statement
  const parameters: unknown[] = []
  for (const value of plan.parameters) {
    if (value instanceof Hole)
      parameters.push((rows[from + value.row] as Parameters)[value.name as keyof Parameters])
    else parameters.push(value)
  }
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

/**
 * A page of a list in the order of an index. What the index cannot answer is looked at row by row, in windows that grow
 * up to a budget: then the page ends early and its cursor goes on behind the last row that was looked at. Nothing is ever
 * sorted, and nothing reads more than the budget, so a page takes milliseconds whatever the filter and the size of the fleet.
 */
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { Refusal } from '../base/errors.ts'
import { lastCharacter, type Condition } from './filter-condition.ts'
import { assertLimit, type Cursor, type Page } from './page.ts'
import type { Queries } from './schema.ts'

/** Where a row stands: the values of the columns that order the list. */
export type Key = readonly (string | number)[]

export interface Order {
  /** Goes into the cursor, so that one of another order is noticed. */
  readonly name: string
  /** One or two columns, unique together, as the index has them. */
  readonly columns: readonly RawBuilder<unknown>[]
  readonly kinds: readonly ('text' | 'number')[]
  readonly isDescending: boolean
}

/** One range of an index. Ranges of one list have no row in common. */
export interface Range {
  /** Answered by the index, together with the order. */
  readonly indexed: readonly Condition[]
  /** Looked at row by row. */
  readonly residual: readonly Condition[]
}

export interface Scan {
  /** The table that is walked, with its alias. */
  readonly table: RawBuilder<unknown>
  /** What `residual` and `columns` need besides: one row at most for each row of the table. */
  readonly joins: readonly RawBuilder<unknown>[]
  readonly columns: readonly RawBuilder<unknown>[]
  readonly order: Order
  readonly ranges: readonly Range[]
  /** Rows that one page may look at, over all ranges. */
  readonly budget: number
  readonly after: Cursor | null
  /** 1 to 10,000. */
  readonly limit: number
}

/** Rows of a plain table; with joins, which are look-ups, a third of them. */
export const scanBudget = 12_000
const firstWindow = 1_000

type Keyed<Row> = Row & { readonly key0: string | number; readonly key1?: string | number }

/** @throws Refusal `invalid-input` for a cursor that is not of this list */
export async function scanPage<Row>(q: Queries, scan: Scan): Promise<Page<Row>> {
  const { order, limit, ranges } = scan
  assertLimit(limit)
  const after = readCursor(scan.after, order)
  const budget = Math.max(1, Math.floor(scan.budget / Math.max(1, ranges.length)))
  const parts = []
  for (const range of ranges) parts.push(await readRange<Row>(q, scan, { range, after, budget }))
  // beyond the nearest horizon, a range may have rows that nobody has looked at
  const horizon = parts.reduce<Key | null>((nearest, part) => {
    if (part.horizon === null) return nearest
    return nearest === null || compareKeys(part.horizon, nearest, order) < 0 ? part.horizon : nearest
  }, null)
  const rows = parts
    .flatMap((part) => part.rows)
    .filter((row) => horizon === null || compareKeys(keyOf(row), horizon, order) <= 0)
    .sort((a, b) => compareKeys(keyOf(a), keyOf(b), order))
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  const next = rows.length > limit && last ? keyOf(last) : horizon
  return { rows: kept, next: next === null ? null : writeCursor(next, order) }
}

interface Part<Row> {
  readonly rows: Keyed<Row>[]
  /** The last row that was looked at; null when there are no more. */
  readonly horizon: Key | null
}

async function readRange<Row>(
  q: Queries,
  scan: Scan,
  { range, after, budget }: { readonly range: Range; readonly after: Key | null; readonly budget: number },
): Promise<Part<Row>> {
  const wanted = scan.limit + 1
  const rows: Keyed<Row>[] = []
  let from = after
  let left = budget
  let window = range.residual.length === 0 ? Infinity : Math.min(firstWindow, budget)
  for (;;) {
    const end = window === Infinity ? null : await windowEnd(q, scan, { range, from, rows: window })
    rows.push(...(await readBetween<Row>(q, scan, { range, from, end, limit: wanted - rows.length })))
    if (rows.length >= wanted) return { rows, horizon: keyOf(rows.at(-1) as Keyed<Row>) }
    if (end === null) return { rows, horizon: null }
    from = end
    left -= window
    if (left <= 0) return { rows, horizon: end }
    window = Math.min(window * 2, left)
  }
}

interface Between {
  readonly range: Range
  /** Exclusive; null from the beginning. */
  readonly from: Key | null
}

/** The key of the row that stands so many rows on; null when there are fewer. */
async function windowEnd(
  q: Queries,
  scan: Scan,
  { range, from, rows }: Between & { readonly rows: number },
): Promise<Key | null> {
  for (const bounds of steps(scan.order, from, null)) {
    const found = await sql<Keyed<object>>`
      select ${keyColumns(scan.order)} from ${scan.table}
      where ${every([...range.indexed, ...bounds])}
      order by ${orderBy(scan.order)} limit 1 offset ${sql.lit(rows - 1)}`.execute(q)
    const row = found.rows[0]
    if (row) return keyOf(row)
  }
  return null
}

async function readBetween<Row>(
  q: Queries,
  scan: Scan,
  { range, from, end, limit }: Between & { readonly end: Key | null; readonly limit: number },
): Promise<Keyed<Row>[]> {
  const { order, table, joins } = scan
  const rows: Keyed<Row>[] = []
  for (const bounds of steps(order, from, end)) {
    if (rows.length >= limit) break
    const found = await sql<Keyed<Row>>`
      select ${keyColumns(order)}, ${sql.join(scan.columns)} from ${sql.join([table, ...joins], sql` `)}
      where ${every([...range.indexed, ...bounds, ...range.residual])}
      order by ${orderBy(order)} limit ${sql.lit(limit - rows.length)}`.execute(q)
    rows.push(...found.rows)
  }
  return rows
}

/**
 * The bounds of each query. SQLite seeks by the first column of a pair only, so a page that begins among many rows with
 * the same first column is read in two steps: the rest of those, and what comes behind them.
 */
function* steps(order: Order, from: Key | null, end: Key | null): Generator<readonly Condition[]> {
  const [first, second] = order.columns as [RawBuilder<unknown>, RawBuilder<unknown>?]
  const behind = order.isDescending ? sql`<` : sql`>`
  const before = order.isDescending ? sql`>` : sql`<`
  const start = sql<SqlBool>`${first} ${behind} ${from ? from[0] : beginning(order)}`
  if (!second) {
    yield end ? [start, sql<SqlBool>`${first} ${before}= ${end[0]}`] : [start]
    return
  }
  if (from) {
    const same = [sql<SqlBool>`${first} = ${from[0]}`, sql<SqlBool>`${second} ${behind} ${from[1]}`]
    if (end && end[0] === from[0]) {
      yield [...same, sql<SqlBool>`${second} ${before}= ${end[1]}`]
      return
    }
    yield same
  }
  if (!end) {
    yield [start]
    return
  }
  yield [
    start,
    sql<SqlBool>`${first} ${before}= ${end[0]}`,
    sql<SqlBool>`(${first} ${before} ${end[0]} or ${second} ${before}= ${end[1]})`,
  ]
}

/** Before every key that there can be: the first page is a range too, and no plan is tempted to read everything. */
function beginning({ kinds, isDescending }: Order): string | number {
  if (kinds[0] === 'text') return isDescending ? lastCharacter : ''
  return isDescending ? Number.MAX_SAFE_INTEGER : -1
}

function orderBy({ columns, isDescending }: Order): RawBuilder<unknown> {
  return sql.join(columns.map((column) => (isDescending ? sql`${column} desc` : column)))
}

function keyColumns({ columns }: Order): RawBuilder<unknown> {
  return sql.join(columns.map((column, at) => sql`${column} as ${sql.ref(`key${at}`)}`))
}

export function every(conditions: readonly Condition[]): RawBuilder<unknown> {
  return conditions.length === 0 ? sql`1 = 1` : sql.join(conditions, sql` and `)
}

function keyOf({ key0, key1 }: { key0: string | number; key1?: string | number }): Key {
  return key1 === undefined ? [key0] : [key0, key1]
}

function compareKeys(a: Key, b: Key, { isDescending }: Order): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] as string | number
    if (value !== other) return value < other === isDescending ? 1 : -1
  }
  return 0
}

/** `expires~1796040000000~42`: our texts have no tilde. */
function writeCursor(key: Key, { name }: Order): Cursor {
  return [name, ...key].join('~')
}

function readCursor(cursor: Cursor | null, { name, kinds }: Order): Key | null {
  if (cursor === null) return null
  const [order, ...parts] = cursor.length > 300 ? [] : cursor.split('~')
  const key = parts.map((part, at) => {
    if (kinds[at] === 'text') return part
    return /^(0|[1-9][0-9]{0,15})$/.test(part) ? Number(part) : null
  })
  if (order !== name || key.length !== kinds.length || key.includes(null)) {
    throw new Refusal(
      'invalid-input',
      'this page cursor is not one of this list in this order: begin with the first page',
    )
  }
  return key as Key
}

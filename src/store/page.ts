/** Keyset paging: a page begins after the last row of the one before it, so that rows in between are never skipped. */
import { Refusal } from '../base/errors.ts'

/** Opaque to callers: where the next page begins. */
export type Cursor = string

export interface PageRequest {
  /** `next` of the page before; null or absent for the first page. */
  readonly after?: Cursor | null
  /** Rows at most, 1 to 10,000. */
  readonly limit: number
}

export interface Page<Row> {
  readonly rows: Row[]
  /** Null when this is the last page. */
  readonly next: Cursor | null
}

const maxLimit = 10_000

export function assertLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) {
    throw new Refusal('invalid-input', `a page has 1 to ${maxLimit} rows`)
  }
}

/** @param rows up to `limit` + 1 rows in order: the extra one only tells that there is a next page */
export function pageOf<Row>(rows: Row[], limit: number, cursorOf: (row: Row) => Cursor): Page<Row> {
  if (rows.length <= limit) return { rows, next: null }
  const kept = rows.slice(0, limit)
  return { rows: kept, next: cursorOf(kept[limit - 1] as Row) }
}

/** A cursor of one whole number; 0 for the first page, before every row number. */
export function rowCursor(after: Cursor | null | undefined): number {
  if (after === null || after === undefined) return 0
  if (!/^(0|[1-9][0-9]{0,15})$/.test(after)) throw badCursor()
  return Number(after)
}

/** A cursor of two whole numbers, `a.b`; null for the first page. */
export function pairCursor(after: Cursor | null | undefined): readonly [number, number] | null {
  if (after === null || after === undefined) return null
  const match = /^([0-9]{1,16})\.([0-9]{1,16})$/.exec(after)
  if (!match) throw badCursor()
  return [Number(match[1]), Number(match[2])]
}

function badCursor(): Refusal {
  return new Refusal('invalid-input', 'this page cursor is not one of ours: begin with the first page')
}

/** Pages of a list: the cursors of the store, made opaque, and the envelope of an answer. */
import { Refusal } from '../base/errors.ts'
import type { Page, PageRequest } from '../engine/inventory/inventory.ts'
import { defaultLimit } from './schemas.ts'

/** @throws Refusal `invalid-input` for a cursor that is not one of ours, or of another order */
export function pageRequest(query: {
  readonly after?: string
  readonly limit?: number
  readonly sort?: string
}): PageRequest {
  const { after, limit = defaultLimit, sort } = query
  return { limit, after: after === undefined ? null : openCursor(after, sort ?? '') }
}

export function pageAnswer<Row, Item>(
  { rows, next }: Page<Row>,
  item: (row: Row) => Item,
  sort = '',
): { items: Item[]; next: string | null } {
  return { items: rows.map(item), next: next === null ? null : sealCursor(next, sort) }
}

function sealCursor(cursor: string, sort: string): string {
  return Buffer.from(JSON.stringify([sort, cursor])).toString('base64url')
}

function openCursor(text: string, sort: string): string {
  const parts = parsed(Buffer.from(text, 'base64url').toString('utf8'))
  if (!Array.isArray(parts) || parts.length !== 2 || typeof parts[1] !== 'string') {
    throw new Refusal('invalid-input', 'query.after is not a cursor of ours: begin with the first page')
  }
  if (parts[0] !== sort) {
    throw new Refusal('invalid-input', 'query.after is of a list in another order: begin with the first page')
  }
  return parts[1]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

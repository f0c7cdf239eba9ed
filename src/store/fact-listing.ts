/** Lists of facts by filter, the newest first unless it is asked otherwise. */
import { sql } from 'kysely'
import { factColumns, toFactRecord, type FactRecord, type FactRow } from './facts.ts'
import { chosenSort, columnOf, exactly, rangesOf, type Columns, type ListRequest } from './listing.ts'
import type { Page } from './page.ts'
import { engineOf } from './prepared.ts'
import { scanBudget, scanPage } from './scan.ts'
import type { Queries } from './schema.ts'

export const factSorts = ['id'] as const

/** Indexes: the primary key, facts_subject. */
export async function listFactsBy(q: Queries, request: ListRequest): Promise<Page<FactRecord>> {
  const { filter: given = [], sort, after = null, limit, now } = request
  const { isDescending } = chosenSort(sort, factSorts, { name: 'id', isDescending: true })
  const filter = given.map((term) => (term.field === '' ? exactly('subject', term) : term))
  const page = await scanPage<FactRow>(q, {
    table: sql`facts as f`,
    joins: [],
    columns: factColumns.map((column) => sql.ref(`f.${column}`)),
    order: { name: isDescending ? '-id' : 'id', columns: [sql`f.id`], kinds: ['number'], isDescending },
    ranges: rangesOf(filter, null, {
      columns: factFilterColumns(q),
      now,
      fields: ['subject'],
      prefix: 'f',
      indexed: [],
      residual: [],
    }),
    // an actor stands in the entry, which is read for it
    budget: request.budget ?? (filter.some(({ field }) => field === 'actor') ? scanBudget / 3 : scanBudget),
    after,
    limit,
  })
  return { rows: page.rows.map(toFactRecord), next: page.next }
}

export function factFilterColumns(q: Queries): Columns {
  const entry =
    engineOf(q) === 'postgres'
      ? sql`(convert_from(f.entry, 'UTF8')::json ->> 'actor')`
      : sql`json_extract(cast(f.entry as text), '$.actor')`
  return {
    subject: columnOf(sql`f.subject`),
    action: columnOf(sql`f.action`),
    actor: columnOf(entry),
    at: columnOf(sql`f.at`, 'ago'),
  }
}

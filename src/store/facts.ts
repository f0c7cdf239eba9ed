/** Facts: immutable audit events, written in the transaction of the change that they describe, sealed afterwards. */
import { sql } from 'kysely'
import { assert } from '../base/errors.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'
import { unitEndOf, type NewFact } from './unit-end.ts'

export type { NewFact }

export interface FactRecord extends NewFact {
  readonly id: number
  /** Position in the sealed log; null until sealed. */
  readonly logIndex: number | null
}

export const factColumns = ['id', 'at', 'action', 'subject', 'entry', 'log_index'] as const

export interface FactRow extends NewFact {
  readonly id: number
  readonly log_index: number | null
}

export function toFactRecord(row: FactRow): FactRecord {
  const { id, at, action, subject, entry, log_index: logIndex } = row
  return { id, at, action, subject, entry, logIndex }
}

/** Written at the end of the unit of work, in this order; the unit itself cannot read them back. */
export async function appendFacts(tx: Tx, facts: readonly NewFact[]): Promise<void> {
  const end = unitEndOf(tx)
  for (const fact of facts) {
    assert(Number.isSafeInteger(fact.at) && fact.entry.byteLength > 0, 'a fact has an instant and an entry')
    end.facts.push(fact)
  }
}

// index: facts_unsealed
const selectUnsealed = prepared((db, p: { limit: number }) =>
  db.selectFrom('facts').select(['id', 'entry']).where('log_index', 'is', null).orderBy('id').limit(p.limit),
)

/** What the sealing job takes next, in order of ids. */
export async function unsealedFacts(
  q: Queries,
  limit: number,
): Promise<{ readonly id: number; readonly entry: Uint8Array }[]> {
  return (await selectUnsealed(q, { limit })).rows.map(({ id, entry }) => ({ id, entry }))
}

interface Sealed {
  readonly id: number
  readonly logIndex: number
}

const updateLogIndexes = preparedRows<Sealed, never>((db, rows) => {
  // both engines call the columns of VALUES column1, column2; the casts tell PostgreSQL their types
  const values = sql.join(
    rows.map((row) => sql`(cast(${row.id} as bigint), cast(${row.logIndex} as bigint))`),
  )
  return db
    .updateTable('facts')
    .from(sql<{ column1: number; column2: number }>`(values ${values})`.as('sealed'))
    .set({ log_index: sql`sealed.column2` })
    .whereRef('facts.id', '=', 'sealed.column1')
    .where('facts.log_index', 'is', null)
})

/** Gives `ids[i]` the position `firstLogIndex + i` unless it has one. @returns how many got theirs */
export async function setLogIndexes(
  tx: Tx,
  { firstLogIndex, ids }: { readonly firstLogIndex: number; readonly ids: readonly number[] },
): Promise<number> {
  const results = await updateLogIndexes(
    tx,
    ids.map((id, index) => ({ id, logIndex: firstLogIndex + index })),
  )
  return results.reduce((sum, result) => sum + Number(result.numAffectedRows ?? 0n), 0)
}

/** The sealed log from a position on; a missing position shows as a gap. Index: facts_log_index. */
export async function entriesRange(
  q: Queries,
  fromLogIndex: number,
  limit: number,
): Promise<(FactRecord & { readonly logIndex: number })[]> {
  const rows = await q
    .selectFrom('facts')
    .select(factColumns)
    .where('log_index', 'is not', null)
    .where('log_index', '>=', fromLogIndex)
    .orderBy('log_index')
    .limit(limit)
    .execute()
  return rows.map((row) => Object.assign(toFactRecord(row), { logIndex: row.log_index as number }))
}

export async function factByLogIndex(q: Queries, logIndex: number): Promise<FactRecord | null> {
  return (await entriesRange(q, logIndex, 1)).find((fact) => fact.logIndex === logIndex) ?? null
}

/** How many facts are sealed. */
export async function countSealed(q: Queries): Promise<number> {
  const row = await q
    .selectFrom('facts')
    .select('log_index')
    .where('log_index', 'is not', null)
    .orderBy('log_index', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.log_index === null || row === undefined ? 0 : row.log_index + 1
}

const selectBySubjects = preparedRows<{ subject: string }, FactRow>((db, rows) =>
  db
    .selectFrom('facts')
    .select(factColumns)
    .where(
      'subject',
      'in',
      rows.map(({ subject }) => subject),
    ),
)

/** Facts of one action about any of the subjects, in order of ids. Index: facts_subject. */
export async function factsBySubjects(
  q: Queries,
  { action, subjects }: { readonly action: string; readonly subjects: readonly string[] },
): Promise<FactRecord[]> {
  const results = await selectBySubjects(
    q,
    subjects.map((subject) => ({ subject })),
  )
  return results
    .flatMap(({ rows }) => rows.filter((row) => row.action === action).map(toFactRecord))
    .sort((a, b) => a.id - b.id)
}

/** Newest first. Index: facts_subject when a subject is given, otherwise the primary key. */
export async function recentFacts(
  q: Queries,
  request: {
    readonly subject?: string
    readonly action?: string
    readonly beforeId?: number
    readonly limit: number
  },
): Promise<FactRecord[]> {
  let query = q.selectFrom('facts').select(factColumns)
  query = query.where('id', '<', request.beforeId ?? Number.MAX_SAFE_INTEGER)
  if (request.subject !== undefined) query = query.where('subject', '=', request.subject)
  if (request.action !== undefined) query = query.where('action', '=', request.action)
  const rows = await query.orderBy('id', 'desc').limit(request.limit).execute()
  return rows.map(toFactRecord)
}

/** Oldest first. Index: facts_subject when a subject is given, otherwise the primary key. */
export async function factsAfter(
  q: Queries,
  request: {
    readonly subject?: string
    readonly action?: string
    readonly afterId: number
    readonly limit: number
  },
): Promise<FactRecord[]> {
  let query = q.selectFrom('facts').select(factColumns).where('id', '>', request.afterId)
  if (request.subject !== undefined) query = query.where('subject', '=', request.subject)
  if (request.action !== undefined) query = query.where('action', '=', request.action)
  const rows = await query.orderBy('id').limit(request.limit).execute()
  return rows.map(toFactRecord)
}

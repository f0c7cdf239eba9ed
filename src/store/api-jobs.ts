/** Long work that a caller of the REST API has begun: how far it is, and what came of it. */
import type { Instant } from '../base/clock.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import type { Queries, Tx } from './schema.ts'

export interface ApiJobRecord {
  /** In the order of their beginnings. */
  readonly id: string
  readonly kind: string
  readonly caller: string
  readonly status: 'running' | 'done' | 'failed'
  readonly done: number
  /** Null when it is not known. */
  readonly total: number | null
  /** JSON. */
  readonly result: string | null
  /** JSON of code and detail. */
  readonly problem: string | null
  readonly createdAt: Instant
  readonly updatedAt: Instant
  readonly endedAt: Instant | null
}

const columns = [
  'id',
  'kind',
  'caller',
  'status',
  'done',
  'total',
  'result',
  'problem',
  'created_at as createdAt',
  'updated_at as updatedAt',
  'ended_at as endedAt',
] as const

export async function insertApiJob(tx: Tx, job: ApiJobRecord): Promise<void> {
  const { createdAt, updatedAt, endedAt, ...rest } = job
  await tx
    .insertInto('api_jobs')
    .values({ ...rest, created_at: createdAt, updated_at: updatedAt, ended_at: endedAt })
    .execute()
}

export async function updateApiJob(
  tx: Tx,
  { id, ...change }: Pick<ApiJobRecord, 'id'> & Partial<Omit<ApiJobRecord, 'createdAt' | 'kind' | 'caller'>>,
): Promise<void> {
  const { updatedAt, endedAt, ...rest } = change
  await tx
    .updateTable('api_jobs')
    .set({
      ...rest,
      ...(updatedAt === undefined ? {} : { updated_at: updatedAt }),
      ...(endedAt === undefined ? {} : { ended_at: endedAt }),
    })
    .where('id', '=', id)
    .execute()
}

export async function findApiJob(q: Queries, id: string): Promise<ApiJobRecord | null> {
  const row = await q.selectFrom('api_jobs').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? { ...row, status: row.status as ApiJobRecord['status'] } : null
}

/** In the order in which they were begun. */
export async function listApiJobs(q: Queries, { after, limit }: PageRequest): Promise<Page<ApiJobRecord>> {
  assertLimit(limit)
  const rows = await q
    .selectFrom('api_jobs')
    .select(columns)
    .where('id', '>', after ?? '')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  const records = rows.map((row) => Object.assign(row, { status: row.status as ApiJobRecord['status'] }))
  return pageOf(records, limit, ({ id }) => id)
}

/** Index: api_jobs_created. @returns how many there were */
export async function deleteOldApiJobs(tx: Tx, before: Instant): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('api_jobs')
    .where('created_at', '<', before)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

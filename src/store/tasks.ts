/** Tasks: durable intents to touch the outside world. At least once, with a visible end when they fail for good. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import { engineOf, prepared } from './prepared.ts'
import type { Queries, TaskTable, Tx } from './schema.ts'

export const taskStatuses = ['ready', 'running', 'done', 'dead'] as const
export type TaskStatus = (typeof taskStatuses)[number]

export interface TaskRecord {
  readonly id: number
  readonly kind: string
  /** One open task for one kind and key; null for tasks that may repeat. */
  readonly key: string | null
  /** JSON text. */
  readonly payload: string
  readonly status: TaskStatus
  /** Claims so far, this one included. With the id it names one claim. */
  readonly attempts: number
  /** Ready: when it may run. Running: when its lock lapses. */
  readonly runAt: Instant
  readonly lastError: string | null
  readonly createdAt: Instant
}

const columns = [
  'id',
  'kind',
  'key',
  'payload',
  'status',
  'attempts',
  'run_at',
  'last_error',
  'created_at',
] as const

function toRecord(row: Omit<TaskTable, 'id'> & { id: number }): TaskRecord {
  return {
    id: row.id,
    kind: row.kind,
    key: row.key,
    payload: row.payload,
    status: row.status as TaskStatus,
    attempts: row.attempts,
    runAt: row.run_at,
    lastError: row.last_error,
    createdAt: row.created_at,
  }
}

export type NewTask = Pick<TaskRecord, 'kind' | 'key' | 'payload' | 'runAt' | 'createdAt'>

const isOpen = sql<boolean>`status in ('ready', 'running')`

const insertTask = prepared((db, p: NewTask) =>
  db
    .insertInto('tasks')
    .values({
      kind: p.kind,
      key: p.key,
      payload: p.payload,
      status: 'ready',
      attempts: 0,
      run_at: p.runAt,
      last_error: null,
      created_at: p.createdAt,
    })
    .onConflict((on) =>
      on
        .columns(['kind', 'key'])
        .where(sql<boolean>`key is not null and status in ('ready', 'running')`)
        .doNothing(),
    )
    .returning('id'),
)

/** @returns null when a task of this kind and key is open already: it will do */
export async function enqueueTask(tx: Tx, task: NewTask): Promise<number | null> {
  return (await insertTask(tx, task)).rows[0]?.id ?? null
}

export interface ClaimRequest {
  readonly kinds: readonly string[]
  readonly now: Instant
  readonly limit: number
  /** Another worker may take the task when it is not completed by then. */
  readonly lockMs: number
}

// index: tasks_due_of_kind
const claim = prepared((db, p: { kind: string; now: Instant; until: Instant; limit: number }) => {
  let due = db
    .selectFrom('tasks')
    .select('id')
    .where('kind', '=', p.kind)
    .where('run_at', '<=', p.now)
    .where(isOpen)
    .orderBy('run_at')
    .orderBy('id')
    .limit(p.limit)
  if (engineOf(db) === 'postgres') due = due.forUpdate().skipLocked()
  return db
    .updateTable('tasks')
    .set({ status: 'running', attempts: sql`attempts + 1`, run_at: p.until })
    .where('id', 'in', due)
    .returning(columns)
})

/** Takes due tasks, and those whose worker let the lock lapse, oldest first within each kind. */
export async function claimTasks(tx: Tx, request: ClaimRequest): Promise<TaskRecord[]> {
  const { kinds, now, limit, lockMs } = request
  const claimed: TaskRecord[] = []
  for (const kind of kinds) {
    if (claimed.length >= limit) break
    const { rows } = await claim(tx, { kind, now, until: now + lockMs, limit: limit - claimed.length })
    claimed.push(...rows.map(toRecord).sort((a, b) => a.id - b.id))
  }
  return claimed
}

/** One claim of one task: a worker that lost it must not end it. */
export interface Claim {
  readonly id: number
  readonly attempts: number
}

/** @returns false when the claim was lost */
export async function completeTask(tx: Tx, { id, attempts }: Claim): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('tasks')
    .set({ status: 'done', last_error: null })
    .where('id', '=', id)
    .where('attempts', '=', attempts)
    .where('status', '=', sql.lit('running'))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Deletes a task that was carried out. */
export async function deleteDone(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom('tasks').where('id', '=', id).where('status', '=', sql.lit('done')).execute()
}

/** @param failure `runAt`: when to try again, null for never. @returns false when the claim was lost */
export async function failTask(
  tx: Tx,
  failure: Claim & { readonly lastError: string; readonly runAt: Instant | null },
): Promise<boolean> {
  const next = failure.runAt === null ? { status: 'dead' } : { status: 'ready', run_at: failure.runAt }
  const { numUpdatedRows } = await tx
    .updateTable('tasks')
    .set({ ...next, last_error: failure.lastError })
    .where('id', '=', failure.id)
    .where('attempts', '=', failure.attempts)
    .where('status', '=', sql.lit('running'))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Gives a dead task another life. @returns false when it is not dead, or an open task has taken its place */
export async function retryTask(tx: Tx, id: number, now: Instant): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('tasks')
    .set({ status: 'ready', attempts: 0, run_at: now })
    .where('id', '=', id)
    .where('status', '=', sql.lit('dead'))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('tasks as other')
            .select('other.id')
            .whereRef('other.kind', '=', 'tasks.kind')
            .whereRef('other.key', '=', 'tasks.key')
            .where(sql<boolean>`other.key is not null and other.status in ('ready', 'running')`),
        ),
      ),
    )
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** The open one of this kind and key, or the dead letter. Indexes: tasks_key, tasks_dead. */
export async function findTaskOf(q: Queries, kind: string, key: string): Promise<TaskRecord | null> {
  const of = q.selectFrom('tasks').select(columns).where('kind', '=', kind).where('key', '=', key)
  const row =
    (await of.where(sql<boolean>`status in ('ready', 'running')`).executeTakeFirst()) ??
    (await of.where('status', '=', sql.lit('dead')).executeTakeFirst())
  return row ? toRecord(row) : null
}

/** In order of ids. Index tasks_dead for dead letters, otherwise the primary key. */
export async function listTasks(
  q: Queries,
  { status, after, limit }: PageRequest & { readonly status?: TaskStatus },
): Promise<Page<TaskRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('tasks').select(columns).where('id', '>', rowCursor(after))
  // as a literal, because the partial index needs it
  if (status !== undefined) query = query.where('status', '=', sql.lit(status))
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, (task) => String(task.id))
}

export interface TaskCount {
  readonly kind: string
  readonly status: TaskStatus
  readonly count: number
}

export interface DueTask {
  readonly kind: string
  readonly runAt: Instant
}

/** The longest that is due, by kind. Index: tasks_due_of_kind, over what is due. */
export async function oldestDue(q: Queries, now: Instant): Promise<DueTask[]> {
  const rows = await q
    .selectFrom('tasks')
    .select(['kind', sql<number>`min(run_at)`.as('run_at')])
    .where(isOpen)
    .where('run_at', '<=', now)
    .groupBy('kind')
    .orderBy('kind')
    .execute()
  return rows.map(({ kind, run_at: runAt }) => ({ kind, runAt }))
}

/** Open and dead tasks by kind and status, for gauges. Indexes: tasks_due_of_kind, tasks_dead. */
export async function countTasks(q: Queries): Promise<TaskCount[]> {
  const count = sql<number>`cast(count(*) as bigint)`.as('count')
  const open = await q
    .selectFrom('tasks')
    .select(['kind', 'status', count])
    .where(isOpen)
    .groupBy(['kind', 'status'])
    .orderBy('kind')
    .orderBy('status')
    .execute()
  const dead = await q
    .selectFrom('tasks')
    .select(['kind', 'status', count])
    .where('status', '=', sql.lit('dead'))
    .groupBy(['kind', 'status'])
    .orderBy('kind')
    .execute()
  return [...open, ...dead].map(({ kind, status, count: total }) => ({
    kind,
    status: status as TaskStatus,
    count: total,
  }))
}

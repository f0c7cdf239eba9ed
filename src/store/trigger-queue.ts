/**
 * Triggers on their way out: tasks that come and go by the ten thousand each second, so they are written, claimed and ended
 * many at a time, and deleted when they are done. What became of them stands with the attempts.
 */
import { sql } from 'kysely'
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { IssuerId, SerialNumber } from '../base/id.ts'
import { prepared, preparedRows } from './prepared.ts'
import { renewalColumns, toRenewal, type RenewalRecord, type RenewalRow } from './renewal-record.ts'
import type { Queries, Tx } from './schema.ts'
import type { Claim, NewTask } from './tasks.ts'

const insertTasks = preparedRows<NewTask, never>((db, rows) =>
  db
    .insertInto('tasks')
    .values(
      rows.map((row) => ({
        kind: row.kind,
        key: row.key,
        payload: row.payload,
        status: 'ready',
        attempts: 0,
        run_at: row.runAt,
        last_error: null,
        created_at: row.createdAt,
      })),
    )
    // index: tasks_key
    .onConflict((on) => on.doNothing()),
)

/** Those whose kind and key are open already are left out: they will do. */
export async function enqueueTasks(tx: Tx, tasks: readonly NewTask[]): Promise<void> {
  await insertTasks(tx, tasks)
}

// index: the primary key
const deleteClaimed = preparedRows<Claim, never>((db, rows) => {
  const values = rows.map((row) => sql`(cast(${row.id} as bigint), cast(${row.attempts} as bigint))`)
  return db
    .deleteFrom('tasks')
    .where('status', '=', sql.lit('running'))
    .where(sql<boolean>`(id, attempts) in (values ${sql.join(values)})`)
})

/** Ends claimed tasks that were carried out; a claim that was lost is passed over. */
export async function deleteTasks(tx: Tx, claims: readonly Claim[]): Promise<void> {
  await deleteClaimed(tx, claims)
}

/** A renewal with what a trigger says of its device and certificate. */
export interface TriggerSubject extends RenewalRecord {
  readonly deviceState: string
  readonly tags: Readonly<Record<string, string>>
  readonly certificate: {
    readonly issuerId: IssuerId
    readonly serialNumber: SerialNumber
    readonly status: string
  }
}

type SubjectRow = RenewalRow & {
  readonly state: string
  readonly tags: string
  readonly issuer_id: string
  readonly serial_number: Uint8Array
  readonly certificate_status: string
}

// index: the primary keys of renewals, devices and certificates
const selectSubjects = preparedRows<{ id: number }, SubjectRow>((db, rows) =>
  db
    .selectFrom('renewals')
    .innerJoin('devices', 'devices.id', 'renewals.device_id')
    .innerJoin('certificates', 'certificates.id', 'renewals.certificate_id')
    .select(renewalColumns.map((name) => `renewals.${name}` as const))
    .select([
      'devices.state',
      'devices.tags',
      'certificates.issuer_id',
      'certificates.serial_number',
      'certificates.status as certificate_status',
    ])
    .where(
      'renewals.id',
      'in',
      rows.map(({ id }) => id),
    )
    .$castTo<SubjectRow>(),
)

/** By the number of the renewal; those whose certificate is not in the inventory any more are missing. */
export async function triggerSubjects(
  q: Queries,
  renewalIds: readonly number[],
): Promise<Map<number, TriggerSubject>> {
  const results = await selectSubjects(
    q,
    renewalIds.map((id) => ({ id })),
  )
  const subjects = results.flatMap(({ rows }) => rows).map(toSubject)
  return new Map(subjects.map((subject) => [subject.id, subject]))
}

function toSubject(row: SubjectRow): TriggerSubject {
  return Object.assign(toRenewal(row), {
    deviceState: row.state,
    tags: JSON.parse(row.tags) as Record<string, string>,
    certificate: {
      issuerId: row.issuer_id as IssuerId,
      serialNumber: toHex(row.serial_number) as SerialNumber,
      status: row.certificate_status,
    },
  })
}

// index: tasks_due_of_kind
const selectNext = prepared((db, p: { kind: string }) =>
  db
    .selectFrom('tasks')
    .select('run_at')
    .where('kind', '=', p.kind)
    .where(sql<boolean>`status in ('ready', 'running')`)
    .orderBy('run_at')
    .orderBy('id')
    .limit(1),
)

/** Whether a task of the kind is due: a look without a write, for passes that mostly find nothing. */
export async function hasDueTask(q: Queries, kind: string, now: Instant): Promise<boolean> {
  const next = (await selectNext(q, { kind })).rows[0]
  return next !== undefined && next.run_at <= now
}

/** Attempts: one row for each time that a device was asked, or was to be asked, to renew. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'
import type { RenewalAttemptTable } from './schema-campaigns.ts'

/**
 * `queued`: on its way out. `sent`: the next hop has it. `delivered`: it says that the device has it. `failed`: it will not
 * get there. `withheld`: it did not leave, since the campaign stood still, the budget was used up or it came too late.
 */
export type AttemptStatus = 'queued' | 'sent' | 'delivered' | 'failed' | 'withheld'

export interface AttemptRecord {
  readonly id: number
  readonly renewalId: number
  readonly deviceId: DeviceId
  /** Of the renewal, when it was made. */
  readonly climb: number
  readonly rung: number
  /** From 1 on its rung. */
  readonly attempt: number
  readonly channel: string
  readonly status: AttemptStatus
  readonly detail: string | null
  /** The message's name at the provider. */
  readonly reference: string | null
  readonly at: Instant
  readonly updatedAt: Instant
}

/** Which attempt of a renewal. */
export type AttemptKey = Pick<AttemptRecord, 'renewalId' | 'climb' | 'rung' | 'attempt' | 'channel'>

const columns = [
  'id',
  'renewal_id',
  'device_id',
  'climb',
  'rung',
  'attempt',
  'channel',
  'status',
  'detail',
  'reference',
  'at',
  'updated_at',
] as const

type Row = Omit<RenewalAttemptTable, 'id'> & { readonly id: number }

function toAttempt(row: Row): AttemptRecord {
  return {
    id: row.id,
    renewalId: row.renewal_id,
    deviceId: row.device_id as DeviceId,
    climb: row.climb,
    rung: row.rung,
    attempt: row.attempt,
    channel: row.channel,
    status: row.status as AttemptStatus,
    detail: row.detail,
    reference: row.reference,
    at: row.at,
    updatedAt: row.updated_at,
  }
}

type NewRow = Omit<Row, 'id' | 'status' | 'detail' | 'reference' | 'updated_at'>

const upsertQueued = preparedRows<NewRow, never>((db, rows) =>
  db
    .insertInto('renewal_attempts')
    .values(
      rows.map((row) => ({
        renewal_id: row.renewal_id,
        device_id: row.device_id,
        climb: row.climb,
        rung: row.rung,
        attempt: row.attempt,
        channel: row.channel,
        status: 'queued',
        detail: null,
        reference: null,
        at: row.at,
        updated_at: row.at,
      })),
    )
    .onConflict((on) =>
      on.columns(['renewal_id', 'climb', 'rung', 'attempt', 'channel']).doUpdateSet({
        status: 'queued',
        detail: null,
        at: sql`excluded.at`,
        updated_at: sql`excluded.updated_at`,
      }),
    ),
)

export type NewAttempt = AttemptKey & Pick<AttemptRecord, 'deviceId' | 'at'>

/** Each is `queued`; one that was withheld before is queued again. */
export async function queueAttempts(tx: Tx, attempts: readonly NewAttempt[]): Promise<void> {
  await upsertQueued(
    tx,
    attempts.map((attempt) => ({
      renewal_id: attempt.renewalId,
      device_id: attempt.deviceId,
      climb: attempt.climb,
      rung: attempt.rung,
      attempt: attempt.attempt,
      channel: attempt.channel,
      at: attempt.at,
    })),
  )
}

export interface SettledAttempt extends AttemptKey {
  readonly status: Exclude<AttemptStatus, 'delivered'>
  readonly detail: string | null
  readonly reference: string | null
  readonly updatedAt: Instant
}

// index: renewal_attempts_renewal
const updateSettled = preparedRows<SettledAttempt, never>((db, rows) => {
  const values = rows.map(
    (row) =>
      sql`(cast(${row.renewalId} as bigint), cast(${row.rung} as bigint), cast(${row.attempt} as bigint),
        cast(${row.channel} as text), cast(${row.status} as text), cast(${row.detail} as text),
        cast(${row.reference} as text), cast(${row.updatedAt} as bigint), cast(${row.climb} as bigint))`,
  )
  return (
    db
      .updateTable('renewal_attempts')
      .from(
        sql<{
          column1: number
          column2: number
          column3: number
          column4: string
          column9: number
        }>`(values ${sql.join(values)})`.as('settled'),
      )
      .set({
        status: sql`settled.column5`,
        detail: sql`settled.column6`,
        reference: sql`coalesce(settled.column7, renewal_attempts.reference)`,
        updated_at: sql`settled.column8`,
      })
      .whereRef('renewal_attempts.renewal_id', '=', 'settled.column1')
      .whereRef('renewal_attempts.climb', '=', 'settled.column9')
      .whereRef('renewal_attempts.rung', '=', 'settled.column2')
      .whereRef('renewal_attempts.attempt', '=', 'settled.column3')
      .whereRef('renewal_attempts.channel', '=', 'settled.column4')
      // a receipt may have been faster than the answer to the message
      .where('renewal_attempts.status', '<>', 'delivered')
  )
})

/** What became of attempts. */
export async function settleAttempts(tx: Tx, settled: readonly SettledAttempt[]): Promise<void> {
  await updateSettled(tx, settled)
}

// index: renewal_attempts_renewal
const selectOfRenewal = prepared((db, p: { renewalId: number; limit: number }) =>
  db
    .selectFrom('renewal_attempts')
    .select(columns)
    .where('renewal_id', '=', p.renewalId)
    .orderBy('climb')
    .orderBy('rung')
    .orderBy('attempt')
    .orderBy('channel')
    .limit(p.limit),
)

/** Every attempt of a renewal, in the order in which its ladder was climbed, time after time; at most 1,000. */
export async function attemptsOf(q: Queries, renewalId: number): Promise<AttemptRecord[]> {
  return (await selectOfRenewal(q, { renewalId, limit: 1_000 })).rows.map(toAttempt)
}

// index: renewal_attempts_reference
const selectByReference = prepared((db, p: { channel: string; reference: string }) =>
  db
    .selectFrom('renewal_attempts')
    .select(columns)
    .where('channel', '=', p.channel)
    .where('reference', '=', p.reference)
    .orderBy('id', 'desc')
    .limit(1),
)

/** The message that a delivery receipt is about; the latest one, when a provider used a name twice. */
export async function attemptByReference(
  q: Queries,
  channel: string,
  reference: string,
): Promise<AttemptRecord | null> {
  const row = (await selectByReference(q, { channel, reference })).rows[0]
  return row ? toAttempt(row) : null
}

const updateOne = prepared((db, p: Pick<AttemptRecord, 'id' | 'status' | 'detail' | 'updatedAt'>) =>
  db
    .updateTable('renewal_attempts')
    .set({ status: p.status, detail: p.detail, updated_at: p.updatedAt })
    .where('id', '=', p.id),
)

/** What a receipt says about an attempt. */
export async function setAttemptStatus(
  tx: Tx,
  change: Pick<AttemptRecord, 'id' | 'status' | 'detail' | 'updatedAt'>,
): Promise<void> {
  await updateOne(tx, change)
}

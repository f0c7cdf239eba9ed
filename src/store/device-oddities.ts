/** What devices show unasked that is not right: that they call though they are revoked, that their clock is off. */
import { sql } from 'kysely'
import { dayMs, type Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { preparedRows } from './prepared.ts'
import type { DeviceOddityTable } from './schema-alerts.ts'
import type { Queries, Tx } from './schema.ts'

export const oddityKinds = ['clock-off', 'revoked-calls'] as const
export type OddityKind = (typeof oddityKinds)[number]

export interface Oddity {
  readonly kind: OddityKind
  readonly deviceId: DeviceId
  readonly at: Instant
  /** How often since it was last written. */
  readonly times: number
  /** Of a clock: how far it is ahead, ms; null for other kinds. */
  readonly value: number | null
}

/** After this silence it is another story. */
const storyMs = 7 * dayMs
const isNewStory = sql`excluded.last_at - device_oddities.last_at > ${sql.lit(storyMs)}`

const upsert = preparedRows<DeviceOddityTable, never>((db, rows) =>
  db
    .insertInto('device_oddities')
    .values(
      rows.map((row) => ({
        kind: row.kind,
        device_id: row.device_id,
        times: row.times,
        first_at: row.first_at,
        last_at: row.last_at,
        value: row.value,
      })),
    )
    .onConflict((on) =>
      on.columns(['kind', 'device_id']).doUpdateSet({
        times: sql`excluded.times + case when ${isNewStory} then 0 else device_oddities.times end`,
        first_at: sql`case when ${isNewStory} then excluded.first_at else device_oddities.first_at end`,
        last_at: sql`case when excluded.last_at > device_oddities.last_at then excluded.last_at else device_oddities.last_at end`,
        value: sql`excluded.value`,
      }),
    ),
)

/** @param oddities one for each kind and device */
export async function recordOddities(tx: Tx, oddities: readonly Oddity[]): Promise<void> {
  const rows = oddities.map(({ kind, deviceId, at, times, value }) => ({
    kind,
    device_id: deviceId,
    times,
    first_at: at,
    last_at: at,
    value,
  }))
  // in key order, so that two writers cannot wait for each other in a circle
  await upsert(
    tx,
    rows.sort((a, b) => compare(a.kind, b.kind) || compare(a.device_id, b.device_id)),
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const deleteOf = preparedRows<{ kind: string; device_id: string }, never>((db, rows) =>
  db
    .deleteFrom('device_oddities')
    .where('kind', '=', rows[0]?.kind as string)
    .where(
      'device_id',
      'in',
      rows.map((row) => row.device_id),
    ),
)

/** They are right again. One look-up when nothing of this kind is on record, which is nearly always. */
export async function clearOddities(tx: Tx, kind: OddityKind, deviceIds: readonly DeviceId[]): Promise<void> {
  const any = await tx
    .selectFrom('device_oddities')
    .select('kind')
    .where('kind', '=', kind)
    .limit(1)
    .executeTakeFirst()
  if (!any) return
  await deleteOf(
    tx,
    deviceIds.toSorted(compare).map((id) => ({ kind, device_id: id })),
  )
}

export interface OddDevice {
  readonly deviceId: DeviceId
  readonly times: number
  readonly firstAt: Instant
  readonly lastAt: Instant
  readonly value: number | null
}

export interface OddityRequest {
  readonly kind: OddityKind
  readonly since: Instant
  readonly limit: number
}

/** How many devices since then, at most `limit`. Index: device_oddities_last, without reading the rows. */
export async function countOddities(q: Queries, { kind, since, limit }: OddityRequest): Promise<number> {
  const some = q
    .selectFrom('device_oddities')
    .select('last_at')
    .where('kind', '=', kind)
    .where('last_at', '>=', since)
    .limit(limit)
  const row = await q
    .selectFrom(some.as('some'))
    .select(sql<number>`cast(count(*) as bigint)`.as('count'))
    .executeTakeFirst()
  return row?.count ?? 0
}

/** The latest. Index: device_oddities_last. */
export async function latestOddities(
  q: Queries,
  { kind, since, limit }: OddityRequest,
): Promise<OddDevice[]> {
  const rows = await q
    .selectFrom('device_oddities')
    .select(['device_id', 'times', 'first_at', 'last_at', 'value'])
    .where('kind', '=', kind)
    .where('last_at', '>=', since)
    .orderBy('last_at', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    deviceId: row.device_id as DeviceId,
    times: row.times,
    firstAt: row.first_at,
    lastAt: row.last_at,
    value: row.value,
  }))
}

/** Index: device_oddities_last. @returns how many are gone */
export async function forgetOddities(tx: Tx, kind: OddityKind, before: Instant): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('device_oddities')
    .where('kind', '=', kind)
    .where('last_at', '<', before)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

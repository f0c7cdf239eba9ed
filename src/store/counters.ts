/** Sums that pages show, read from the roll-ups instead of from the rows. */
import { sql } from 'kysely'
import { dayMs } from '../base/clock.ts'
import { unitEndOf } from './unit-end.ts'
import type { Queries, Tx } from './schema.ts'

/** Counts for later display, such as `est.refusals`: written with the transaction, last. */
export function addCounters(tx: Tx, deltas: Readonly<Record<string, number>>): void {
  for (const [name, delta] of Object.entries(deltas)) unitEndOf(tx).add(name, delta)
}

/** @param prefix `devices.` or `certificates.` gives one sum for each state or status; sums of 0 may be missing */
export async function readCounters(q: Queries, prefix: string): Promise<Map<string, number>> {
  const rows = await q
    .selectFrom('counters')
    .select(['name', wholeSum('value').as('total')])
    .where('name', '>=', prefix)
    .where('name', '<', `${prefix}\u{10ffff}`)
    .groupBy('name')
    .orderBy('name')
    .execute()
  return new Map(rows.map((row) => [row.name, row.total]))
}

export interface ExpiryHistogramRequest {
  /** Days since 1970-01-01 UTC. */
  readonly fromDay: number
  readonly days: number
  /** Splits each day's sum. */
  readonly by?: 'issuerId' | 'profile' | 'cohort'
  readonly cohort?: string
  readonly profile?: string
}

export interface ExpirySum {
  readonly day: number
  /** Value of the column asked for with `by`; '' for certificates that have none, or without `by`. */
  readonly key: string
  readonly count: number
}

/** How many live certificates expire on each day; days and keys without any are left out. Primary key range scan. */
export async function expiryHistogram(q: Queries, request: ExpiryHistogramRequest): Promise<ExpirySum[]> {
  const { fromDay, days, by, cohort, profile } = request
  const key = by === undefined ? sql.lit('') : sql.ref(by === 'issuerId' ? 'issuer_id' : by)
  let query = q
    .selectFrom('expiry_counts')
    .select(['day', sql<string>`${key}`.as('key'), wholeSum('count').as('total')])
    .where('day', '>=', fromDay)
    .where('day', '<', fromDay + days)
  if (cohort !== undefined) query = query.where('cohort', '=', cohort)
  if (profile !== undefined) query = query.where('profile', '=', profile)
  const rows = await query
    .groupBy(by === undefined ? ['day'] : ['day', by === 'issuerId' ? 'issuer_id' : by])
    .having(sql`sum(count)`, '<>', 0)
    .orderBy('day')
    .orderBy('key')
    .execute()
  return rows.map((row) => ({ day: row.day, key: row.key, count: row.total }))
}

export interface IssuerSum {
  readonly issuerId: string
  readonly count: number
  /** Days since 1970-01-01 UTC. */
  readonly firstDay: number
  readonly lastDay: number
}

/** Live certificates by issuer, with the days of their ends. Reads the sums of all days, a few thousand rows for each issuer. */
export async function liveByIssuer(q: Queries): Promise<IssuerSum[]> {
  const rows = await q
    .selectFrom(
      q
        .selectFrom('expiry_counts')
        .select(['issuer_id', 'day', wholeSum('count').as('total')])
        .groupBy(['issuer_id', 'day'])
        .having(sql`sum(count)`, '>', 0)
        .as('days'),
    )
    .select([
      'issuer_id',
      wholeSum('total').as('count'),
      sql<number>`min(day)`.as('first_day'),
      sql<number>`max(day)`.as('last_day'),
    ])
    .groupBy('issuer_id')
    .execute()
  return rows.map((row) => ({
    issuerId: row.issuer_id,
    count: row.count,
    firstDay: row.first_day,
    lastDay: row.last_day,
  }))
}

/** The histogram by a column without a roll-up, counted over the rows. Index: certificates_expiry. */
export async function expirySplit(
  q: Queries,
  { fromDay, days, by }: { readonly fromDay: number; readonly days: number; readonly by: 'batch' | 'site' },
): Promise<ExpirySum[]> {
  const day = sql<number>`not_after / ${sql.lit(dayMs)}`
  const rows = await q
    .selectFrom('certificates')
    .select([
      day.as('day'),
      sql<string>`coalesce(${sql.ref(by)}, '')`.as('key'),
      sql<number>`cast(count(*) as bigint)`.as('count'),
    ])
    .where(sql<boolean>`status in ('issued', 'confirmed')`)
    .where('not_after', '>=', fromDay * dayMs)
    .where('not_after', '<', (fromDay + days) * dayMs)
    .groupBy([sql`1`, sql`2`])
    .orderBy(sql`1`)
    .orderBy(sql`2`)
    .execute()
  return rows
}

/** PostgreSQL sums bigint to numeric, which would arrive as text. */
function wholeSum(column: string) {
  return sql<number>`cast(sum(${sql.ref(column)}) as bigint)`
}

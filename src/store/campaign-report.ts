/** Sums over the targets of one campaign for its report: read from the rows, some seconds for millions. */
import { sql, type SqlBool } from 'kysely'
import { dayMs } from '../base/clock.ts'
import type { Queries } from './schema.ts'

export interface ReasonCount {
  readonly status: 'escalated' | 'abandoned'
  readonly reason: string
  readonly count: number
}

/** Why targets are on the field list or were given up. Index: renewals_campaign. */
export async function reasonCounts(q: Queries, campaignId: string): Promise<ReasonCount[]> {
  const rows = await q
    .selectFrom('renewals')
    .select(['status', 'reason', wholeCount])
    .where('campaign_id', '=', campaignId)
    .where(sql<SqlBool>`campaign_id <> ''`)
    .where('status', 'in', ['escalated', 'abandoned'])
    .groupBy(['status', 'reason'])
    .orderBy('count', 'desc')
    .orderBy('status')
    .execute()
  return rows.map(({ status, reason, count }) => ({
    status: status as ReasonCount['status'],
    reason: reason ?? 'unknown',
    count,
  }))
}

/** Answers were given within so many days after the first trigger; the last entry of a result is for longer. */
export const answerDays = [1, 2, 4, 7, 14, 30] as const

/** From the first trigger to the first use of the new certificate, by `answerDays`. Index: renewals_campaign. */
export async function answerTimes(q: Queries, campaignId: string): Promise<number[]> {
  const cases = answerDays.map(
    (days, at) => sql`when confirmed_at - triggered_at <= ${sql.lit(days * dayMs)} then ${sql.lit(at)}`,
  )
  const rows = await q
    .selectFrom('renewals')
    .select([
      sql<number>`case ${sql.join(cases, sql` `)} else ${sql.lit(answerDays.length)} end`.as('bucket'),
      wholeCount,
    ])
    .where('campaign_id', '=', campaignId)
    .where(sql<SqlBool>`campaign_id <> ''`)
    .where('confirmed_at', 'is not', null)
    .where('triggered_at', 'is not', null)
    .groupBy(sql`1`)
    .execute()
  const counts = Array.from({ length: answerDays.length + 1 }, () => 0)
  for (const { bucket, count } of rows) counts[bucket] = count
  return counts
}

export interface AttemptSum {
  readonly channel: string
  readonly status: string
  readonly count: number
}

/** What was sent, by channel and what became of it. Indexes: renewals_campaign, renewal_attempts_renewal. */
export async function attemptSums(q: Queries, campaignId: string): Promise<AttemptSum[]> {
  const rows = await q
    .selectFrom('renewals as r')
    .innerJoin('renewal_attempts as a', 'a.renewal_id', 'r.id')
    .select(['a.channel', 'a.status', wholeCount])
    .where('r.campaign_id', '=', campaignId)
    .where(sql<SqlBool>`r.campaign_id <> ''`)
    .where('a.attempt', '>', 0)
    .groupBy(['a.channel', 'a.status'])
    .orderBy('a.channel')
    .orderBy('a.status')
    .execute()
  return rows.map(({ channel, status, count }) => ({ channel, status, count }))
}

const wholeCount = sql<number>`cast(count(*) as bigint)`.as('count')

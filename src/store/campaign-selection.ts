/**
 * Which devices a selection means, and which of them can be targets: counted for a plan, and read page by page when the
 * targets are drawn.
 */
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { dayMs, type Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import type { Queries } from './schema.ts'

/** All that is not null must hold. */
export interface SelectionFilter {
  readonly profile: string | null
  readonly cohort: string | null
  readonly batch: string | null
  readonly site: string | null
  /** Names of `A-Z a-z 0-9 _ -`. */
  readonly tags: Readonly<Record<string, string>>
  readonly issuer: string | null
  readonly keyAlgorithm: string | null
  readonly expiringBefore: Instant | null
  readonly lastSeenBefore: Instant | null
}

export interface RenewableProfile {
  readonly name: string
  readonly renewBeforeMs: number
  readonly renewExpiredForMs: number
}

export interface SelectionRequest {
  readonly filter: SelectionFilter
  readonly now: Instant
  /** The others are never renewed. */
  readonly profiles: readonly RenewableProfile[]
  /** The longest a healthy device stays silent, ms, by name of its connectivity. */
  readonly checkIns: ReadonlyMap<string, number>
  readonly slot: string
  /** Issuers that are revoked: what they have signed need not be due to be replaced. */
  readonly lostIssuers: readonly string[]
}

/** `target`, or the first reason why not. */
export const selectionOutcomes = [
  'target',
  'quarantined',
  'decommissioned',
  'no-certificate',
  'never-renewed',
  'expired',
  'other-campaign',
  'being-renewed',
  'not-yet',
] as const
export type SelectionOutcome = (typeof selectionOutcomes)[number]

/** Seen at most so many days ago; then one for longer ago, and one for never. */
export const silenceDays = [1, 3, 7, 30, 90] as const
/** Weeks until the certificate ends are counted up to here. */
export const maxWeeksLeft = 53

export interface SelectionTally {
  readonly outcome: SelectionOutcome
  readonly connectivity: string
  /** Index into `silenceDays`; its length = longer ago, one more = never. */
  readonly silence: number
  /** 0 = seen within its check-in, 1 = within four of them, 2 = longer ago, or never. */
  readonly lateness: 0 | 1 | 2
  /** Whole weeks until the certificate ends, 0 to `maxWeeksLeft`; also 0 when it has ended or there is none. */
  readonly weeksLeft: number
  readonly count: number
}

// What one row adds up is one whole number, digit by digit in mixed bases: grouping by five columns takes twice as long.
const silenceBase = 8
const latenessBase = 4
const weeksBase = 64

/**
 * One pass over the selected devices, in the order of their ids: 2.2 million in about six seconds on SQLite. Indexes:
 * devices by primary key, cohort or batch; certificates_device, renewals_open.
 */
export async function tallySelection(q: Queries, request: SelectionRequest): Promise<SelectionTally[]> {
  const names = [...request.checkIns.keys()]
  const rows = await selected(q, request)
    .select([
      sql<number>`((${connectivityAndLateness(request)} * ${sql.lit(selectionOutcomes.length)} + ${outcomeOf(request)})
        * ${sql.lit(silenceBase)} + ${silenceOf(request.now)}) * ${sql.lit(weeksBase)}
        + ${weeksLeftOf(request.now)}`.as('key'),
      sql<number>`cast(count(*) as bigint)`.as('count'),
    ])
    .groupBy(sql`1`)
    .orderBy(sql`1`)
    .execute()
  return rows.map(({ key, count }) => readKey(key, count, names))
}

function readKey(key: number, count: number, names: readonly string[]): SelectionTally {
  let rest = key
  const digit = (base: number): number => {
    const value = rest % base
    rest = Math.floor(rest / base)
    return value
  }
  const weeksLeft = digit(weeksBase)
  const silence = digit(silenceBase)
  const outcome = selectionOutcomes[digit(selectionOutcomes.length)] ?? 'target'
  const lateness = digit(latenessBase) as 0 | 1 | 2
  return { outcome, connectivity: names[rest] ?? 'unknown', silence, lateness, weeksLeft, count }
}

export interface Candidate {
  readonly deviceId: DeviceId
  readonly certificateId: CertificateId
  readonly notAfter: Instant
  readonly connectivity: string
  readonly site: string | null
  readonly hardware: string | null
  readonly firmware: string | null
}

/** Those that can be targets, in the order of their device ids. */
export async function candidatePage(
  q: Queries,
  { after, limit, ...request }: PageRequest & SelectionRequest,
): Promise<Page<Candidate>> {
  assertLimit(limit)
  const rows = await selected(q, request)
    .where('d.id', '>', after ?? '')
    .where(outcomeOf(request), '=', 0)
    .select([
      'd.id as device_id',
      'c.id as certificate_id',
      'c.not_after',
      'd.connectivity',
      'd.site',
      'd.hardware',
      'd.firmware',
    ])
    .orderBy('d.id')
    .limit(limit + 1)
    .execute()
  const candidates = rows.map((row) => ({
    deviceId: row.device_id as DeviceId,
    certificateId: row.certificate_id as CertificateId,
    notAfter: row.not_after as Instant,
    connectivity: row.connectivity,
    site: row.site,
    hardware: row.hardware,
    firmware: row.firmware,
  }))
  return pageOf(candidates, limit, ({ deviceId }) => deviceId)
}

/** Each selected device once, with its current certificate, its last contact and its open renewal. */
function selected(q: Queries, { filter, slot }: SelectionRequest) {
  let query = q
    .selectFrom('devices as d')
    .leftJoin('certificates as c', (join) =>
      join
        .onRef('c.device_id', '=', 'd.id')
        .on('c.slot', '=', slot)
        .on(sql<SqlBool>`c.status in ('issued', 'confirmed')`)
        // the newest of those that live; index: certificates_device
        .on(
          sql<SqlBool>`not exists (select 1 from certificates n where n.device_id = c.device_id and n.slot = c.slot
            and n.id > c.id and n.status in ('issued', 'confirmed'))`,
        ),
    )
    .leftJoin('device_last_seen as s', 's.device_id', 'd.id')
    // index: renewals_open
    .leftJoin('renewals as r', (join) =>
      join
        .onRef('r.device_id', '=', 'd.id')
        .on('r.slot', '=', slot)
        .on(sql<SqlBool>`r.status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`),
    )
  for (const name of ['profile', 'cohort', 'batch', 'site'] as const) {
    const value = filter[name]
    if (value !== null) query = query.where(`d.${name}`, '=', value)
  }
  for (const [name, value] of Object.entries(filter.tags)) {
    // the column is JSON without white space: this member stands in it exactly so, and quotes inside texts are escaped
    const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`
    query = query.where(sql<SqlBool>`replace(d.tags, ${member}, '') <> d.tags`)
  }
  if (filter.issuer !== null) query = query.where('c.issuer_id', '=', filter.issuer)
  if (filter.keyAlgorithm !== null) query = query.where('c.key_algorithm', '=', filter.keyAlgorithm)
  if (filter.expiringBefore !== null) query = query.where('c.not_after', '<', filter.expiringBefore)
  const { lastSeenBefore } = filter
  if (lastSeenBefore !== null)
    query = query.where((each) => each.or([each('s.at', 'is', null), each('s.at', '<', lastSeenBefore)]))
  return query
}

/** Position in `selectionOutcomes` of the first that applies. */
function outcomeOf({ now, profiles, lostIssuers }: SelectionRequest): RawBuilder<number> {
  const opensBy = byName('d.profile', profiles, ({ renewBeforeMs }) => now + renewBeforeMs)
  const renewableUntil = byName('d.profile', profiles, ({ renewExpiredForMs }) => now - renewExpiredForMs)
  const isRenewable =
    profiles.length === 0 ? sql`1 = 0` : sql`d.profile in (${sql.join(profiles.map(({ name }) => name))})`
  const ofOther = lostIssuers.length === 0 ? sql`` : sql` and c.issuer_id not in (${sql.join(lostIssuers)})`
  const is = (outcome: SelectionOutcome) => sql.lit(selectionOutcomes.indexOf(outcome))
  return sql<number>`case
    when d.state = 'quarantined' then ${is('quarantined')}
    when d.state = 'decommissioned' then ${is('decommissioned')}
    when c.id is null then ${is('no-certificate')}
    when not (${isRenewable}) then ${is('never-renewed')}
    when c.not_after < ${renewableUntil} then ${is('expired')}
    when r.id is not null and r.campaign_id <> '' then ${is('other-campaign')}
    when r.id is not null and r.status <> 'planned' then ${is('being-renewed')}
    when c.not_after > ${opensBy}${ofOther} then ${is('not-yet')}
    else ${is('target')} end`
}

function byName(
  column: string,
  entries: readonly RenewableProfile[],
  valueOf: (entry: RenewableProfile) => number,
): RawBuilder<number> {
  if (entries.length === 0) return sql<number>`cast(null as bigint)`
  const cases = entries.map((entry) => sql`when ${entry.name} then ${sql.lit(valueOf(entry))}`)
  return sql<number>`case ${sql.ref(column)} ${sql.join(cases, sql` `)} end`
}

/** Position of the connectivity and lateness in one, because each comparison of texts counts, 2.2 million times. */
function connectivityAndLateness({ now, checkIns }: SelectionRequest): RawBuilder<number> {
  const places = [...checkIns].map(([name, ms], at) => {
    const from = at * latenessBase
    return sql`when ${name} then case when s.at >= ${sql.lit(now - ms)} then ${sql.lit(from)}
      when s.at >= ${sql.lit(now - 4 * ms)} then ${sql.lit(from + 1)} else ${sql.lit(from + 2)} end`
  })
  const unknown = checkIns.size * latenessBase + 2
  if (places.length === 0) return sql<number>`${sql.lit(unknown)}`
  return sql<number>`case d.connectivity ${sql.join(places, sql` `)} else ${sql.lit(unknown)} end`
}

function silenceOf(now: Instant): RawBuilder<number> {
  const cases = silenceDays.map(
    (days, at) => sql`when s.at >= ${sql.lit(now - days * dayMs)} then ${sql.lit(at)}`,
  )
  return sql<number>`case when s.at is null then ${sql.lit(silenceDays.length + 1)} ${sql.join(cases, sql` `)}
    else ${sql.lit(silenceDays.length)} end`
}

function weeksLeftOf(now: Instant): RawBuilder<number> {
  const week = 7 * dayMs
  return sql<number>`case when c.not_after is null or c.not_after <= ${sql.lit(now)} then 0
    when c.not_after >= ${sql.lit(now + maxWeeksLeft * week)} then ${sql.lit(maxWeeksLeft)}
    else (c.not_after - ${sql.lit(now)}) / ${sql.lit(week)} end`
}

/** The sweeps of the alerts: live certificates by their end, and devices by their silence. Each page is bounded by rows read. */
import { sql, type RawBuilder } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import type { DueCursor } from './due-certificates.ts'
import { prepared } from './prepared.ts'
import type { Db, Queries } from './schema.ts'

export interface WatchedCertificate {
  readonly deviceId: DeviceId
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly issuerId: string
  readonly profile: string
  readonly cohort: string | null
  readonly batch: string | null
  readonly connectivity: string
}

interface Bounds {
  readonly notAfter: Instant
  readonly id: number
  readonly to: Instant
  readonly limit: number
}

// index: certificates_expiry, without reading its rows. SQLite seeks by the first column of a pair only, hence two steps.
const selectSameEnds = prepared<Bounds, { id: number; not_after: number }>((db, p) =>
  ends(db, p).where('not_after', '=', p.notAfter).where('id', '>', p.id).orderBy('id'),
)
const selectLaterEnds = prepared<Bounds, { id: number; not_after: number }>((db, p) =>
  ends(db, p)
    .where('not_after', '>', p.notAfter)
    .where('not_after', '<=', p.to)
    .orderBy('not_after')
    .orderBy('id'),
)

const isLive = sql<boolean>`status in ('issued', 'confirmed')`

function ends(db: Db, p: Pick<Bounds, 'limit'>) {
  return db.selectFrom('certificates').select(['id', 'not_after']).where(isLive).limit(p.limit)
}

export interface WatchRequest {
  readonly after: DueCursor
  readonly to: Instant
  /** Certificates looked at. */
  readonly limit: number
  /** Up to which end a certificate matters, by connectivity. */
  readonly horizons: ReadonlyMap<string, Instant>
  /** Of devices whose connectivity is not among them. */
  readonly otherHorizon: Instant
}

export interface WatchPage {
  readonly looked: number
  /** Those inside their horizon that have no newer certificate in their slot, of devices that are in service. */
  readonly rows: readonly WatchedCertificate[]
  /** Where the next page begins; null at the end. */
  readonly next: DueCursor | null
}

/** The next live certificates by their end. Those beyond their horizon cost two look-ups and leave the database never. */
export async function watchedCertificates(q: Queries, request: WatchRequest): Promise<WatchPage> {
  const { after, to, limit } = request
  const same = (await selectSameEnds(q, { ...after, to, limit })).rows
  const left = limit - same.length
  const later = left === 0 ? [] : (await selectLaterEnds(q, { ...after, to, limit: left })).rows
  const looked = same.length + later.length
  const last = later.at(-1) ?? same.at(-1)
  const rows = [
    ...(same.length === 0 ? [] : await watched(q, request, 'same', same.length)),
    ...(later.length === 0 ? [] : await watched(q, request, 'later', later.length)),
  ]
  const next = looked < limit || !last ? null : { notAfter: last.not_after, id: last.id }
  return { looked, rows, next }
}

async function watched(
  q: Queries,
  { after, to, horizons, otherHorizon }: WatchRequest,
  part: 'same' | 'later',
  limit: number,
): Promise<WatchedCertificate[]> {
  const range =
    part === 'same'
      ? sql`not_after = ${after.notAfter} and id > ${after.id} order by id`
      : sql`not_after > ${after.notAfter} and not_after <= ${to} order by not_after, id`
  // the inner limit keeps the page bounded whatever is filtered out afterwards
  const { rows } = await sql<WatchedCertificate>`
    select c.device_id as "deviceId", c.not_before as "notBefore", c.not_after as "notAfter",
      c.issuer_id as "issuerId", coalesce(c.profile, d.profile) as "profile",
      c.cohort as "cohort", c.batch as "batch", d.connectivity as "connectivity"
    from (
      select id, device_id, slot, issuer_id, not_before, not_after, profile, cohort, batch from certificates
      where status in ('issued', 'confirmed') and ${range} limit ${limit}
    ) as c
    join devices as d on d.id = c.device_id
    where c.not_after <= ${byConnectivity(horizons, otherHorizon)} and d.state <> 'decommissioned'
      and not exists (
        select 1 from certificates as n where n.device_id = c.device_id and n.slot = c.slot and n.id > c.id
          and n.status in ('issued', 'confirmed'))`.execute(q)
  return rows
}

export interface SilenceSum {
  readonly connectivity: string
  readonly site: string | null
  /** Devices in service that were seen at least once. */
  readonly seen: number
  /** Of these, those not seen since their limit. */
  readonly dark: number
}

export interface SilencePage {
  readonly looked: number
  readonly sums: readonly SilenceSum[]
  readonly next: DeviceId | null
}

/** How many devices are silent, over the next ones by their id. Both tables are read in the order of their keys. */
export async function silentDevices(
  q: Queries,
  request: {
    readonly after: string
    readonly limit: number
    /** Last seen before this is dark, by connectivity. */
    readonly limits: ReadonlyMap<string, Instant>
    readonly otherLimit: Instant
  },
): Promise<SilencePage> {
  const { after, limit, limits, otherLimit } = request
  const end = await q
    .selectFrom('devices')
    .select('id')
    .where('id', '>', after)
    .orderBy('id')
    .limit(1)
    .offset(limit - 1)
    .executeTakeFirst()
  const { rows } = await sql<SilenceSum>`
    select d.connectivity as "connectivity", d.site as "site", cast(count(s.at) as bigint) as "seen",
      cast(coalesce(sum(case when s.at < ${byConnectivity(limits, otherLimit)} then 1 else 0 end), 0) as bigint) as "dark"
    from (
      select id, connectivity, site from devices where id > ${after} and state = 'active' order by id limit ${limit}
    ) as d
    left join device_last_seen as s on s.device_id = d.id
    where ${end ? sql<boolean>`d.id <= ${end.id}` : sql<boolean>`true`}
    group by d.connectivity, d.site`.execute(q)
  return { looked: end ? limit : 0, sums: rows, next: (end?.id ?? null) as DeviceId | null }
}

function byConnectivity(values: ReadonlyMap<string, Instant>, other: Instant): RawBuilder<Instant> {
  if (values.size === 0) return sql<Instant>`cast(${other} as bigint)`
  const cases = [...values].map(([name, at]) => sql`when ${name} then cast(${at} as bigint)`)
  return sql<Instant>`case d.connectivity ${sql.join(cases, sql` `)} else cast(${other} as bigint) end`
}

/** The sweeps of the alerts: live certificates by their end, and devices by their silence. Each page is bounded by rows read. */
import { sql, type RawBuilder } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import type { Queries } from './schema.ts'

export interface WatchedCertificate {
  readonly deviceId: DeviceId
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly profile: string
  readonly cohort: string | null
  readonly batch: string | null
  readonly connectivity: string
}

/** When the device was last seen, null for never, and its gaps; see last-seen.ts. */
export interface WatchedContacts {
  readonly seenAt: Instant | null
  readonly gaps: number
  readonly usualGapMs: number
  readonly longestGapMs: number
}

export interface WatchRequest {
  /** The last device of the page before; '' at the start. */
  readonly after: string
  /** Devices whose certificates are looked at. */
  readonly limit: number
  /** Only those that end after this instant. */
  readonly from: Instant
  /** Up to which end a certificate matters, by connectivity. */
  readonly horizons: ReadonlyMap<string, Instant>
  /** Of devices whose connectivity is not among them. */
  readonly otherHorizon: Instant
}

export interface WatchPage {
  /** Those inside their horizon that have no newer certificate in their slot, of devices that are in service. */
  readonly rows: readonly (WatchedCertificate & WatchedContacts)[]
  /** Where the next page begins; null at the end. */
  readonly next: string | null
}

/**
 * The live certificates of the next devices, in the order of the devices: then devices and contacts are read in the order in
 * which they lie. By their ends each look-up would be somewhere else in the file (2.2 million devices: 3 s instead of 11).
 */
export async function watchedCertificates(q: Queries, request: WatchRequest): Promise<WatchPage> {
  const { after, limit, from, horizons, otherHorizon } = request
  const to = Math.max(otherHorizon, ...horizons.values())
  const end = await q
    .selectFrom('devices')
    .select('id')
    .where('id', '>', after)
    .orderBy('id')
    .limit(1)
    .offset(limit - 1)
    .executeTakeFirst()
  const next = end?.id ?? null
  // `+ 0`: the ends are looked at in certificates_live, and the index of the ends is not wanted
  const { rows } = await sql<WatchedCertificate & WatchedContacts>`
    select l.device_id as "deviceId", c.not_before as "notBefore", l.not_after as "notAfter",
      coalesce(c.profile, d.profile) as "profile", c.cohort as "cohort", c.batch as "batch",
      d.connectivity as "connectivity", s.at as "seenAt", coalesce(s.gaps, 0) as "gaps",
      coalesce(s.usual_gap, 0) as "usualGapMs", coalesce(s.longest_gap, 0) as "longestGapMs"
    from (
      select id, device_id, slot, not_after from certificates
      where ${isLive('certificates')} and device_id > ${after} and ${upTo('device_id', next)}
        and not_after + 0 > ${from} and not_after + 0 <= ${to}
    ) as l
    cross join devices as d
    cross join certificates as c
    left join device_last_seen as s on s.device_id = l.device_id
    where d.id = l.device_id and c.id = l.id
      and l.not_after <= ${byConnectivity(horizons, otherHorizon)} and d.state <> 'decommissioned'
      and not exists (
        select 1 from certificates as n where n.device_id = l.device_id and n.slot = l.slot and n.id > l.id
          and ${isLive('n')})`.execute(q)
  return { rows, next }
}

function isLive(table: string): RawBuilder<boolean> {
  return sql<boolean>`${sql.ref(`${table}.status`)} in ('issued', 'confirmed')`
}

function upTo(column: string, end: string | null): RawBuilder<boolean> {
  return end === null ? sql<boolean>`true` : sql<boolean>`${sql.ref(column)} <= ${end}`
}

export interface SilenceSum {
  readonly connectivity: string
  readonly site: string | null
  /** Devices in service that were seen at least once. */
  readonly seen: number
  /** Of these, those not seen since their limit. */
  readonly dark: number
}

/** Devices in service; those that were never seen are still among them. Index: devices_active, without reading its rows. */
export async function activeDevices(q: Queries): Promise<SilenceSum[]> {
  return await q
    .selectFrom('devices')
    .select([
      'connectivity',
      'site',
      sql<number>`cast(count(*) as bigint)`.as('seen'),
      sql<number>`0`.as('dark'),
    ])
    .where('state', '=', sql.lit('active'))
    .groupBy(['connectivity', 'site'])
    .execute()
}

export interface SilencePage {
  /** To be added to those of `activeDevices`: dark ones, and in place of `seen` those never seen, as negative numbers. */
  readonly sums: readonly SilenceSum[]
  readonly next: DeviceId | null
}

export interface SilenceRequest {
  readonly after: string
  /** Contacts looked at. */
  readonly limit: number
  /** Last seen before this is dark, by connectivity. */
  readonly limits: ReadonlyMap<string, Instant>
  readonly otherLimit: Instant
}

/** How many devices are silent, over the next ones by their id. Contacts are read in the order of their key. */
export async function silentDevices(q: Queries, request: SilenceRequest): Promise<SilencePage> {
  const { after, limit, limits, otherLimit } = request
  const end = await q
    .selectFrom('device_last_seen')
    .select('device_id')
    .where('device_id', '>', after)
    .orderBy('device_id')
    .limit(1)
    .offset(limit - 1)
    .executeTakeFirst()
  const next = end?.device_id ?? null
  const latest = Math.max(otherLimit, ...limits.values())
  const { rows: dark } = await sql<SilenceSum>`
    select d.connectivity as "connectivity", d.site as "site", 0 as "seen", cast(count(*) as bigint) as "dark"
    from (
      select device_id, at from device_last_seen
      where device_id > ${after} and ${upTo('device_id', next)} and at < ${latest}
    ) as s
    cross join devices as d
    where d.id = s.device_id and d.state = 'active' and s.at < ${byConnectivity(limits, otherLimit)}
    group by d.connectivity, d.site`.execute(q)
  return { sums: [...dark, ...(await neverSeen(q, after, next))], next: next as DeviceId | null }
}

/** In most pages there is none, which two counts along the keys show at a tenth of the cost. */
async function neverSeen(q: Queries, after: string, end: string | null): Promise<SilenceSum[]> {
  const { rows: counts } = await sql<{ devices: number; seen: number }>`
    select
      (select cast(count(*) as bigint) from devices where id > ${after} and ${upTo('id', end)}) as "devices",
      (select cast(count(*) as bigint) from device_last_seen
        where device_id > ${after} and ${upTo('device_id', end)}) as "seen"`.execute(q)
  // a contact is only written for a device that is there, and devices are never deleted
  if (counts[0] && counts[0].devices === counts[0].seen) return []
  const { rows } = await sql<SilenceSum>`
    select d.connectivity as "connectivity", d.site as "site", cast(-count(*) as bigint) as "seen", 0 as "dark"
    from devices as d
    where d.id > ${after} and ${upTo('d.id', end)} and d.state = 'active'
      and not exists (select 1 from device_last_seen as s where s.device_id = d.id)
    group by d.connectivity, d.site`.execute(q)
  return rows
}

function byConnectivity(values: ReadonlyMap<string, Instant>, other: Instant): RawBuilder<Instant> {
  if (values.size === 0) return sql<Instant>`cast(${other} as bigint)`
  const cases = [...values].map(([name, at]) => sql`when ${name} then cast(${at} as bigint)`)
  return sql<Instant>`case d.connectivity ${sql.join(cases, sql` `)} else cast(${other} as bigint) end`
}

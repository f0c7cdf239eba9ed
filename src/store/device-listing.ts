/** Lists of devices by filter: by id, or by the end of their newest live certificate. */
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { Refusal } from '../base/errors.ts'
import type { Filter, Term } from '../filter/filter.ts'
import { deviceColumns, toDeviceRecord, type DeviceRecord } from './devices.ts'
import { conditionOf, lastCharacter, type Condition } from './filter-condition.ts'
import { chosenSort, columnOf, rangesOf, type Columns, type ListRequest } from './listing.ts'
import type { Page } from './page.ts'
import { scanBudget, scanPage, type Order } from './scan.ts'
import type { DeviceTable, Queries } from './schema.ts'

export const deviceSorts = ['id', 'expires'] as const
type DeviceSort = (typeof deviceSorts)[number]

const live = sql<SqlBool>`c.status in ('issued', 'confirmed')`
const openStatuses = sql`('planned', 'triggered', 'issued', 'confirmed', 'escalated')`

/** By what must be joined to read them. */
const columnsOf = {
  device: {
    id: columnOf(sql`d.id`),
    state: columnOf(sql`d.state`, 'word'),
    profile: columnOf(sql`d.profile`),
    cohort: columnOf(sql`d.cohort`),
    batch: columnOf(sql`d.batch`),
    site: columnOf(sql`d.site`),
    connectivity: columnOf(sql`d.connectivity`),
    hardware: columnOf(sql`d.hardware`),
    firmware: columnOf(sql`d.firmware`),
    created: columnOf(sql`d.created_at`, 'ago'),
    lastRenewal: columnOf(sql`d.last_renewal_at`, 'ago'),
  },
  seen: { lastSeen: columnOf(sql`s.at`, 'ago') },
  certificate: {
    expires: columnOf(sql`c.not_after`, 'ahead'),
    issuer: columnOf(sql`c.issuer_id`),
    key: columnOf(sql`c.key_algorithm`),
  },
  renewal: {
    renewal: columnOf(sql`r.status`, 'word'),
    campaign: columnOf(sql`nullif(r.campaign_id, '')`),
  },
} as const satisfies Record<string, Columns>

export const deviceFilterColumns: Columns = Object.assign({}, ...Object.values(columnsOf)) as Columns

const joins = {
  seen: sql`left join device_last_seen as s on s.device_id = d.id`,
  // the newest of those that live; index: certificates_device
  certificate: sql`left join certificates as c on c.id = (select n.id from certificates as n
    where n.device_id = d.id and n.slot = 'default' and n.status in ('issued', 'confirmed') order by n.id desc limit 1)`,
  // index: renewals_open
  renewal: sql`left join renewals as r on r.id = (select o.id from renewals as o
    where o.device_id = d.id and o.slot = 'default' and o.status in ${openStatuses} limit 1)`,
} as const

/**
 * Indexes: devices by primary key, devices_by_batch, _site, _cohort, and devices_by_state for all states but `active`;
 * in the order of ends, certificates_expiry, certificates_cohort_expiry and certificates_site_expiry.
 * @throws Refusal `invalid-input` for an order that there is not
 */
export async function listDevicesBy(q: Queries, request: ListRequest): Promise<Page<DeviceRecord>> {
  const { filter = [], sort, after = null, limit, now, scope = null } = request
  const byEnd = filter.some(isEnd)
  const { name, isDescending } = chosenSort<DeviceSort>(sort, deviceSorts, {
    name: byEnd ? 'expires' : 'id',
    isDescending: false,
  })
  const terms = filter.map((term) => (term.field === '' ? startsWith(term) : term))
  const needed = neededJoins(terms, name)
  const parts = { columns: deviceFilterColumns, tags: sql`d.tags`, now }
  const order = orders[name](isDescending)
  const page = await scanPage<DeviceTable>(q, {
    ...(name === 'id'
      ? {
          table: sql`devices as d`,
          ranges: rangesOf(
            terms.filter((term) => idPrefix(term).length === 0),
            scope,
            {
              ...parts,
              fields: ['id', 'batch', 'site', 'cohort', 'state'],
              prefix: 'd',
              indexed: terms.flatMap(idPrefix),
              residual: [],
              condition: deviceRange,
            },
          ),
        }
      : {
          table: sql`certificates as c`,
          ranges: rangesOf(
            terms.filter((term) => !isEnd(term)),
            scope,
            {
              ...parts,
              fields: ['site', 'cohort'],
              prefix: 'c',
              indexed: [live, ...terms.filter(isEnd).map((term) => endRange(term, now))],
              residual: [newest],
            },
          ),
        }),
    joins: needed,
    columns: deviceColumns.map((column) => sql.ref(`d.${column}`)),
    order,
    budget: request.budget ?? (needed.length === 0 ? scanBudget : scanBudget / 3),
    after,
    limit,
  })
  return { rows: page.rows.map(toDeviceRecord), next: page.next }
}

const orders: Readonly<Record<DeviceSort, (isDescending: boolean) => Order>> = {
  id: (isDescending) => ({
    name: isDescending ? '-id' : 'id',
    columns: [sql`d.id`],
    kinds: ['text'],
    isDescending,
  }),
  expires: (isDescending) => ({
    name: isDescending ? '-expires' : 'expires',
    columns: [sql`c.not_after`, sql`c.id`],
    kinds: ['number', 'number'],
    isDescending,
  }),
}

/** Free text is the beginning of the id. */
function startsWith({ operator, values, start, end }: Term): Term {
  return { field: 'id', operator, values, start, end }
}

/** An end that an index range can have: `expires=none` is none. */
function isEnd({ field, operator, values }: Term): boolean {
  return field === 'expires' && operator !== '!=' && values.every(({ kind }) => kind !== 'none')
}

function endRange(term: Term, now: number): Condition {
  return conditionOf(term, deviceFilterColumns['expires'] as Columns[string], now)
}

/** A prefix of ids is a range of the primary key, and of every index that ends with it. */
function idPrefix({ field, operator, values: [value, ...others] }: Term): Condition[] {
  if (field !== 'id' || operator !== '=' || others.length > 0) return []
  if (value?.kind !== 'text' || !value.isPrefix) return []
  return [sql<SqlBool>`d.id >= ${value.text}`, sql<SqlBool>`d.id < ${value.text + lastCharacter}`]
}

function deviceRange(field: string, text: string): Condition | null {
  if (field !== 'state') return sql<SqlBool>`${sql.ref(`d.${field}`)} = ${text}`
  // most devices are active: an index of those would cost each of them and save nothing
  return text === 'active' ? null : sql<SqlBool>`(d.state = ${text} and d.state <> 'active')`
}

const newest = sql<SqlBool>`c.device_id is not null and c.slot = 'default' and not exists (
  select 1 from certificates as n where n.device_id = c.device_id and n.slot = c.slot and n.id > c.id
    and n.status in ('issued', 'confirmed'))`

function neededJoins(filter: Filter, sort: DeviceSort): RawBuilder<unknown>[] {
  const reads = (columns: Columns): boolean => filter.some(({ field }) => Object.hasOwn(columns, field))
  const needed: RawBuilder<unknown>[] = []
  if (sort === 'expires') {
    if (filter.some(({ field, values }) => field === 'expires' && values.some(({ kind }) => kind === 'none')))
      throw new Refusal(
        'invalid-input',
        'devices without a certificate have no place in the order of ends: sort by id',
      )
    needed.push(sql`join devices as d on d.id = c.device_id`)
  } else if (reads(columnsOf.certificate)) needed.push(joins.certificate)
  if (reads(columnsOf.seen)) needed.push(joins.seen)
  if (reads(columnsOf.renewal)) needed.push(joins.renewal)
  return needed
}

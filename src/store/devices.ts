import { sql } from 'kysely'
import { Refusal } from '../base/errors.ts'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { moveLiveCertificates } from './certificates.ts'
import type { DeviceScope } from './device-scope.ts'
import { assertLimit, pageOf, type Page, type PageRequest } from './page.ts'
import { locked, prepared, preparedInsert } from './prepared.ts'
import { unitEndOf } from './unit-end.ts'
import type { DeviceTable, Queries, Tx } from './schema.ts'

export type DeviceState = 'registered' | 'active' | 'quarantined' | 'decommissioned'

export interface DeviceRecord {
  readonly id: DeviceId
  readonly profile: string
  readonly cohort: string | null
  /** Manufacturing run. */
  readonly batch: string | null
  readonly site: string | null
  /** Name of the connectivity profile. */
  readonly connectivity: string
  readonly state: DeviceState
  readonly tags: Readonly<Record<string, string>>
  readonly hardware: string | null
  readonly firmware: string | null
  readonly lastRenewalAt: Instant | null
  readonly createdAt: Instant
}

export const deviceColumns = [
  'id',
  'profile',
  'cohort',
  'batch',
  'site',
  'connectivity',
  'state',
  'tags',
  'hardware',
  'firmware',
  'last_renewal_at',
  'created_at',
] as const

export function toDeviceRecord(row: DeviceTable): DeviceRecord {
  return {
    id: row.id as DeviceId,
    profile: row.profile,
    cohort: row.cohort,
    batch: row.batch,
    site: row.site,
    connectivity: row.connectivity,
    state: row.state as DeviceState,
    tags: JSON.parse(row.tags) as Record<string, string>,
    hardware: row.hardware,
    firmware: row.firmware,
    lastRenewalAt: row.last_renewal_at,
    createdAt: row.created_at,
  }
}

function toRow(device: DeviceRecord): DeviceTable {
  return {
    id: device.id,
    profile: device.profile,
    cohort: device.cohort,
    batch: device.batch,
    site: device.site,
    connectivity: device.connectivity,
    state: device.state,
    tags: JSON.stringify(device.tags),
    hardware: device.hardware,
    firmware: device.firmware,
    last_renewal_at: device.lastRenewalAt,
    created_at: device.createdAt,
  }
}

/** Refuses with `already-exists`. */
export async function insertDevice(tx: Tx, device: DeviceRecord): Promise<void> {
  const known = await insertDevices(tx, [device])
  if (known.length > 0) throw new Refusal('already-exists', `device ${device.id} is registered already`)
}

/** Columns to insert, from a row that may be a set of holes. */
function insertable(row: DeviceTable): DeviceTable {
  return {
    id: row.id,
    profile: row.profile,
    cohort: row.cohort,
    batch: row.batch,
    site: row.site,
    connectivity: row.connectivity,
    state: row.state,
    tags: row.tags,
    hardware: row.hardware,
    firmware: row.firmware,
    last_renewal_at: row.last_renewal_at,
    created_at: row.created_at,
  }
}

const insertNew = preparedInsert<DeviceTable>((db, rows) =>
  db
    .insertInto('devices')
    .values(rows.map(insertable))
    .onConflict((at) => at.column('id').doNothing()),
)

/** For imports. @returns the ids that were there before: those rows are left as they are, all others are stored */
export async function insertDevices(tx: Tx, devices: readonly DeviceRecord[]): Promise<DeviceId[]> {
  const rows = devices.map(toRow)
  const left = await insertNew(tx, rows)
  const end = unitEndOf(tx)
  const known: DeviceId[] = []
  for (const row of rows) {
    if (left.has(row)) known.push(row.id as DeviceId)
    else end.add(`devices.${row.state}`, 1)
  }
  return known
}

const selectDevice = prepared((db, p: { id: string }) =>
  db.selectFrom('devices').select(deviceColumns).where('id', '=', p.id),
)

export async function findDevice(q: Queries, id: DeviceId): Promise<DeviceRecord | null> {
  const { rows } = await selectDevice(q, { id })
  return rows[0] ? toDeviceRecord(rows[0]) : null
}

export type DeviceChange = Partial<
  Pick<
    DeviceRecord,
    'profile' | 'cohort' | 'batch' | 'site' | 'connectivity' | 'tags' | 'hardware' | 'firmware'
  >
>

/** Live certificates of the device follow its cohort, batch and site. @returns false when there is no such device */
export async function updateDevice(tx: Tx, id: DeviceId, change: DeviceChange): Promise<boolean> {
  const { tags, ...columnsAlike } = change
  const values = { ...columnsAlike, ...(tags === undefined ? {} : { tags: JSON.stringify(tags) }) }
  if (Object.keys(values).length === 0) return (await findDevice(tx, id)) !== null
  const result = await tx.updateTable('devices').set(values).where('id', '=', id).executeTakeFirst()
  if (result.numUpdatedRows === 0n) return false
  const { cohort, batch, site } = change
  if (cohort !== undefined || batch !== undefined || site !== undefined) {
    await moveLiveCertificates(tx, id, change)
  }
  return true
}

const selectState = prepared((db, p: { id: string }) =>
  locked(db, db.selectFrom('devices').select('state').where('id', '=', p.id)),
)
const updateState = prepared((db, p: { id: string; state: DeviceState }) =>
  db.updateTable('devices').set({ state: p.state }).where('id', '=', p.id),
)

/** @returns the state before, or null when there is no such device */
export async function setDeviceState(tx: Tx, id: DeviceId, state: DeviceState): Promise<DeviceState | null> {
  const before = (await selectState(tx, { id })).rows[0]?.state as DeviceState | undefined
  if (before === undefined) return null
  if (before === state) return before
  await updateState(tx, { id, state })
  unitEndOf(tx).add(`devices.${before}`, -1)
  unitEndOf(tx).add(`devices.${state}`, 1)
  return before
}

const updateRenewal = prepared((db, p: { id: string; at: Instant }) =>
  db
    .updateTable('devices')
    .set({ last_renewal_at: p.at })
    .where('id', '=', p.id)
    .where(sql<boolean>`state in ('registered', 'active')`),
)

/**
 * Notes when the device last got a certificate. Its state is `setDeviceState`'s.
 * @returns false when the device was quarantined or decommissioned meanwhile: the caller must not hand out a certificate
 */
export async function setLastRenewal(tx: Tx, id: DeviceId, at: Instant): Promise<boolean> {
  const { numAffectedRows } = await updateRenewal(tx, { id, at })
  return numAffectedRows === 1n
}

export interface DeviceFilter {
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly profile?: string
  readonly connectivity?: string
  readonly state?: DeviceState
}

/**
 * In order of ids. A cohort or a batch is read from its index (devices_by_cohort, devices_by_batch), everything else
 * from the primary key.
 */
export async function listDevices(
  q: Queries,
  {
    filter = {},
    scope = null,
    after,
    limit,
  }: PageRequest & { readonly filter?: DeviceFilter; readonly scope?: DeviceScope },
): Promise<Page<DeviceRecord>> {
  assertLimit(limit)
  let query = q
    .selectFrom('devices')
    .select(deviceColumns)
    .where('id', '>', after ?? '')
  if (scope !== null) {
    const { cohorts, sites } = scope
    query = query.where((is) =>
      is.or([
        ...cohorts.map((name) => is('cohort', '=', name)),
        ...sites.map((name) => is('site', '=', name)),
      ]),
    )
  }
  for (const name of ['cohort', 'batch', 'site', 'profile', 'connectivity', 'state'] as const) {
    const value = filter[name]
    if (value !== undefined) query = query.where(name, '=', value)
  }
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toDeviceRecord), limit, (device) => device.id)
}

/** Renewals: opened, read and moved. Every change of status goes into the sums in the same unit of work. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { engineOf, locked, prepared, preparedInsert, preparedRows } from './prepared.ts'
import {
  renewalColumns,
  flowChanges,
  renewalCounter,
  toRenewal,
  type RenewalRecord,
  type RenewalRow,
} from './renewal-record.ts'
import type { Db, Queries, Tx } from './schema.ts'
import type { RenewalTable } from './schema-campaigns.ts'
import { unitEndOf } from './unit-end.ts'

/** As SQL, because the partial index needs it. */
export const isOpen = sql<boolean>`status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`

export type NewRenewal = Pick<
  RenewalRecord,
  | 'campaignId'
  | 'wave'
  | 'deviceId'
  | 'slot'
  | 'certificateId'
  | 'notAfter'
  | 'connectivity'
  | 'site'
  | 'nextAt'
  | 'createdAt'
>

type NewRow = Omit<RenewalTable, 'id'>

const insertNew = preparedInsert<NewRow>((db, rows) =>
  db
    .insertInto('renewals')
    .values(rows.map(insertable))
    .onConflict((on) => on.doNothing()),
)

/** Columns to insert, from a row that may be a set of holes. */
function insertable(row: NewRow): NewRow {
  return Object.fromEntries(
    renewalColumns.filter((name) => name !== 'id').map((name) => [name, row[name]]),
  ) as NewRow
}

/**
 * Opens `planned` renewals for slots that have no open one.
 * @returns those left out, whose slot has one already
 */
export async function insertPlannedRenewals<Renewal extends NewRenewal>(
  tx: Tx,
  renewals: readonly Renewal[],
): Promise<Renewal[]> {
  const rows = renewals.map(toNewRow)
  const left = await insertNew(tx, rows)
  const leftOut: Renewal[] = []
  for (const [i, row] of rows.entries()) {
    const renewal = renewals[i] as Renewal
    if (left.has(row)) leftOut.push(renewal)
    else unitEndOf(tx).add(renewalCounter(renewal, 'planned'), 1)
  }
  return leftOut
}

function toNewRow(renewal: NewRenewal): NewRow {
  return {
    campaign_id: renewal.campaignId,
    wave: renewal.wave,
    device_id: renewal.deviceId,
    slot: renewal.slot,
    certificate_id: renewal.certificateId,
    not_after: renewal.notAfter,
    connectivity: renewal.connectivity,
    site: renewal.site,
    status: 'planned',
    climb: 0,
    rung: 0,
    attempt: 0,
    next_at: renewal.nextAt,
    new_certificate_id: null,
    triggered_at: null,
    issued_at: null,
    delivered_at: null,
    stored_at: null,
    confirmed_at: null,
    ended_at: null,
    reason: null,
    assignee: null,
    created_at: renewal.createdAt,
  }
}

// index: renewals_open
const openOf = (db: Db, p: { deviceId: string; slot: string }) =>
  db
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('device_id', '=', p.deviceId)
    .where('slot', '=', p.slot)
    .where(isOpen)
const selectOpen = prepared(openOf)
const lockOpen = prepared((db, p: { deviceId: string; slot: string }) => locked(db, openOf(db, p)))

/** The one open renewal of the slot. */
export async function findOpenRenewal(
  q: Queries,
  deviceId: DeviceId,
  slot: string,
): Promise<RenewalRecord | null> {
  return first(await selectOpen(q, { deviceId, slot }))
}

/** The same, kept as it is until the unit ends: every event about a device begins with it. */
export async function lockOpenRenewal(
  tx: Tx,
  deviceId: DeviceId,
  slot: string,
): Promise<RenewalRecord | null> {
  return first(await lockOpen(tx, { deviceId, slot }))
}

// index: renewals_open, by its first column
const lockOpenOfDevice = prepared((db, p: { deviceId: string }) =>
  locked(
    db,
    db
      .selectFrom('renewals')
      .select(renewalColumns)
      .where('device_id', '=', p.deviceId)
      .where(isOpen)
      .orderBy('slot'),
  ),
)

/** Of all slots of a device. */
export async function lockOpenRenewalsOf(tx: Tx, deviceId: DeviceId): Promise<RenewalRecord[]> {
  return (await lockOpenOfDevice(tx, { deviceId })).rows.map(toRenewal)
}

const selectById = prepared((db, p: { id: number }) =>
  db.selectFrom('renewals').select(renewalColumns).where('id', '=', p.id),
)
const lockById = prepared((db, p: { id: number }) =>
  locked(db, db.selectFrom('renewals').select(renewalColumns).where('id', '=', p.id)),
)

export async function findRenewal(q: Queries, id: number): Promise<RenewalRecord | null> {
  return first(await selectById(q, { id }))
}

export async function lockRenewal(tx: Tx, id: number): Promise<RenewalRecord | null> {
  return first(await lockById(tx, { id }))
}

/** Waits for a pass, with what decides whether it still makes sense. */
export interface DueRenewal extends RenewalRecord {
  readonly deviceState: string
  /** Null when the certificate is not in the inventory any more. */
  readonly certificateStatus: string | null
}

type DueRow = RenewalRow & { readonly state: string; readonly certificate_status: string | null }

// index: renewals_due, then the primary keys of devices and certificates
const selectDue = prepared((db, p: { campaignId: string; now: Instant; limit: number }) => {
  const due = db
    .selectFrom('renewals')
    .innerJoin('devices', 'devices.id', 'renewals.device_id')
    .leftJoin('certificates', 'certificates.id', 'renewals.certificate_id')
    .select(renewalColumns.map((name) => `renewals.${name}` as const))
    .select(['devices.state', 'certificates.status as certificate_status'])
    .where('renewals.campaign_id', '=', p.campaignId)
    .where('renewals.next_at', 'is not', null)
    .where('renewals.next_at', '<=', p.now)
    .orderBy('renewals.next_at')
    .orderBy('renewals.id')
    .limit(p.limit)
  const query = engineOf(db) === 'postgres' ? due.forUpdate('renewals').skipLocked() : due
  return query.$castTo<DueRow>()
})

/** Those that a pass must look at now, the longest overdue first, kept as they are until the unit ends. */
export async function dueRenewals(
  tx: Tx,
  due: { readonly campaignId: string; readonly now: Instant; readonly limit: number },
): Promise<DueRenewal[]> {
  const { rows } = await selectDue(tx, due)
  return rows.map((row) =>
    Object.assign(toRenewal(row), { deviceState: row.state, certificateStatus: row.certificate_status }),
  )
}

/** What a pass or an event may change. */
export type RenewalChange = Partial<
  Pick<
    RenewalRecord,
    | 'status'
    | 'climb'
    | 'rung'
    | 'attempt'
    | 'nextAt'
    | 'newCertificateId'
    | 'triggeredAt'
    | 'issuedAt'
    | 'deliveredAt'
    | 'storedAt'
    | 'confirmedAt'
    | 'endedAt'
    | 'reason'
    | 'assignee'
  >
>

const changedNumbers = [
  'climb',
  'rung',
  'attempt',
  'next_at',
  'new_certificate_id',
  'triggered_at',
  'issued_at',
  'delivered_at',
  'stored_at',
  'confirmed_at',
  'ended_at',
] as const
const changedTexts = ['status', 'reason', 'assignee'] as const
const changedNames = [...changedNumbers, ...changedTexts]
type ChangedName = (typeof changedNames)[number]
type Changed = Pick<RenewalRow, 'id' | ChangedName>

/**
 * Many rows in one statement: a pass changes tens of thousands. Index: the primary key. Only the columns that change are
 * named: SQLite writes the entry of a row in every index that has a column of the list, whether or not it differs.
 */
function updateOf(names: readonly ChangedName[]): (tx: Tx, rows: readonly Changed[]) => Promise<unknown> {
  return preparedRows<Changed, never>((db, rows) => {
    const [only] = rows
    if (only && rows.length === 1) {
      const own = Object.fromEntries(names.map((name) => [name, only[name]]))
      return db.updateTable('renewals').set(own).where('id', '=', only.id)
    }
    // both engines call the columns of VALUES column1, column2; the casts tell PostgreSQL their types
    const values = rows.map((row) => {
      const typed = names.map((name) => sql`cast(${row[name]} as ${isText(name) ? sql`text` : sql`bigint`})`)
      return sql`(${sql.join([sql`cast(${row.id} as bigint)`, ...typed])})`
    })
    const sets = names.map((name, at) => [name, sql`${sql.ref(`changed.column${at + 2}`)}`] as const)
    return db
      .updateTable('renewals')
      .from(sql<{ column1: number }>`(values ${sql.join(values)})`.as('changed'))
      .set(Object.fromEntries(sets))
      .whereRef('renewals.id', '=', 'changed.column1')
  })
}

function isText(name: ChangedName): boolean {
  return changedTexts.some((text) => text === name)
}

/** By the columns that change: a few sets of them, one for each kind of step. */
const updates = new Map<string, ReturnType<typeof updateOf>>()

function updateFor(names: readonly ChangedName[]): ReturnType<typeof updateOf> {
  const key = names.join(' ')
  let update = updates.get(key)
  if (!update) updates.set(key, (update = updateOf(names)))
  return update
}

/**
 * Moves renewals that the unit holds (`lock…`, `dueRenewals`).
 * @param changes each renewal as it was read, and what becomes different
 */
export async function updateRenewals(
  tx: Tx,
  changes: readonly { readonly before: RenewalRecord; readonly change: RenewalChange }[],
): Promise<void> {
  const end = unitEndOf(tx)
  const differing = new Set<ChangedName>()
  const rows = changes.map(({ before, change }) => {
    const after = { ...before, ...change }
    if (after.status !== before.status) {
      end.add(renewalCounter(before, before.status), -1)
      end.add(renewalCounter(before, after.status), 1)
    }
    for (const [name, delta] of flowChanges(before, after)) end.add(name, delta)
    const [old, row] = [toChanged(before), toChanged(after)]
    for (const name of changedNames) if (row[name] !== old[name]) differing.add(name)
    return row
  })
  const names = changedNames.filter((name) => differing.has(name))
  if (names.length > 0) await updateFor(names)(tx, rows)
}

/** One of them. */
export async function updateRenewal(tx: Tx, before: RenewalRecord, change: RenewalChange): Promise<void> {
  await updateRenewals(tx, [{ before, change }])
}

function toChanged(renewal: RenewalRecord): Changed {
  return {
    id: renewal.id,
    status: renewal.status,
    climb: renewal.climb,
    rung: renewal.rung,
    attempt: renewal.attempt,
    next_at: renewal.nextAt,
    new_certificate_id: renewal.newCertificateId,
    triggered_at: renewal.triggeredAt,
    issued_at: renewal.issuedAt,
    delivered_at: renewal.deliveredAt,
    stored_at: renewal.storedAt,
    confirmed_at: renewal.confirmedAt,
    ended_at: renewal.endedAt,
    reason: renewal.reason,
    assignee: renewal.assignee,
  }
}

interface DeliveredRow {
  readonly device_id: string
  readonly slot: string
  readonly certificate_id: number
  readonly at: Instant
}

// index: renewals_open
const updateDelivered = preparedRows<DeliveredRow, never>((db, rows) => {
  const values = rows.map(
    (row) => sql`(cast(${row.device_id} as text), cast(${row.slot} as text),
      cast(${row.certificate_id} as bigint), cast(${row.at} as bigint))`,
  )
  return db
    .updateTable('renewals')
    .from(sql<{ column1: string; column2: string; column3: number }>`(values ${sql.join(values)})`.as('sent'))
    .set({ delivered_at: sql`sent.column4` })
    .whereRef('renewals.device_id', '=', 'sent.column1')
    .whereRef('renewals.slot', '=', 'sent.column2')
    .where(isOpen)
    .whereRef('renewals.new_certificate_id', '=', 'sent.column3')
    .where('renewals.delivered_at', 'is', null)
})

export interface Delivery {
  readonly deviceId: DeviceId
  readonly slot: string
  /** The new certificate. */
  readonly certificateId: CertificateId
  readonly at: Instant
}

/** The new certificate has left on its way to the device; the first time counts, and one that moves no renewal is passed over. */
export async function markDelivered(tx: Tx, deliveries: readonly Delivery[]): Promise<void> {
  const rows = deliveries.map(({ deviceId, slot, certificateId, at }) => ({
    device_id: deviceId,
    slot,
    certificate_id: certificateId,
    at,
  }))
  await updateDelivered(tx, rows)
}

// index: renewals_planned
const admit = prepared((db, p: { campaignId: string; wave: number; limit: number; nextAt: Instant }) => {
  const waiting = db
    .selectFrom('renewals')
    .select('id')
    .where('campaign_id', '=', p.campaignId)
    .where('wave', '=', p.wave)
    .where('status', '=', sql.lit('planned'))
    .where('next_at', 'is', null)
    .orderBy('id')
    .limit(p.limit)
  return db.updateTable('renewals').set({ next_at: p.nextAt }).where('id', 'in', waiting)
})

/** Lets so many waiting renewals of a wave in: a pass looks at them from `nextAt` on. @returns how many there were */
export async function admitPlanned(
  tx: Tx,
  admission: {
    readonly campaignId: string
    readonly wave: number
    readonly limit: number
    readonly nextAt: Instant
  },
): Promise<number> {
  return Number((await admit(tx, admission)).numAffectedRows ?? 0n)
}

function first({ rows }: { readonly rows: readonly RenewalRow[] }): RenewalRecord | null {
  return rows[0] ? toRenewal(rows[0]) : null
}

/** Look-ups and lists over the inventory of certificates. */
import { sql, type SelectQueryBuilder } from 'kysely'
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import {
  certificateColumns,
  toCertificateRecord,
  type CertificateRecord,
  type CertificateRow,
  type CertificateStatus,
} from './certificate-record.ts'
import { isLive } from './certificates.ts'
import { hexToBytes } from './columns.ts'
import { assertLimit, pageOf, pairCursor, rowCursor, type Page, type PageRequest } from './page.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Queries, Schema } from './schema.ts'

const selectById = prepared((db, p: { id: number }) =>
  db.selectFrom('certificates').select(certificateColumns).where('id', '=', p.id),
)

export async function findCertificate(q: Queries, id: CertificateId): Promise<CertificateRecord | null> {
  return first(await selectById(q, { id }))
}

// SQLite prepares a statement anew at each execution (20 µs) when its limit is a parameter: hence literal limits on the
// path of a certificate.

// index: certificates_serial
const selectBySerial = prepared((db, p: { serial: Uint8Array }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('serial_number', '=', p.serial)
    .orderBy('issuer_id')
    .limit(sql.lit(100)),
)
const selectByIssuerAndSerial = prepared((db, p: { serial: Uint8Array; issuerId: string }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('serial_number', '=', p.serial)
    .where('issuer_id', '=', p.issuerId),
)

/** The one certificate of an issuer with this serial number, in any status. */
export async function findByIssuerAndSerial(
  q: Queries,
  issuerId: IssuerId,
  serialNumber: SerialNumber,
): Promise<CertificateRecord | null> {
  return first(await selectByIssuerAndSerial(q, { serial: hexToBytes(serialNumber), issuerId }))
}

/** All certificates with this serial number, one per issuer: serial numbers of foreign issuers may coincide. */
export async function findBySerial(q: Queries, serialNumber: SerialNumber): Promise<CertificateRecord[]> {
  return all(await selectBySerial(q, { serial: hexToBytes(serialNumber) }))
}

// index: certificates_key, which leaves abandoned rows out
const selectByKey = prepared((db, p: { spkiHash: Uint8Array }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('spki_hash', '=', p.spkiHash)
    .where('holds_key', '=', sql.lit(1))
    .orderBy('id', 'desc')
    .limit(sql.lit(100)),
)

/** Every certificate for this key that was not abandoned, newest first, at most 100. */
export async function findByKey(q: Queries, spkiHash: string): Promise<CertificateRecord[]> {
  return all(await selectByKey(q, { spkiHash: hexToBytes(spkiHash) }))
}

// index: certificates_device
const selectCurrent = prepared((db, p: { deviceId: string; slot: string }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('device_id', '=', p.deviceId)
    .where('slot', '=', p.slot)
    .where(isLive)
    .orderBy('id', 'desc')
    .limit(sql.lit(1)),
)

/** The newest certificate of the slot that is issued or confirmed; its `notAfter` may have passed. */
export async function findCurrent(
  q: Queries,
  deviceId: DeviceId,
  slot: string,
): Promise<CertificateRecord | null> {
  return first(await selectCurrent(q, { deviceId, slot }))
}

// index: certificates_device
const selectOfDevice = prepared((db, p: { deviceId: string }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('device_id', '=', p.deviceId)
    .orderBy('id')
    .limit(sql.lit(1_000)),
)

/** Every certificate of a device, in the order in which they came; for units that go through many devices. */
export async function certificatesOf(q: Queries, deviceId: DeviceId): Promise<CertificateRecord[]> {
  return all(await selectOfDevice(q, { deviceId }))
}

// index: certificates_reserved
const selectReserved = prepared((db, p: { before: Instant; limit: number }) =>
  db
    .selectFrom('certificates')
    .select(certificateColumns)
    .where('status', '=', sql.lit('reserved'))
    .where('created_at', '<', p.before)
    .orderBy('created_at')
    .orderBy('id')
    .limit(p.limit),
)

/** Reservations made before `olderThan` that have no signature, oldest first. */
export async function findReserved(
  q: Queries,
  { olderThan, limit }: { readonly olderThan: Instant; readonly limit: number },
): Promise<CertificateRecord[]> {
  return all(await selectReserved(q, { before: olderThan, limit }))
}

export interface ExpiringRequest extends PageRequest {
  /** Inclusive. */
  readonly from: Instant
  /** Exclusive. */
  readonly to: Instant
  readonly cohort?: string
  readonly profile?: string
  readonly issuerId?: IssuerId
}

/**
 * Live certificates by `notAfter`, soonest first. Indexes: certificates_expiry, or certificates_cohort_expiry for one
 * cohort.
 */
export async function listExpiring(q: Queries, request: ExpiringRequest): Promise<Page<CertificateRecord>> {
  assertLimit(request.limit)
  const wanted = request.limit + 1
  const after = pairCursor(request.after)
  let query = q.selectFrom('certificates').select(certificateColumns).where(isLive)
  if (request.cohort !== undefined) query = query.where('cohort', '=', request.cohort)
  if (request.profile !== undefined) query = query.where('profile', '=', request.profile)
  if (request.issuerId !== undefined) query = query.where('issuer_id', '=', request.issuerId)
  const rows: CertificateRow[] = []
  if (after) {
    // SQLite seeks in the index by the first column of a pair only, so a page that begins among many equal instants is
    // read in two steps.
    rows.push(
      ...(await query
        .where('not_after', '=', after[0])
        .where('not_after', '<', request.to)
        .where('id', '>', after[1])
        .orderBy('id')
        .limit(wanted)
        .execute()),
    )
  }
  if (rows.length < wanted) {
    const later = after
      ? query.where('not_after', '>', Math.max(after[0], request.from - 1))
      : query.where('not_after', '>=', request.from)
    rows.push(
      ...(await later
        .where('not_after', '<', request.to)
        .orderBy('not_after')
        .orderBy('id')
        .limit(wanted - rows.length)
        .execute()),
    )
  }
  return pageOf(
    rows.map(toCertificateRecord),
    request.limit,
    (certificate) => `${certificate.notAfter}.${certificate.id}`,
  )
}

export interface CertificateFilter {
  readonly deviceId?: DeviceId
  readonly slot?: string
  readonly issuerId?: IssuerId
  readonly status?: CertificateStatus
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
}

/**
 * In order of row numbers. One device or one batch is read from its index (certificates_device, certificates_batch),
 * everything else from the primary key.
 */
export async function listCertificates(
  q: Queries,
  { filter = {}, after, limit }: PageRequest & { readonly filter?: CertificateFilter },
): Promise<Page<CertificateRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('certificates').select(certificateColumns).where('id', '>', rowCursor(after))
  query = filtered(query, filter)
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toCertificateRecord), limit, (certificate) => String(certificate.id))
}

export type Standing = Pick<CertificateRecord, 'id' | 'serialNumber' | 'status' | 'predecessorId'>

// index: certificates_device
const selectStandings = preparedRows<{ readonly deviceId: string }, StandingRow>((db, rows) =>
  db
    .selectFrom('certificates')
    .select(['id', 'device_id', 'serial_number', 'status', 'predecessor_id'])
    .where(
      'device_id',
      'in',
      rows.map(({ deviceId }) => deviceId),
    ),
)

type StandingRow = Pick<CertificateRow, 'id' | 'device_id' | 'serial_number' | 'status' | 'predecessor_id'>

/** How the certificates of many devices stand, each device's in no order. */
export async function standingsOf(
  q: Queries,
  deviceIds: readonly DeviceId[],
): Promise<Map<DeviceId, Standing[]>> {
  const standings = new Map(deviceIds.map((id): [DeviceId, Standing[]] => [id, []]))
  const pieces = await selectStandings(
    q,
    deviceIds.map((deviceId) => ({ deviceId })),
  )
  for (const row of pieces.flatMap(({ rows }) => rows)) {
    standings.get(row.device_id as DeviceId)?.push({
      id: row.id as CertificateId,
      serialNumber: toHex(row.serial_number) as SerialNumber,
      status: row.status as CertificateStatus,
      predecessorId: row.predecessor_id as CertificateId | null,
    })
  }
  return standings
}

function filtered<Row>(
  query: SelectQueryBuilder<Schema, 'certificates', Row>,
  filter: CertificateFilter,
): SelectQueryBuilder<Schema, 'certificates', Row> {
  let narrowed = query
  if (filter.deviceId !== undefined) narrowed = narrowed.where('device_id', '=', filter.deviceId)
  if (filter.issuerId !== undefined) narrowed = narrowed.where('issuer_id', '=', filter.issuerId)
  for (const name of ['slot', 'status', 'profile', 'cohort', 'batch', 'site'] as const) {
    const value = filter[name]
    if (value !== undefined) narrowed = narrowed.where(name, '=', value)
  }
  return narrowed
}

function first({ rows }: { readonly rows: readonly CertificateRow[] }): CertificateRecord | null {
  return rows[0] ? toCertificateRecord(rows[0]) : null
}

function all({ rows }: { readonly rows: readonly CertificateRow[] }): CertificateRecord[] {
  return rows.map(toCertificateRecord)
}

/** Live certificates by their end, with what decides whether a renewal is opened for them. */
import { sql } from 'kysely'
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import { prepared } from './prepared.ts'
import type { Db, Queries } from './schema.ts'

export interface DueCertificate {
  readonly id: CertificateId
  readonly deviceId: DeviceId
  readonly slot: string
  readonly issuerId: IssuerId
  readonly serialNumber: SerialNumber
  readonly notAfter: Instant
  /** The profile that it was issued under, or that of its device. */
  readonly profile: string
  readonly connectivity: string
  readonly site: string | null
  readonly deviceState: string
  /** Its slot has an open renewal of this certificate, or a newer live certificate. */
  readonly isHandled: boolean
  /** The renewal that led to it is still open: the one before it waits for the end of its grace. */
  readonly isNew: boolean
}

/** Where a page begins: after this end and row. */
export interface DueCursor {
  readonly notAfter: Instant
  readonly id: number
}

interface Row {
  readonly id: number
  readonly device_id: string
  readonly slot: string
  readonly issuer_id: string
  readonly serial_number: Uint8Array
  readonly not_after: number
  readonly profile: string
  readonly connectivity: string
  readonly site: string | null
  readonly state: string
  readonly is_handled: number
  readonly is_new: number
}

interface Bounds {
  readonly notAfter: Instant
  readonly id: number
  readonly to: Instant
  readonly limit: number
}

// index: certificates_expiry, then the primary key of devices, renewals_open and certificates_device
function dueIn(db: Db, p: Pick<Bounds, 'limit'>) {
  return db
    .selectFrom('certificates as c')
    .innerJoin('devices as d', 'd.id', 'c.device_id')
    .select([
      'c.id',
      'd.id as device_id',
      'c.slot',
      'c.issuer_id',
      'c.serial_number',
      'c.not_after',
      'd.connectivity',
      'd.site',
      'd.state',
    ])
    .select(sql<string>`coalesce(c.profile, d.profile)`.as('profile'))
    .select(
      sql<number>`case when exists (
          select 1 from renewals as r where r.device_id = c.device_id and r.slot = c.slot
            and r.status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')
            and (r.status <> 'confirmed' or r.new_certificate_id <> c.id))
        or exists (
          select 1 from certificates as n where n.device_id = c.device_id and n.slot = c.slot and n.id > c.id
            and n.status in ('issued', 'confirmed'))
        then 1 else 0 end`.as('is_handled'),
    )
    .select(
      sql<number>`case when exists (
          select 1 from renewals as r where r.device_id = c.device_id and r.slot = c.slot
            and r.status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')
            and r.status = 'confirmed' and r.new_certificate_id = c.id)
        then 1 else 0 end`.as('is_new'),
    )
    .where(sql<boolean>`c.status in ('issued', 'confirmed')`)
    .limit(p.limit)
}

// SQLite seeks in the index by the first column of a pair only, so a page that begins among many equal ends is read in
// two steps.
const selectSame = prepared<Bounds, Row>((db, p) =>
  dueIn(db, p).where('c.not_after', '=', p.notAfter).where('c.id', '>', p.id).orderBy('c.id'),
)
const selectLater = prepared<Bounds, Row>((db, p) =>
  dueIn(db, p)
    .where('c.not_after', '>', p.notAfter)
    .where('c.not_after', '<=', p.to)
    .orderBy('c.not_after')
    .orderBy('c.id'),
)

/** Up to `limit` live certificates that end after the cursor and until `to`, the soonest first, due or not. */
export async function certificatesByEnd(
  q: Queries,
  { after, to, limit }: { readonly after: DueCursor; readonly to: Instant; readonly limit: number },
): Promise<DueCertificate[]> {
  const { rows } = await selectSame(q, { ...after, to, limit })
  if (rows.length === limit) return rows.map(toDue)
  const later = await selectLater(q, { ...after, to, limit: limit - rows.length })
  return [...rows, ...later.rows].map(toDue)
}

function toDue(row: Row): DueCertificate {
  return {
    id: row.id as CertificateId,
    deviceId: row.device_id as DeviceId,
    slot: row.slot,
    issuerId: row.issuer_id as IssuerId,
    serialNumber: toHex(row.serial_number) as SerialNumber,
    notAfter: row.not_after,
    profile: row.profile,
    connectivity: row.connectivity,
    site: row.site,
    deviceState: row.state,
    isHandled: row.is_handled === 1,
    isNew: row.is_new === 1,
  }
}

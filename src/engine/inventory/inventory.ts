/** What operators ask of the inventory. Edges never see the store; they see this. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId, SerialNumber } from '../../base/id.ts'
import { listApprovals, type ApprovalRecord } from '../../store/approvals.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { expiryHistogram } from '../../store/counters.ts'
import { isInScope, type DeviceScope } from '../../store/device-scope.ts'
import { findDevice, listDevices, type DeviceFilter, type DeviceRecord } from '../../store/devices.ts'
import {
  findBySerial,
  findCurrent,
  listCertificates,
  listExpiring,
  type CertificateFilter,
  type ExpiringRequest,
} from '../../store/inventory.ts'
import { findCertificatesLastSeen, findLastSeen } from '../../store/last-seen.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { findSecret } from '../../store/secrets.ts'
import type { Engine } from '../context.ts'

export { certificateStatuses } from '../../store/certificate-record.ts'
export type { CertificateFilter, DeviceFilter, Page, PageRequest }

export type DeviceRow = DeviceRecord & { readonly lastSeenAt: Instant | null }
export type CertificateRow = CertificateRecord & { readonly lastSeenAt: Instant | null }

/** In the order of ids. */
export async function devicePage(
  { store }: Engine,
  request: PageRequest & { readonly filter?: DeviceFilter; readonly scope?: DeviceScope },
): Promise<Page<DeviceRow>> {
  const { rows, next } = await listDevices(store.db, request)
  const seen = await findLastSeen(
    store.db,
    rows.map(({ id }) => id),
  )
  return { rows: rows.map((row) => Object.assign({ lastSeenAt: seen.get(row.id)?.at ?? null }, row)), next }
}

/** In the order in which they came into the inventory. */
export async function certificatePage(
  engine: Engine,
  request: PageRequest & { readonly filter?: CertificateFilter },
): Promise<Page<CertificateRow>> {
  const { rows, next } = await listCertificates(engine.store.db, request)
  return { rows: await withLastSeen(engine, rows), next }
}

/** Live certificates whose notAfter lies in the range, soonest first. */
export async function expiringPage(engine: Engine, request: ExpiringRequest): Promise<Page<CertificateRow>> {
  const { rows, next } = await listExpiring(engine.store.db, request)
  return { rows: await withLastSeen(engine, rows), next }
}

/** One per issuer that has used the serial number; never empty. @throws Refusal `not-found` */
export async function certificatesBySerial(
  engine: Engine,
  serialNumber: SerialNumber,
): Promise<CertificateRow[]> {
  const records = await findBySerial(engine.store.db, serialNumber)
  if (records.length === 0)
    throw new Refusal('not-found', `no certificate has the serial number ${serialNumber}`)
  return await withLastSeen(engine, records)
}

async function withLastSeen(
  { store }: Engine,
  records: readonly CertificateRecord[],
): Promise<CertificateRow[]> {
  const seen = await findCertificatesLastSeen(
    store.db,
    records.map(({ id }) => id),
  )
  return records.map((record) => Object.assign({ lastSeenAt: seen.get(record.id) ?? null }, record))
}

export interface DeviceDetails {
  readonly device: DeviceRow
  /** All of them, newest first; at most 1,000. */
  readonly certificates: readonly CertificateRow[]
  /** Requests that wait for a person. */
  readonly waiting: readonly ApprovalRecord[]
  /** The one-time secret, if there ever was one: never its text, which is not kept. */
  readonly secret: { readonly expiresAt: Instant; readonly usedAt: Instant | null } | null
}

/** @throws Refusal `not-found`, also for a device outside the scope: that it exists is not told */
export async function deviceDetails(
  engine: Engine,
  id: DeviceId,
  scope: DeviceScope = null,
): Promise<DeviceDetails> {
  const { db } = engine.store
  const device = await findDevice(db, id)
  if (!device || !isInScope(device, scope))
    throw new Refusal('not-found', `device ${id} is not in the inventory`)
  const seen = await findLastSeen(db, [id])
  const { rows } = await certificatePage(engine, { filter: { deviceId: id }, limit: 1000 })
  const { rows: waiting } = await listApprovals(db, {
    filter: { deviceId: id, status: 'pending' },
    limit: 100,
  })
  const secret = await findSecret(db, id)
  return {
    device: { ...device, lastSeenAt: seen.get(id)?.at ?? null },
    certificates: rows.toReversed(),
    waiting,
    secret: secret && { expiresAt: secret.expiresAt, usedAt: secret.usedAt },
  }
}

/** Every request that waits for a person, oldest first; a page may lack those that are outside the scope. */
export async function waitingRequests(
  { store }: Engine,
  { scope = null, ...request }: PageRequest & { readonly scope?: DeviceScope },
): Promise<Page<ApprovalRecord>> {
  const page = await listApprovals(store.db, { ...request, filter: { status: 'pending' } })
  if (scope === null) return page
  const rows: ApprovalRecord[] = []
  for (const row of page.rows) {
    const device = await findDevice(store.db, row.deviceId)
    if (device && isInScope(device, scope)) rows.push(row)
  }
  return { rows, next: page.next }
}

export interface ExpiryRequest {
  /** First day; cut to its UTC midnight, then to the start of its week (Monday) or month. */
  readonly from: Instant
  readonly by: 'day' | 'week' | 'month'
  /** How many of them, 1 to 1,000. */
  readonly buckets: number
  readonly split?: 'issuerId' | 'profile' | 'cohort'
  readonly cohort?: string
  readonly profile?: string
}

export interface ExpiryBucket {
  /** UTC midnight at which it begins. */
  readonly from: Instant
  /** Exclusive. */
  readonly to: Instant
  readonly count: number
  /** By value of `split`; empty without it. '' stands for certificates that have none. */
  readonly parts: Readonly<Record<string, number>>
}

/** How many live certificates expire when. Read from roll-ups: one range scan whatever the size of the fleet. */
export async function expiryBuckets({ store }: Engine, request: ExpiryRequest): Promise<ExpiryBucket[]> {
  const { by, buckets, split, cohort, profile } = request
  if (!Number.isInteger(buckets) || buckets < 1 || buckets > 1000) {
    throw new Refusal('invalid-input', 'a histogram has 1 to 1000 buckets')
  }
  const edges = bucketEdges(request.from, by, buckets)
  const fromDay = (edges[0] as Instant) / dayMs
  const sums = await expiryHistogram(store.db, {
    fromDay,
    days: (edges.at(-1) as Instant) / dayMs - fromDay,
    ...(split === undefined ? {} : { by: split }),
    ...(cohort === undefined ? {} : { cohort }),
    ...(profile === undefined ? {} : { profile }),
  })
  let at = 0
  return edges.slice(0, -1).map((from, index) => {
    const to = edges[index + 1] as Instant
    let count = 0
    const parts: Record<string, number> = {}
    for (let sum = sums[at]; sum !== undefined && sum.day * dayMs < to; sum = sums[++at]) {
      count += sum.count
      if (split !== undefined) parts[sum.key] = (parts[sum.key] ?? 0) + sum.count
    }
    return { from, to, count, parts }
  })
}

/** @returns one more than `buckets`: the last is the end */
function bucketEdges(from: Instant, by: ExpiryRequest['by'], buckets: number): Instant[] {
  const midnight = Math.floor(from / dayMs) * dayMs
  const numbers = Array.from({ length: buckets + 1 }, (_, index) => index)
  if (by === 'day') return numbers.map((index) => midnight + index * dayMs)
  const day = new Date(midnight)
  if (by === 'week') {
    const monday = midnight - ((day.getUTCDay() + 6) % 7) * dayMs
    return numbers.map((index) => monday + index * 7 * dayMs)
  }
  return numbers.map((index) => Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + index, 1))
}

export interface RenewalRow {
  readonly certificate: CertificateRow
  /** When its renewal window opened. */
  readonly opensAt: Instant
  readonly isExpired: boolean
}

export interface RenewalRequest extends PageRequest {
  readonly now: Instant
  readonly cohort?: string
  readonly profile?: string
}

/** What certificates without a profile of ours get, ms: imported ones, and those of a profile that was removed. */
const otherWindowMs = 30 * dayMs
/** Rows read for one page at most. */
const scanLimit = 5000

/**
 * Live certificates inside their renewal window that have no newer one in their slot, soonest to expire first; expired
 * ones too. A page may have fewer rows than asked for and still have a next one.
 */
export async function needsRenewal(engine: Engine, request: RenewalRequest): Promise<Page<RenewalRow>> {
  const { now, limit, cohort, profile } = request
  const windows = new Map(
    [...engine.settings.profiles].map(([name, { renewBeforeMs }]) => [name, renewBeforeMs]),
  )
  const longest = Math.max(otherWindowMs, ...[...windows.values()].map((ms) => ms ?? 0))
  const rows: RenewalRow[] = []
  let after = request.after ?? null
  for (let scanned = 0; scanned < scanLimit;) {
    const page = await expiringPage(engine, {
      from: 0,
      to: now + longest + 1,
      ...(cohort === undefined ? {} : { cohort }),
      ...(profile === undefined ? {} : { profile }),
      after,
      limit: Math.min(limit - rows.length, 500),
    })
    for (const certificate of page.rows) {
      const windowMs = certificate.profile === null ? otherWindowMs : windows.get(certificate.profile)
      const opensAt = windowMs === null ? null : certificate.notAfter - (windowMs ?? otherWindowMs)
      if (opensAt === null || opensAt > now || (await isReplaced(engine, certificate))) continue
      rows.push({ certificate, opensAt, isExpired: certificate.notAfter < now })
    }
    scanned += page.rows.length
    after = page.next
    if (after === null || rows.length >= limit) break
  }
  return { rows, next: after }
}

async function isReplaced({ store }: Engine, { id, deviceId, slot }: CertificateRow): Promise<boolean> {
  if (deviceId === null) return false
  const current = await findCurrent(store.db, deviceId, slot)
  return current !== null && current.id !== id
}

/** Lists by filter, as the command line, the API and the dashboard ask for them: docs/filters.md has the language. */
import { parseFilter } from '../../filter/filter.ts'
import type { FilterResource } from '../../filter/field.ts'
import { certificateResource, deviceResource, factResource, renewalResource } from '../../filter/resources.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import type { Instant } from '../../base/instant.ts'
import { listCertificatesBy } from '../../store/certificate-listing.ts'
import { currentBetween, currentOfDevices } from '../../store/device-summary.ts'
import { listDevicesBy } from '../../store/device-listing.ts'
import { isInScope, type DeviceScope } from '../../store/device-scope.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { listFactsBy } from '../../store/fact-listing.ts'
import type { FactRecord } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { findCertificatesLastSeen, findLastSeen } from '../../store/last-seen.ts'
import type { ListRequest } from '../../store/listing.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { listRenewalsBy } from '../../store/renewal-listing.ts'
import type { RenewalRecord, RenewalStatus } from '../../store/renewal-record.ts'
import type { Engine } from '../context.ts'
import type { CertificateRow, DeviceRow } from './inventory.ts'

export { certificateSorts } from '../../store/certificate-listing.ts'
export { deviceSorts } from '../../store/device-listing.ts'
export { factSorts } from '../../store/fact-listing.ts'
export { renewalSorts } from '../../store/renewal-listing.ts'

export interface FilteredRequest extends PageRequest {
  /** Text of the filter language; absent or empty: all. */
  readonly filter?: string
  /** Name of an order, `-` before it for the other direction. */
  readonly sort?: string
  readonly scope?: DeviceScope
}

export type DeviceListRow = DeviceRow & {
  /** The end of its newest live certificate, and who signed it. */
  readonly expiresAt: Instant | null
  readonly issuerId: string | null
  /** Its open renewal. */
  readonly renewal: {
    readonly id: number
    readonly status: RenewalStatus
    readonly campaignId: string | null
  } | null
}

/**
 * A page may have fewer rows than asked for and still have a next one: rows that the filter leaves out were looked at.
 * @throws Refusal `filter-invalid`; `invalid-input` for an order that there is not
 */
export async function deviceList(engine: Engine, request: FilteredRequest): Promise<Page<DeviceListRow>> {
  const { rows, next } = await listDevicesBy(engine.store.db, requestOf(engine, deviceResource, request))
  return { rows: await withSummary(engine, rows), next }
}

/** What a list shows of each device besides its record: three look-ups for the page. */
export async function withSummary(
  { store }: Engine,
  devices: readonly DeviceRecord[],
): Promise<DeviceListRow[]> {
  const ids = devices.map(({ id }) => id)
  const seen = await findLastSeen(store.db, ids)
  const current = await currentOfDevices(store.db, ids)
  return devices.map((device) => ({
    ...device,
    lastSeenAt: seen.get(device.id)?.at ?? null,
    expiresAt: current.certificates.get(device.id)?.notAfter ?? null,
    issuerId: current.certificates.get(device.id)?.issuerId ?? null,
    renewal: current.renewals.get(device.id) ?? null,
  }))
}

/** Every device in the order of ids, for exports: what a list shows is read by walking, not by looking up. */
export async function everyDevice({ store, clock }: Engine, page: PageRequest): Promise<Page<DeviceListRow>> {
  const { rows, next } = await listDevicesBy(store.db, { ...page, sort: 'id', now: clock.now() })
  const [first, last] = [rows[0], rows.at(-1)]
  if (!first || !last) return { rows: [], next }
  const { certificates, renewals, seen } = await currentBetween(store.db, { first: first.id, last: last.id })
  return {
    rows: rows.map((device) =>
      Object.assign(device, {
        lastSeenAt: seen.get(device.id) ?? null,
        expiresAt: certificates.get(device.id)?.notAfter ?? null,
        issuerId: certificates.get(device.id)?.issuerId ?? null,
        renewal: renewals.get(device.id) ?? null,
      }),
    ),
    next,
  }
}

/** The same for certificates. */
export async function certificateList(
  engine: Engine,
  request: FilteredRequest,
): Promise<Page<CertificateRow>> {
  const { db } = engine.store
  const { rows, next } = await listCertificatesBy(db, requestOf(engine, certificateResource, request))
  const seen = await findCertificatesLastSeen(
    db,
    rows.map(({ id }) => id),
  )
  return { rows: rows.map((row) => Object.assign({ lastSeenAt: seen.get(row.id) ?? null }, row)), next }
}

/** Null when there is none. */
export async function oneCertificate({ store }: Engine, id: CertificateId): Promise<CertificateRow | null> {
  const record = await findCertificate(store.db, id)
  if (!record) return null
  const seen = await findCertificatesLastSeen(store.db, [id])
  return { ...record, lastSeenAt: seen.get(id) ?? null }
}

/** The same for renewals; those of `state=escalated` are the field list, the most urgent first. */
export async function renewalList(engine: Engine, request: FilteredRequest): Promise<Page<RenewalRecord>> {
  return await listRenewalsBy(engine.store.db, requestOf(engine, renewalResource, request))
}

/** The same for facts, the newest first. */
export async function factList(engine: Engine, request: FilteredRequest): Promise<Page<FactRecord>> {
  return await listFactsBy(engine.store.db, requestOf(engine, factResource, request))
}

/** Whether a caller of this scope may know of the device. */
export async function deviceInScope({ store }: Engine, id: DeviceId, scope: DeviceScope): Promise<boolean> {
  if (scope === null) return true
  const device = await findDevice(store.db, id)
  return device !== null && isInScope(device, scope)
}

/** What is on record about one subject, the newest first. */
export async function factsOf(
  { store, clock }: Engine,
  subject: string,
  page: PageRequest,
): Promise<Page<FactRecord>> {
  const filter = parseFilter(`subject=${JSON.stringify(subject)}`, factResource)
  return await listFactsBy(store.db, { ...page, filter, now: clock.now() })
}

function requestOf(
  { clock }: Engine,
  resource: FilterResource,
  { filter = '', ...request }: FilteredRequest,
): ListRequest {
  return { ...request, filter: parseFilter(filter, resource), now: clock.now() }
}

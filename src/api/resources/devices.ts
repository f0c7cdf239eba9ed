/** Devices of the inventory. */
import { Type, type Static } from 'typebox'
import { iso, type Instant } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import {
  deviceDetails,
  devicePage,
  type CertificateRow,
  type DeviceRow,
} from '../../engine/inventory/inventory.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { deviceIdText, instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'

const deviceStates = ['registered', 'active', 'quarantined', 'decommissioned'] as const
const text = Type.String({ maxLength: 256 })

const deviceProperties = {
  id: deviceIdText,
  state: oneOf(deviceStates),
  profile: text,
  connectivity: text,
  cohort: nullable(text),
  batch: nullable(text),
  site: nullable(text),
  tags: Type.Record(Type.String(), Type.String()),
  hardware: nullable(text),
  firmware: nullable(text),
  lastRenewalAt: nullable(instant),
  lastSeenAt: nullable(instant),
  createdAt: instant,
}

export const device = object(deviceProperties, { $id: 'Device' })

const certificateOfDevice = object(
  {
    issuer: text,
    serialNumber: text,
    slot: text,
    status: text,
    notBefore: instant,
    notAfter: instant,
  },
  { $id: 'CertificateOfDevice' },
)

const deviceWithCertificates = object(
  {
    ...deviceProperties,
    certificates: Type.Array(certificateOfDevice, { description: 'Newest first, at most 1,000.' }),
  },
  { $id: 'DeviceDetails' },
)

export const deviceRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/devices',
    operationId: 'listDevices',
    summary: 'Devices in the order of their ids',
    permission: 'inventory:read',
    scope: 'device',
    query: {
      ...paging,
      ...sparse,
      state: Type.Optional(oneOf(deviceStates)),
      profile: Type.Optional(text),
      cohort: Type.Optional(text),
      batch: Type.Optional(text),
      site: Type.Optional(text),
      connectivity: Type.Optional(text),
    },
    response: pageOf(device),
    examples: [
      { summary: 'The first two', query: { limit: 2 } },
      { summary: 'Ids and states of those in use', query: { state: 'active', fields: 'id,state' } },
    ],
    async handler({ engine, scope, query }) {
      const { after: _after, limit: _limit, fields: _fields, ...filter } = query
      return pageAnswer(await devicePage(engine, { ...pageRequest(query), filter, scope }), deviceView)
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{id}',
    operationId: 'getDevice',
    summary: 'A device with its certificates',
    permission: 'inventory:read',
    scope: 'device',
    params: { id: deviceIdText },
    query: sparse,
    response: deviceWithCertificates,
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params }) {
      const details = await deviceDetails(engine, params.id as DeviceId, scope)
      return { ...deviceView(details.device), certificates: details.certificates.map(certificateView) }
    },
  }),
]

function deviceView({ lastRenewalAt, lastSeenAt, createdAt, ...rest }: DeviceRow): Static<typeof device> {
  return {
    ...rest,
    tags: { ...rest.tags },
    lastRenewalAt: isoOrNull(lastRenewalAt),
    lastSeenAt: isoOrNull(lastSeenAt),
    createdAt: iso(createdAt),
  }
}

function certificateView(row: CertificateRow): Static<typeof certificateOfDevice> {
  const { issuerId, serialNumber, slot, status, notBefore, notAfter } = row
  return { issuer: issuerId, serialNumber, slot, status, notBefore: iso(notBefore), notAfter: iso(notAfter) }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

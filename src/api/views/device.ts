/** A device as the API shows it. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import type { DeviceRow } from '../../engine/inventory/inventory.ts'
import type { DeviceListRow } from '../../engine/inventory/listing.ts'
import { renewalStatuses } from '../../engine/renewals/renewal-views.ts'
import { object } from '../route.ts'
import { deviceIdText, instant, nullable, oneOf } from '../schemas.ts'
import { isoOrNull, text } from './values.ts'

export const deviceStates = ['registered', 'active', 'quarantined', 'decommissioned'] as const

export const deviceProperties = {
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

/** What stands in the record of a device: what an edit changes, and its ETag covers. */
export const device = object(deviceProperties, { $id: 'Device' })

const openRenewal = object(
  { id: Type.Integer(), status: oneOf(renewalStatuses), campaignId: nullable(text) },
  { $id: 'OpenRenewal' },
)

export const listedDevice = object(
  {
    ...deviceProperties,
    expiresAt: nullable(instant),
    issuer: nullable(text),
    renewal: nullable(openRenewal),
  },
  { $id: 'ListedDevice', description: 'With the end of its newest live certificate, and its open renewal.' },
)

export function deviceView(row: DeviceRow): Static<typeof device> {
  const { id, state, profile, connectivity, cohort, batch, site, hardware, firmware } = row
  return {
    id,
    state,
    profile,
    connectivity,
    cohort,
    batch,
    site,
    tags: { ...row.tags },
    hardware,
    firmware,
    lastRenewalAt: isoOrNull(row.lastRenewalAt),
    lastSeenAt: isoOrNull(row.lastSeenAt),
    createdAt: iso(row.createdAt),
  }
}

export function listedDeviceView(row: DeviceListRow): Static<typeof listedDevice> {
  const { expiresAt, issuerId: issuer, renewal } = row
  return {
    ...deviceView(row),
    expiresAt: isoOrNull(expiresAt),
    issuer,
    renewal: renewal === null ? null : { ...renewal },
  }
}

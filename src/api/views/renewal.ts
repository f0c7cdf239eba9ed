/** A renewal and the attempts of it, as the API shows them. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import {
  renewalStatuses,
  type AttemptRecord,
  type RenewalRecord,
} from '../../engine/renewals/renewal-views.ts'
import { object } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'
import { count, isoOrNull, text } from './values.ts'

export const renewalProperties = {
  id: Type.Integer(),
  campaign: nullable(text),
  wave: count,
  device: text,
  slot: text,
  certificateId: Type.Integer({ description: 'What is to be replaced.' }),
  notAfter: instant,
  connectivity: text,
  site: nullable(text),
  status: oneOf(renewalStatuses),
  rung: Type.Integer({ minimum: 0, description: 'Place on the ladder.' }),
  attempt: Type.Integer({ minimum: 0, description: 'Attempts begun on this rung.' }),
  nextAt: nullable(instant),
  newCertificateId: nullable(Type.Integer()),
  triggeredAt: nullable(instant),
  issuedAt: nullable(instant),
  deliveredAt: nullable(instant),
  storedAt: nullable(instant),
  confirmedAt: nullable(instant),
  endedAt: nullable(instant),
  reason: nullable(text),
  assignee: nullable(text),
  createdAt: instant,
}

export const renewal = object(renewalProperties, { $id: 'Renewal' })

export const attempt = object(
  {
    id: Type.Integer(),
    rung: count,
    attempt: count,
    channel: text,
    status: text,
    detail: nullable(text),
    reference: nullable(Type.String({ description: 'Name of the message at the provider.' })),
    at: instant,
    updatedAt: instant,
  },
  { $id: 'Attempt' },
)

export function renewalView(row: RenewalRecord): Static<typeof renewal> {
  return {
    id: row.id,
    campaign: row.campaignId === '' ? null : row.campaignId,
    wave: row.wave,
    device: row.deviceId,
    slot: row.slot,
    certificateId: row.certificateId,
    notAfter: iso(row.notAfter),
    connectivity: row.connectivity,
    site: row.site,
    status: row.status,
    rung: row.rung,
    attempt: row.attempt,
    nextAt: isoOrNull(row.nextAt),
    newCertificateId: row.newCertificateId,
    triggeredAt: isoOrNull(row.triggeredAt),
    issuedAt: isoOrNull(row.issuedAt),
    deliveredAt: isoOrNull(row.deliveredAt),
    storedAt: isoOrNull(row.storedAt),
    confirmedAt: isoOrNull(row.confirmedAt),
    endedAt: isoOrNull(row.endedAt),
    reason: row.reason,
    assignee: row.assignee,
    createdAt: iso(row.createdAt),
  }
}

export function attemptView(row: AttemptRecord): Static<typeof attempt> {
  const { id, rung, channel, status, detail, reference, at, updatedAt } = row
  return {
    id,
    rung,
    attempt: row.attempt,
    channel,
    status,
    detail,
    reference,
    at: iso(at),
    updatedAt: iso(updatedAt),
  }
}

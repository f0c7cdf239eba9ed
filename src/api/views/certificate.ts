/** A certificate as the API shows it: every column of the inventory but the bytes. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { certificateStatuses, type CertificateRow } from '../../engine/inventory/inventory.ts'
import { object } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'
import { isoOrNull, text } from './values.ts'

export const certificateProperties = {
  id: Type.Integer({ description: 'Row of the inventory.' }),
  device: nullable(text),
  slot: text,
  issuer: text,
  serialNumber: Type.String({ description: 'Lower-case hex.' }),
  subject: Type.String({ description: 'RFC 4514.' }),
  subjectAltNames: Type.Array(text),
  keyAlgorithm: text,
  spkiHash: Type.String({ description: 'SHA-256 of the SubjectPublicKeyInfo, hex.' }),
  notBefore: instant,
  notAfter: instant,
  status: oneOf(certificateStatuses),
  isExpired: Type.Boolean({ description: 'Its end has passed; never stored as a status.' }),
  reason: nullable(text),
  profile: nullable(text),
  protocol: text,
  predecessorId: nullable(Type.Integer()),
  cohort: nullable(text),
  batch: nullable(text),
  site: nullable(text),
  createdAt: instant,
  issuedAt: nullable(instant),
  confirmedAt: nullable(instant),
  revokedAt: nullable(instant),
  lastSeenAt: nullable(instant),
}

export const certificate = object(certificateProperties, { $id: 'Certificate' })

export function certificateView(row: CertificateRow, now: number): Static<typeof certificate> {
  return {
    id: row.id,
    device: row.deviceId,
    slot: row.slot,
    issuer: row.issuerId,
    serialNumber: row.serialNumber,
    subject: row.subject,
    subjectAltNames: [...row.subjectAltNames],
    keyAlgorithm: row.keyAlgorithm,
    spkiHash: row.spkiHash,
    notBefore: iso(row.notBefore),
    notAfter: iso(row.notAfter),
    status: row.status,
    isExpired: row.notAfter < now,
    reason: row.reason,
    profile: row.profile,
    protocol: row.protocol,
    predecessorId: row.predecessorId,
    cohort: row.cohort,
    batch: row.batch,
    site: row.site,
    createdAt: iso(row.createdAt),
    issuedAt: isoOrNull(row.issuedAt),
    confirmedAt: isoOrNull(row.confirmedAt),
    revokedAt: isoOrNull(row.revokedAt),
    lastSeenAt: isoOrNull(row.lastSeenAt),
  }
}

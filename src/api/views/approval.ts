/** A request for a certificate that waits for a person, or has. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import type { ApprovalRecord } from '../../engine/issuing/approval.ts'
import { object } from '../route.ts'
import { instant, nullable } from '../schemas.ts'
import { isoOrNull, text } from './values.ts'

export const approval = object(
  {
    id: Type.Integer(),
    device: text,
    slot: text,
    spkiHash: Type.String({ description: 'SHA-256 of the key that it is for, hex.' }),
    subject: Type.String({ description: 'What the certificate would say.' }),
    profile: text,
    protocol: text,
    status: text,
    createdAt: instant,
    decidedAt: nullable(instant),
    decidedBy: nullable(text),
  },
  { $id: 'EnrolmentRequest' },
)

export function approvalView(row: ApprovalRecord): Static<typeof approval> {
  const {
    id,
    deviceId,
    slot,
    spkiHash,
    subject,
    profile,
    protocol,
    status,
    createdAt,
    decidedAt,
    decidedBy,
  } = row
  return {
    id,
    device: deviceId,
    slot,
    spkiHash,
    subject,
    profile,
    protocol,
    status,
    createdAt: iso(createdAt),
    decidedAt: isoOrNull(decidedAt),
    decidedBy,
  }
}

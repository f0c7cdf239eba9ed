/** A renewal as JSON. */
import { iso, type Instant } from '../base/clock.ts'
import type { RenewalRecord } from '../store/renewal-record.ts'
import type { Json } from './output.ts'

export function renewalJson(renewal: RenewalRecord): { readonly [key: string]: Json } {
  const { campaignId, notAfter, createdAt, ...rest } = renewal
  const { nextAt, triggeredAt, issuedAt, deliveredAt, storedAt, confirmedAt, endedAt, ...fields } = rest
  return {
    ...fields,
    campaignId: campaignId === '' ? null : campaignId,
    notAfter: iso(notAfter),
    nextAt: isoOrNull(nextAt),
    triggeredAt: isoOrNull(triggeredAt),
    issuedAt: isoOrNull(issuedAt),
    deliveredAt: isoOrNull(deliveredAt),
    storedAt: isoOrNull(storedAt),
    confirmedAt: isoOrNull(confirmedAt),
    endedAt: isoOrNull(endedAt),
    createdAt: iso(createdAt),
  }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

/** What a revocation would touch, read page by page before anything is done. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import type { DeviceId, IssuerId } from '../base/id.ts'
import type { Queries } from './schema.ts'

export interface RevocableRow {
  readonly issuerId: IssuerId
  readonly crlShard: number
  readonly serialNumber: Uint8Array
}

/**
 * Certificates of these devices that were handed out and have not ended.
 * @param deviceIds at most 1,000. Index: certificates_device
 */
export async function revocableOf(
  q: Queries,
  deviceIds: readonly DeviceId[],
  now: Instant,
): Promise<RevocableRow[]> {
  if (deviceIds.length === 0) return []
  const rows = await q
    .selectFrom('certificates')
    .select(['issuer_id', 'crl_shard', 'serial_number'])
    .where('device_id', 'in', deviceIds)
    .where(sql<boolean>`status in ('issued', 'confirmed', 'superseded')`)
    // notAfter counts to the end of its second
    .where('not_after', '>', now - 1_000)
    .execute()
  return rows.map(({ issuer_id: issuerId, crl_shard: crlShard, serial_number: serialNumber }) => ({
    issuerId: issuerId as IssuerId,
    crlShard,
    serialNumber,
  }))
}

/** How many of these devices are being renewed. @param deviceIds at most 1,000. Index: renewals_open */
export async function countOpenRenewals(q: Queries, deviceIds: readonly DeviceId[]): Promise<number> {
  if (deviceIds.length === 0) return 0
  const { count } = await q
    .selectFrom('renewals')
    .select(sql<number>`cast(count(*) as bigint)`.as('count'))
    .where('device_id', 'in', deviceIds)
    .where(sql<boolean>`status in ('planned', 'triggered', 'issued', 'confirmed', 'escalated')`)
    .executeTakeFirstOrThrow()
  return count
}

/** Live certificates of one issuer, from the sums that are kept with them: no certificate is read. */
export async function countLiveOf(q: Queries, issuerId: IssuerId, from: Instant): Promise<number> {
  const { count } = await q
    .selectFrom('expiry_counts')
    .select(sql<number>`cast(coalesce(sum(count), 0) as bigint)`.as('count'))
    .where('day', '>=', Math.floor(from / 86_400_000))
    .where('issuer_id', '=', issuerId)
    .executeTakeFirstOrThrow()
  return count
}

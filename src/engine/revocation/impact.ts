/** What a revocation would do, without doing it: for `--dry-run`, and for the one who approves. */
import { fromHex } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { CrlEntries } from '../../pki/crl-entries.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { findLastSeen } from '../../store/last-seen.ts'
import { countOpenRenewals, revocableOf, type RevocableRow } from '../../store/revocation-impact.ts'
import type { Engine } from '../context.ts'
import { ownIssuers } from './revoke.ts'

/** A session over MQTT is looked at each half minute, and each look is a sign of life. */
export const liveWithinMs = minuteMs

/** A type alias, so that it can be printed as JSON as it is. */
export type CrlGrowth = {
  readonly issuerId: IssuerId
  readonly shard: number
  readonly entries: number
  /** Of the entries alone, as they would be written; the shard and the complete CRL grow by it, and the delta CRL. */
  readonly bytes: number
}

export interface RevocationImpact {
  readonly devices: number
  /** Certificates that would be revoked. */
  readonly certificates: number
  /** Devices at each site; those without one are in none. */
  readonly sites: ReadonlyMap<string, number>
  /** Devices that are quarantined or decommissioned already. */
  readonly outOfService: number
  /** Devices that were heard from within the last minute: connected, or just gone. */
  readonly liveSessions: number
  readonly openRenewals: number
  /** By issuer and shard. */
  readonly crls: readonly CrlGrowth[]
}

export interface ImpactOptions {
  readonly reason: RevocationReason
  /** Told of each page. */
  readonly onProgress?: (devices: number) => void
}

/** Reads every device that is given. */
export async function impactOf(
  engine: Engine,
  pages: AsyncIterable<readonly DeviceRecord[]>,
  { reason, onProgress }: ImpactOptions,
): Promise<RevocationImpact> {
  const { db } = engine.store
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  const growth = new Growth(reason, now)
  const sites = new Map<string, number>()
  let [devices, certificates, outOfService, liveSessions, openRenewals] = [0, 0, 0, 0, 0]
  for await (const page of pages) {
    const ids = page.map(({ id }) => id)
    for (const { site, state } of page) {
      if (site !== null) sites.set(site, (sites.get(site) ?? 0) + 1)
      if (state === 'quarantined' || state === 'decommissioned') outOfService += 1
    }
    for (const row of await revocableOf(db, ids, now)) {
      if (!ours.has(row.issuerId)) continue
      certificates += 1
      growth.add(row)
    }
    for (const { at } of (await findLastSeen(db, ids)).values())
      if (now - at < liveWithinMs) liveSessions += 1
    openRenewals += await countOpenRenewals(db, ids)
    devices += page.length
    onProgress?.(devices)
  }
  return { devices, certificates, sites, outOfService, liveSessions, openRenewals, crls: growth.all() }
}

/** Of one certificate, and of the device that it would take with it. */
export async function impactOfCertificate(
  engine: Engine,
  certificate: Pick<CertificateRecord, 'issuerId' | 'crlShard' | 'serialNumber' | 'deviceId'>,
  { reason }: ImpactOptions,
): Promise<RevocationImpact> {
  const { deviceId, issuerId, crlShard } = certificate
  const serialNumber = fromHex(certificate.serialNumber)
  assert(serialNumber, 'a serial number of the inventory is hex')
  const device = deviceId === null ? null : await findDevice(engine.store.db, deviceId)
  const growth = new Growth(reason, engine.clock.now())
  growth.add({ issuerId, crlShard, serialNumber })
  const around = await impactOf(engine, onePage(device === null ? [] : [device]), { reason })
  return { ...around, certificates: 1, crls: growth.all() }
}

export async function* onePage<Row>(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  if (rows.length > 0) yield rows
}

/** Entries as they would be written, counted and thrown away. */
class Growth {
  readonly #byShard = new Map<string, CrlGrowth>()
  readonly #reason: RevocationReason
  readonly #now: Instant

  constructor(reason: RevocationReason, now: Instant) {
    this.#reason = reason
    this.#now = now
  }

  add({ issuerId, crlShard, serialNumber }: RevocableRow): void {
    const key = `${issuerId} ${crlShard}`
    const known = this.#byShard.get(key) ?? { issuerId, shard: crlShard, entries: 0, bytes: 0 }
    const bytes = known.bytes + entryBytes(serialNumber, this.#reason, this.#now)
    this.#byShard.set(key, { ...known, entries: known.entries + 1, bytes })
  }

  all(): CrlGrowth[] {
    return [...this.#byShard.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, growth]) => growth)
  }
}

// one for all: what has been added is not kept by anybody
let scratch = new CrlEntries()

function entryBytes(serialNumber: Uint8Array, reason: RevocationReason, revokedAt: Instant): number {
  if (scratch.count >= 100_000) scratch = new CrlEntries()
  const before = scratch.byteLength
  scratch.add({ serialNumber, revokedAt, reason })
  return scratch.byteLength - before
}

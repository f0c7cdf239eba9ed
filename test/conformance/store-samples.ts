/** Records for tests of the store: valid, small, and different by one number. */
import { dayMs } from '../../src/base/clock.ts'
import type { CertificateId, DeviceId, IssuerId, SerialNumber } from '../../src/base/id.ts'
import type { CertificateRecord, NewCertificate } from '../../src/store/certificates.ts'
import type { DeviceRecord } from '../../src/store/devices.ts'
import type { IssuerRecord } from '../../src/store/issuers.ts'
import type { Store } from '../../src/store/open.ts'
import { flowCounter, flowSteps, renewalCounter, type RenewalStatus } from '../../src/store/renewal-record.ts'

/** A day's worth of instants in the year 2026, so that nothing in a test is 0 by accident. */
export const start = 20_500 * dayMs

export function sampleDevice(n: number, change: Partial<DeviceRecord> = {}): DeviceRecord {
  return {
    id: `SN-${String(n).padStart(6, '0')}` as DeviceId,
    profile: 'consumer',
    cohort: null,
    batch: null,
    site: null,
    connectivity: 'always',
    state: 'registered',
    tags: {},
    hardware: null,
    firmware: null,
    lastRenewalAt: null,
    createdAt: start,
    ...change,
  }
}

/** SHA-256 sized, different for each number. */
export function sampleHash(n: number): string {
  return n.toString(16).padStart(64, '0')
}

export function sampleSerial(n: number): SerialNumber {
  return n.toString(16).padStart(32, 'a') as SerialNumber
}

export function sampleReservation(n: number, change: Partial<NewCertificate> = {}): NewCertificate {
  return {
    deviceId: null,
    slot: 'default',
    issuerId: 'issuing' as IssuerId,
    serialNumber: sampleSerial(n),
    subject: `CN=SN-${n}`,
    subjectAltNames: [`uri:urn:x:${n}`],
    keyAlgorithm: 'ec-p256',
    spkiHash: sampleHash(n),
    notBefore: start,
    notAfter: start + 365 * dayMs,
    profile: 'consumer',
    profileHash: sampleHash(0),
    protocol: 'est',
    predecessorId: null,
    cohort: null,
    batch: null,
    site: null,
    createdAt: start,
    crlShard: 0,
    tbs: Uint8Array.of(0x30, n & 0xff),
    ...change,
  }
}

export function sampleCertificate(
  n: number,
  change: Partial<CertificateRecord> = {},
): Omit<CertificateRecord, 'id'> {
  return {
    ...sampleReservation(n),
    status: 'issued',
    reason: null,
    revokedAt: null,
    issuedAt: start,
    confirmedAt: null,
    tbs: null,
    der: Uint8Array.of(0x30, n & 0xff),
    ...change,
  }
}

export function sampleIssuer(change: Partial<IssuerRecord> = {}): IssuerRecord {
  return {
    id: 'root' as IssuerId,
    kind: 'root',
    subject: 'CN=Root',
    certificate: null,
    parentId: null,
    keyAlgorithm: 'ec-p256',
    authority: 'software',
    keyReference: 'root',
    status: 'active',
    subjectKeyIdentifier: 'ab'.repeat(20),
    spkiHash: sampleHash(1),
    notBefore: start,
    notAfter: start + 9000 * dayMs,
    crlShards: 1,
    createdAt: start,
    revokedAt: null,
    revocationReason: null,
    reissueCampaign: null,
    cutAfter: null,
    ...change,
  }
}

/** What the roll-ups must say, counted from the rows. */
export async function recount(store: Store): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const count = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1
  }
  for (const { state } of await store.db.selectFrom('devices').select('state').execute()) {
    count(`devices.${state}`)
  }
  const renewals = await store.db
    .selectFrom('renewals')
    .select(['campaign_id', 'wave', 'status', 'triggered_at', 'issued_at', 'confirmed_at', 'ended_at'])
    .execute()
  for (const { campaign_id: campaignId, wave, status, ...at } of renewals) {
    count(renewalCounter({ campaignId, wave }, status as RenewalStatus))
    if (campaignId === '') continue
    for (const step of flowSteps) {
      const instant = at[`${step}_at`]
      if (instant !== null) count(flowCounter(campaignId, instant, step))
    }
  }
  const certificates = await store.db
    .selectFrom('certificates')
    .select(['status', 'not_after', 'issuer_id', 'profile', 'cohort'])
    .execute()
  for (const row of certificates) {
    count(`certificates.${row.status}`)
    if (row.status !== 'issued' && row.status !== 'confirmed') continue
    count(
      `expiry ${Math.floor(row.not_after / dayMs)} ${row.issuer_id} ${row.profile ?? ''} ${row.cohort ?? ''}`,
    )
  }
  return counts
}

/** What they do say; sums of 0 are left out. */
export async function rolledUp(store: Store): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const add = (name: string, value: number): void => {
    counts[name] = (counts[name] ?? 0) + value
  }
  for (const { name, value } of await store.db.selectFrom('counters').select(['name', 'value']).execute()) {
    add(name, value)
  }
  const expiries = await store.db
    .selectFrom('expiry_counts')
    .select(['day', 'issuer_id', 'profile', 'cohort', 'count'])
    .execute()
  for (const row of expiries)
    add(`expiry ${row.day} ${row.issuer_id} ${row.profile} ${row.cohort}`, row.count)
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0))
}

export const anyId = 999_999 as CertificateId

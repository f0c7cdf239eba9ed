/** A fleet drawn at random for lists by filter: filters, each beside a plain look at a row that says whether it fits. */
import { dayMs } from '../../src/base/clock.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../../src/base/id.ts'
import { fraction, seededRandom } from '../../src/base/random.ts'
import type { CertificateRecord, CertificateStatus } from '../../src/store/certificate-record.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import { insertDevices, type DeviceRecord, type DeviceState } from '../../src/store/devices.ts'
import { appendFacts } from '../../src/store/facts.ts'
import { recordLastSeen } from '../../src/store/last-seen.ts'
import type { Store } from '../../src/store/open.ts'
import { renewalStatuses, type RenewalStatus } from '../../src/store/renewal-record.ts'
import { sampleCertificate, sampleDevice, sampleHash, start } from '../conformance/store-samples.ts'

export const now = start + 400 * dayMs
const random = seededRandom('listing')
const pick = <Value>(values: readonly Value[]): Value =>
  values[Math.floor(fraction(random) * values.length)] as Value
const below = (limit: number): number => Math.floor(fraction(random) * limit)

export type DeviceSample = DeviceRecord & { readonly seenAt: number | null }

export const devices: readonly DeviceSample[] = Array.from({ length: 150 }, (_, n) => ({
  ...sampleDevice(n, {
    state: pick<DeviceState>(['active', 'active', 'active', 'registered', 'quarantined', 'decommissioned']),
    cohort: pick([null, 'a', 'b', 'A']),
    batch: pick([null, 'run-1', 'run-2', 'other']),
    site: pick([null, 'kl', 'berlin', "o'hara", '100%']),
    profile: pick(['consumer', 'meter']),
    firmware: pick([null, '2.4.1', '2.4.2']),
    tags: pick([{}, { line: '7' }, { line: '8', note: '"line":"7"' }, { other: 'line' }]),
    createdAt: start + below(400) * dayMs,
    lastRenewalAt: pick([null, now - 5 * dayMs, now - 50 * dayMs]),
  }),
  seenAt: pick([null, now - 3_600_000, now - 10 * dayMs]),
}))

export const serialOf = (n: number): SerialNumber => `c0${n.toString(16).padStart(14, '0')}` as SerialNumber

export const certificates: readonly Omit<CertificateRecord, 'id'>[] = Array.from({ length: 260 }, (_, n) => {
  const device = n % 13 === 0 ? null : pick(devices)
  const status = pick<CertificateStatus>([
    'issued',
    'confirmed',
    'confirmed',
    'superseded',
    'revoked',
    'abandoned',
  ])
  return sampleCertificate(n, {
    deviceId: device?.id ?? null,
    cohort: device?.cohort ?? null,
    batch: device?.batch ?? null,
    site: device?.site ?? null,
    issuerId: pick(['issuing', 'issuing-2']) as IssuerId,
    // many end in the same instant
    notAfter: now + (below(20) - 5) * 10 * dayMs,
    status,
    reason: status === 'revoked' ? 'keyCompromise' : null,
    revokedAt: status === 'revoked' ? now - dayMs : null,
    spkiHash: sampleHash(n),
    serialNumber: serialOf(n),
  })
})

const isLive = ({ status }: { readonly status: string }): boolean =>
  status === 'issued' || status === 'confirmed'

export interface RenewalSample {
  readonly campaignId: string
  readonly deviceId: DeviceId
  readonly status: RenewalStatus
  readonly notAfter: number
  readonly assignee: string | null
}

/** One at most is open for each device. */
export const renewals: readonly RenewalSample[] = devices.flatMap((device, n) =>
  Array.from({ length: n % 3 }, (_, each) => ({
    campaignId: pick(['', 'c1', 'c2']),
    deviceId: device.id,
    status: each === 0 ? pick(renewalStatuses) : pick(['retired', 'abandoned'] as const),
    notAfter: now + below(8) * 10 * dayMs,
    assignee: pick([null, 'ann']),
  })),
)

export const newestLive = new Map<string, Omit<CertificateRecord, 'id'>>()
for (const certificate of certificates)
  if (certificate.deviceId !== null && isLive(certificate)) newestLive.set(certificate.deviceId, certificate)

const end = ({ id }: DeviceSample): number | null => newestLive.get(id)?.notAfter ?? null

export const deviceFilters: readonly (readonly [string, (device: DeviceSample) => boolean])[] = [
  ['', () => true],
  ['state=quarantined', ({ state }) => state === 'quarantined'],
  ['state=quarantined,registered', ({ state }) => state === 'quarantined' || state === 'registered'],
  ['state!=active', ({ state }) => state !== 'active'],
  ['state=active', ({ state }) => state === 'active'],
  ['site=kl', ({ site }) => site === 'kl'],
  ['site!=kl', ({ site }) => site !== 'kl'],
  ['site=none', ({ site }) => site === null],
  ['site=kl,berlin cohort=a', ({ site, cohort }) => (site === 'kl' || site === 'berlin') && cohort === 'a'],
  ["site=o'hara", ({ site }) => site === "o'hara"],
  ['site=100%', ({ site }) => site === '100%'],
  ['batch=run-*', ({ batch }) => batch?.startsWith('run-') === true],
  ['batch=run-1 state=active', ({ batch, state }) => batch === 'run-1' && state === 'active'],
  ['firmware~.2', ({ firmware }) => firmware?.includes('.2') === true],
  ['tag.line=7', ({ tags }) => tags['line'] === '7'],
  ['tag.line!=7', ({ tags }) => tags['line'] !== '7'],
  ['tag.line=none', ({ tags }) => !('line' in tags)],
  ['lastSeen>7d', ({ seenAt }) => seenAt === null || seenAt < now - 7 * dayMs],
  ['lastSeen<7d', ({ seenAt }) => seenAt !== null && seenAt > now - 7 * dayMs],
  ['lastSeen=never', ({ seenAt }) => seenAt === null],
  ['lastRenewal>30d', ({ lastRenewalAt }) => lastRenewalAt === null || lastRenewalAt < now - 30 * dayMs],
  ['created<100d', ({ createdAt }) => createdAt > now - 100 * dayMs],
  ['SN-00001', ({ id }) => id.startsWith('SN-00001')],
  ['id=SN-000012,SN-000003', ({ id }) => id === 'SN-000012' || id === 'SN-000003'],
  ['expires<30d', (device) => (end(device) ?? Infinity) < now + 30 * dayMs],
  [
    'expires>0 expires<50d site=kl',
    (device) => {
      const at = end(device) ?? 0
      return at > now && at < now + 50 * dayMs && device.site === 'kl'
    },
  ],
  [
    'expires<30d state=active tag.line=7',
    (device) =>
      (end(device) ?? Infinity) < now + 30 * dayMs &&
      device.state === 'active' &&
      device.tags['line'] === '7',
  ],
  ['expires=none', (device) => end(device) === null],
  [
    'issuer=issuing-2 lastSeen<7d',
    (device) =>
      newestLive.get(device.id)?.issuerId === 'issuing-2' &&
      device.seenAt !== null &&
      device.seenAt > now - 7 * dayMs,
  ],
  ['issuer!=issuing-2', ({ id }) => newestLive.get(id)?.issuerId !== 'issuing-2'],
  [
    'renewal=escalated,planned',
    ({ id }) =>
      renewals.some(
        ({ deviceId, status }) => deviceId === id && (status === 'escalated' || status === 'planned'),
      ),
  ],
  [
    'campaign=c1',
    ({ id }) =>
      renewals.some(
        ({ deviceId, status, campaignId }) =>
          deviceId === id && campaignId === 'c1' && status !== 'retired' && status !== 'abandoned',
      ),
  ],
]

export type CertificateSample = (typeof certificates)[number]

export const certificateFilters: readonly (readonly [string, (certificate: CertificateSample) => boolean])[] =
  [
    ['', () => true],
    ['status=live', (each) => isLive(each) && each.notAfter >= now],
    ['status=expired', (each) => isLive(each) && each.notAfter < now],
    ['status!=live', (each) => !(isLive(each) && each.notAfter >= now)],
    [
      'status=revoked,superseded issuer=issuing',
      ({ status, issuerId }) => (status === 'revoked' || status === 'superseded') && issuerId === 'issuing',
    ],
    ['expires<30d', (each) => isLive(each) && each.notAfter < now + 30 * dayMs],
    [
      'expires<30d status=confirmed',
      (each) => each.status === 'confirmed' && each.notAfter < now + 30 * dayMs,
    ],
    [
      'expires<30d site=kl,berlin',
      (each) =>
        isLive(each) && each.notAfter < now + 30 * dayMs && (each.site === 'kl' || each.site === 'berlin'),
    ],
    ['notAfter<30d', ({ notAfter }) => notAfter < now + 30 * dayMs],
    [
      'notAfter<30d status=revoked',
      ({ notAfter, status }) => notAfter < now + 30 * dayMs && status === 'revoked',
    ],
    ['device=none', ({ deviceId }) => deviceId === null],
    ['device=SN-000007', ({ deviceId }) => deviceId === 'SN-000007'],
    ['SN-000007', ({ deviceId }) => deviceId === 'SN-000007'],
    [serialOf(7), ({ serialNumber }) => serialNumber === serialOf(7)],
    [`serial=${serialOf(7).toUpperCase()}`, ({ serialNumber }) => serialNumber === serialOf(7)],
    ['batch=run-1 cohort!=a', ({ batch, cohort }) => batch === 'run-1' && cohort !== 'a'],
    ['reason=keyCompromise revoked<2d', ({ status }) => status === 'revoked'],
    ['subject~sn-1', ({ subject }) => subject.toLowerCase().includes('sn-1')],
  ]

export const renewalFilters: readonly (readonly [string, (renewal: RenewalSample) => boolean])[] = [
  ['', () => true],
  ['state=escalated', ({ status }) => status === 'escalated'],
  [
    'state=escalated expires<30d',
    ({ status, notAfter }) => status === 'escalated' && notAfter < now + 30 * dayMs,
  ],
  [
    'expires<30d state=escalated tag.line=7',
    ({ status, notAfter, deviceId }) =>
      status === 'escalated' &&
      notAfter < now + 30 * dayMs &&
      devices.find(({ id }) => id === deviceId)?.tags['line'] === '7',
  ],
  ['state=open', ({ status }) => status !== 'retired' && status !== 'abandoned'],
  ['campaign=c1 state!=retired', ({ campaignId, status }) => campaignId === 'c1' && status !== 'retired'],
  ['campaign=none', ({ campaignId }) => campaignId === ''],
  ['assignee=ann', ({ assignee }) => assignee === 'ann'],
  ['SN-000005', ({ deviceId }) => deviceId === 'SN-000005'],
]

export async function fill(store: Store): Promise<void> {
  await store.transaction(async (tx) => {
    await insertDevices(tx, devices)
    await insertCertificates(tx, certificates)
    await recordLastSeen(
      tx,
      devices.flatMap(({ id, seenAt }) =>
        seenAt === null ? [] : [{ deviceId: id, certificateId: null, at: seenAt }],
      ),
    )
    for (const { campaignId, deviceId, status, notAfter, assignee } of renewals) {
      await tx
        .insertInto('renewals')
        .values({
          campaign_id: campaignId,
          wave: 0,
          device_id: deviceId,
          slot: 'default',
          certificate_id: 1,
          not_after: notAfter,
          connectivity: 'daily',
          site: null,
          status,
          climb: 0,
          rung: 0,
          attempt: 0,
          next_at: null,
          new_certificate_id: null,
          triggered_at: null,
          issued_at: null,
          delivered_at: null,
          stored_at: null,
          confirmed_at: null,
          ended_at: null,
          reason: null,
          assignee,
          created_at: start,
        })
        .execute()
    }
    await appendFacts(
      tx,
      Array.from({ length: 60 }, (_, n) => {
        const entry = { action: n % 2 === 0 ? 'device.added' : 'device.updated', actor: `cli:${n % 4}` }
        const members = JSON.stringify({ ...entry, details: { actor: 'cli:9' } })
        return {
          at: start + n * dayMs,
          action: entry.action,
          subject: `device:${n % 5}`,
          entry: Buffer.from(members),
        }
      }),
    )
  })
}

/**
 * A fleet as a manufacturer would have it: produced in batches over two years, each with a certificate of two years and a
 * jitter of up to 73 days, serial numbers that begin with the time as our issuer makes them, keys at random.
 */
import { dayMs, type Instant } from '../../src/base/clock.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../../src/base/id.ts'
import { fraction, type Random } from '../../src/base/random.ts'
import { sha256Hex, toHex } from '../../src/base/bytes.ts'
import type { CertificateRecord } from '../../src/store/certificates.ts'
import type { DeviceRecord } from '../../src/store/devices.ts'

export interface Sample {
  readonly device: DeviceRecord
  readonly certificate: Omit<CertificateRecord, 'id'>
}

export const fleetStart: Instant = 20_000 * dayMs
export const cohorts = 60

const batchSize = 10_000
const productionMs = 600 * dayMs
const validityMs = 730 * dayMs
const jitterMs = 73 * dayMs
const profiles = ['consumer', 'industrial', 'meter', 'gateway'] as const
/** A P-256 device certificate has about this many bytes. */
const derBytes = 560

const der = new Uint8Array(derBytes).fill(0x5a)
const profileHashes = new Map(profiles.map((name) => [name, sha256Hex(name)]))

export function deviceIdOf(n: number): DeviceId {
  return `SN-${String(n).padStart(8, '0')}` as DeviceId
}

export function cohortOf(n: number): string {
  return `cohort-${String(n).padStart(2, '0')}`
}

function producedAt(n: number, fleet: number): Instant {
  return fleetStart + Math.floor((n / fleet) * productionMs)
}

/** Six bytes of the time and ten that look random. */
export function serialOf(n: number, fleet: number): SerialNumber {
  const time = producedAt(n, fleet).toString(16).padStart(12, '0')
  return `${time}${sha256Hex(`serial ${n}`).slice(0, 20)}`.replace(/^00/, '') as SerialNumber
}

export function sampleOf(n: number, fleet: number, random: Random): Sample {
  const id = deviceIdOf(n)
  const profile = profiles[n % profiles.length] ?? 'consumer'
  const cohort = cohortOf(Math.floor(fraction(random) * cohorts))
  const batch = `run-${String(Math.floor(n / batchSize)).padStart(4, '0')}`
  const issuedAt = producedAt(n, fleet)
  const notBefore = issuedAt - (issuedAt % 1_000)
  const notAfter = notBefore + validityMs - Math.floor((fraction(random) * jitterMs) / 1_000) * 1_000
  const common = { profile, cohort, batch, site: null, createdAt: issuedAt }
  return {
    device: {
      ...common,
      id,
      connectivity: 'daily',
      state: 'active',
      tags: {},
      hardware: 'rev-c',
      firmware: '2.4.1',
      lastRenewalAt: issuedAt,
    },
    certificate: {
      ...common,
      deviceId: id,
      slot: 'default',
      issuerId: 'issuing' as IssuerId,
      serialNumber: serialOf(n, fleet),
      subject: `CN=${id},O=Example`,
      subjectAltNames: [`uri:urn:perennial:device:${id}`],
      keyAlgorithm: 'ec-p256',
      spkiHash: toHex(random.bytes(32)),
      notBefore,
      notAfter,
      status: 'confirmed',
      reason: null,
      revokedAt: null,
      profileHash: profileHashes.get(profile) ?? null,
      protocol: 'est',
      predecessorId: null,
      issuedAt,
      confirmedAt: issuedAt,
      crlShard: 0,
      tbs: null,
      der,
    },
  }
}

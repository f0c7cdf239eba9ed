/**
 * The factory: devices with a real key and a certificate that a CA of the installation really signed, as the bulk import of
 * a fleet finds them. Also runs in a worker thread, which is why it is given the CA's key.
 */
import { createPrivateKey } from 'node:crypto'
import { assert } from '../../base/errors.ts'
import { dayMs, secondMs, type Instant } from '../../base/clock.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../../base/id.ts'
import type { Random } from '../../base/random.ts'
import type { EngineSettings } from '../../engine/context.ts'
import { draftDeviceCertificate } from '../../engine/issuing/issue-content.ts'
import type { IssuerMaterial } from '../../engine/issuing/issuer-cache.ts'
import { defaultSlot, type Profile } from '../../engine/issuing/profile.ts'
import { assembleCertificate, parseCertificate } from '../../pki/certificate.ts'
import { parsePublicKey } from '../../pki/key.ts'
import { defaultSignatureAlgorithm, signData } from '../../pki/signature.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import type { DeviceRecord } from '../../store/devices.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import { about, chance, quickRandom } from '../chance.ts'
import type { ParameterValues } from '../parameters.ts'
import type { CopiedFleet } from './copied-fleet.ts'
import type { HeldKey } from './flash.ts'
import { generateP256 } from './p256.ts'

export interface FactoryPlan {
  readonly seed: number
  readonly values: ParameterValues
  /** When the run begins. */
  readonly startedAt: Instant
  readonly profile: Profile
  readonly connectivity: string
  readonly settings: Pick<EngineSettings, 'organization' | 'statusUrl'>
  readonly issuer: IssuerRecord
  /** PKCS #8, DER. */
  readonly issuerKey: Uint8Array
  /** In place of a fleet that is drawn. */
  readonly copied: CopiedFleet | null
}

/** What the import is told of one device. */
export interface Produced {
  readonly serialNumber: SerialNumber
  readonly subject: string
  readonly subjectAltNames: readonly string[]
  readonly spkiHash: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly issuedAt: Instant
  readonly crlShard: number
  readonly der: Uint8Array
}

export interface Factory {
  make(device: number): { readonly produced: Produced; readonly key: HeldKey }
}

export function deviceIdOf(device: number): DeviceId {
  return `SIM-${String(device).padStart(8, '0')}` as DeviceId
}

/** @returns the number of a simulated device */
export function deviceOf(id: string): number {
  return Number(id.slice(4))
}

export function createFactory(plan: FactoryPlan): Factory {
  const { seed, settings } = plan
  const issuer = materialOf(plan.issuer)
  const issuerKey = createPrivateKey({ key: Buffer.from(plan.issuerKey), format: 'der', type: 'pkcs8' })
  return {
    make(device) {
      const { spki, scalar } = generateP256()
      const key = parsePublicKey(spki)
      const issuedAt = producedAt(plan, device)
      const draft = draftDeviceCertificate({
        settings,
        random: serialRandom(seed, device),
        profile: profileOf(plan, device),
        device: deviceRecord(plan, device, issuedAt),
        key,
        issuer,
        now: issuedAt,
      })
      const { signatureAlgorithm } = issuer
      const signature = signData(issuerKey, signatureAlgorithm, draft.tbs)
      const der = assembleCertificate({ tbs: draft.tbs, signatureAlgorithm, signature })
      const { serialNumber, subject, subjectAltNames, notBefore, notAfter, crlShard } = draft
      return {
        produced: {
          serialNumber,
          subject,
          subjectAltNames,
          spkiHash: key.spkiHash,
          notBefore,
          notAfter,
          issuedAt,
          crlShard,
          der,
        },
        key: { spki, spkiHash: key.spkiHash, privateKey: scalar },
      }
    },
  }
}

/** Has the number of the device in it: 32 bits of luck alone would meet in a fleet of millions. */
function serialRandom(seed: number, device: number): Random {
  const random = quickRandom(seed ^ Math.floor(chance(seed, device, about.serial) * 2 ** 32))
  return {
    isSeeded: true,
    bytes(length) {
      const bytes = Buffer.from(random.bytes(length))
      if (length >= 4) bytes.writeUInt32BE(device, 0)
      return bytes
    },
  }
}

function materialOf(record: IssuerRecord): IssuerMaterial {
  assert(record.certificate, 'the issuer has its certificate')
  const certificate = parseCertificate(record.certificate)
  const key = parsePublicKey(certificate.spki)
  return { record, certificate, key, signatureAlgorithm: defaultSignatureAlgorithm(key.algorithm) }
}

/** What its certificate was issued by. Jitter was taken off already, from the end that is known. */
function profileOf({ profile, copied }: FactoryPlan, device: number): Profile {
  const name = copied?.devices[device]?.record.profile
  const own = name === undefined ? profile : (copied?.profiles.get(name) ?? profile)
  return copied === null ? own : { ...own, jitterMs: 0 }
}

/** The last certificates of the fleet end `lead` after the start, the others up to `spread` before. */
function producedAt(plan: FactoryPlan, device: number): Instant {
  const { values, startedAt, seed, copied } = plan
  const real = copied?.devices[device]
  if (real) return real.notAfter - (profileOf(plan, device).validityMs ?? 0)
  const spreadMs = values['certificate.spread'] * chance(seed, device, about.produced)
  const at = startedAt + values['certificate.lead'] - values['certificate.life'] - spreadMs
  return Math.floor(at / secondMs) * secondMs
}

const versions = 4

export function deviceRecord(
  { profile, connectivity, seed, values, copied }: FactoryPlan,
  device: number,
  producedOn: Instant,
): DeviceRecord {
  const real = copied?.devices[device]
  if (real) return real.record
  const isBad = isBadFirmware(seed, device, values)
  return {
    id: deviceIdOf(device),
    profile: profile.name,
    cohort: `cohort-${device % 16}`,
    batch: `batch-${Math.floor(producedOn / (7 * dayMs))}`,
    site: `site-${String(device % 400).padStart(3, '0')}`,
    connectivity,
    state: 'active',
    tags: { msisdn: `+999${String(device).padStart(9, '0')}` },
    hardware: `rev-${'abc'[device % 3] ?? 'a'}`,
    firmware: isBad ? '3.0.0-bad' : `2.${device % versions}.0`,
    lastRenewalAt: producedOn,
    createdAt: producedOn,
  }
}

export function isBadFirmware(seed: number, device: number, values: ParameterValues): boolean {
  return chance(seed, device, about.firmware) < values['firmware.bad']
}

export function certificateRow(
  { profile, issuer }: FactoryPlan,
  device: DeviceRecord,
  produced: Produced,
): Omit<CertificateRecord, 'id'> {
  const { cohort, batch, site } = device
  return {
    ...produced,
    der: produced.der,
    deviceId: device.id,
    slot: defaultSlot,
    issuerId: issuer.id as IssuerId,
    keyAlgorithm: 'ec-p256',
    status: 'confirmed',
    reason: null,
    revokedAt: null,
    profile: device.profile,
    profileHash: profile.contentHash,
    protocol: 'import',
    predecessorId: null,
    cohort,
    batch,
    site,
    createdAt: produced.issuedAt,
    confirmedAt: produced.issuedAt,
    tbs: null,
  }
}

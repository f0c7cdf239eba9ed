/** Renewal hints of real certificates: gathers what `suggestedWindow` looks at. */
import { iso, secondMs, type Instant } from '../../base/clock.ts'
import type { SerialNumber } from '../../base/id.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import { findOpenRenewal } from '../../store/renewals.ts'
import { campaignLoad } from '../campaigns/campaign-load.ts'
import type { Engine } from '../context.ts'
import { pollAfter, suggestedWindow, type SuggestedWindow } from './renewal-hint.ts'

export interface RenewalInfo {
  /** Null when certificates of the profile are for life. */
  readonly suggestedWindow: SuggestedWindow | null
  /** How long the device should wait until it asks again, ms. */
  readonly retryAfterMs: number
}

/**
 * The hint for a certificate of ours, as it stands now.
 * @param device the certificate's, when the caller has it
 */
export async function renewalInfo(
  engine: Engine,
  certificate: CertificateRecord,
  { now, device }: { readonly now: Instant; readonly device?: DeviceRecord },
): Promise<RenewalInfo> {
  const owner = device ?? (await ownerOf(engine, certificate))
  const name = owner?.profile ?? certificate.profile ?? ''
  const profile = engine.settings.profiles.get(name) ?? { renewBeforeMs: null }
  const issuer = await engine.issuers.find(certificate.issuerId)
  const renewal =
    certificate.deviceId === null || profile.renewBeforeMs === null
      ? null
      : await findOpenRenewal(engine.store.db, certificate.deviceId, certificate.slot)
  const suggested = suggestedWindow({
    certificate,
    profile,
    renewal,
    load: renewal && (await campaignLoad(engine, renewal, now)),
    spread: engine.settings.renewal.spread,
    isIssuerLost: issuer !== null && issuer.record.status !== 'active',
    now,
  })
  return { suggestedWindow: suggested, retryAfterMs: pollAfter(suggested, profile, now) }
}

/**
 * The same as a message, for a topic of the device that keeps it: JSON of a few hundred bytes.
 * @returns null when there is nothing to say: certificates of the profile are for life
 */
export function hintMessage(
  { issuerId, serialNumber }: Pick<CertificateRecord, 'issuerId' | 'serialNumber'>,
  { suggestedWindow: suggested, retryAfterMs }: RenewalInfo,
): string | null {
  if (suggested === null) return null
  return JSON.stringify({
    v: 1,
    kind: 'hint',
    certificate: `${issuerId}/${serialNumber}`,
    suggestedWindow: { start: iso(suggested.start), end: iso(suggested.end) },
    retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / secondMs)),
  })
}

/** The hint for a certificate that was issued just now: nobody has asked the device to replace it. */
export function newCertificateWindow(engine: Engine, certificate: CertificateRecord): SuggestedWindow | null {
  const profile = engine.settings.profiles.get(certificate.profile ?? '')
  if (!profile) return null
  const { spread } = engine.settings.renewal
  return suggestedWindow({ certificate, profile, renewal: null, load: null, spread, now: engine.clock.now() })
}

async function ownerOf(engine: Engine, { deviceId }: CertificateRecord): Promise<DeviceRecord | null> {
  return deviceId === null ? null : await findDevice(engine.store.db, deviceId)
}

/** Names a certificate as RFC 9773 §4.1 does. */
export interface CertificateName {
  /** keyIdentifier of the authorityKeyIdentifier extension, lower-case hex. */
  readonly authorityKeyIdentifier: string
  readonly serialNumber: SerialNumber
}

/**
 * The certificate of ours with this name, when it was handed out and is not replaced: about any other there is nothing to
 * know (RFC 9773 §4.3.2: nobody asks after the replacement).
 */
export async function findNamed(engine: Engine, name: CertificateName): Promise<CertificateRecord | null> {
  for (const issuer of await engine.issuers.list()) {
    if (issuer.subjectKeyIdentifier !== name.authorityKeyIdentifier) continue
    const record = await findByIssuerAndSerial(engine.store.db, issuer.id, name.serialNumber)
    if (record && ['issued', 'confirmed', 'revoked'].includes(record.status)) return record
  }
  return null
}

/**
 * What happens to a device moves its open renewal, whoever asked for it: a device that renews by itself moves it along like
 * one that was asked. Each function is called inside the unit of work of the event itself; what devices and networks report
 * may come twice, late and in any order.
 */
import { type Instant } from '../../base/clock.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import {
  lockOpenRenewal,
  lockOpenRenewalsOf,
  updateRenewal,
  type RenewalChange,
} from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import { supersedeSiblings } from '../../store/succession.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Connectivity, Engine } from '../context.ts'
import { shippedLadders } from './ladder.ts'
import { issuedState, type AbandonReason } from './renewal-step.ts'
import { enqueueRetraction } from './retraction.ts'

/** Which certificate the event is about. */
export type RenewedCertificate = Pick<
  CertificateRecord,
  'id' | 'deviceId' | 'slot' | 'predecessorId' | 'issuerId' | 'serialNumber'
>

/** The connectivity of a renewal; that of an unknown name, which the configuration has lost, is the quickest one. */
export function connectivityOf(
  { settings }: Pick<Engine, 'settings'>,
  { connectivity }: Pick<RenewalRecord, 'connectivity'>,
): Connectivity {
  const known = settings.connectivity.get(connectivity)
  return known ?? { checkInMs: fallbackCheckInMs, ladder: shippedLadders['always-on'] }
}

const fallbackCheckInMs = 86_400_000

/**
 * A new certificate is on record. Others that were issued in place of the same one and never used end here: a device has
 * at most one live certificate that it has not shown yet, however often it asks.
 */
export async function renewalIssued(
  engine: Pick<Engine, 'settings'>,
  tx: Tx,
  certificate: RenewedCertificate,
  now: Instant,
): Promise<void> {
  const { id, deviceId, slot, predecessorId } = certificate
  if (deviceId === null || predecessorId === null) return
  const ended = await supersedeSiblings(tx, { deviceId, slot, predecessorId, id })
  await recordFacts(tx, ...ended.map((one) => supersededFact(one, certificate, now)))
  const renewal = await lockOpenRenewal(tx, deviceId, slot)
  if (renewal === null || renewal.status === 'confirmed' || id <= renewal.certificateId) return
  const { ladder, checkInMs } = connectivityOf(engine, renewal)
  await updateRenewal(tx, renewal, {
    ...issuedState(renewal, now, { ladder, patienceMs: checkInMs }),
    newCertificateId: id,
    issuedAt: now,
    deliveredAt: null,
    storedAt: null,
  })
}

export function supersededFact(
  { issuerId, serialNumber, deviceId }: RenewedCertificate,
  by: Pick<RenewedCertificate, 'issuerId' | 'serialNumber'>,
  now: Instant,
  actor: string = deviceId === null ? actors.system : actors.device(deviceId),
): ReturnType<typeof fact> {
  return fact(now, {
    actor,
    action: 'certificate.superseded',
    subject: subjects.certificate(issuerId, serialNumber),
    details: { deviceId, by: `${by.issuerId}/${by.serialNumber}` },
  })
}

export interface CertificateEvent {
  readonly deviceId: DeviceId
  readonly slot: string
  /** The new certificate that it is about. */
  readonly certificateId: CertificateId
  readonly now: Instant
}

/** The device says that the new certificate is on persistent storage. @returns false when that moves no renewal */
export async function renewalStored(tx: Tx, event: CertificateEvent): Promise<boolean> {
  return await mark(tx, event, ({ deliveredAt, storedAt }, now) =>
    storedAt === null ? { deliveredAt: deliveredAt ?? now, storedAt: now } : null,
  )
}

async function mark(
  tx: Tx,
  { deviceId, slot, certificateId, now }: CertificateEvent,
  changeOf: (renewal: RenewalRecord, now: Instant) => RenewalChange | null,
): Promise<boolean> {
  const renewal = await lockOpenRenewal(tx, deviceId, slot)
  // late or repeated, about a certificate that another has replaced since: nothing to learn from it
  if (renewal === null || renewal.newCertificateId !== certificateId) return false
  const change = changeOf(renewal, now)
  if (change === null) return false
  await updateRenewal(tx, renewal, change)
  return true
}

/**
 * The device has used a certificate that is newer than the one to be replaced.
 * @param isLast there is nothing left to retire: the renewal has ended
 */
export async function renewalConfirmed(
  tx: Tx,
  { id, deviceId, slot }: Pick<RenewedCertificate, 'id' | 'deviceId' | 'slot'>,
  { at, isLast }: { readonly at: Instant; readonly isLast: boolean },
): Promise<void> {
  if (deviceId === null) return
  const renewal = await lockOpenRenewal(tx, deviceId, slot)
  if (renewal === null || renewal.status === 'confirmed' || id <= renewal.certificateId) return
  await updateRenewal(tx, renewal, {
    status: isLast ? 'retired' : 'confirmed',
    nextAt: null,
    newCertificateId: id,
    issuedAt: renewal.issuedAt ?? at,
    confirmedAt: at,
    endedAt: isLast ? at : null,
    reason: null,
  })
  await enqueueRetraction(tx, at, renewal)
}

/** The replaced certificate has gone: the end of a renewal that went well. */
export async function renewalRetired(
  tx: Tx,
  {
    deviceId,
    slot,
    replacedBy,
  }: Pick<CertificateEvent, 'deviceId' | 'slot'> & { readonly replacedBy: number },
  now: Instant,
): Promise<void> {
  const renewal = await lockOpenRenewal(tx, deviceId, slot)
  if (renewal?.status !== 'confirmed' || renewal.newCertificateId !== replacedBy) return
  await updateRenewal(tx, renewal, { status: 'retired', nextAt: null, endedAt: now })
}

/** The new certificate was revoked before the old one had gone. */
export async function renewalUndone(
  tx: Tx,
  {
    deviceId,
    slot,
    replacedBy,
  }: Pick<CertificateEvent, 'deviceId' | 'slot'> & { readonly replacedBy: number },
  actor: string,
  now: Instant,
): Promise<void> {
  const renewal = await lockOpenRenewal(tx, deviceId, slot)
  if (renewal?.status !== 'confirmed' || renewal.newCertificateId !== replacedBy) return
  await abandonRenewal(tx, renewal, { reason: 'certificate-revoked', actor }, now)
}

/** The device will not renew any more: quarantined, decommissioned, or its certificate revoked. */
export async function deviceOutOfService(
  tx: Tx,
  {
    deviceId,
    reason,
    actor,
  }: { readonly deviceId: DeviceId; readonly reason: AbandonReason; readonly actor: string },
  now: Instant,
): Promise<void> {
  for (const renewal of await lockOpenRenewalsOf(tx, deviceId)) {
    await abandonRenewal(tx, renewal, { reason, actor }, now)
  }
}

/** Gives a renewal up that the unit holds. */
export async function abandonRenewal(
  tx: Tx,
  renewal: RenewalRecord,
  { reason, actor }: { readonly reason: AbandonReason; readonly actor: string },
  now: Instant,
): Promise<void> {
  await updateRenewal(tx, renewal, { status: 'abandoned', nextAt: null, endedAt: now, reason })
  await recordFacts(tx, renewalFact(renewal, 'renewal.abandoned', { reason, actor }, now))
  await enqueueRetraction(tx, now, renewal)
}

export function renewalFact(
  { id, deviceId, slot, campaignId }: RenewalRecord,
  action: 'renewal.abandoned' | 'renewal.escalated' | 'renewal.resolved' | 'renewal.assigned',
  { reason, actor }: { readonly reason: string; readonly actor: string },
  now: Instant,
): ReturnType<typeof fact> {
  return fact(now, {
    actor,
    action,
    subject: subjects.renewal(id),
    reason,
    details: { deviceId, slot, campaign: campaignId === '' ? undefined : campaignId },
  })
}

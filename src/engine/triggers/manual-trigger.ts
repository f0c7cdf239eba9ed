/** Triggers and bundles that a person asks for, outside of any ladder: to try a channel, or to carry a bundle to a device. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { signOtaBundle, type OtaBundle, type OtaSigner } from '../../pki/ota-bundle.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice } from '../../store/devices.ts'
import { listCertificates } from '../../store/inventory.ts'
import { noCampaign } from '../../store/renewal-record.ts'
import { findOpenRenewal } from '../../store/renewals.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { triggerKinds, type Trigger, type TriggerKind } from '../ports.ts'
import { sendWithinBudget } from './trigger-budget.ts'

/** A device has a handful of live certificates; more are not looked at. */
const maxCertificates = 1_000

/**
 * What the device would be sent now, about its newest certificate that is in force. The number is that of its open renewal,
 * or 0.
 * @throws Refusal `not-found` when there is no such device or it has no certificate in force
 */
export async function manualTrigger(engine: Engine, deviceId: DeviceId, now: Instant): Promise<Trigger> {
  const { db } = engine.store
  const device = await findDevice(db, deviceId)
  if (!device) throw new Refusal('not-found', `there is no device ${deviceId}`)
  const { rows } = await listCertificates(db, { filter: { deviceId }, limit: maxCertificates })
  const certificate = rows.findLast((each) => isInForce(each, now))
  if (!certificate)
    throw new Refusal('not-found', `${deviceId} has no certificate in force that could be renewed`)
  const { issuerId, serialNumber, notAfter, slot } = certificate
  const renewal = await findOpenRenewal(db, deviceId, slot)
  return {
    renewalId: renewal?.id ?? 0,
    idempotencyKey: `manual.${deviceId}.${now}`,
    campaignId: renewal && renewal.campaignId !== noCampaign ? renewal.campaignId : null,
    deviceId,
    slot,
    certificate: `${issuerId}/${serialNumber}`,
    notAfter,
    window: { start: now, end: Math.min(now + dayMs, notAfter) },
    issuedAt: now,
    tags: device.tags,
    site: device.site,
  }
}

/**
 * Sends one trigger by hand. It costs what every message costs, and is no attempt of a renewal.
 * @throws Refusal `configuration-invalid` when the channel is not set up in this process; what the channel throws
 */
export async function sendManually(
  engine: Engine,
  { kind, deviceId }: { readonly kind: TriggerKind; readonly deviceId: DeviceId },
  signal: AbortSignal,
): Promise<{ readonly trigger: Trigger; readonly reference: string | null }> {
  const channel = engine.triggers.get(kind)
  if (!channel) {
    const there = triggerKinds.filter((each) => engine.triggers.has(each)).join(', ')
    throw new Refusal('configuration-invalid', `the channel ${kind} is not set up here; these are: ${there}`)
  }
  const trigger = await manualTrigger(engine, deviceId, engine.clock.now())
  const { reference } = await sendWithinBudget(engine, channel, trigger, signal)
  return { trigger, reference }
}

/** Signs a bundle that leaves by hand, and puts on record who made it for whom. @throws Refusal of the authority */
export async function signBundle(
  { store }: Pick<Engine, 'store'>,
  { bundle, signer, actor, now }: { bundle: OtaBundle; signer: OtaSigner; actor: string; now: Instant },
): Promise<string> {
  const text = await signOtaBundle(bundle, signer)
  const { device, version, payload } = bundle
  const details = { kind: payload.kind, version }
  const subject = subjects.bundle(device)
  await store.transaction(async (tx) => {
    await recordFacts(tx, fact(now, { actor, action: 'bundle.signed', subject, details }))
  })
  return text
}

function isInForce({ status, notAfter }: CertificateRecord, now: Instant): boolean {
  return (status === 'issued' || status === 'confirmed') && notAfter >= now
}

/** Failures that devices and enrolment report, for the brakes of the campaign that asked. */
import type { Instant } from '../../base/clock.ts'
import { refusalRules, type Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { countOutcome, noteFailure, type TargetOutcome } from '../../store/campaign-targets.ts'
import { noCampaign, type RenewalRecord } from '../../store/renewal-record.ts'
import { findOpenRenewal, lockOpenRenewal } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import type { Engine } from '../context.ts'

/**
 * To be called in the transaction that learns of it. Each renewal counts once for each kind, however often the device
 * repeats itself; it stays open, because the device may yet succeed.
 * @param outcome `failed`: the device says that it cannot; `rejected`: its enrolment was refused
 * @param detail  one line for people, no secrets
 */
export async function renewalFailed(
  tx: Tx,
  renewal: RenewalRecord,
  { outcome, detail, now }: Failure & { readonly now: Instant },
): Promise<void> {
  const channel = outcome === 'failed' ? 'device' : 'enrolment'
  const isFirst = await noteFailure(tx, { renewal, channel, detail: detail.slice(0, 500), at: now })
  if (isFirst && renewal.campaignId !== noCampaign) countOutcome(tx, renewal, outcome)
}

interface Failure {
  readonly outcome: TargetOutcome
  readonly detail: string
}

/** The device has said so itself, authenticated. Nothing happens when no renewal of the slot is open. */
export async function deviceFailed(
  engine: Pick<Engine, 'store'>,
  { deviceId, slot, detail }: { readonly deviceId: DeviceId; readonly slot: string; readonly detail: string },
  now: Instant,
): Promise<void> {
  await noteOpen(engine, { deviceId, slot, outcome: 'failed', detail }, now)
}

/**
 * An authenticated device was refused by a rule: what the platform itself lacks (a signer, room, configuration) is not the
 * device's failure, and the brakes see it in another way.
 */
export async function enrollRejected(
  engine: Pick<Engine, 'store'>,
  {
    deviceId,
    slot,
    refusal,
  }: { readonly deviceId: DeviceId; readonly slot: string; readonly refusal: Refusal },
  now: Instant,
): Promise<void> {
  if (refusalRules[refusal.code].http >= 500) return
  const detail = `${refusal.code}: ${refusal.message}`
  await noteOpen(engine, { deviceId, slot, outcome: 'rejected', detail }, now)
}

async function noteOpen(
  { store }: Pick<Engine, 'store'>,
  failure: Failure & { readonly deviceId: DeviceId; readonly slot: string },
  now: Instant,
): Promise<void> {
  const { deviceId, slot, outcome, detail } = failure
  // most who are refused are in no renewal: they cost no write
  const open = await findOpenRenewal(store.db, deviceId, slot)
  if (open === null || open.status === 'confirmed') return
  await store.transaction(async (tx) => {
    const renewal = await lockOpenRenewal(tx, deviceId, slot)
    if (renewal !== null && renewal.status !== 'confirmed')
      await renewalFailed(tx, renewal, { outcome, detail, now })
  })
}

/** Failures that devices and enrolment report, for the brakes of the campaign that asked. */
import type { Instant } from '../base/clock.ts'
import { countOutcome, noteFailure, type TargetOutcome } from '../store/campaign-targets.ts'
import { noCampaign, type RenewalRecord } from '../store/renewal-record.ts'
import type { Tx } from '../store/schema.ts'

/**
 * To be called in the transaction that learns of it. Each renewal counts once for each kind, however often the device
 * repeats itself; it stays open, because the device may yet succeed.
 * @param outcome `failed`: the device says that it cannot; `rejected`: its enrolment was refused
 * @param detail  one line for people, no secrets
 */
export async function renewalFailed(
  tx: Tx,
  renewal: RenewalRecord,
  {
    outcome,
    detail,
    now,
  }: { readonly outcome: TargetOutcome; readonly detail: string; readonly now: Instant },
): Promise<void> {
  const channel = outcome === 'failed' ? 'device' : 'enrolment'
  const isFirst = await noteFailure(tx, { renewal, channel, detail: detail.slice(0, 500), at: now })
  if (isFirst && renewal.campaignId !== noCampaign) countOutcome(tx, renewal, outcome)
}

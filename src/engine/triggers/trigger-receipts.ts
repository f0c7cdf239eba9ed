/** What providers say later about their messages moves attempts, and lets a renewal climb that would wait in vain. */
import { secondMs, type Instant } from '../../base/clock.ts'
import { attemptByReference, setAttemptStatus, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { lockRenewal, updateRenewal, type RenewalChange } from '../../store/renewals.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import type { Engine } from '../context.ts'
import type { DeliveryReceipt, TriggerKind } from '../ports.ts'

/** A receipt can be faster than the answer to the message that it is about; after this long it is looked for once more. */
const secondLookMs = 5 * secondMs

/**
 * Puts a receipt on record; the same one again changes nothing, and none takes back a delivery. When the message of the
 * attempt that the renewal waits for will never arrive, the renewal climbs at the next pass instead of waiting.
 * A receipt about no message of ours is logged and forgotten: the provider can do nothing about it.
 */
export async function recordReceipt(
  engine: Engine,
  channel: TriggerKind,
  receipt: DeliveryReceipt,
): Promise<void> {
  const { clock, log } = engine
  if (receipt.outcome === 'pending') return
  if (await settle(engine, channel, receipt, clock.now())) return
  await clock.sleep(secondLookMs)
  if (await settle(engine, channel, receipt, clock.now())) return
  log.warn({ channel, reference: receipt.reference }, 'a delivery receipt is about no message of ours')
}

/** @returns false when there is no attempt of this name */
async function settle(
  { store, settings }: Engine,
  channel: TriggerKind,
  { reference, outcome, detail }: DeliveryReceipt,
  now: Instant,
): Promise<boolean> {
  return await store.transaction(async (tx) => {
    const named = await attemptByReference(tx, channel, reference)
    if (!named) return false
    // the renewal first, as every event about a device does; then what the attempt is now that nobody else moves it
    const renewal = await lockRenewal(tx, named.renewalId)
    const attempt = await attemptByReference(tx, channel, reference)
    if (!renewal || !attempt || attempt.status === 'delivered' || attempt.status === outcome) return true
    const status = outcome === 'delivered' ? 'delivered' : 'failed'
    await setAttemptStatus(tx, { id: attempt.id, status, detail, updatedAt: now })
    const ladder = settings.connectivity.get(renewal.connectivity)?.ladder ?? []
    if (status === 'failed' && isAwaited(attempt, renewal)) {
      await updateRenewal(tx, renewal, climbAtOnce(ladder[renewal.rung]?.repeats ?? renewal.attempt, now))
    }
    return true
  })
}

/** Only the latest attempt decides: a receipt of last week about the rung below is history. */
function isAwaited(attempt: AttemptRecord, renewal: RenewalRecord): boolean {
  return (
    renewal.status === 'triggered' &&
    renewal.climb === attempt.climb &&
    renewal.rung === attempt.rung &&
    renewal.attempt === attempt.attempt
  )
}

/** Counts the rung as used up and lets the next pass look at once. */
function climbAtOnce(repeats: number, now: Instant): RenewalChange {
  return { attempt: repeats, nextAt: now }
}

/**
 * Cost caps of paid channels. A campaign of millions with a wrong ladder must not become a bill: the money is put aside
 * before the message leaves, in the store, so that a cap holds over all nodes and through crashes.
 */
import { dayMs, iso, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Queries } from '../../store/schema.ts'
import { forgetSpending, readSpending, spend, unspend } from '../../store/trigger-spending.ts'
import type { Engine } from '../context.ts'
import type { Trigger, TriggerChannel, TriggerKind } from '../ports.ts'

/** Amounts are thousandths of the operator's currency: messages cost fractions of a cent. */
export interface TriggerCost {
  readonly perMessage: number
  /** Of all messages of one day, UTC. */
  readonly dailyBudget: number
  /** Of all messages of one campaign. */
  readonly campaignBudget: number
}

/**
 * Sends, if there is money for it. What is put aside comes back when the message certainly did not leave; a send that was
 * cut off in the middle stays charged, since the provider may have taken it.
 * @throws Refusal `trigger-over-budget` with the time until the next day; what the channel throws
 */
export async function sendWithinBudget(
  engine: Pick<Engine, 'store' | 'settings' | 'clock'>,
  channel: TriggerChannel,
  trigger: Trigger,
  signal: AbortSignal,
): Promise<{ readonly reference: string | null }> {
  const cost = engine.settings.triggerCosts?.get(channel.kind)
  if (!cost || cost.perMessage === 0) return await channel.send(trigger, signal)
  const now = engine.clock.now()
  await charge(engine, { kind: channel.kind, campaignId: trigger.campaignId, cost, now })
  try {
    return await channel.send(trigger, signal)
  } catch (error) {
    if (certainlyDidNotLeave(error)) {
      await refund(engine, { kind: channel.kind, campaignId: trigger.campaignId, cost, now })
    }
    throw error
  }
}

export interface Spending {
  /** Of the day of `now`, UTC. */
  readonly today: number
  /** Of the campaign; null when none was asked for. */
  readonly campaign: number | null
}

export async function triggerSpending(
  q: Queries,
  kind: TriggerKind,
  { now, campaignId }: { readonly now: Instant; readonly campaignId: string | null },
): Promise<Spending> {
  return {
    today: await readSpending(q, dayKey(kind, now)),
    campaign: campaignId === null ? null : await readSpending(q, campaignKey(kind, campaignId)),
  }
}

interface Charge {
  readonly kind: TriggerKind
  readonly campaignId: string | null
  readonly cost: TriggerCost
  readonly now: Instant
}

async function charge({ store }: Pick<Engine, 'store'>, request: Charge): Promise<void> {
  const { kind, campaignId, cost, now } = request
  const { perMessage, dailyBudget, campaignBudget } = cost
  await store.transaction(async (tx) => {
    // the day first: see `spend`
    if (!(await spend(tx, dayKey(kind, now), perMessage, dailyBudget))) {
      throw overBudget(`the daily budget of ${kind} (${dailyBudget}) is used up`, now)
    }
    await forgetSpending(tx, dayKey(kind, 0), dayKey(kind, now - 7 * dayMs))
    if (campaignId === null) return
    if (!(await spend(tx, campaignKey(kind, campaignId), perMessage, campaignBudget))) {
      throw overBudget(`the ${kind} budget of campaign ${campaignId} (${campaignBudget}) is used up`, now)
    }
  })
}

async function refund({ store }: Pick<Engine, 'store'>, request: Charge): Promise<void> {
  const { kind, campaignId, cost, now } = request
  await store.transaction(async (tx) => {
    await unspend(tx, dayKey(kind, now), cost.perMessage)
    if (campaignId !== null) await unspend(tx, campaignKey(kind, campaignId), cost.perMessage)
  })
}

/** A refusal is the provider's no, unless it stands for a time-out or an abort: then the message may be on its way. */
function certainlyDidNotLeave(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false
  return !(error.cause instanceof Error && ['AbortError', 'TimeoutError'].includes(error.cause.name))
}

function overBudget(detail: string, now: Instant): Refusal {
  return new Refusal('trigger-over-budget', `${detail}; raise it, or leave it to the next day`, {
    retryAfterMs: dayMs - (now % dayMs),
  })
}

function dayKey(kind: TriggerKind, now: Instant): string {
  return `spent.${kind}.day.${iso(now).slice(0, 10)}`
}

function campaignKey(kind: TriggerKind, campaignId: string): string {
  return `spent.${kind}.campaign.${campaignId}`
}

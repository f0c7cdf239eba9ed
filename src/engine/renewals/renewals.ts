/**
 * The tick: renewals that are due are stepped, batch by batch; what a step asks for becomes tasks in the same unit of work.
 * Campaigns let their devices in before.
 */
import type { Instant } from '../../base/clock.ts'
import { campaignStatus, openCampaigns } from '../../store/campaigns.ts'
import { queueAttempts, type NewAttempt } from '../../store/renewal-attempts.ts'
import { noCampaign } from '../../store/renewal-record.ts'
import { dueRenewals, updateRenewals, type DueRenewal } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import type { NewTask } from '../../store/tasks.ts'
import { enqueueTasks } from '../../store/trigger-queue.ts'
import { actors, recordFacts } from '../audit/audit.ts'
import { toCampaign } from '../campaigns/campaign-record.ts'
import { tickCampaigns } from '../campaigns/campaign-tick.ts'
import { isClockTrusted } from './clock-guard.ts'
import type { Engine } from '../context.ts'
import type { Fence, Job, JobResult } from '../jobs.ts'
import { connectivityOf, renewalFact } from './renewal-events.ts'
import { stepRenewal, type AbandonReason, type RenewalEffect, type Step } from './renewal-step.ts'
import { enqueueRetraction } from './retraction.ts'
import { triggerKey, triggerTaskKind, writePayload } from '../triggers/trigger-key.ts'

const jobName = 'renewals'
/** Renewals in one unit of work: others get at the store in between. */
const batch = 500
/** Batches in one pass. */
const batchesPerPass = 200
/** A campaign lets in so many devices each minute, and asks those again that it let in before. */
const asksPerDevice = 4

/** First campaigns let devices in, brake and end; then what is due is stepped. */
export function renewalsJob(intervalMs: number): Job {
  return {
    name: jobName,
    intervalMs,
    run: async (engine, now, signal, fence) => {
      if (!(await isClockTrusted(engine, now))) {
        engine.log.warn({ job: jobName, now }, 'the clock jumped: renewals hold (perennial doctor)')
        return { worked: 0 }
      }
      const ticked = await tickCampaigns(engine, now, fence)
      const stepped = await stepDueRenewals(engine, now, signal, fence)
      return {
        worked: ticked.worked + stepped.worked,
        isBehind: ticked.isBehind === true || stepped.isBehind === true,
      }
    },
  }
}

/** One bounded pass over what is due, of running campaigns and of none. */
export async function stepDueRenewals(
  engine: Engine,
  now: Instant,
  signal: AbortSignal,
  fence: Fence,
): Promise<JobResult> {
  const sources = [{ campaignId: noCampaign, perMinute: engine.settings.renewal.maximumPerMinute }]
  for (const record of await openCampaigns(engine.store.db)) {
    if (record.status !== 'running') continue
    const { maximumPerMinute } = toCampaign(record).definition.rollout
    sources.push({ campaignId: record.id, perMinute: maximumPerMinute * asksPerDevice })
  }
  let worked = 0
  let isBehind = false
  for (const source of sources) {
    const result = await stepCampaign(engine, { ...source, now, signal, fence })
    worked += result.worked
    isBehind ||= result.isBehind === true
  }
  return { worked, isBehind }
}

interface Pass {
  readonly campaignId: string
  readonly perMinute: number
  readonly now: Instant
  readonly signal: AbortSignal
  readonly fence: Fence
}

async function stepCampaign(engine: Engine, pass: Pass): Promise<JobResult> {
  const { campaignId, perMinute, now, signal } = pass
  let worked = 0
  for (let n = 0; n < batchesPerPass; n++) {
    const limit = Math.min(batch, engine.sendRates.available(campaignId, perMinute, now))
    // what the rate leaves over is not behind: it waits for the next tick
    if (signal.aborted || limit === 0) return { worked }
    const { stepped, sent } = await stepBatch(engine, pass, limit)
    engine.sendRates.take(campaignId, sent)
    worked += stepped
    if (stepped < limit) return { worked }
  }
  return { worked, isBehind: true }
}

async function stepBatch(
  engine: Engine,
  { campaignId, now, fence }: Pass,
  limit: number,
): Promise<{ stepped: number; sent: number }> {
  await engine.faults?.at('step')
  const result = await engine.store.transaction(async (tx) => {
    await fence(tx)
    if (campaignId !== noCampaign && (await campaignStatus(tx, campaignId)) !== 'running') {
      return { stepped: 0, sent: 0 }
    }
    const due = await dueRenewals(tx, { campaignId, now, limit })
    const steps = due.map((renewal) => ({ renewal, step: stepOf(engine, renewal, now) }))
    await updateRenewals(
      tx,
      steps.map(({ renewal, step }) => ({ before: renewal, change: step.state })),
    )
    const sent = await carryOut(tx, steps, now)
    return { stepped: due.length, sent }
  })
  await engine.faults?.at('stepped')
  return result
}

function stepOf(engine: Engine, renewal: DueRenewal, now: Instant): Step {
  const { ladder } = connectivityOf(engine, renewal)
  const channels = engine.settings.triggerKinds ?? engine.triggers
  const { status, climb, rung, attempt, nextAt, notAfter, triggeredAt, endedAt, reason } = renewal
  const state = { status, climb, rung, attempt, nextAt, notAfter, triggeredAt, endedAt, reason }
  return stepRenewal(state, now, { ladder, channels, obstacle: obstacleOf(renewal) })
}

/** What makes a renewal pointless, if anything. */
export function obstacleOf({
  deviceState,
  certificateStatus,
}: Pick<DueRenewal, 'deviceState' | 'certificateStatus'>): AbandonReason | null {
  if (deviceState === 'quarantined') return 'device-quarantined'
  if (deviceState === 'decommissioned') return 'device-decommissioned'
  if (certificateStatus === 'revoked') return 'certificate-revoked'
  if (certificateStatus === 'issued' || certificateStatus === 'confirmed') return null
  return 'certificate-replaced'
}

interface Stepped {
  readonly renewal: DueRenewal
  readonly step: Step
}

/** What the steps ask for, in the unit of the decision. @returns how many devices are asked */
async function carryOut(tx: Tx, steps: readonly Stepped[], now: Instant): Promise<number> {
  const attempts: NewAttempt[] = []
  const tasks: NewTask[] = []
  for (const { renewal, step } of steps) {
    for (const effect of step.effects) {
      if (effect.kind !== 'send') await conclude(tx, renewal, effect, now)
      else {
        const { channel, rung, attempt } = effect
        const { id, deviceId, climb } = renewal
        const payload = { renewal: id, climb, rung, attempt }
        attempts.push({ renewalId: id, deviceId, climb, rung, attempt, channel, at: now })
        tasks.push({
          kind: triggerTaskKind(channel),
          key: triggerKey(payload),
          payload: writePayload(payload),
          runAt: now,
          createdAt: now,
        })
      }
    }
  }
  await queueAttempts(tx, attempts)
  await enqueueTasks(tx, tasks)
  return tasks.length
}

async function conclude(
  tx: Tx,
  renewal: DueRenewal,
  effect: Exclude<RenewalEffect, { kind: 'send' }>,
  now: Instant,
): Promise<void> {
  const { reason } = effect
  const action = effect.kind === 'escalate' ? 'renewal.escalated' : 'renewal.abandoned'
  await recordFacts(tx, renewalFact(renewal, action, { reason, actor: actors.job(jobName) }, now))
  if (effect.kind === 'abandon') await enqueueRetraction(tx, now, renewal)
}

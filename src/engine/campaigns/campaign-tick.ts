/**
 * The campaign tick: brakes, waves, admission, completion. The job `renewals` calls it before it steps what is due, so
 * what is let in here is asked in the same pass. Idempotent; each change is a transaction of its own under the fence of
 * the job, and reads the status of the campaign in it: after a pause is committed, nothing is let in.
 */
import type { Instant } from '../../base/clock.ts'
import {
  listWaves,
  openCampaigns,
  endingCampaigns,
  putWaves,
  updateCampaign,
  type WaveRecord,
} from '../../store/campaigns.ts'
import {
  unfinishedStates,
  unfinishedTargets,
  waitingTargets,
  type UnfinishedState,
} from '../../store/campaign-targets.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import { updateRenewals, type RenewalChange } from '../../store/renewals.ts'
import { findRetirement } from '../../store/retirements.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects, type FactAction, type FactDetails } from '../audit/audit.ts'
import { admissionOf, openSites } from './campaign-admission.ts'
import { brakeVerdict } from './campaign-brakes.ts'
import { budgetOf, currentRate } from './campaign-rate.ts'
import { requireLocked, type Campaign } from './campaign-record.ts'
import { campaignProgress, noCounts, type CampaignProgress } from './campaign-sums.ts'
import { movedWaves } from './campaign-waves.ts'
import type { Engine } from '../context.ts'
import type { Fence, JobResult } from '../jobs.ts'
import { abandonRenewal } from '../renewals/renewal-events.ts'
import type { AbandonReason } from '../renewals/renewal-step.ts'
import { enqueueRetraction } from '../renewals/retraction.ts'

/** Targets in one transaction: others write between them. */
const chunkSize = 1_000
/** Transactions of one campaign in one tick. What is left then is let in by the next, which comes at once. */
const chunksPerTick = 20

export const campaignActor = actors.job('renewals')

/** One bounded pass over every campaign that runs, is paused, or has been aborted and still holds devices. */
export async function tickCampaigns(engine: Engine, now: Instant, fence: Fence): Promise<JobResult> {
  let worked = 0
  let isBehind = false
  for (const { id } of await openCampaigns(engine.store.db)) {
    const result = await tickOne(engine, id, now, fence)
    worked += result.worked
    isBehind ||= result.isBehind === true
  }
  for (const { id, reason } of await endingCampaigns(engine.store.db)) {
    const result = await letGo(engine, { id, reason: 'campaign-aborted', now, fence })
    worked += result.worked
    isBehind ||= result.isBehind === true
    if (result.isBehind !== true)
      await engine.store.transaction(async (tx) => {
        await fence(tx)
        await updateCampaign(tx, id, { endedAt: now, reason })
      })
  }
  return { worked, isBehind }
}

async function tickOne(engine: Engine, id: string, now: Instant, fence: Fence): Promise<JobResult> {
  const progress = await engine.store.transaction(async (tx) => {
    await fence(tx)
    return await judge(engine, tx, id, now)
  })
  if (progress === null) return { worked: 0 }
  if (progress === 'rollout-ended')
    return await letGo(engine, { id, reason: 'rollout-ended', now, fence, only: 'waiting' })
  return await admit(engine, { id, now, fence, progress })
}

/** @returns what admission goes by; null when nobody may be let in */
async function judge(
  engine: Engine,
  tx: Tx,
  id: string,
  now: Instant,
): Promise<CampaignProgress | 'rollout-ended' | null> {
  const campaign = await requireLocked(tx, id)
  if (campaign.status !== 'running' && campaign.status !== 'paused') return null
  const progress = await campaignProgress(tx, engine.settings, campaign, now)
  if (await brake(tx, campaign, progress, now)) return null
  if (campaign.status === 'paused') return null
  const { startTime, endTime, endBehavior } = campaign.definition.schedulingConfig
  if (startTime !== null && now < startTime) return null
  if (endTime !== null && now >= endTime && endBehavior === 'CANCEL') {
    await end(tx, campaign, {
      action: 'campaign.aborted',
      reason: 'schedulingConfig.endTime has passed',
      now,
    })
    return null
  }
  const waves = await listWaves(tx, id)
  const { changed, opened } = movedWaves({ definition: campaign.definition, waves, progress, now })
  await putWaves(tx, changed)
  for (const { wave, size } of opened) await record(tx, campaign, 'campaign.wave-opened', now, { wave, size })
  const after = waves.map((wave) => changed.find((each) => each.wave === wave.wave) ?? wave)
  const hasEnded = endTime !== null && now >= endTime
  if (isOver(hasEnded ? [] : after, progress)) {
    await end(tx, campaign, { action: 'campaign.completed', reason: null, now })
    return null
  }
  if (hasEnded) return 'rollout-ended'
  return progress
}

/** @returns true when it has stopped the campaign */
async function brake(
  tx: Tx,
  campaign: Campaign,
  { total, since }: CampaignProgress,
  now: Instant,
): Promise<boolean> {
  const { definition, snapshot, status } = campaign
  const { normalDarknessPercent } = snapshot
  const verdict = brakeVerdict({ definition, total, since, normalDarknessPercent })
  if (verdict === null) return false
  if (verdict.action === 'CANCEL') {
    await end(tx, campaign, { action: 'campaign.aborted', reason: verdict.reason, now })
    return true
  }
  if (status === 'paused') return false
  await updateCampaign(tx, campaign.id, { status: 'paused', pausedAt: now, reason: verdict.reason })
  await record(tx, campaign, 'campaign.paused', now, { brake: verdict.brake }, verdict.reason)
  return true
}

async function end(
  tx: Tx,
  campaign: Campaign,
  how: {
    readonly action: 'campaign.aborted' | 'campaign.completed'
    readonly reason: string | null
    readonly now: Instant
  },
): Promise<void> {
  const { action, reason, now } = how
  // an aborted one ends when its devices have been let go
  const change =
    action === 'campaign.aborted'
      ? { status: 'aborted' as const, endedAt: null, reason }
      : { status: 'completed' as const, endedAt: now, reason }
  await updateCampaign(tx, campaign.id, change)
  await record(tx, campaign, action, now, {}, reason ?? undefined)
}

async function record(
  tx: Tx,
  { id }: Campaign,
  action: FactAction,
  now: Instant,
  details: FactDetails,
  reason?: string,
): Promise<void> {
  const why = reason === undefined ? {} : { reason }
  await recordFacts(
    tx,
    fact(now, { actor: campaignActor, action, subject: subjects.campaign(id), details, ...why }),
  )
}

/**
 * Nothing is left to happen: every wave that may still open has been let in, and each target has a new certificate in use or
 * was given up.
 */
function isOver(waves: readonly WaveRecord[], { waves: sums }: CampaignProgress): boolean {
  if (waves.some(({ status }) => status !== 'done')) return false
  return [...sums.values()].every(
    ({ counts }) => counts.planned + counts.triggered + counts.issued + counts.escalated === 0,
  )
}

interface Admission {
  readonly id: string
  readonly now: Instant
  readonly fence: Fence
  readonly progress: CampaignProgress
}

async function admit(engine: Engine, { id, now, fence, progress }: Admission): Promise<JobResult> {
  let worked = 0
  const waves = await listWaves(engine.store.db, id)
  for (const { wave, status } of waves) {
    // a target that is asked again may belong to a wave that is over
    const isIn = status === 'open' || status === 'soaking' || status === 'done'
    const planned = (progress.waves.get(wave)?.counts ?? noCounts).planned
    if (!isIn || planned === 0) continue
    let afterId = 0
    for (let chunk = 0; ; chunk++) {
      if (chunk >= chunksPerTick) return { worked, isBehind: true }
      const from = afterId
      const done = await engine.store.transaction(async (tx) => {
        await fence(tx)
        return await admitChunk(engine, tx, { id, wave, afterId: from, now, progress })
      })
      worked += done.worked
      if (done.isEnough) return { worked }
      if (done.lastId === null) break
      afterId = done.lastId
    }
  }
  return { worked }
}

interface AdmittedChunk {
  readonly worked: number
  /** The rate, the clock or a person says stop. */
  readonly isEnough: boolean
  /** Where to go on; null when this wave has no more. */
  readonly lastId: number | null
}

async function admitChunk(
  engine: Engine,
  tx: Tx,
  request: { id: string; wave: number; afterId: number; now: Instant; progress: CampaignProgress },
): Promise<AdmittedChunk> {
  const { id, wave, afterId, now, progress } = request
  const stop = { worked: 0, isEnough: true, lastId: null }
  const campaign = await requireLocked(tx, id)
  if (campaign.status !== 'running') return stop
  const { definition } = campaign
  const sites = openSites(engine.settings, definition, now)
  if (sites === 'nowhere') return stop
  const { succeeded } = progress.total
  const rate = currentRate(definition.rollout, { notified: campaign.admitted, succeeded })
  const budget = budgetOf(campaign.tickedAt, now, rate)
  if (budget.devices === 0) return stop
  const limit = Math.min(chunkSize, budget.devices)
  const targets = await waitingTargets(tx, { campaignId: id, wave, afterId, limit, sites })
  let admitted = 0
  const changes: Parameters<typeof updateRenewals>[1][number][] = []
  for (const target of targets) {
    const before = target.renewal
    const admission = admissionOf(target, definition.selection, now)
    if ('abandon' in admission)
      await abandonRenewal(tx, before, { reason: admission.abandon, actor: campaignActor }, now)
    else changes.push({ before, change: await endedAlready(tx, before, admission.change, now) })
    if ('change' in admission && admission.change.status === undefined) admitted++
  }
  await updateRenewals(tx, changes)
  const tickedAt = budget.spent(admitted)
  await updateCampaign(tx, id, { admitted: campaign.admitted + admitted, tickedAt })
  const isLast = targets.length < limit
  return {
    worked: targets.length,
    isEnough: admitted >= budget.devices,
    lastId: isLast ? null : (targets.at(-1)?.renewal.id ?? null),
  }
}

/** A device that renewed before its target was written down may be through with it: nothing is left to be retired. */
async function endedAlready(
  tx: Tx,
  { certificateId }: RenewalRecord,
  change: RenewalChange,
  now: Instant,
): Promise<RenewalChange> {
  if (change.status !== 'confirmed') return change
  const retirement = await findRetirement(tx, certificateId)
  if (retirement !== null) return { ...change, newCertificateId: retirement.replacedBy }
  return { ...change, status: 'retired', endedAt: now }
}

async function someOf(tx: Tx, id: string, states: readonly UnfinishedState[]): Promise<RenewalRecord[]> {
  for (const state of states) {
    const targets = await unfinishedTargets(tx, id, state, chunkSize)
    if (targets.length > 0) return targets
  }
  return []
}

/**
 * Gives up targets that use no new certificate: their devices are free, and asked without a campaign once they are due.
 * Nothing is revoked.
 */
async function letGo(
  engine: Engine,
  work: {
    readonly id: string
    readonly reason: 'campaign-aborted' | 'rollout-ended'
    readonly now: Instant
    readonly fence: Fence
    /** Default: every open state but `confirmed`: what is in use stays, and goes on to the retirement of the old one. */
    readonly only?: UnfinishedState
  },
): Promise<JobResult> {
  const { id, reason, now, fence, only } = work
  let worked = 0
  for (let chunk = 0; chunk < chunksPerTick; chunk++) {
    const count = await engine.store.transaction(async (tx) => {
      await fence(tx)
      const { status } = await requireLocked(tx, id)
      if (reason === 'rollout-ended' && status !== 'running') return 0
      const targets = await someOf(tx, id, only === undefined ? unfinishedStates : [only])
      await updateRenewals(
        tx,
        targets.map((before) => ({ before, change: givenUp(reason, now) })),
      )
      for (const target of targets) await enqueueRetraction(tx, now, target)
      return targets.length
    })
    worked += count
    if (count === 0) return { worked }
  }
  return { worked, isBehind: true }
}

function givenUp(reason: AbandonReason, now: Instant): RenewalChange {
  return { status: 'abandoned', reason, nextAt: null, endedAt: now }
}

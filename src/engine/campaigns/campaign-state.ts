/** What people do to a campaign: start, pause, resume, abort, edit, approve. Each is one transaction with its fact. */
import { Refusal } from '../../base/errors.ts'
import type { Instant } from '../../base/clock.ts'
import {
  deleteCampaign,
  listWaves,
  putWaves,
  updateCampaign,
  type CampaignChange,
  type CampaignStatus,
  type WaveRecord,
} from '../../store/campaigns.ts'
import { deleteTargets } from '../../store/campaign-targets.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects, type FactAction, type FactDetails } from '../audit/audit.ts'
import { noSums } from './campaign-brakes.ts'
import { editedDefinition } from './campaign-read.ts'
import {
  requireCampaign,
  requireLocked,
  toCampaign,
  writtenDefinition,
  type Campaign,
} from './campaign-record.ts'
import { campaignProgress } from './campaign-sums.ts'
import type { Engine } from '../context.ts'

export interface CampaignOrder {
  readonly id: string
  readonly actor: string
  readonly now: Instant
  /** Goes on record. */
  readonly reason?: string
}

/** @throws Refusal `not-found`; `campaign-state` unless it is a draft whose targets are complete */
export async function startCampaign(engine: Engine, order: CampaignOrder): Promise<Campaign> {
  const { id, now } = order
  return await change(engine, order, 'campaign.started', async (tx, campaign) => {
    assertStatus(campaign, ['draft'], 'be started')
    if (!campaign.snapshot.isDrawn) {
      throw new Refusal(
        'campaign-state',
        `the targets of ${id} are not complete: its creation was cut off; continue it, or delete it`,
      )
    }
    const { endTime } = campaign.definition.schedulingConfig
    if (endTime !== null && endTime <= now)
      throw new Refusal('campaign-state', `schedulingConfig.endTime of ${id} has passed: edit it first`)
    const { total } = await campaignProgress(tx, engine.settings, campaign, now)
    const since = { ...noSums, signerErrors: total.signerErrors }
    return {
      status: 'running',
      startedAt: now,
      reason: null,
      definition: writtenDefinition(withSince(campaign, since, now)),
    }
  })
}

/** No trigger leaves after it: each is asked for again once the campaign runs. @throws Refusal as `startCampaign` */
export async function pauseCampaign(engine: Engine, order: CampaignOrder): Promise<Campaign> {
  const { now, reason = `paused by ${order.actor}` } = order
  return await change(engine, order, 'campaign.paused', async (_tx, campaign) => {
    assertStatus(campaign, ['running'], 'be paused')
    return { status: 'paused', pausedAt: now, reason }
  })
}

/** The brakes count anew from here: whoever resumes has seen what was before. @throws Refusal as `startCampaign` */
export async function resumeCampaign(engine: Engine, order: CampaignOrder): Promise<Campaign> {
  const { now } = order
  return await change(engine, order, 'campaign.resumed', async (tx, campaign) => {
    assertStatus(campaign, ['paused'], 'be resumed')
    const { total } = await campaignProgress(tx, engine.settings, campaign, now)
    return {
      status: 'running',
      pausedAt: null,
      reason: null,
      tickedAt: now,
      definition: writtenDefinition(withSince(campaign, total, now)),
    }
  })
}

function withSince(campaign: Campaign, since: Campaign['snapshot']['since'], now: Instant): Campaign {
  return { ...campaign, snapshot: { ...campaign.snapshot, since, sinceAt: now } }
}

/**
 * Ends it: those that use no new certificate are let go by the next passes, the others go on to the retirement of the old
 * one. Nothing is revoked. A draft is deleted, because nobody was asked.
 * @throws Refusal `not-found`; `campaign-state` when it is over
 */
export async function abortCampaign(
  engine: Engine,
  order: CampaignOrder & { readonly onProgress?: (deleted: number) => void },
): Promise<Campaign> {
  const { id, reason = `aborted by ${order.actor}` } = order
  const before = await requireCampaign(engine.store.db, id)
  if (before.status === 'draft') return await deleteDraft(engine, order)
  return await change(engine, order, 'campaign.aborted', async (_tx, campaign) => {
    assertStatus(campaign, ['running', 'paused'], 'be aborted')
    return { status: 'aborted', endedAt: null, reason }
  })
}

const deletedAtOnce = 2_000

async function deleteDraft(
  engine: Engine,
  { id, actor, now, reason, onProgress }: Parameters<typeof abortCampaign>[1],
): Promise<Campaign> {
  let deleted = 0
  for (;;) {
    const done = await engine.store.transaction(async (tx) => {
      const campaign = await requireLocked(tx, id)
      assertStatus(campaign, ['draft'], 'be deleted')
      // from now on its creation cannot go on, and it cannot be started
      const count = await deleteTargets(tx, id, deletedAtOnce)
      if (count > 0) {
        const undrawn = { ...campaign, snapshot: { ...campaign.snapshot, isDrawn: false } }
        await updateCampaign(tx, id, { definition: writtenDefinition(undrawn) })
        return { count, campaign }
      }
      await deleteCampaign(tx, id)
      const why = reason === undefined ? {} : { reason }
      await recordFacts(
        tx,
        fact(now, { actor, action: 'campaign.deleted', subject: subjects.campaign(id), ...why }),
      )
      return { count, campaign }
    })
    deleted += done.count
    onProgress?.(deleted)
    if (done.count === 0) return { ...done.campaign, status: 'aborted' }
  }
}

/**
 * Changes rate, brakes, windows, timeouts or approvals; selection and waves are fixed.
 * @param edit what the definition says otherwise from now on, as campaign-read.ts reads it
 * @param isDryRun only says what would be
 * @throws Refusal `campaign-invalid`; `campaign-state` for what is fixed, and when it is over
 */
export async function editCampaign(
  engine: Engine,
  order: CampaignOrder & { readonly edit: unknown; readonly isDryRun?: boolean },
): Promise<Campaign> {
  const { edit, now } = order
  const edited = (campaign: Campaign): Campaign => {
    assertStatus(campaign, ['draft', 'running', 'paused'], 'be edited')
    const definition = editedDefinition(campaign.definition, edit, now)
    return { ...campaign, definition, revision: campaign.revision + 1 }
  }
  if (order.isDryRun === true) return edited(await requireCampaign(engine.store.db, order.id))
  const details = { edit: JSON.stringify(edit) }
  return await change(
    engine,
    order,
    'campaign.edited',
    async (_tx, campaign) => {
      const { revision, ...after } = edited(campaign)
      return { revision, definition: writtenDefinition(after) }
    },
    details,
  )
}

export interface Approval extends CampaignOrder {
  /** From 0; default: the one whose turn it is. */
  readonly wave?: number
  /** Lets it open though the wave before has not soaked or does not meet its success rule. */
  readonly isOverride?: boolean
}

/** @throws Refusal `not-found`; `campaign-state` when that wave does not wait for a person */
export async function approveWave(engine: Engine, approval: Approval): Promise<WaveRecord> {
  const { id, actor, now, reason, isOverride = false } = approval
  return await engine.store.transaction(async (tx) => {
    const campaign = await requireLocked(tx, id)
    assertStatus(campaign, ['running', 'paused'], 'have a wave approved')
    const waves = await listWaves(tx, id)
    const next = waves.find(({ status }) => status === 'waiting' || status === 'approval')
    if (!next) throw new Refusal('campaign-state', `no wave of ${id} is still to be opened`)
    const nameOf = (wave: number): string => campaign.definition.waves[wave]?.name ?? String(wave)
    if (approval.wave !== undefined && approval.wave !== next.wave) {
      throw new Refusal(
        'campaign-state',
        `${nameOf(approval.wave)} does not wait for approval; the next wave is ${nameOf(next.wave)}`,
      )
    }
    const before = waves.findLast(({ wave, size }) => wave < next.wave && size > 0)
    const changed: WaveRecord[] = [{ ...next, approvedBy: actor, approvedAt: now }]
    if (next.status === 'waiting') {
      const isSoaking = before?.status === 'soaking'
      if (!isOverride || (before !== undefined && !isSoaking)) throw notYet(nameOf(next.wave), before, nameOf)
      if (before) changed.push({ ...before, status: 'done', closedAt: now })
    }
    await putWaves(tx, changed)
    const details = { wave: next.wave, override: next.status === 'waiting' }
    await recordFacts(
      tx,
      campaignFact(
        { id, actor, now, ...(reason === undefined ? {} : { reason }) },
        'campaign.wave-approved',
        details,
      ),
    )
    return { ...next, approvedBy: actor, approvedAt: now }
  })
}

function notYet(name: string, before: WaveRecord | undefined, nameOf: (wave: number) => string): Refusal {
  const what = before ? `${nameOf(before.wave)} is ${before.status}` : 'the campaign has not come to it'
  const hint = before?.status === 'soaking' ? '; an override lets it open all the same' : ''
  return new Refusal('campaign-state', `${name} does not wait for approval: ${what}${hint}`)
}

function assertStatus({ id, status }: Campaign, allowed: readonly CampaignStatus[], what: string): void {
  if (allowed.includes(status)) return
  throw new Refusal(
    'campaign-state',
    `${id} is ${status}; only one that is ${allowed.join(' or ')} can ${what}`,
  )
}

async function change(
  engine: Engine,
  order: CampaignOrder,
  action: FactAction,
  decide: (tx: Tx, campaign: Campaign) => Promise<CampaignChange>,
  details: FactDetails = {},
): Promise<Campaign> {
  return await engine.store.transaction(async (tx) => {
    const campaign = await requireLocked(tx, order.id)
    const changes = await decide(tx, campaign)
    await updateCampaign(tx, order.id, changes)
    await recordFacts(tx, campaignFact(order, action, details))
    const { definition: _written, ...before } = campaign
    return toCampaign({ ...before, definition: writtenDefinition(campaign), ...changes })
  })
}

function campaignFact({ id, actor, now, reason }: CampaignOrder, action: FactAction, details: FactDetails) {
  const why = reason === undefined ? {} : { reason }
  return fact(now, { actor, action, subject: subjects.campaign(id), details, ...why })
}

/** What people do to single targets of a campaign: skip one, ask again those that were given up. */
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { updateCampaign } from '../../store/campaigns.ts'
import { listRenewals, renewalsOfDevice } from '../../store/renewal-lists.ts'
import { isOpenStatus, type RenewalRecord } from '../../store/renewal-record.ts'
import { findOpenRenewal, lockRenewal, updateRenewal } from '../../store/renewals.ts'
import { findCurrent } from '../../store/inventory.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import { enqueueRetraction } from '../renewals/retraction.ts'
import { requireCampaign, requireLocked } from './campaign-record.ts'
import type { CampaignOrder } from './campaign-state.ts'
import type { Engine } from '../context.ts'
import { abandonRenewal } from '../renewals/renewal-events.ts'
import { climbedAgain, type AbandonReason } from '../renewals/renewal-step.ts'

/**
 * Takes a device out of a campaign: it is not asked, or not asked again.
 * @throws Refusal `not-found`; `campaign-state` when it has a new certificate already, or was given up
 */
export async function skipTarget(
  engine: Engine,
  { id, deviceId, actor, now, reason }: CampaignOrder & { readonly deviceId: DeviceId },
): Promise<RenewalRecord> {
  return await engine.store.transaction(async (tx) => {
    await requireLocked(tx, id)
    const target = await lockTarget(tx, id, deviceId)
    const { status } = target
    if (status !== 'planned' && status !== 'triggered' && status !== 'escalated')
      throw new Refusal('campaign-state', `${deviceId} is ${status} in ${id}: there is nothing to skip`)
    await abandonRenewal(tx, target, { reason: 'skipped', actor }, now)
    const why = reason === undefined ? {} : { reason }
    const action = 'campaign.target-skipped'
    await recordFacts(
      tx,
      fact(now, { actor, action, subject: subjects.campaign(id), details: { deviceId }, ...why }),
    )
    return { ...target, status: 'abandoned', reason: 'skipped' satisfies AbandonReason }
  })
}

/** The device's renewal in the campaign; the open one, where there are several. */
async function lockTarget(tx: Tx, id: string, deviceId: DeviceId): Promise<RenewalRecord> {
  const all = (await renewalsOfDevice(tx, deviceId, 1_000)).filter(({ campaignId }) => campaignId === id)
  const found = all.find(({ status }) => isOpenStatus(status)) ?? all[0]
  const locked = found && (await lockRenewal(tx, found.id))
  if (!locked) throw new Refusal('not-found', `${deviceId} is no target of ${id}`)
  return locked
}

export interface RetryRequest extends CampaignOrder {
  /** One device, or all in these states. */
  readonly deviceId?: DeviceId
  readonly statuses?: readonly ('abandoned' | 'escalated')[]
  readonly isDryRun?: boolean
  readonly onProgress?: (done: number) => void
}

export interface RetryOutcome {
  /** Asked again, within the rate of the campaign. */
  readonly retried: number
  /** Device, and why it is not asked again; at most 1,000. */
  readonly left: readonly { readonly deviceId: DeviceId; readonly reason: string }[]
  readonly leftCount: number
}

const pageSize = 500

/**
 * Targets that were given up or are on the field list begin again at the foot of their ladder, in their wave.
 * @throws Refusal `not-found`; `campaign-state` unless the campaign is running, paused or completed
 */
export async function retryTargets(engine: Engine, request: RetryRequest): Promise<RetryOutcome> {
  const { id, deviceId, statuses = ['abandoned', 'escalated'], onProgress } = request
  const { status } = await requireCampaign(engine.store.db, id)
  if (status === 'draft' || status === 'aborted')
    throw new Refusal(
      'campaign-state',
      `${id} is ${status}; only targets of a campaign that goes on are asked again`,
    )
  const left: { deviceId: DeviceId; reason: string }[] = []
  let retried = 0
  let leftCount = 0
  const take = async (ids: readonly number[]): Promise<void> => {
    const outcomes = await engine.store.transaction((tx) => retryChunk(tx, request, ids))
    for (const { target, obstacle } of outcomes) {
      if (obstacle === null) retried++
      else if (++leftCount <= 1_000) left.push({ deviceId: target, reason: obstacle })
    }
    onProgress?.(retried + leftCount)
  }
  if (deviceId !== undefined) {
    const target = await engine.store.transaction((tx) => lockTarget(tx, id, deviceId))
    await take([target.id])
    return { retried, left, leftCount }
  }
  for (const wanted of statuses) {
    let after: string | null = null
    do {
      const page: Awaited<ReturnType<typeof listRenewals>> = await listRenewals(engine.store.db, {
        campaignId: id,
        status: wanted,
        after,
        limit: pageSize,
      })
      if (page.rows.length > 0) await take(page.rows.map((row) => row.id))
      after = page.next
    } while (after !== null)
  }
  return { retried, left, leftCount }
}

interface RetriedOne {
  readonly target: DeviceId
  readonly obstacle: string | null
}

async function retryChunk(
  tx: Tx,
  { id, actor, now, reason, isDryRun = false }: RetryRequest,
  ids: readonly number[],
): Promise<RetriedOne[]> {
  const campaign = await requireLocked(tx, id)
  const outcomes: RetriedOne[] = []
  for (const renewalId of ids) {
    const target = await lockRenewal(tx, renewalId)
    if (!target) continue
    const obstacle = await whyNotAgain(tx, target)
    outcomes.push({ target: target.deviceId, obstacle })
    if (obstacle !== null || isDryRun) continue
    // the campaign lets it in, at its rate; until then nothing that was sent before may stand
    await updateRenewal(tx, target, { ...climbedAgain(target), nextAt: null, assignee: null })
    await enqueueRetraction(tx, now, target)
  }
  const retried = outcomes.filter(({ obstacle }) => obstacle === null).length
  if (retried === 0 || isDryRun) return outcomes
  if (campaign.status === 'completed') await updateCampaign(tx, id, { status: 'running', endedAt: null })
  const why = reason === undefined ? {} : { reason }
  const action = 'campaign.retried'
  await recordFacts(
    tx,
    fact(now, { actor, action, subject: subjects.campaign(id), details: { targets: retried }, ...why }),
  )
  return outcomes
}

async function whyNotAgain(
  tx: Tx,
  { status, deviceId, slot, certificateId }: RenewalRecord,
): Promise<string | null> {
  if (status !== 'abandoned' && status !== 'escalated') return `it is ${status}`
  if (status === 'abandoned') {
    const open = await findOpenRenewal(tx, deviceId, slot)
    if (open) return open.campaignId === '' ? 'it is asked without a campaign' : `it is in ${open.campaignId}`
  }
  const current = await findCurrent(tx, deviceId, slot)
  if (!current) return 'it has no live certificate'
  return current.id === certificateId ? null : 'it has a new certificate'
}

/** Where a campaign stands, and what it waits for; and what came of it. */
import { iso, type Instant } from '../../base/clock.ts'
import { listWaves, type WaveRecord } from '../../store/campaigns.ts'
import {
  answerDays,
  answerTimes,
  attemptSums,
  reasonCounts,
  type AttemptSum,
  type ReasonCount,
} from '../../store/campaign-report.ts'
import type { RenewalCounts } from '../../store/renewal-lists.ts'
import { openSites } from './campaign-admission.ts'
import { currentRate } from './campaign-rate.ts'
import { requireCampaign, type Campaign } from './campaign-record.ts'
import {
  campaignProgress,
  noCounts,
  waveVerdict,
  type CampaignProgress,
  type WaveSums,
  type WaveVerdict,
} from './campaign-sums.ts'
import type { Engine } from '../context.ts'
import { triggerSpending } from '../triggers/trigger-budget.ts'

export interface WaveView extends WaveRecord, WaveSums {
  readonly name: string
  readonly verdict: WaveVerdict
}

export interface CampaignView {
  readonly campaign: Campaign
  readonly waves: readonly WaveView[]
  readonly counts: RenewalCounts
  readonly targets: number
  readonly progress: CampaignProgress
  /** Devices let in per minute at most, as of now. */
  readonly ratePerMinute: number
  /** Why nobody is let in right now; null when somebody is, or all are. */
  readonly waitsFor: string | null
}

/** @throws Refusal `not-found` */
export async function viewCampaign(
  engine: Pick<Engine, 'store' | 'settings'>,
  id: string,
  now: Instant,
): Promise<CampaignView> {
  const { db } = engine.store
  const campaign = await requireCampaign(db, id)
  const progress = await campaignProgress(db, engine.settings, campaign, now)
  const records = await listWaves(db, id)
  const waves = records.map((wave): WaveView => {
    const sums = progress.waves.get(wave.wave) ?? {
      counts: noCounts,
      outcomes: { failed: 0, rejected: 0 },
    }
    const rule = campaign.definition.waves[wave.wave]
    const verdict = rule
      ? waveVerdict(rule, sums)
      : { isPassed: true, finishedPercent: 100, successPercent: 100 }
    return Object.assign(wave, sums, { name: rule?.name ?? String(wave.wave), verdict })
  })
  const counts = addCounts([...progress.waves.values()])
  const { admitted, definition } = campaign
  return {
    campaign,
    waves,
    counts,
    targets: Object.values(counts).reduce((sum, each) => sum + each, 0),
    progress,
    ratePerMinute: currentRate(definition.rollout, {
      notified: admitted,
      succeeded: progress.total.succeeded,
    }),
    waitsFor: waitsFor(engine.settings, campaign, { waves, counts, now }),
  }
}

function addCounts(waves: readonly WaveSums[]): RenewalCounts {
  const sums = { ...noCounts }
  for (const { counts } of waves)
    for (const status of Object.keys(noCounts) as (keyof RenewalCounts)[]) sums[status] += counts[status]
  return sums
}

function waitsFor(
  settings: Engine['settings'],
  campaign: Campaign,
  {
    waves,
    counts,
    now,
  }: { readonly waves: readonly WaveView[]; readonly counts: RenewalCounts; readonly now: Instant },
): string | null {
  const { status, definition, snapshot, reason } = campaign
  const { startTime, endTime } = definition.schedulingConfig
  switch (status) {
    case 'draft':
      return snapshot.isDrawn ? 'its start' : 'the rest of its targets: its creation was cut off'
    case 'paused':
      return `a person to resume it: ${reason ?? 'paused'}`
    case 'completed':
    case 'aborted':
      return null
    case 'running':
      break
    default:
      return status satisfies never
  }
  if (startTime !== null && now < startTime) return `its start time, ${iso(startTime)}`
  if (endTime !== null && now >= endTime) return null
  const current = waves.find((wave) => wave.status !== 'done')
  if (!current)
    return counts.escalated > 0 ? `people: ${counts.escalated} devices are on the field list` : null
  return waitsOfWave(settings, definition, { current, now })
}

function waitsOfWave(
  settings: Engine['settings'],
  definition: Campaign['definition'],
  { current, now }: { readonly current: WaveView; readonly now: Instant },
): string | null {
  const { name, status, soakUntil, verdict } = current
  switch (status) {
    case 'waiting':
      return `the next pass, which opens ${name}`
    case 'approval':
      return current.approvedAt === null
        ? `a person to approve ${name}`
        : `the next pass, which opens ${name}`
    case 'open':
      return openSites(settings, definition, now) === 'nowhere' ? 'its next maintenance window' : null
    case 'soaking': {
      if (soakUntil !== null && now < soakUntil) return `the soak of ${name}, until ${iso(soakUntil)}`
      const rule = definition.waves[current.wave]
      if (!rule || verdict.isPassed) return null
      return `the success rule of ${name}: ${percent(verdict.finishedPercent)} of ${rule.finishedPercentage} % finished, ${percent(verdict.successPercent)} of ${rule.successPercentage} % successful`
    }
    case 'done':
      return null
    default:
      return status satisfies never
  }
}

function percent(value: number): string {
  return String(Math.floor(value * 10) / 10)
}

export interface CampaignReport extends CampaignView {
  readonly reasons: readonly ReasonCount[]
  /** From first trigger to first use of the new certificate: within so many days; null = longer. */
  readonly answers: readonly { readonly days: number | null; readonly count: number }[]
  readonly attempts: readonly AttemptSum[]
  /** Thousandths of the operator's currency, put aside for SMS of this campaign; null when they cost nothing. */
  readonly smsSpent: number | null
}

/** Reads the targets themselves: some seconds for millions. @throws Refusal `not-found` */
export async function reportCampaign(
  engine: Pick<Engine, 'store' | 'settings'>,
  id: string,
  now: Instant,
): Promise<CampaignReport> {
  const { db } = engine.store
  const view = await viewCampaign(engine, id, now)
  const times = await answerTimes(db, id)
  const hasCost = engine.settings.triggerCosts?.has('sms') === true
  return {
    ...view,
    reasons: await reasonCounts(db, id),
    answers: times.map((count, at) => ({ days: answerDays[at] ?? null, count })),
    attempts: await attemptSums(db, id),
    smsSpent: hasCost ? (await triggerSpending(db, 'sms', { now, campaignId: id })).campaign : null,
  }
}

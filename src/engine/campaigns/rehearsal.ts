/**
 * What a rehearsal of a campaign foresees, kept with the campaign, and how it compares with what then really happens. The
 * rehearsal itself is the simulator's.
 */
import { dayMs, type Instant } from '../../base/clock.ts'
import { countersOfCampaign } from '../../store/renewal-lists.ts'
import { findLatestRehearsal, insertRehearsal } from '../../store/rehearsals.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { requireCampaign } from './campaign-record.ts'

/** Of several runs with different luck: one in ten is below `low`, one in ten above `high`. */
export interface Band {
  readonly low: number
  readonly middle: number
  readonly high: number
}

/** All counts are of the whole campaign, also where a sample was rehearsed. */
export interface RehearsalForecast {
  /** When the rehearsal was made, and its first day begins. */
  readonly at: Instant
  /** Targets that were still to renew then, and how many of them were copied. */
  readonly targets: number
  readonly copied: number
  readonly seeds: readonly string[]
  readonly days: number
  /** The instant at which 99 % were renewed; null when most runs did not come so far. */
  readonly finishAt: Band | null
  /** Share of the targets that were renewed at the end of the rehearsal. */
  readonly renewedShare: Band
  /** Ever on the field list. */
  readonly fieldList: Band
  /** Whose certificate ended first. */
  readonly lapsed: Band
  readonly sms: Band
  /** Of the SMS, in thousandths of the operator's currency; null when no price is configured. */
  readonly smsCost: Band | null
  /** Certificates on the busiest day. */
  readonly peakPerDay: Band
  /** At the end of each day, the first entry for the beginning. */
  readonly open: readonly Band[]
  readonly listed: readonly Band[]
  /** Certificates issued on that day. */
  readonly load: readonly Band[]
  /** What stopped the campaign, and in how many of the runs. */
  readonly stops: readonly { readonly reason: string; readonly runs: number }[]
}

/** @param now when it is kept */
export async function keepRehearsal(
  { store }: Pick<Engine, 'store'>,
  request: {
    readonly campaignId: string
    readonly forecast: RehearsalForecast
    readonly actor: string
    readonly now: Instant
  },
): Promise<void> {
  const { campaignId, forecast, actor, now } = request
  const { targets, copied, seeds, finishAt } = forecast
  await store.transaction(async (tx) => {
    await insertRehearsal(tx, {
      campaignId,
      createdAt: now,
      createdBy: actor,
      forecast: JSON.stringify(forecast),
    })
    const details = { targets, copied, seeds: seeds.length, finishAt: finishAt?.middle ?? null }
    const subject = subjects.campaign(campaignId)
    await recordFacts(tx, fact(now, { actor, action: 'campaign.rehearsed', subject, details }))
  })
}

export interface Comparison {
  readonly day: number
  readonly open: { readonly foreseen: Band; readonly real: number }
  readonly listed: { readonly foreseen: Band; readonly real: number }
}

export interface KeptRehearsal {
  readonly createdAt: Instant
  readonly createdBy: string
  readonly forecast: RehearsalForecast
  /** Null while the campaign has not been started. */
  readonly comparison: Comparison | null
}

/**
 * The latest rehearsal of a campaign against where the campaign is. A campaign that was started later than it was rehearsed is
 * compared by its own days.
 * @throws Refusal `not-found` for a campaign that there is not
 */
export async function latestRehearsal(
  { store }: Pick<Engine, 'store'>,
  campaignId: string,
  now: Instant,
): Promise<KeptRehearsal | null> {
  const campaign = await requireCampaign(store.db, campaignId)
  const kept = await findLatestRehearsal(store.db, campaignId)
  if (!kept) return null
  const { createdAt, createdBy } = kept
  const forecast = JSON.parse(kept.forecast) as RehearsalForecast
  const begun = campaign.startedAt === null ? null : Math.max(campaign.startedAt, forecast.at)
  if (begun === null) return { createdAt, createdBy, forecast, comparison: null }
  const day = Math.max(0, Math.min(forecast.days, Math.floor((now - begun) / dayMs)))
  const real = await openNow(store, campaignId)
  const comparison = {
    day,
    open: { foreseen: bandOf(forecast.open, day), real: real.open },
    listed: { foreseen: bandOf(forecast.listed, day), real: real.listed },
  }
  return { createdAt, createdBy, forecast, comparison }
}

function bandOf(bands: readonly Band[], day: number): Band {
  return bands[Math.min(day, bands.length - 1)] ?? { low: 0, middle: 0, high: 0 }
}

async function openNow(
  { db }: Engine['store'],
  campaignId: string,
): Promise<{ open: number; listed: number }> {
  let open = 0
  let listed = 0
  for (const counts of (await countersOfCampaign(db, campaignId)).values()) {
    open += counts.planned + counts.triggered + counts.issued + counts.escalated
    listed += counts.escalated
  }
  return { open, listed }
}

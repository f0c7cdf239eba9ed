/** What has become of the targets of a campaign, read from sums and from an index of the unfinished. */
import type { Instant } from '../../base/clock.ts'
import { readCounters } from '../../store/counters.ts'
import { countOverdue, outcomesOf, type TargetOutcome } from '../../store/campaign-targets.ts'
import { countersOfCampaign, type RenewalCounts } from '../../store/renewal-lists.ts'
import type { Queries } from '../../store/schema.ts'
import { sumsSince, type CampaignSums } from './campaign-brakes.ts'
import type { CampaignDefinition } from './campaign-definition.ts'
import type { Campaign } from './campaign-record.ts'
import type { EngineSettings } from '../context.ts'
import { minuteMs } from '../../base/clock.ts'

export interface WaveSums {
  readonly counts: RenewalCounts
  readonly outcomes: Readonly<Record<TargetOutcome, number>>
}

export interface CampaignProgress {
  /** By wave. */
  readonly waves: ReadonlyMap<number, WaveSums>
  readonly total: CampaignSums
  readonly since: CampaignSums
}

export const noCounts: RenewalCounts = {
  planned: 0,
  triggered: 0,
  issued: 0,
  confirmed: 0,
  retired: 0,
  escalated: 0,
  abandoned: 0,
}

const noOutcomes = { failed: 0, rejected: 0 }

export async function campaignProgress(
  q: Queries,
  settings: EngineSettings,
  campaign: Campaign,
  now: Instant,
): Promise<CampaignProgress> {
  const { id, definition, snapshot, startedAt } = campaign
  const counts = await countersOfCampaign(q, id)
  const outcomes = await outcomesOf(q, id)
  const waves = new Map(
    definition.waves.map((_, wave) => [
      wave,
      { counts: counts.get(wave) ?? noCounts, outcomes: outcomes.get(wave) ?? noOutcomes },
    ]),
  )
  const signerErrors = (await readCounters(q, 'certificates.abandoned')).get('certificates.abandoned') ?? 0
  const limits = overdueLimits(settings, definition, now)
  const overdue = await countOverdue(q, { campaignId: id, ...limits, since: startedAt ?? 0 })
  const overdueSince =
    snapshot.sinceAt === (startedAt ?? 0)
      ? overdue
      : await countOverdue(q, { campaignId: id, ...limits, since: snapshot.sinceAt })
  const total: CampaignSums = { ...addUp([...waves.values()]), ...overdue, signerErrors }
  return { waves, total, since: { ...sumsSince(total, snapshot.since), ...overdueSince } }
}

function addUp(
  waves: readonly WaveSums[],
): Pick<CampaignSums, 'succeeded' | 'answered' | 'failed' | 'rejected'> {
  const sums = { succeeded: 0, answered: 0, failed: 0, rejected: 0 }
  for (const { counts, outcomes } of waves) {
    sums.succeeded += counts.confirmed + counts.retired
    sums.answered += counts.issued + counts.confirmed + counts.retired
    sums.failed += outcomes.failed
    sums.rejected += outcomes.rejected
  }
  return sums
}

/** Twice the check-in: a device that calls in once a day and misses one call is not silent. */
function overdueLimits(
  { connectivity }: EngineSettings,
  { timeoutConfig, brakes }: CampaignDefinition,
  now: Instant,
): {
  readonly askedBefore: ReadonlyMap<string, Instant>
  readonly issuedBefore: ReadonlyMap<string, Instant>
} {
  const { inProgressTimeoutInMinutes } = timeoutConfig
  const timeoutMs = inProgressTimeoutInMinutes === null ? null : inProgressTimeoutInMinutes * minuteMs
  const silentMs = brakes.silent?.afterMs ?? null
  const before = (ms: number | null) =>
    new Map([...connectivity].map(([name, { checkInMs }]) => [name, now - (ms ?? 2 * checkInMs)]))
  return { askedBefore: before(timeoutMs), issuedBefore: before(silentMs) }
}

/** Whether the wave after this one may open, and what is missing if not. */
export interface WaveVerdict {
  readonly isPassed: boolean
  /** Share of the wave that has answered, failed, been escalated or left, percent. */
  readonly finishedPercent: number
  /** Share of those that answered or failed with a new certificate in use, percent. */
  readonly successPercent: number
}

export function waveVerdict(
  { successPercentage, finishedPercentage }: CampaignDefinition['waves'][number],
  { counts, outcomes }: WaveSums,
): WaveVerdict {
  const succeeded = counts.confirmed + counts.retired
  const judged = succeeded + counts.issued + outcomes.failed + outcomes.rejected
  const size = Object.values(counts).reduce((sum, each) => sum + each, 0)
  // a device that reported a failure is still triggered, and may yet succeed
  const failed = Math.min(outcomes.failed + outcomes.rejected, counts.triggered)
  const finished = succeeded + counts.issued + counts.escalated + counts.abandoned + failed
  const finishedPercent = size === 0 ? 100 : (100 * finished) / size
  const successPercent = judged === 0 ? 100 : (100 * succeeded) / judged
  return {
    isPassed: finishedPercent >= finishedPercentage && successPercent >= successPercentage,
    finishedPercent,
    successPercent,
  }
}

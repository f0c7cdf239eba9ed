/** Campaigns as the API shows them. */
import type { RenewalCounts } from './shapes.ts'

export interface CampaignSummary {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly status: string
  readonly reason: string | null
  readonly targets: number
  /** Devices let in so far. */
  readonly admitted: number
  readonly createdAt: string
  readonly startedAt: string | null
  readonly endedAt: string | null
}

export interface Wave {
  readonly wave: number
  readonly name: string
  readonly status: string
  readonly size: number
  readonly openedAt: string | null
  readonly soakUntil: string | null
  readonly approvedAt: string | null
  readonly counts: RenewalCounts
  readonly outcomes: { readonly failed: number; readonly rejected: number }
  readonly finishedPercent: number
  readonly successPercent: number
}

export interface Campaign extends CampaignSummary {
  readonly counts: RenewalCounts
  readonly waves: readonly Wave[]
  readonly ratePerMinute: number
  readonly waitsFor: string | null
}

export interface CampaignReport {
  readonly reasons: readonly { readonly status: string; readonly reason: string; readonly count: number }[]
  readonly answers: readonly { readonly days: number | null; readonly count: number }[]
  readonly attempts: readonly { readonly channel: string; readonly status: string; readonly count: number }[]
}

/** Sums so far, by time. */
export interface CampaignSeries {
  readonly targets: number
  readonly intervalMs: number
  readonly points: readonly {
    readonly at: string
    readonly triggered: number
    readonly issued: number
    readonly confirmed: number
    readonly ended: number
  }[]
}

/** Targets to go: all of them at the start, then at the end of each interval, the last of which is not over yet. */
export function burndownOf(
  { startedAt, endedAt, targets }: Pick<CampaignSummary, 'startedAt' | 'endedAt' | 'targets'>,
  { intervalMs, points }: CampaignSeries,
  at: number,
): readonly { readonly at: number; readonly toGo: number }[] {
  if (startedAt === null) return []
  const start = Date.parse(startedAt)
  const last = Math.max(start, endedAt === null ? at : Date.parse(endedAt))
  return [
    { at: start, toGo: targets },
    ...points.map((point) => ({
      at: Math.min(last, Date.parse(point.at) + intervalMs),
      toGo: Math.max(0, targets - point.confirmed),
    })),
  ]
}

/** In the order in which a device goes through them; each holds those that are further as well. */
export function funnelOf(counts: RenewalCounts, targets: number): readonly (readonly [string, number])[] {
  const retired = counts.retired
  const confirmed = counts.confirmed + retired
  const issued = counts.issued + confirmed
  const asked = counts.triggered + counts.escalated + issued
  return [
    ['targets', targets],
    ['asked', asked],
    ['new certificate', issued],
    ['seen in use', confirmed],
    ['old one retired', retired],
  ]
}

export function isFinished({ status }: Pick<CampaignSummary, 'status'>): boolean {
  return status === 'completed' || status === 'aborted'
}

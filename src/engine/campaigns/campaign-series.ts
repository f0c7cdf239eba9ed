/** The progress of a campaign over time, from sums that every change keeps: milliseconds for millions of targets. */
import { hourMs, type Instant } from '../../base/clock.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { listCampaigns, type CampaignStatus } from '../../store/campaigns.ts'
import { flowOfCampaign } from '../../store/renewal-lists.ts'
import type { Engine } from '../context.ts'
import { requireCampaign, toCampaign, type Campaign } from './campaign-record.ts'

export { campaignStatuses, type CampaignStatus } from '../../store/campaigns.ts'

/** In the order of their names. */
export async function campaignPage(
  { store }: Engine,
  request: PageRequest & { readonly status?: CampaignStatus },
): Promise<Page<Campaign>> {
  const { rows, next } = await listCampaigns(store.db, request)
  return { rows: rows.map(toCampaign), next }
}

/** @throws Refusal `not-found` */
export async function viewCampaignRecord({ store }: Engine, id: string): Promise<Campaign> {
  return await requireCampaign(store.db, id)
}

export interface SeriesPoint {
  /** Beginning of the interval. */
  readonly at: Instant
  /** Targets so far: asked, with a new certificate, seen with it, ended in any way. */
  readonly triggered: number
  readonly issued: number
  readonly confirmed: number
  readonly ended: number
}

/** Beyond it, the intervals become longer: whole days, then weeks. */
const mostPoints = 1_000

/**
 * Running sums, one for each interval in which something happened; none before the first trigger.
 * @throws Refusal `not-found`
 */
export async function campaignSeries(
  { store }: Engine,
  id: string,
): Promise<{ readonly intervalMs: number; readonly points: readonly SeriesPoint[] }> {
  await requireCampaign(store.db, id)
  const flow = await flowOfCampaign(store.db, id)
  const hours = flow.length === 0 ? 0 : (flow.at(-1)?.hour ?? 0) - (flow[0]?.hour ?? 0)
  const perPoint = [1, 24, 168].find((each) => hours / each < mostPoints) ?? 168
  const sums = { triggered: 0, issued: 0, confirmed: 0, ended: 0 }
  const points = new Map<number, SeriesPoint>()
  for (const { hour, step, count } of flow) {
    const at = Math.floor(hour / perPoint) * perPoint * hourMs
    sums[step] += count
    points.set(at, { at, ...sums })
  }
  return { intervalMs: perPoint * hourMs, points: [...points.values()] }
}

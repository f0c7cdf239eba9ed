/**
 * Campaigns that nobody drives: a draft that was never started, or one that was paused and forgotten, keeps its devices from
 * being asked, and their certificates run out without an error.
 */
import { dayMs, type Instant } from '../../base/clock.ts'
import { listCampaigns } from '../../store/campaigns.ts'
import { countersOfCampaign } from '../../store/renewal-lists.ts'
import type { Engine } from '../context.ts'

export interface HeldCampaign {
  readonly id: string
  readonly status: 'draft' | 'paused'
  readonly since: Instant
  /** Devices that are asked by nobody as long as it stands still. */
  readonly devices: number
}

/** A day is what people need to look at a plan, or at why a brake has pulled. */
const patienceMs = dayMs
/** A handful of campaigns stands at a time. */
const most = 1_000

export async function heldCampaigns({ store }: Pick<Engine, 'store'>, now: Instant): Promise<HeldCampaign[]> {
  const held: HeldCampaign[] = []
  for (const status of ['draft', 'paused'] as const) {
    const { rows } = await listCampaigns(store.db, { status, limit: most })
    for (const { id, createdAt, pausedAt } of rows) {
      const since = status === 'paused' ? (pausedAt ?? createdAt) : createdAt
      if (now < since + patienceMs) continue
      let devices = 0
      for (const { planned, triggered, issued } of (await countersOfCampaign(store.db, id)).values())
        devices += planned + triggered + issued
      if (devices > 0) held.push({ id, status, since, devices })
    }
  }
  return held
}

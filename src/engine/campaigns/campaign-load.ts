/** How busy a campaign is, for the hints of its devices: asked at every poll, so it is kept for a few seconds. */
import { secondMs, type Instant } from '../../base/clock.ts'
import { findCampaign, type CampaignStatus } from '../../store/campaigns.ts'
import { countersOfCampaign } from '../../store/renewal-lists.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import { currentRate } from './campaign-rate.ts'
import { toCampaign } from './campaign-record.ts'
import type { Engine } from '../context.ts'
import { checkClock } from '../renewals/clock-guard.ts'
import type { CampaignLoad } from '../renewals/renewal-hint.ts'

interface Known {
  readonly at: Instant
  readonly status: CampaignStatus
  /** False when the clock has jumped: places in the queue are counted from now, and would move with it. */
  readonly isClockTrusted: boolean
  readonly perMinute: number
  /** Not let in yet, by wave. */
  readonly planned: ReadonlyMap<number, number>
}

const freshForMs = 5 * secondMs
/** A handful of campaigns runs at a time. */
const maxKnown = 100
const loads = new WeakMap<Engine, Map<string, Known>>()

/** @returns null for a renewal that no campaign asked for, or whose campaign has not been started: it holds nobody back */
export async function campaignLoad(
  engine: Engine,
  { campaignId, wave }: Pick<RenewalRecord, 'campaignId' | 'wave'>,
  now: Instant,
): Promise<CampaignLoad | null> {
  if (campaignId === '') return null
  const known = await loadOf(engine, campaignId, now)
  if (known === null || known.status === 'draft') return null
  let waiting = 0
  // the waves before it come first
  for (const [each, count] of known.planned) if (each <= wave) waiting += count
  return {
    isRunning: known.status === 'running' && known.isClockTrusted,
    perMinute: known.perMinute,
    waiting,
  }
}

async function loadOf(engine: Engine, id: string, now: Instant): Promise<Known | null> {
  const ofEngine = loads.get(engine) ?? new Map<string, Known>()
  loads.set(engine, ofEngine)
  const known = ofEngine.get(id)
  if (known && Math.abs(now - known.at) < freshForMs) return known
  const { db } = engine.store
  const record = await findCampaign(db, id)
  if (record === null) return null
  const { status, admitted, definition } = toCampaign(record)
  const waves = await countersOfCampaign(db, id)
  const sums = [...waves.values()]
  const succeeded = sums.reduce((sum, { confirmed, retired }) => sum + confirmed + retired, 0)
  const next = {
    at: now,
    status,
    isClockTrusted: (await checkClock(engine, now)).isTrusted,
    perMinute: currentRate(definition.rollout, { notified: admitted, succeeded }),
    planned: new Map([...waves].map(([wave, { planned }]) => [wave, planned])),
  }
  if (ofEngine.size >= maxKnown) ofEngine.clear()
  ofEngine.set(id, next)
  return next
}

/** The forecast over the inventory: what ends comes from the roll-ups, windows from the profiles, the rate from the settings. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { expiryHistogram, expirySplit, type ExpirySum } from '../../store/counters.ts'
import { weeklyCapacityOf } from '../alerts/alert-settings.ts'
import type { Engine } from '../context.ts'
import { cliffCampaign, flatten, type EndsOfProfile, type ForecastInput } from './expiry-forecast.ts'

type ReadEngine = Pick<Engine, 'store' | 'settings'>

/** Weeks looked at, beside those whose windows reach into them. */
export const forecastWeekCount = 52

/** From the Monday of this week on. */
export async function readForecast(
  { store, settings }: ReadEngine,
  { now, weeks = forecastWeekCount }: { readonly now: Instant; readonly weeks?: number },
): Promise<ForecastInput> {
  const today = Math.floor(now / dayMs)
  const fromDay = today - ((new Date(today * dayMs).getUTCDay() + 6) % 7)
  // windows of later ends reach into these weeks
  const sums = await expiryHistogram(store.db, { fromDay, days: weeks * 7 + 400, by: 'profile' })
  const byProfile = new Map<string, Map<number, number>>()
  for (const { day, key, count } of sums) {
    const ends = byProfile.get(key) ?? new Map<number, number>()
    ends.set(day, count)
    byProfile.set(key, ends)
  }
  const groups = [...byProfile].map(([profile, ends]): EndsOfProfile => {
    const windowMs = settings.profiles.get(profile)?.renewBeforeMs ?? null
    return { profile, ends, windowDays: windowMs === null ? null : Math.ceil(windowMs / dayMs) }
  })
  return {
    today: fromDay,
    weeks,
    groups,
    spread: settings.renewal.spread,
    perWeek: weeklyCapacityOf(settings),
  }
}

/** The definition of a campaign that renews the highest cliff early. @throws Refusal `not-found` when there is none */
export async function forecastCampaign(
  engine: ReadEngine,
  now: Instant,
): Promise<Readonly<Record<string, unknown>>> {
  const input = await readForecast(engine, { now })
  const [highest] = flatten(input).cliffs.toSorted((a, b) => b.count - a.count)
  if (!highest) {
    throw new Refusal(
      'not-found',
      `no week of the next ${input.weeks} has more ends than can be renewed in one (${input.perWeek}, alerts.weeklyCapacity): there is nothing to flatten`,
    )
  }
  return cliffCampaign(highest, input)
}

export const splits = ['issuer', 'profile', 'cohort', 'batch', 'site'] as const
export type Split = (typeof splits)[number]

/**
 * Ends by day and by value of one column. Issuer, profile and cohort come from roll-ups; batch and site are counted over the
 * live certificates themselves: some seconds for millions.
 */
export async function splitEnds(
  { store }: Pick<Engine, 'store'>,
  { from, days, split }: { readonly from: Instant; readonly days: number; readonly split: Split },
): Promise<ExpirySum[]> {
  const fromDay = Math.floor(from / dayMs)
  if (split === 'batch' || split === 'site') return await expirySplit(store.db, { fromDay, days, by: split })
  return await expiryHistogram(store.db, { fromDay, days, by: split === 'issuer' ? 'issuerId' : split })
}

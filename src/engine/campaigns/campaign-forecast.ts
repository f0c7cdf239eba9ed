/** How long a campaign will take, from its rate, its waves and how often its devices call in. Pure. */
import { dayMs, minuteMs, type Instant } from '../../base/clock.ts'
import type { CampaignDefinition, RolloutRate } from './campaign-definition.ts'
import { openShare } from './campaign-cron.ts'
import { currentRate } from './campaign-rate.ts'

export interface WaveForecast {
  readonly name: string
  readonly size: number
  readonly approval: 'manual' | 'automatic'
  readonly soakMs: number
  /** When it opens, if every approval is given at once. Null: never, no window opens. */
  readonly opensAt: Instant | null
  /** When its last device is let in. */
  readonly admittedAt: Instant | null
}

export interface Forecast {
  readonly waves: readonly WaveForecast[]
  readonly finish: {
    readonly earliest: Instant
    readonly expected: Instant
    readonly latest: Instant
  } | null
}

export interface ForecastInput {
  readonly definition: CampaignDefinition
  readonly sizes: readonly number[]
  readonly now: Instant
  /** The longest a healthy device of the selection stays silent, ms. */
  readonly checkInMs: number
  /** All attempts of the longest ladder of the selection, up to the field list, ms. */
  readonly ladderMs: number
}

/** Each wave begins when the one before it has soaked, and was given time to answer. */
export function forecast(input: ForecastInput): Forecast {
  const { definition, sizes, now, checkInMs, ladderMs } = input
  const share = openShare(definition.schedulingConfig.maintenanceWindows, now)
  const start = Math.max(now, definition.schedulingConfig.startTime ?? now)
  if (share === 0) return { waves: namedWaves(input, []), finish: null }
  const expected = timesOf(definition, sizes, { start, share, answerMs: checkInMs })
  const earliest = timesOf(definition, sizes, { start, share, answerMs: 0 })
  const latest = timesOf(definition, sizes, { start, share, answerMs: 4 * checkInMs })
  return {
    waves: namedWaves(input, expected),
    finish: {
      earliest: lastOf(earliest, start) + checkInMs,
      expected: lastOf(expected, start) + 2 * checkInMs,
      latest: lastOf(latest, start) + Math.max(ladderMs, 4 * checkInMs),
    },
  }
}

interface WaveTimes {
  readonly opensAt: Instant
  readonly admittedAt: Instant
}

function timesOf(
  { waves, rollout }: CampaignDefinition,
  sizes: readonly number[],
  { start, share, answerMs }: { readonly start: Instant; readonly share: number; readonly answerMs: number },
): WaveTimes[] {
  let at = start
  let admitted = 0
  return sizes.map((size, wave) => {
    const opensAt = at
    const admittedAt = opensAt + Math.ceil(admissionMs(rollout, admitted, admitted + size) / share)
    admitted += size
    if (size > 0) at = admittedAt + Math.max(waves[wave]?.soakMs ?? 0, answerMs)
    return { opensAt, admittedAt }
  })
}

function namedWaves({ definition, sizes }: ForecastInput, times: readonly WaveTimes[]): WaveForecast[] {
  return definition.waves.flatMap(({ name, approval, soakMs }, at) => {
    const size = sizes[at] ?? 0
    const { opensAt = null, admittedAt = null } = times[at] ?? {}
    return size === 0 ? [] : [{ name, size, approval, soakMs, opensAt, admittedAt }]
  })
}

function lastOf(times: readonly WaveTimes[], start: Instant): Instant {
  return times.at(-1)?.admittedAt ?? start
}

/** From `from` devices let in to `to`, at a rate that may grow on the way; devices are taken to succeed as they come. */
export function admissionMs(rollout: RolloutRate, from: number, to: number): number {
  const { exponentialRate } = rollout
  const criteria = exponentialRate?.rateIncreaseCriteria
  const step = criteria?.numberOfNotifiedThings ?? criteria?.numberOfSucceededThings ?? null
  let ms = 0
  let done = from
  while (done < to) {
    const rate = currentRate(rollout, { notified: done, succeeded: done })
    const isAtMaximum = step === null || rate >= rollout.maximumPerMinute
    const until = isAtMaximum ? to : Math.min(to, (Math.floor(done / step) + 1) * step)
    ms += ((until - done) / rate) * minuteMs
    done = until
  }
  return ms
}

/**
 * Of devices whose certificates end one after the other, how many end before their turn, at the least: in each wave the
 * most urgent go first, and each needs one check-in to answer.
 * @param endsByWeek devices whose certificate ends within week n from `now`, by n
 */
export function tooLate(
  { definition, sizes, now, checkInMs }: ForecastInput,
  waves: readonly WaveForecast[],
  endsByWeek: readonly number[],
): number {
  const total = endsByWeek.reduce((sum, each) => sum + each, 0)
  const targets = sizes.reduce((sum, each) => sum + each, 0)
  if (total === 0 || targets === 0) return 0
  let late = 0
  let admitted = 0
  for (const { size, opensAt, admittedAt } of waves) {
    const from = opensAt ?? Infinity
    const takesMs = (admittedAt ?? Infinity) - from
    let ended = 0
    let most = 0
    for (const [week, count] of endsByWeek.entries()) {
      ended += (count * size) / targets
      // the middle of the week stands for its devices
      const end = now + (week + 0.5) * 7 * dayMs - checkInMs
      const reached = end <= from ? 0 : takesMs === 0 ? size : Math.min(size, (size * (end - from)) / takesMs)
      most = Math.max(most, ended - reached)
    }
    late += most
    admitted += size
  }
  return admitted === 0 || definition.waves.length === 0 ? 0 : Math.round(late)
}

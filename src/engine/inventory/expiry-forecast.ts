/**
 * What is coming: how many certificates end in which week, how the renewals spread over the weeks before, whether they can all
 * be done at the rate that there is, and what other jitter, windows and rates would do. Pure; whole days and weeks, UTC.
 */
import { dayMs } from '../../base/clock.ts'

export interface EndsOfProfile {
  readonly profile: string
  /** Certificates by the day of their end (days since 1970-01-01). */
  readonly ends: ReadonlyMap<number, number>
  /** Days before its end from which a certificate may be renewed; null: for life. */
  readonly windowDays: number | null
}

export interface WhatIf {
  /** Up to this much more is taken off each end, days. */
  readonly jitterDays?: number
  /** In place of that of each profile. */
  readonly windowDays?: number
  /** Renewals in a week. */
  readonly perWeek?: number
}

export interface ForecastInput {
  /** Day number. */
  readonly today: number
  readonly weeks: number
  readonly groups: readonly EndsOfProfile[]
  /** Share of the window over which devices are asked. */
  readonly spread: number
  readonly perWeek: number
}

export interface ForecastWeek {
  /** Day number of its first day. */
  readonly fromDay: number
  readonly ends: number
  /** Renewals that fall due. */
  readonly due: number
  readonly renewed: number
  /** Due and not done at its end. */
  readonly backlog: number
  /** Ended before their turn. */
  readonly lapsed: number
}

/** The same input as it would be. */
export function applyWhatIf(
  input: ForecastInput,
  { jitterDays = 0, windowDays, perWeek }: WhatIf,
): ForecastInput {
  return {
    ...input,
    perWeek: perWeek ?? input.perWeek,
    groups: input.groups.map((group) => ({
      profile: group.profile,
      ends: jittered(group.ends, jitterDays, input.today),
      windowDays: windowDays !== undefined && group.windowDays !== null ? windowDays : group.windowDays,
    })),
  }
}

/** Each end moves to a day of the `days` before it, all alike; what had ended by then would have been renewed by then. */
export function jittered(
  ends: ReadonlyMap<number, number>,
  days: number,
  today: number,
): ReadonlyMap<number, number> {
  if (days === 0) return ends
  const moved = new Map<number, number>()
  for (const [end, count] of ends) {
    for (let back = 0; back < days; back++) {
      const day = Math.max(today, end - back)
      moved.set(day, (moved.get(day) ?? 0) + count / days)
    }
  }
  return moved
}

/** Renewals day by day, at no more than the rate, the soonest end first. */
export function forecastWeeks(input: ForecastInput): ForecastWeek[] {
  const { today, weeks, perWeek } = input
  const last = today + weeks * 7
  const dueOn = dueByDay(input, last)
  const waiting = new Map<number, number>()
  const result: ForecastWeek[] = []
  for (let week = 0; week < weeks; week++) {
    const fromDay = today + week * 7
    const sums = { ends: 0, due: 0, renewed: 0, lapsed: 0 }
    for (let day = fromDay; day < fromDay + 7; day++) {
      for (const { ends } of input.groups) sums.ends += ends.get(day) ?? 0
      for (const [end, count] of dueOn.get(day) ?? []) {
        waiting.set(end, (waiting.get(end) ?? 0) + count)
        sums.due += count
      }
      sums.renewed += serve(waiting, day, perWeek / 7)
      sums.lapsed += waiting.get(day) ?? 0
      waiting.delete(day)
    }
    const backlog = [...waiting.values()].reduce((sum, each) => sum + each, 0)
    result.push(rounded({ fromDay, ...sums, backlog }))
  }
  return result
}

/** By the day on which they fall due, and by their end: those of a window over its first share, all alike. */
function dueByDay(
  { today, groups, spread }: ForecastInput,
  last: number,
): ReadonlyMap<number, ReadonlyMap<number, number>> {
  const due = new Map<number, Map<number, number>>()
  for (const { ends, windowDays } of groups) {
    if (windowDays === null) continue
    const share = Math.max(1, Math.round(windowDays * spread))
    for (const [end, count] of ends) {
      for (let n = 0; n < share; n++) {
        const day = Math.max(today, end - windowDays + n)
        if (day >= last) break
        const byEnd = due.get(day) ?? new Map<number, number>()
        byEnd.set(end, (byEnd.get(end) ?? 0) + count / share)
        due.set(day, byEnd)
      }
    }
  }
  return due
}

/** @returns how many were renewed */
function serve(waiting: Map<number, number>, day: number, rate: number): number {
  let left = rate
  for (const end of [...waiting.keys()].sort((a, b) => a - b)) {
    if (left <= 0) break
    if (end < day) continue
    const count = waiting.get(end) ?? 0
    const done = Math.min(count, left)
    left -= done
    if (done === count) waiting.delete(end)
    else waiting.set(end, count - done)
  }
  return rate - left
}

function rounded(week: ForecastWeek): ForecastWeek {
  const { fromDay, ends, due, renewed, backlog, lapsed } = week
  return {
    fromDay,
    ends: Math.round(ends),
    due: Math.round(due),
    renewed: Math.round(renewed),
    backlog: Math.round(backlog),
    lapsed: Math.round(lapsed),
  }
}

export interface Flattening {
  /** Weeks in which more end than can be renewed in one. */
  readonly cliffs: readonly Cliff[]
}

export interface Cliff {
  readonly fromDay: number
  readonly count: number
  /** How many to renew in which week, so that no week has more than the rate; the earliest first. */
  readonly renewals: readonly { readonly fromDay: number; readonly count: number }[]
  /** No week of their window has room for these: a longer window or a higher rate is needed. */
  readonly unplaced: number
}

/**
 * Places every renewal into a week of its window, none with more than the rate. From the last end to the first, each into
 * the latest week with room: what ends sooner then finds the earlier weeks free, so this fails only when every way does.
 */
export function flatten(input: ForecastInput): Flattening {
  const { today, weeks, groups, perWeek } = input
  const room = Array.from({ length: weeks }, () => perWeek)
  const cliffs: Cliff[] = []
  for (let week = weeks - 1; week >= 0; week--) {
    const fromDay = today + week * 7
    const placed = new Map<number, number>()
    let count = 0
    let unplaced = 0
    for (const { ends, windowDays } of groups) {
      if (windowDays === null) continue
      let left = 0
      for (let day = fromDay; day < fromDay + 7; day++) left += ends.get(day) ?? 0
      count += left
      const earliest = Math.max(0, week - Math.floor(windowDays / 7))
      for (let at = week; at >= earliest && left > 0; at--) {
        const done = Math.min(left, room[at] ?? 0)
        if (done === 0) continue
        room[at] = (room[at] ?? 0) - done
        left -= done
        placed.set(at, (placed.get(at) ?? 0) + done)
      }
      unplaced += left
    }
    if (count <= perWeek && unplaced === 0) continue
    const renewals = [...placed]
      .sort(([a], [b]) => a - b)
      .map(([at, each]) => ({ fromDay: today + at * 7, count: Math.round(each) }))
    cliffs.unshift({ fromDay, count: Math.round(count), renewals, unplaced: Math.round(unplaced) })
  }
  return { cliffs }
}

/** As `campaign create` reads it: the whole cliff, begun when its first renewals are to be done, at the rate. */
export function cliffCampaign(
  cliff: Cliff,
  { perWeek }: Pick<ForecastInput, 'perWeek'>,
): Readonly<Record<string, unknown>> {
  const [first] = cliff.renewals
  return {
    description: `${cliff.count} certificates that end in the week from ${dayText(cliff.fromDay)}, renewed before`,
    selection: { expiringBefore: dayText(cliff.fromDay + 7) },
    rollout: { maximumPerMinute: Math.max(1, Math.floor(perWeek / (7 * 24 * 60))) },
    ...(first === undefined
      ? {}
      : { schedulingConfig: { startTime: `${dayText(first.fromDay)}T00:00:00Z` } }),
  }
}

export function dayText(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10)
}

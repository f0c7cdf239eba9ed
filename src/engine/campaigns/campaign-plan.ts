/** What a campaign would be, before anything is written: read from sums, never from single devices. */
import { dayMs, type Instant } from '../../base/clock.ts'
import {
  maxWeeksLeft,
  silenceDays,
  tallySelection,
  type SelectionOutcome,
  type SelectionRequest,
  type SelectionTally,
} from '../../store/campaign-selection.ts'
import type { CampaignDefinition } from './campaign-definition.ts'
import { forecast, tooLate, type Forecast } from './campaign-forecast.ts'
import { openShare } from './campaign-cron.ts'
import { waveSizes } from './campaign-order.ts'
import { defaultCampaignSettings } from './campaign-settings.ts'
import type { Engine } from '../context.ts'
import type { Ladder } from '../renewals/ladder.ts'
import { defaultSlot } from '../issuing/profile.ts'

export interface CampaignPlan {
  /** Devices that the selection means. */
  readonly selected: number
  readonly targets: number
  /** Selected devices that would be no targets, by reason, the most frequent first. */
  readonly left: readonly { readonly reason: SelectionOutcome; readonly count: number }[]
  /** When the targets were last heard from: within so many days (null = longer ago), and never. */
  readonly lastSeen: readonly {
    readonly days: number | null
    readonly isNever: boolean
    readonly count: number
  }[]
  readonly byConnectivity: readonly { readonly name: string; readonly count: number }[]
  /** Share of the targets that are silent for longer than their check-in, percent. */
  readonly normalDarknessPercent: number
  readonly rate: {
    /** At most. */
    readonly perMinute: number
    readonly perDay: number
    /** What the installation bears. */
    readonly capacityPerDay: number
  }
  readonly waves: Forecast['waves']
  readonly finish: Forecast['finish']
  readonly approvals: number
  readonly lost: PlannedLoss
  /** Null when no ladder of the targets asks by SMS, or SMS is not set up. */
  readonly sms: PlannedSms | null
  /** What the operator should know before he starts it. */
  readonly warnings: readonly string[]
}

export interface PlannedLoss {
  /** Devices that will probably not make it, from the ones that are certain to the ones that are likely. */
  readonly atLeast: number
  readonly atMost: number
  readonly reasons: readonly { readonly reason: LossReason; readonly count: number }[]
}

/** `never-seen`, `dark`: silent for more than four check-ins. `late`: its certificate ends before its turn. `overdue`: may. */
export type LossReason = 'never-seen' | 'dark' | 'late' | 'overdue'

export interface PlannedSms {
  readonly low: number
  readonly expected: number
  readonly high: number
  /** Thousandths of the operator's currency; null when no price is configured. */
  readonly perMessage: number | null
}

/** Nothing is written. A few seconds over 2.2 million devices. */
export async function planCampaign(
  engine: Pick<Engine, 'store' | 'settings' | 'issuers'>,
  definition: CampaignDefinition,
  now: Instant,
): Promise<CampaignPlan> {
  const request = await selectionRequest(engine, definition, now)
  const tallies = await tallySelection(engine.store.db, request)
  return planFrom(engine.settings, { definition, tallies, now })
}

/** What the store is asked for a selection. */
export async function selectionRequest(
  { settings, issuers }: Pick<Engine, 'settings' | 'issuers'>,
  { selection }: CampaignDefinition,
  now: Instant,
): Promise<SelectionRequest> {
  const { all: _all, ...filter } = selection
  const profiles = [...settings.profiles.values()].flatMap(({ name, renewBeforeMs, renewExpiredForMs }) =>
    // those of other profiles are not selected: the query need not tell them apart
    renewBeforeMs === null || (filter.profile !== null && filter.profile !== name)
      ? []
      : [{ name, renewBeforeMs, renewExpiredForMs }],
  )
  const checkIns = new Map([...settings.connectivity].map(([name, { checkInMs }]) => [name, checkInMs]))
  const lostIssuers = (await issuers.list()).flatMap(({ id, status }) => (status === 'revoked' ? [id] : []))
  return { filter, now, profiles, checkIns, slot: defaultSlot, lostIssuers }
}

export interface Measured {
  readonly selected: number
  readonly targets: number
  readonly left: readonly { readonly reason: SelectionOutcome; readonly count: number }[]
  readonly normalDarknessPercent: number
}

/** The part of a plan that is kept with the campaign. */
export function measure(tallies: readonly SelectionTally[]): Measured {
  const targets = tallies.filter(({ outcome }) => outcome === 'target')
  const left = new Map<SelectionOutcome, number>()
  for (const { outcome, count } of tallies)
    if (outcome !== 'target') left.set(outcome, (left.get(outcome) ?? 0) + count)
  const silent = sum(targets.filter(({ lateness }) => lateness > 0))
  const total = sum(targets)
  return {
    selected: sum(tallies),
    targets: total,
    left: [...left].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count),
    normalDarknessPercent: total === 0 ? 0 : (100 * silent) / total,
  }
}

interface PlanInput {
  readonly definition: CampaignDefinition
  readonly tallies: readonly SelectionTally[]
  readonly now: Instant
}

function planFrom(settings: Engine['settings'], { definition, tallies, now }: PlanInput): CampaignPlan {
  const measured = measure(tallies)
  const targets = tallies.filter(({ outcome }) => outcome === 'target')
  const byConnectivity = sumBy(targets, ({ connectivity }) => connectivity)
  const known = [...byConnectivity.keys()].flatMap((name) => settings.connectivity.get(name) ?? [])
  const input = {
    definition,
    now,
    sizes: waveSizes(definition.waves, measured.targets),
    checkInMs: Math.max(dayMs, ...known.map(({ checkInMs }) => checkInMs)),
    ladderMs: Math.max(0, ...known.map(({ ladder }) => ladderLength(ladder))),
  }
  const { waves, finish } = forecast(input)
  const lost = lossOf(targets, (endsByWeek) => tooLate(input, waves, endsByWeek))
  const rate = rateOf(settings, definition, now)
  const plan = {
    ...measured,
    lastSeen: lastSeenOf(targets),
    byConnectivity: [...byConnectivity].map(([name, count]) => ({ name, count })),
    rate,
    waves,
    finish,
    approvals: waves.filter(({ approval }) => approval === 'manual').length,
    lost,
    sms: smsOf(settings, targets),
  }
  return { ...plan, warnings: warningsOf(definition, plan) }
}

function rateOf(
  settings: Engine['settings'],
  { rollout, schedulingConfig }: CampaignDefinition,
  now: Instant,
) {
  const share = openShare(schedulingConfig.maintenanceWindows, now)
  return {
    perMinute: rollout.maximumPerMinute,
    perDay: Math.round(rollout.maximumPerMinute * 1_440 * share),
    capacityPerDay: (settings.campaigns ?? defaultCampaignSettings).capacityPerMinute * 1_440,
  }
}

function lastSeenOf(targets: readonly SelectionTally[]): CampaignPlan['lastSeen'] {
  const bySilence = sumBy(targets, ({ silence }) => silence)
  const never = silenceDays.length + 1
  return [...silenceDays, null, null].map((days, at) => ({
    days,
    isNever: at === never,
    count: bySilence.get(at) ?? 0,
  }))
}

function lossOf(
  targets: readonly SelectionTally[],
  late: (endsByWeek: readonly number[]) => number,
): PlannedLoss {
  const neverSeen = sum(targets.filter(({ silence }) => silence === silenceDays.length + 1))
  const dark = sum(targets.filter(({ lateness }) => lateness === 2)) - neverSeen
  const overdue = sum(targets.filter(({ lateness }) => lateness === 1))
  const byWeek = sumBy(
    targets.filter(({ lateness }) => lateness < 2),
    ({ weeksLeft }) => weeksLeft,
  )
  const endsByWeek = Array.from({ length: maxWeeksLeft + 1 }, (_, week) => byWeek.get(week) ?? 0)
  const lateCount = late(endsByWeek)
  const reasons = [
    { reason: 'never-seen', count: neverSeen },
    { reason: 'dark', count: dark },
    { reason: 'late', count: lateCount },
    { reason: 'overdue', count: overdue },
  ] as const
  return {
    atLeast: neverSeen + lateCount,
    atMost: neverSeen + dark + lateCount + overdue,
    reasons: reasons.filter(({ count }) => count > 0),
  }
}

/** Those that are silent now will mostly be silent then: they reach the rung of SMS, the others answer before. */
function smsOf(settings: Engine['settings'], targets: readonly SelectionTally[]): PlannedSms | null {
  const cost = settings.triggerCosts?.get('sms')
  const isSetUp = settings.triggerKinds === undefined ? cost !== undefined : settings.triggerKinds.has('sms')
  let low = 0
  let expected = 0
  let high = 0
  let hasRung = false
  for (const { connectivity, lateness, count } of targets) {
    const ladder = settings.connectivity.get(connectivity)?.ladder ?? []
    const messages = ladder.reduce((all, { channel, repeats }) => all + (channel === 'sms' ? repeats : 0), 0)
    if (messages === 0) continue
    hasRung = true
    if (lateness === 2) {
      low += count
      expected += count * messages
      high += count * messages
    } else if (lateness === 1) {
      expected += count
      high += count * messages
    }
  }
  return hasRung && isSetUp ? { low, expected, high, perMessage: cost?.perMessage ?? null } : null
}

function warningsOf(definition: CampaignDefinition, plan: Omit<CampaignPlan, 'warnings'>): string[] {
  const warnings: string[] = []
  const { rate, finish, normalDarknessPercent, targets, waves } = plan
  if (targets === 0) warnings.push('no device of the selection can be a target')
  if (rate.perDay > rate.capacityPerDay)
    warnings.push(
      `the rate of ${grouped(rate.perDay)} a day is above the capacity of ${grouped(rate.capacityPerDay)} (campaigns.capacityPerMinute)`,
    )
  if (finish === null) warnings.push('no maintenance window opens within a week')
  const { endTime } = definition.schedulingConfig
  const lastAdmitted = waves.at(-1)?.admittedAt ?? null
  if (endTime !== null && lastAdmitted !== null && lastAdmitted > endTime)
    warnings.push('schedulingConfig.endTime comes before the last wave is let in: the rest will not be asked')
  for (const { name, finishedPercentage } of definition.waves.slice(0, -1)) {
    if (finishedPercentage <= 100 - normalDarknessPercent) continue
    warnings.push(
      `${name} waits until ${finishedPercentage} % have finished, but ${Math.round(normalDarknessPercent)} % are silent: lower finishedPercentage, or expect to approve the next wave by hand`,
    )
  }
  return warnings
}

/** All attempts before people take over, ms. */
function ladderLength(ladder: Ladder): number {
  return ladder.reduce(
    (ms, { channel, waitMs, repeats }) => ms + (channel === 'field' ? 0 : waitMs * repeats),
    0,
  )
}

function sum(tallies: readonly SelectionTally[]): number {
  return tallies.reduce((total, { count: each }) => total + each, 0)
}

function sumBy<Key>(
  tallies: readonly SelectionTally[],
  keyOf: (tally: SelectionTally) => Key,
): Map<Key, number> {
  const sums = new Map<Key, number>()
  for (const tally of tallies) sums.set(keyOf(tally), (sums.get(keyOf(tally)) ?? 0) + tally.count)
  return sums
}

function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

/** Runs a copy of an installation's campaign with the luck of several seeds, and says between what the outcomes lie. */
import { dayMs, hourMs, type Instant } from '../../base/clock.ts'
import type { Band, RehearsalForecast } from '../../engine/campaigns/rehearsal.ts'
import type { Engine } from '../../engine/context.ts'
import { parameterNames, parameterRules, type ParameterName, type ParameterValues } from '../parameters.ts'
import type { RunResult, Series, SimResult } from '../result.ts'
import type { Scenario } from '../scenario.ts'
import { simulate, type Progress } from '../simulate.ts'
import { copyInstallation, type InstallationCopy } from './copy.ts'

export interface RehearseRequest {
  readonly campaignId: string
  readonly now: Instant
  readonly seeds: readonly string[]
  /** Copy no more devices than this; of more, a sample. */
  readonly most: number
  /** Virtual days; null: until the last of the certificates has ended, at most `longestDays`. */
  readonly days: number | null
  readonly numberTag: string
  readonly signal?: AbortSignal
  readonly onProgress?: (run: number, progress: Progress) => void
}

export interface Rehearsed {
  readonly forecast: RehearsalForecast
  /** One for each seed. */
  readonly results: readonly SimResult[]
}

const longestDays = 400

/**
 * @returns null when it was stopped before one run was complete
 * @throws Refusal `not-found`, `campaign-state`
 */
export async function rehearse(engine: Engine, request: RehearseRequest): Promise<Rehearsed | null> {
  const { campaignId, now, seeds, signal, onProgress } = request
  const copy = await copyInstallation(engine, { ...request, tickMs: assumptions.tick })
  const scenario = rehearsalScenario(campaignId, copy, request.days)
  const results: SimResult[] = []
  for (const [run, seed] of seeds.entries()) {
    if (signal?.aborted) break
    const result = await simulate({
      scenario,
      seed,
      isAlone: true,
      onProgress: (progress) => onProgress?.(run, progress),
      ...(signal ? { signal } : {}),
    })
    if (result.partial !== null) break
    results.push(result)
  }
  if (results.length === 0) return null
  const price = engine.settings.triggerCosts?.get('sms')?.perMessage ?? null
  const runs = results.flatMap((result) => result.runs.slice(0, 1))
  const used = seeds.slice(0, results.length)
  return { forecast: forecastOf(runs, { copy, now, seeds: used, price }), results }
}

/** What the inventory does not know. Each is written into the report with its reason. */
const assumptions = {
  tick: hourMs,
  'agent.renewAt': 0.95,
  'sms.success': 0.9,
  'sms.dead': 0.4,
  'network.lost': 0.01,
  'network.replyLost': 0.005,
  'visit.perDay': 0,
} as const satisfies Partial<ParameterValues>

const reasons: Readonly<Record<keyof typeof assumptions, string>> = {
  tick: 'fine enough for devices that call in once in hours or days',
  'agent.renewAt': 'devices that are never reached renew by themselves, late',
  'sms.success': 'one SMS to a modem that is attached to the network',
  'sms.dead': 'SMS goes over the signalling channel and gets through where data does not',
  'network.lost': 'links at the edge of a cell',
  'network.replyLost': 'as often as not the answer is what is lost',
  'visit.perDay': 'the forecast is of the field list as it would be without anybody working on it',
}

function rehearsalScenario(campaignId: string, copy: InstallationCopy, days: number | null): Scenario {
  const { devices, profiles } = copy.fleet
  const lastEnd = devices.reduce((latest, { notAfter }) => Math.max(latest, notAfter), copy.startedAt)
  const untilEnd = Math.min(longestDays, Math.ceil((lastEnd - copy.startedAt) / dayMs) + 1)
  const inUse = new Set(devices.map(({ record }) => record.profile))
  const lives = [...inUse].map((name) => profiles.get(name)?.validityMs ?? 0)
  const given: Partial<ParameterValues> = {
    ...assumptions,
    devices: devices.length,
    days: Math.max(1, days ?? untilEnd),
    // the CA of the simulation has to be older than the oldest certificate
    'certificate.life': Math.max(0, ...lives),
  }
  const entries = parameterNames.map((name) => [name, given[name] ?? parameterRules[name].otherwise] as const)
  const source = (name: ParameterName) =>
    name in assumptions
      ? { source: 'assumption' as const, why: reasons[name as keyof typeof assumptions] }
      : { source: 'default' as const, why: null }
  return {
    name: `rehearsal-${campaignId}`,
    title: `Rehearsal of campaign ${campaignId}`,
    story: `A copy of ${devices.length.toLocaleString('en-US')} of the ${copy.targets.toLocaleString('en-US')} targets that are still to renew, each with its certificate's end and its own contact history.`,
    values: Object.fromEntries(entries) as ParameterValues,
    sources: Object.fromEntries(parameterNames.map((name) => [name, source(name)])) as Scenario['sources'],
    ladder: [],
    ladderSource: { source: 'default', why: 'each device has the ladder of its connectivity' },
    campaign: {},
    events: [],
    target: null,
    comparisons: [],
    sensitivity: [],
    copy,
  }
}

interface ForecastParts {
  readonly copy: InstallationCopy
  readonly now: Instant
  readonly seeds: readonly string[]
  /** Of one SMS. */
  readonly price: number | null
}

function forecastOf(
  runs: readonly RunResult[],
  { copy, now, seeds, price }: ForecastParts,
): RehearsalForecast {
  const copied = copy.fleet.devices.length
  const factor = copy.targets / copied
  const of = (value: (run: RunResult) => number) => band(runs.map((run) => value(run) * factor))
  const daily = (pick: (series: Series) => readonly number[]) => {
    const most = Math.max(...runs.map(({ series }) => pick(series).length))
    return Array.from({ length: most }, (_, day) =>
      of(({ series }) => pick(series)[day] ?? pick(series).at(-1) ?? 0),
    )
  }
  const sms = of(({ outcome }) => outcome.sms)
  const finished = runs.flatMap(({ outcome }) => (outcome.day99 === null ? [] : [outcome.day99]))
  return {
    at: now,
    targets: copy.targets,
    copied,
    seeds,
    days: runs[0]?.days ?? 0,
    finishAt:
      finished.length * 2 > runs.length
        ? mapped(band(finished), (day) => copy.startedAt + day * dayMs)
        : null,
    renewedShare: band(runs.map(({ outcome, devices }) => outcome.renewed / devices)),
    fieldList: of(({ outcome }) => outcome.listed),
    lapsed: of(({ outcome }) => outcome.lapsed),
    sms,
    smsCost: price === null ? null : mapped(sms, (count) => count * price),
    peakPerDay: of(({ series }) => Math.max(0, ...series.certificates)),
    open: daily((series) => series.open),
    listed: daily((series) => series.fieldList),
    load: daily((series) => series.certificates),
    stops: stopsOf(runs),
  }
}

/** @returns the 10th, 50th and 90th of a hundred, by the nearest rank */
export function band(values: readonly number[]): Band {
  const sorted = values.toSorted((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { low: rank(0.1), middle: rank(0.5), high: rank(0.9) }
}

function mapped({ low, middle, high }: Band, change: (value: number) => number): Band {
  return { low: change(low), middle: change(middle), high: change(high) }
}

function stopsOf(runs: readonly RunResult[]): RehearsalForecast['stops'] {
  const reasonsSeen = new Map<string, number>()
  for (const { outcome } of runs) {
    if (outcome.campaign !== 'paused' && outcome.campaign !== 'aborted') continue
    const reason = `${outcome.campaign}: ${outcome.campaignReason ?? 'no reason given'}`
    reasonsSeen.set(reason, (reasonsSeen.get(reason) ?? 0) + 1)
  }
  return [...reasonsSeen].map(([reason, count]) => ({ reason, runs: count }))
}

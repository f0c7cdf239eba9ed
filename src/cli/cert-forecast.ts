/** `cert expiry --stack | --renewals | --what-if | --flatten`: what is coming, and what would be better. */
import { InvalidArgumentError } from 'commander'
import { dayMs, type Instant } from '../base/clock.ts'
import { parseDuration } from '../base/duration.ts'
import { printable } from '../base/text.ts'
import {
  applyWhatIf,
  cliffCampaign,
  dayText,
  flatten,
  forecastWeeks,
  type ForecastInput,
  type ForecastWeek,
  type WhatIf,
} from '../engine/inventory/expiry-forecast.ts'
import { readForecast, splitEnds, type Split } from '../engine/inventory/forecast-read.ts'
import { expiryBuckets, type ExpiryRequest } from '../engine/inventory/inventory.ts'
import { grouped, stackedBar } from './bars.ts'
import type { CliContext } from './context.ts'
import { given } from './options.ts'
import type { Style } from './style.ts'
import { formatTable, type Column } from './table.ts'
import { day } from './time.ts'

/** `jitter=30d`, `window=60d`, `rate=5000`. */
export function whatIfOption(text: string): WhatIf {
  const [name, value = ''] = text.split('=')
  const ms = parseDuration(value)
  if (name === 'rate' && /^[1-9][0-9]{0,8}$/.test(value)) return { perWeek: Number(value) }
  if (name === 'jitter' && ms !== null) return { jitterDays: Math.round(ms / dayMs) }
  if (name === 'window' && ms !== null && ms >= dayMs) return { windowDays: Math.round(ms / dayMs) }
  throw new InvalidArgumentError('It must be jitter=30d, window=60d or rate=5000 (renewals a week).')
}

interface ForecastOptions {
  readonly count?: number
  readonly whatIf?: readonly WhatIf[]
}

async function inputOf(cli: CliContext, { count, whatIf = [] }: ForecastOptions): Promise<ForecastInput> {
  const { engine } = await cli.app()
  const input = await readForecast(engine, { now: cli.clock.now(), ...given({ weeks: count }) })
  return whatIf.reduce(applyWhatIf, input)
}

/** Weeks in which nothing happens say nothing. */
export async function renewalForecast(cli: CliContext, options: ForecastOptions): Promise<void> {
  const input = await inputOf(cli, options)
  const weeks = forecastWeeks(input)
  const lapsed = weeks.reduce((sum, each) => sum + each.lapsed, 0)
  const { style, width } = cli.output
  cli.output.answer({
    json: {
      perWeek: input.perWeek,
      lapsed,
      weeks: weeks.map(({ fromDay, ...week }) => ({ from: dayText(fromDay), ...week })),
    },
    text: () => renewalLines(weeks, { input, lapsed, width, style }).join('\n'),
  })
}

function renewalLines(
  weeks: readonly ForecastWeek[],
  {
    input,
    lapsed,
    width,
    style,
  }: {
    readonly input: ForecastInput
    readonly lapsed: number
    readonly width: number
    readonly style: Style
  },
): string[] {
  const busy = weeks.filter(({ ends, due, renewed, backlog }) => ends + due + renewed + backlog > 0)
  const end =
    lapsed === 0
      ? `Every renewal can be done in time, at ${grouped(input.perWeek)} a week.`
      : style.red(
          `${grouped(lapsed)} certificates would end before their turn, at ${grouped(input.perWeek)} a week.`,
        )
  if (busy.length === 0) return [`No live certificate ends or is renewed within ${input.weeks} weeks.`]
  const columns: readonly Column<ForecastWeek>[] = [
    { title: 'WEEK FROM', value: ({ fromDay }) => dayText(fromDay) },
    { title: 'END', value: ({ ends }) => grouped(ends), align: 'right' },
    { title: 'DUE', value: ({ due }) => grouped(due), align: 'right' },
    { title: 'RENEWED', value: ({ renewed }) => grouped(renewed), align: 'right' },
    { title: 'WAITING', value: ({ backlog }) => grouped(backlog), align: 'right' },
    {
      title: 'LAPSED',
      value: (week) => grouped(week.lapsed),
      align: 'right',
      paint: (week, paint) => (week.lapsed > 0 ? paint.red : (cell) => cell),
    },
  ]
  return [...formatTable(columns, busy, { width, style }), '', end]
}

export async function flattening(cli: CliContext, options: ForecastOptions): Promise<void> {
  const input = await inputOf(cli, options)
  const { cliffs } = flatten(input)
  cli.output.answer({
    json: {
      perWeek: input.perWeek,
      cliffs: cliffs.map((cliff) => ({
        from: dayText(cliff.fromDay),
        count: cliff.count,
        unplaced: cliff.unplaced,
        renewals: cliff.renewals.map(({ fromDay, count }) => ({ from: dayText(fromDay), count })),
        campaign: cliffCampaign(cliff, input) as never,
      })),
    },
    text: () => {
      if (cliffs.length === 0) {
        return `No week of the next ${input.weeks} has more ends than can be renewed in one (${grouped(input.perWeek)}).`
      }
      const lines: string[] = []
      for (const { fromDay, count, renewals, unplaced } of cliffs) {
        lines.push(`${grouped(count)} end in the week from ${dayText(fromDay)}; renew`)
        for (const each of renewals)
          lines.push(`  ${grouped(each.count)} in the week from ${dayText(each.fromDay)}`)
        if (unplaced > 0)
          lines.push(`  ${grouped(unplaced)} find no room in their window: a longer one, or a higher rate`)
      }
      return [
        ...lines,
        '',
        'The highest becomes a campaign: perennial campaign create NAME --from-forecast',
      ].join('\n')
    },
  })
}

interface StackOptions {
  readonly by: ExpiryRequest['by']
  readonly count: number
  readonly from: Instant
  readonly stack: Split
}

/** Parts with a character of their own; what is smaller is told of together. */
const characters = ['█', '▓', '▒', '░', '▚'] as const

interface Bucket {
  readonly from: Instant
  readonly count: number
  readonly parts: ReadonlyMap<string, number>
}

export async function stacked(cli: CliContext, { by, count, from, stack }: StackOptions): Promise<void> {
  const { engine } = await cli.app()
  const edges = await expiryBuckets(engine, { from, by, buckets: count })
  const first = edges[0]?.from ?? from
  const days = Math.round(((edges.at(-1)?.to ?? first) - first) / dayMs)
  const sums = await splitEnds(engine, { from: first, days, split: stack })
  const buckets = edges.map((edge): Bucket => {
    const parts = new Map<string, number>()
    for (const sum of sums) {
      const at = sum.day * dayMs
      if (at >= edge.from && at < edge.to) parts.set(sum.key, (parts.get(sum.key) ?? 0) + sum.count)
    }
    return { from: edge.from, count: edge.count, parts }
  })
  cli.output.answer({
    json: buckets.map((bucket) => ({
      from: day(bucket.from),
      count: bucket.count,
      parts: Object.fromEntries(bucket.parts),
    })),
    text: () => stackLines(buckets, { stack, width: cli.output.width }).join('\n'),
  })
}

function stackLines(
  buckets: readonly Bucket[],
  { stack, width }: { readonly stack: Split; readonly width: number },
): string[] {
  const totals = new Map<string, number>()
  for (const { parts } of buckets) {
    for (const [key, count] of parts) totals.set(key, (totals.get(key) ?? 0) + count)
  }
  if (totals.size === 0) return ['No live certificate ends then.']
  const names = [...totals].sort((a, b) => b[1] - a[1]).map(([key]) => key)
  const shown = names.slice(0, names.length > characters.length ? characters.length - 1 : characters.length)
  const highest = Math.max(...buckets.map(({ count }) => count))
  const room = Math.max(10, Math.min(60, width - 24))
  const lines = buckets.map(({ from, count, parts }) => {
    const known = shown.map((name) => parts.get(name) ?? 0)
    const rest = count - known.reduce((sum, each) => sum + each, 0)
    const columns = Math.max(count > 0 ? 1 : 0, Math.round((count / highest) * room))
    const bar =
      columns === 0
        ? ''
        : stackedBar(
            [...known, rest].map((each, at) => ({
              count: Math.max(0, each),
              paint: (text: string) => text,
              character: characters[at] ?? '▚',
            })),
            columns,
          )
    return `${day(from)}  ${grouped(count).padStart(10)}  ${bar}`.trimEnd()
  })
  const legend = shown.map(
    (name, at) =>
      `${characters[at]} ${name === '' ? `no ${stack}` : printable(name)} ${grouped(totals.get(name) ?? 0)}`,
  )
  const others = names.length - shown.length
  return [...lines, '', [...legend, ...(others > 0 ? [`▚ ${others} others`] : [])].join('   ')]
}

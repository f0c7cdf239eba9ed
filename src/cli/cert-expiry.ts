/** `cert expiry`: a histogram in the terminal. */
import { dayMs, type Instant } from '../base/clock.ts'
import { expiryBuckets, type ExpiryBucket, type ExpiryRequest } from '../engine/inventory/inventory.ts'
import { flattening, renewalForecast, stacked } from './cert-forecast.ts'
import type { Split } from '../engine/inventory/forecast-read.ts'
import type { WhatIf } from '../engine/inventory/expiry-forecast.ts'
import type { CliContext } from './context.ts'
import { given } from './options.ts'
import { padEnd, padStart } from './text-width.ts'
import { day } from './time.ts'

export type ExpiryUnit = ExpiryRequest['by']

export interface ExpiryOptions {
  readonly by: ExpiryUnit
  readonly count?: number
  readonly from?: Instant
  readonly profile?: string
  readonly cohort?: string
  readonly stack?: Split
  readonly renewals?: boolean
  readonly whatIf?: readonly WhatIf[]
  readonly flatten?: boolean
}

/** A month of days, half a year of weeks, two years of months. */
const usualCounts: Readonly<Record<ExpiryUnit, number>> = { day: 30, week: 26, month: 24 }

export async function expiry(cli: CliContext, options: ExpiryOptions): Promise<void> {
  const { by, count = usualCounts[by], from = cli.clock.now(), profile, cohort } = options
  if (options.flatten === true) return await flattening(cli, options)
  if (options.renewals === true || options.whatIf !== undefined) return await renewalForecast(cli, options)
  if (options.stack !== undefined)
    return await stacked(cli, { ...options, by, count, from, stack: options.stack })
  const { engine } = await cli.app()
  const buckets = await expiryBuckets(engine, { from, by, buckets: count, ...given({ profile, cohort }) })
  const { style, width } = cli.output
  cli.output.answer({
    json: buckets.map((bucket) => ({ from: day(bucket.from), to: day(bucket.to), count: bucket.count })),
    text: () => histogramLines(buckets, { by, width, dim: style.dim }).join('\n'),
  })
}

/** Bars in eighths of a column, scaled to the highest; runs of empty buckets are folded into one line. */
export function histogramLines(
  buckets: readonly ExpiryBucket[],
  { by, width, dim }: { by: ExpiryUnit; width: number; dim: (text: string) => string },
): string[] {
  const total = buckets.reduce((sum, { count }) => sum + count, 0)
  const range = `from ${day(buckets[0]?.from ?? 0)} to ${day((buckets.at(-1)?.to ?? 0) - dayMs)}`
  if (total === 0) return [`No live certificate ends ${range}.`]
  const highest = Math.max(...buckets.map(({ count }) => count))
  const countWidth = formatCount(highest).length
  const labelWidth = Math.max(...buckets.map((bucket) => labelOf(bucket, by).length))
  const barWidth = Math.max(10, Math.min(60, width - labelWidth - countWidth - 4))
  const lines: string[] = []
  for (let i = 0; i < buckets.length;) {
    const empties = emptyRun(buckets, i)
    if (empties > 2) {
      lines.push(
        dim(`${padEnd('⋮', labelWidth)}  ${padStart('', countWidth)}  ${empties} ${by}s without any`),
      )
      i += empties
      continue
    }
    const bucket = buckets[i++] as ExpiryBucket
    const label = padEnd(labelOf(bucket, by), labelWidth)
    const bar = barOf(bucket.count / highest, barWidth)
    lines.push(`${label}  ${padStart(formatCount(bucket.count), countWidth)}  ${bar}`.trimEnd())
  }
  return [...lines, '', `${formatCount(total)} live certificate${total === 1 ? ' ends' : 's end'} ${range}.`]
}

function emptyRun(buckets: readonly ExpiryBucket[], from: number): number {
  let length = 0
  while (buckets[from + length]?.count === 0) length++
  return length
}

function labelOf({ from, to }: ExpiryBucket, by: ExpiryUnit): string {
  if (by === 'day') return day(from)
  if (by === 'month') return day(from).slice(0, 7)
  return `${day(from)} … ${day(to - dayMs).slice(5)}`
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const

function barOf(share: number, width: number): string {
  const units = share === 0 ? 0 : Math.max(1, Math.round(share * width * 8))
  return '█'.repeat(Math.floor(units / 8)) + (eighths[units % 8] ?? '')
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

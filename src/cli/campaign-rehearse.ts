/** `campaign rehearse` and `campaign forecast`. */
import { writeFile } from 'node:fs/promises'
import { dayMs, iso } from '../base/clock.ts'
import {
  keepRehearsal,
  latestRehearsal,
  type Band,
  type Comparison,
  type KeptRehearsal,
  type RehearsalForecast,
} from '../engine/campaigns/rehearsal.ts'
import { rehearse } from '../sim/rehearsal/rehearse.ts'
import { reportPage } from '../sim/report/page.ts'
import { commandLineActor } from './account.ts'
import { grouped } from './bars.ts'
import type { CliContext } from './context.ts'
import type { Json } from './output.ts'
import { progressOf } from './sim-progress.ts'
import { stopOnSignal } from './sim.ts'
import { formatFields, formatTable } from './table.ts'
import { day, instant } from './time.ts'

export interface RehearseOptions {
  readonly seeds: number
  readonly devices: number
  readonly days?: number
  readonly html?: string
}

export async function rehearseCampaign(
  cli: CliContext,
  campaignId: string,
  { seeds, devices, days, html }: RehearseOptions,
): Promise<void> {
  const { engine, config } = await cli.app()
  const now = cli.clock.now()
  const progress = progressOf(cli)
  const stop = stopOnSignal(cli)
  try {
    const rehearsed = await rehearse(engine, {
      campaignId,
      now,
      seeds: Array.from({ length: seeds }, (_, n) => String(n + 1)),
      most: devices,
      days: days ?? null,
      numberTag: config.triggers.sms.numberTag,
      signal: stop.signal,
      onProgress: (run, each) => progress.update({ ...each, run: `${run + 1}/${seeds}` }),
    })
    progress.end()
    if (rehearsed === null) {
      cli.output.note('Stopped before the first run was complete: nothing was kept.')
      return
    }
    const { forecast, results } = rehearsed
    await keepRehearsal(engine, { campaignId, forecast, actor: commandLineActor(), now })
    const [first] = results
    if (html !== undefined && first) await writeFile(html, reportPage(first))
    cli.output.answer({
      json: { campaignId, forecast: forecastJson(forecast) },
      text: () => forecastLines(forecast, cli.output.width).join('\n'),
    })
    cli.output.note(`Kept: \`perennial campaign forecast ${campaignId}\` compares it with what happens.`)
  } finally {
    progress.end()
    stop.end()
  }
}

export async function compareForecast(cli: CliContext, campaignId: string): Promise<void> {
  const { engine } = await cli.app()
  const kept = await latestRehearsal(engine, campaignId, cli.clock.now())
  cli.output.answer({
    json: kept && keptJson(kept),
    text: () =>
      kept
        ? keptLines(kept, cli.output.width).join('\n')
        : `${campaignId} was never rehearsed: \`perennial campaign rehearse ${campaignId}\`.`,
  })
}

function keptJson({ createdAt, createdBy, forecast: foreseen, comparison }: KeptRehearsal): Json {
  return {
    createdAt: iso(createdAt),
    createdBy,
    forecast: forecastJson(foreseen),
    comparison: comparison as unknown as Json,
  }
}

function forecastJson({ at, finishAt, ...rest }: RehearsalForecast): Json {
  const finish = finishAt && {
    low: iso(finishAt.low),
    middle: iso(finishAt.middle),
    high: iso(finishAt.high),
  }
  return { at: iso(at), finishAt: finish, ...(rest as unknown as Record<string, Json>) }
}

function keptLines(
  { createdAt, createdBy, forecast: foreseen, comparison }: KeptRehearsal,
  width: number,
): string[] {
  return [
    `Rehearsed at ${instant(createdAt)} by ${createdBy}.`,
    '',
    ...forecastLines(foreseen, width),
    '',
    ...(comparison
      ? comparisonLines(comparison)
      : ['The campaign has not been started: there is nothing to compare with.']),
  ]
}

export function forecastLines(foreseen: RehearsalForecast, width: number): string[] {
  const { targets, copied, seeds, finishAt, renewedShare, smsCost, stops } = foreseen
  const sample = copied < targets ? `a sample of ${grouped(copied)} of them` : 'all of them'
  const runs = seeds.length === 1 ? 'one run: no band' : `${seeds.length} runs`
  const rows: (readonly [string, string])[] = [
    ['99 % renewed by', finishAt ? bandText(finishAt, day) : 'not within the rehearsal, in most runs'],
    ['renewed at the end', bandText(renewedShare, (share) => `${(share * 100).toFixed(2)} %`)],
    ['ever on the field list', bandText(foreseen.fieldList, rounded)],
    ['ended before renewal', bandText(foreseen.lapsed, rounded)],
    ['certificates on the busiest day', bandText(foreseen.peakPerDay, rounded)],
    ['SMS', bandText(foreseen.sms, rounded)],
    [
      'cost of SMS',
      smsCost ? bandText(smsCost, (amount) => (amount / 1_000).toFixed(2)) : 'no price is configured',
    ],
  ]
  return [
    `${grouped(targets)} targets are still to renew; ${sample} were rehearsed, ${runs}.`,
    ...formatFields(rows),
    ...stops.map(
      ({ reason, runs: count }) => `In ${count} of ${seeds.length} runs the campaign was ${reason}.`,
    ),
    '',
    ...weekLines(foreseen, width),
  ]
}

const weekRows = 16

/** How the campaign goes, at the ends of weeks, or of more when it is long. */
function weekLines({ open, listed, load, days, at }: RehearsalForecast, width: number): string[] {
  const step = Math.max(1, Math.ceil(days / 7 / weekRows)) * 7
  const ends: number[] = []
  for (let each = 0; each < days; each += step) ends.push(each)
  ends.push(days)
  return formatTable(
    [
      { title: 'DAY', value: (each: number) => String(each), align: 'right' },
      { title: 'DATE', value: (each) => day(at + each * dayMs) },
      { title: 'STILL TO RENEW', value: (each) => bandText(open[each] ?? zero, rounded), align: 'right' },
      {
        title: 'ON THE FIELD LIST',
        value: (each) => bandText(listed[each] ?? zero, rounded),
        align: 'right',
      },
      {
        title: 'CERTIFICATES THAT DAY',
        value: (each) => bandText(load[each] ?? zero, rounded),
        align: 'right',
      },
    ],
    ends,
    { width },
  )
}

const zero: Band = { low: 0, middle: 0, high: 0 }

function comparisonLines({ day: at, open, listed }: Comparison): string[] {
  const line = (what: string, { foreseen, real }: Comparison['open']): string => {
    const verdict = real > foreseen.high ? 'worse' : real < foreseen.low ? 'better' : 'as foreseen'
    return `  ${what}: ${grouped(real)}, foreseen ${bandText(foreseen, rounded)}: ${verdict}`
  }
  return [`Day ${at} of the campaign:`, line('still to renew', open), line('on the field list', listed)]
}

function rounded(value: number): string {
  return grouped(Math.round(value))
}

/** `1,200 (900 to 1,500)`; alone where both ends are the same. */
function bandText({ low, middle, high }: Band, format: (value: number) => string): string {
  const [from, to] = [format(low), format(high)]
  return from === to ? format(middle) : `${format(middle)} (${from} to ${to})`
}

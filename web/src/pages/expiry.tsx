/** When certificates end: a year of days, and the cliff with what would become of it. */
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo, type ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import type { Overview } from '../api/overview-shape.ts'
import { useApi } from '../api/use-api.ts'
import { now } from '../base/clock.ts'
import { count, plural, shortCount } from '../base/text.ts'
import { dayMs, instantText } from '../base/time.ts'
import { Calendar } from '../charts/calendar.tsx'
import { categoryAxis, Chart, seriesColours, valueAxis, type Palette } from '../charts/chart.tsx'
import { useAddress } from '../parts/address.ts'
import { Answered } from '../parts/answered.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'

export interface ExpiryAnswer {
  readonly buckets: readonly {
    readonly from: string
    readonly to: string
    readonly count: number
    readonly parts: Readonly<Record<string, number>>
  }[]
}

const yearDays = 371

/** The Monday on or before today, so that the calendar begins with a whole week. */
function firstDay(): string {
  const today = Math.floor(now() / dayMs) * dayMs
  return new Date(today - ((new Date(today).getUTCDay() + 6) % 7) * dayMs).toISOString()
}

export function Expiry(): ReactNode {
  const [search, change] = useAddress()
  const by = (search['by'] ?? 'week') as 'day' | 'week' | 'month'
  const split = search['split'] ?? 'issuer'
  const spread = Number(search['spread'] ?? '0')
  const from = useMemo(firstDay, [])
  const navigate = useNavigate()
  const mayPlan = useMay('campaigns:write')
  const calendarQuery = { from, by: 'day', buckets: yearDays }
  const year = useApi<ExpiryAnswer>('/expiry', calendarQuery)
  const cliffQuery = { from, by, buckets: { day: 60, week: 54, month: 24 }[by] ?? 54, split }
  const cliff = useApi<ExpiryAnswer>('/expiry', cliffQuery)
  const show = (start: number, days: number): void => {
    const text = (at: number): string => instantText(at, 'day', 'utc')
    void navigate({
      to: '/devices',
      search: {
        q: `expires>=${text(start)} expires<${text(start + days * dayMs)}`,
        sort: 'expires',
      } as never,
    })
  }
  const overview = useApi<Overview>('/overview')
  const capacityPerDay = overview.data?.capacityPerDay ?? null
  const summary = year.data ? cliffOf(year.data) : null
  return (
    <>
      <Lead
        title="Expiry"
        after={
          summary &&
          summary.most > 0 && (
            <>
              The steepest day is {instantText(summary.at, 'day', 'utc')} with{' '}
              {plural(summary.most, 'certificate')}
              {capacityPerDay === null ? '.' : `; ${count(capacityPerDay)} can be renewed in a day.`}
            </>
          )
        }
        acts={
          mayPlan && (
            <a className="button primary" href="/campaigns/new?expiring=60d">
              Plan a campaign
            </a>
          )
        }
      >
        {summary ? (
          <>
            <strong>{count(summary.soon)}</strong> certificates end within 30 days,{' '}
            <strong>{count(summary.whole)}</strong> within a year.
          </>
        ) : (
          'One moment …'
        )}
      </Lead>
      <Panel
        title="A year of days"
        says="Each square is a day (UTC). Choose one to see its devices."
        how="Live certificates by the day of their notAfter, read from sums that are kept with every change; replaced, revoked and abandoned ones are not among them."
        twin={
          year.data && {
            name: 'expiry-by-day',
            head: ['Day', 'Certificates'],
            rows: year.data.buckets
              .filter((each) => each.count > 0)
              .map((each) => [each.from.slice(0, 10), each.count]),
          }
        }
        call={{ path: apiPath('/expiry', calendarQuery), command: 'cert expiry --by day' }}
      >
        <Answered result={year} what="the calendar">
          {({ buckets }) => (
            <Calendar
              days={buckets.map((each) => ({ at: Date.parse(each.from), count: each.count }))}
              capacity={capacityPerDay}
              onPick={(day) => show(day.at, 1)}
            />
          )}
        </Answered>
      </Panel>
      <CliffPanel
        by={by}
        split={split}
        spread={spread}
        query={cliffQuery}
        result={cliff}
        capacityPerDay={capacityPerDay}
        onChange={change}
        onPick={(at) => show(at, { day: 1, week: 7, month: 30 }[by])}
      />
    </>
  )
}

function cliffOf({ buckets }: ExpiryAnswer): { soon: number; whole: number; most: number; at: number } {
  const at = now()
  let most = { count: 0, from: '' }
  let soon = 0
  let whole = 0
  for (const each of buckets) {
    const from = Date.parse(each.from)
    if (from + dayMs < at) continue
    whole += each.count
    if (from < at + 30 * dayMs) soon += each.count
    if (each.count > most.count) most = each
  }
  return { soon, whole, most: most.count, at: Date.parse(most.from) || at }
}

interface CliffProps {
  readonly by: 'day' | 'week' | 'month'
  readonly split: string
  readonly spread: number
  readonly query: Readonly<Record<string, string | number>>
  readonly result: ReturnType<typeof useApi<ExpiryAnswer>>
  readonly capacityPerDay: number | null
  readonly onChange: (change: Readonly<Record<string, string | null>>) => void
  readonly onPick: (at: number) => void
}

function CliffPanel({
  by,
  split,
  spread,
  query,
  result,
  capacityPerDay,
  onChange,
  onPick,
}: CliffProps): ReactNode {
  const data = result.data
  const names = useMemo(
    () => [...new Set(data?.buckets.flatMap((each) => Object.keys(each.parts)) ?? [])].toSorted(),
    [data],
  )
  const option = useCallback(
    (palette: Palette) => (data ? cliffOption(palette, { data, names, by, spread, capacityPerDay }) : {}),
    [data, names, by, spread, capacityPerDay],
  )
  const choices = (
    <>
      <select
        className="button quiet small"
        aria-label="Bars are"
        value={by}
        onChange={(event) => onChange({ by: event.target.value })}
      >
        <option value="day">by day</option>
        <option value="week">by week</option>
        <option value="month">by month</option>
      </select>
      <select
        className="button quiet small"
        aria-label="Stacked by"
        value={split}
        onChange={(event) => onChange({ split: event.target.value })}
      >
        <option value="issuer">by issuer</option>
        <option value="profile">by profile</option>
        <option value="cohort">by cohort</option>
      </select>
      <select
        className="button quiet small"
        aria-label="What if jitter"
        value={String(spread)}
        onChange={(event) => onChange({ spread: event.target.value === '0' ? null : event.target.value })}
      >
        <option value="0">as it is</option>
        <option value="7">what if 7 d jitter</option>
        <option value="30">what if 30 d jitter</option>
        <option value="60">what if 60 d jitter</option>
      </select>
    </>
  )
  return (
    <Panel
      title="The cliff"
      says={
        spread > 0
          ? `The line is what would be if each certificate ended up to ${spread} days earlier, spread evenly.`
          : 'How many end, and how many the installation can renew in that time.'
      }
      how="The same sums as the calendar, added up. The what-if moves each certificate to an earlier day, evenly over the days of the jitter: what the next generation would look like with it."
      tools={choices}
      twin={
        data && {
          name: 'expiry',
          head: ['From', 'Certificates', ...names.map((name) => name || 'none')],
          rows: data.buckets.map((each) => [
            each.from.slice(0, 10),
            each.count,
            ...names.map((name) => each.parts[name] ?? 0),
          ]),
        }
      }
      call={{
        path: apiPath('/expiry', query),
        command: `cert expiry --by ${by}${spread > 0 ? ` --what-if jitter=${spread}d` : ''}`,
      }}
    >
      <Answered result={result} what="the cliff">
        {({ buckets }) => (
          <Chart
            label={`Certificates that end, ${by} by ${by}: ${plural(
              buckets.reduce((sum, each) => sum + each.count, 0),
              'certificate',
            )}`}
            option={option}
            onPick={(name) => onPick(Date.parse(name))}
          />
        )}
      </Answered>
    </Panel>
  )
}

interface CliffInput {
  readonly data: ExpiryAnswer
  readonly names: readonly string[]
  readonly by: 'day' | 'week' | 'month'
  readonly spread: number
  readonly capacityPerDay: number | null
}

function cliffOption(
  palette: Palette,
  { data, names, by, spread, capacityPerDay }: CliffInput,
): Record<string, unknown> {
  const { buckets } = data
  const days = { day: 1, week: 7, month: 30 }[by]
  const capacity = capacityPerDay === null ? null : capacityPerDay * days
  const most = Math.max(...buckets.map((each) => each.count))
  const colours = seriesColours(palette)
  return {
    xAxis: categoryAxis(
      palette,
      buckets.map((each) => each.from.slice(0, 10)),
    ),
    yAxis: valueAxis(palette, 'certificates'),
    series: [
      ...names.map((name, at) => ({
        name: name === '' ? 'none' : name,
        type: 'bar',
        stack: 'all',
        barCategoryGap: '18%',
        itemStyle: { color: colours[at % colours.length] },
        data: buckets.map((each) => each.parts[name] ?? 0),
        // far above every bar, a line would only press them flat
        ...(at === 0 && capacity !== null && capacity < 3 * most
          ? {
              markLine: {
                silent: true,
                symbol: 'none',
                lineStyle: { color: palette.act, type: 'dashed' },
                label: {
                  formatter: `can renew ${shortCount(capacity)}`,
                  color: palette.act,
                  position: 'insideEndTop',
                },
                data: [{ yAxis: capacity }],
              },
            }
          : {}),
      })),
      ...(spread > 0
        ? [
            {
              name: `with ${spread} d jitter`,
              type: 'line',
              symbol: 'none',
              lineStyle: { color: palette.ink, width: 2 },
              itemStyle: { color: palette.ink },
              data: spreadOut(
                buckets.map((each) => each.count),
                Math.max(1, Math.round(spread / days)),
              ),
            },
          ]
        : []),
    ],
  }
}

/** Each bar, evenly over itself and the ones before it. */
function spreadOut(counts: readonly number[], over: number): number[] {
  const out = counts.map(() => 0)
  counts.forEach((each, at) => {
    const first = Math.max(0, at - over)
    const share = each / (at - first + 1)
    for (let to = first; to <= at; to++) out[to] = (out[to] ?? 0) + share
  })
  return out.map((each) => Math.round(each))
}

/** The pictures of one run, and of a few runs side by side. */
import type { RunResult, Series } from '../result.ts'
import { dayChart, type DayMarker, type DaySeries } from './day-chart.ts'
import { html, type Markup } from './markup.ts'
import { formatCount, formatShare } from './numbers.ts'

/** Events that explain a bend in a curve; more would hide the curve. */
const mostMarkers = 6

export function runCharts(run: RunResult, id: string): Markup {
  const { series, devices, startedAt } = run
  const markers: DayMarker[] = run.events
    .slice(0, mostMarkers)
    .map(({ day, what }) => ({ day: Math.floor(day), what }))
  const shares = (values: readonly number[]) => values.map((value) => value / devices)
  const alive = shares(series.alive)
  const over = { startedAt, unit: 'count', form: 'lines' } as const
  return html`<div class="charts">
    ${[
      dayChart({
        ...over,
        id: `${id}-burndown`,
        title: 'Burndown',
        caption: 'Devices that still have the certificate with which the run began.',
        series: [{ name: 'still to renew', values: series.open }],
        markers,
      }),
      dayChart({
        ...over,
        id: `${id}-survival`,
        title: 'Survival',
        caption: 'Share of the devices that hold a certificate which is valid. The axis does not begin at 0.',
        unit: 'share',
        from: survivalFloor(alive),
        series: [{ name: 'with a valid certificate', values: alive }],
      }),
      dayChart({
        ...over,
        id: `${id}-states`,
        title: 'Renewals by state',
        caption: 'Each renewal is in exactly one state at the end of a day.',
        form: 'stack',
        series: states.flatMap(([name, label]) => present(label, series[name])),
      }),
      funnelChart(run, id),
      dayChart({
        ...over,
        id: `${id}-darkness`,
        title: 'Darkness',
        caption: 'Share of the devices that nobody can reach on that day.',
        unit: 'share',
        series: [{ name: 'dark', values: shares(series.dark) }],
      }),
      dayChart({
        ...over,
        id: `${id}-field`,
        title: 'Field list',
        caption: 'Devices on the list of those that need a person, and visits made on that day.',
        series: [{ name: 'on the list', values: series.fieldList }, ...present('visits', series.visits)],
      }),
      dayChart({
        ...over,
        id: `${id}-load`,
        title: 'Load per day',
        caption: 'Requests of devices to the server, triggers sent to them, and certificates signed.',
        series: [
          { name: 'requests', values: series.requests },
          { name: 'messages', values: series.messages },
          ...present('SMS', series.sms),
          { name: 'certificates', values: series.certificates },
        ],
      }),
      dayChart({
        ...over,
        id: `${id}-ends`,
        title: 'Certificates that end',
        caption: 'Certificates in use whose last day this is.',
        form: 'bars',
        series: [{ name: 'end on this day', values: series.ends }],
      }),
    ]}
  </div>`
}

const states: readonly (readonly [keyof Series, string])[] = [
  ['retired', 'retired: the old certificate is out of use'],
  ['confirmed', 'confirmed: the new one has been used'],
  ['issued', 'issued'],
  ['triggered', 'triggered: asked'],
  ['planned', 'planned'],
  ['escalated', 'escalated: on the field list'],
  ['abandoned', 'abandoned'],
]

/** A series that is 0 throughout says nothing and would only take a colour. */
function present(name: string, values: readonly number[]): DaySeries[] {
  return values.some((value) => value !== 0) ? [{ name, values }] : []
}

/** Just below the lowest point, so that a loss of a thousandth can be seen. */
function survivalFloor(alive: readonly number[]): number {
  const lost = 1 - Math.min(1, ...alive)
  return Math.max(0, 1 - Math.max(lost * 1.25, 0.001))
}

function funnelChart({ funnel, devices }: RunResult, id: string): Markup {
  return html`<figure class="chart" id="${id}-funnel" aria-labelledby="${id}-funnel-title">
    <figcaption>
      <h3 id="${id}-funnel-title">Funnel</h3>
      <p>How far the devices have come by the end of the run.</p>
    </figcaption>
    <div class="funnel" role="list">
      ${funnel.map(
        ({ step, count }) =>
          html`<span>${step}</span
            ><span aria-hidden="true"><b style="width:${((100 * count) / devices).toFixed(2)}%"></b></span
            ><span role="listitem" aria-label="${step}"
              >${formatCount(count)} <small class="soft">${formatShare(count / devices)}</small></span
            >`,
      )}
    </div>
  </figure>`
}

/** One curve for each run. */
export function comparisonCharts(runs: readonly RunResult[]): Markup {
  const [first] = runs
  if (!first) return html``
  const of = (pick: (run: RunResult) => readonly number[]) =>
    runs.map((run) => ({ name: run.name, values: pick(run) }))
  const over = { startedAt: first.startedAt, unit: 'count', form: 'lines' } as const
  return html`<div class="charts">
    ${[
      dayChart({
        ...over,
        id: 'compare-burndown',
        title: 'Burndown',
        caption: 'Devices that still have the certificate with which the run began.',
        series: of(({ series }) => series.open),
      }),
      dayChart({
        ...over,
        id: 'compare-ends',
        title: 'Certificates that end',
        caption: 'Certificates in use whose last day this is.',
        series: of(({ series }) => series.ends),
      }),
      dayChart({
        ...over,
        id: 'compare-requests',
        title: 'Requests per day',
        caption: 'Requests of devices to the server.',
        series: of(({ series }) => series.requests),
      }),
      dayChart({
        ...over,
        id: 'compare-peak',
        title: 'Busiest tick of the day',
        caption: 'Requests in the tick that had the most of them.',
        series: of(({ series }) => series.peakRequests),
      }),
    ]}
  </div>`
}

/** A chart over virtual days, as SVG that needs nothing but the page's style; its numbers stand in a table below it. */
import { dayMs, iso, type Instant } from '../../base/clock.ts'
import { html, jsonScript, type Markup } from './markup.ts'
import { formatTick, formatValue, niceTicks, type Unit } from './numbers.ts'

export interface DaySeries {
  readonly name: string
  readonly values: readonly number[]
}

export interface DayMarker {
  readonly day: number
  readonly what: string
}

export interface DayChart {
  readonly id: string
  readonly title: string
  /** What is counted, and how. */
  readonly caption: string
  readonly startedAt: Instant
  readonly series: readonly DaySeries[]
  readonly unit: Unit
  /** `stack`: the series are parts of a whole. */
  readonly form: 'lines' | 'stack' | 'bars'
  /** The axis begins here; absent: at 0. */
  readonly from?: number
  readonly markers?: readonly DayMarker[]
}

const width = 720
const height = 260
const frame = { left: 62, right: 14, top: 12, bottom: 30 }
const inner = { width: width - frame.left - frame.right, height: height - frame.top - frame.bottom }

interface Scales {
  readonly days: number
  readonly ticks: readonly number[]
  readonly x: (day: number) => number
  readonly y: (value: number) => number
}

export function dayChart(chart: DayChart): Markup {
  const scales = scalesOf(chart)
  const drawn = {
    id: chart.id,
    unit: chart.unit,
    start: chart.startedAt,
    left: frame.left / width,
    right: frame.right / width,
    series: chart.series,
  }
  return html`<figure
    class="chart"
    id="${chart.id}"
    data-chart
    tabindex="0"
    aria-labelledby="${chart.id}-title"
  >
    <figcaption>
      <h3 id="${chart.id}-title">${chart.title}</h3>
      <p>${chart.caption}</p>
      ${legend(chart)}
    </figcaption>
    <div class="plot">
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${spoken(chart)}">
        ${grid(chart, scales)}${marks(chart, scales)}${markers(chart, scales)}
        <line class="cross" x1="0" x2="0" y1="${frame.top}" y2="${height - frame.bottom}" hidden></line></svg
      ><output class="reading" hidden></output>
    </div>
    <script type="application/json">
      ${jsonScript(drawn)}
    </script>
    ${numbers(chart)}
  </figure>`
}

function scalesOf({ series, form, unit, from = 0 }: DayChart): Scales {
  const days = Math.max(1, ...series.map(({ values }) => values.length - 1))
  const totals = Array.from({ length: days + 1 }, (_, day) => {
    const column = series.map(({ values }) => values[day] ?? 0)
    return form === 'stack' ? column.reduce((a, b) => a + b, 0) : Math.max(...column)
  })
  const ticks = niceTicks(from, Math.max(from, ...totals), unit === 'count' ? 1 : 0)
  const low = ticks[0] as number
  const high = ticks.at(-1) as number
  // the columns of a bar chart need room at both ends
  const margin = form === 'bars' ? inner.width / (days + 1) / 2 : 0
  return {
    days,
    ticks,
    x: (day) => frame.left + margin + (day / days) * (inner.width - 2 * margin),
    y: (value) => frame.top + inner.height * (1 - (value - low) / (high - low)),
  }
}

function grid({ unit, startedAt }: DayChart, { ticks, x, y, days }: Scales): Markup {
  const step = niceTicks(0, days, 1)
  const labels = step.filter((day) => day <= days)
  return html`<g class="grid"
    >${ticks.map(
      (tick) =>
        html`<line
            x1="${frame.left}"
            x2="${width - frame.right}"
            y1="${round(y(tick))}"
            y2="${round(y(tick))}"
          ></line
          ><text x="${frame.left - 8}" y="${round(y(tick) + 4)}" text-anchor="end"
            >${formatTick(tick, unit)}</text
          >`,
    )}${labels.map(
      (day) =>
        html`<text x="${round(x(day))}" y="${height - 10}" text-anchor="middle"
          ><title>${dateOf(startedAt, day)}</title>${day === 0 ? 'day 0' : day}</text
        >`,
    )}</g
  >`
}

function marks({ series, form }: DayChart, scales: Scales): Markup {
  if (form === 'bars') return html`${series.map(({ values }, at) => bars(values, at, scales, series.length))}`
  if (form === 'stack') return stacked(series, scales)
  return html`${series.map(({ values }, at) => html`<path class="line c${at}" d="${path(values, scales)}"></path>`)}`
}

function path(values: readonly number[], { x, y }: Scales): string {
  return values.map((value, day) => `${day === 0 ? 'M' : 'L'}${round(x(day))} ${round(y(value))}`).join('')
}

function stacked(series: readonly DaySeries[], scales: Scales): Markup {
  let below = Array.from({ length: scales.days + 1 }, () => 0)
  const areas: Markup[] = []
  series.forEach(({ values }, at) => {
    const above = below.map((base, day) => base + (values[day] ?? 0))
    const back = below
      .map((base, day) => `L${round(scales.x(day))} ${round(scales.y(base))}`)
      .toReversed()
      .join('')
    areas.push(html`<path class="area c${at}" d="${path(above, scales)}${back}Z"></path>`)
    below = above
  })
  return html`${areas}`
}

function bars(values: readonly number[], at: number, { x, y, days, ticks }: Scales, of: number): Markup {
  const slot = (inner.width / (days + 1)) * 0.8
  const each = slot / of
  const foot = y(ticks[0] as number)
  const d = values
    .map((value, day) => {
      const top = y(value)
      if (foot - top < 0.05) return ''
      const left = x(day) - slot / 2 + at * each
      return `M${round(left)} ${round(foot)}V${round(top)}h${round(each)}V${round(foot)}Z`
    })
    .join('')
  return html`<path class="bar c${at}" d="${d}"></path>`
}

function markers({ markers: all = [] }: DayChart, { x, days }: Scales): Markup {
  const shown = all.filter(({ day }) => day >= 0 && day <= days)
  return html`${shown.map(
    ({ day, what }) =>
      html`<g class="marker"
        ><line
          x1="${round(x(day))}"
          x2="${round(x(day))}"
          y1="${frame.top}"
          y2="${height - frame.bottom}"
        ></line
        ><title>day ${day}: ${what}</title><path d="M${round(x(day))} ${frame.top}l-4 -6h8z"></path
      ></g>`,
  )}`
}

function legend({ series, markers: all = [] }: DayChart): Markup {
  if (series.length < 2 && all.length === 0) return html``
  return html`<ul class="legend">
    ${series.map(({ name }, at) => html`<li><i class="c${at}"></i>${name}</li>`)}${
      all.length > 0
        ? html`<li><i class="mark"></i>${all.map(({ day, what }) => `day ${day}: ${what}`).join('; ')}</li>`
        : null
    }
  </ul>`
}

/** What the picture says, for who does not see it. */
function spoken({ title, series, unit }: DayChart): string {
  const parts = series.map(({ name, values }) => {
    const first = formatValue(values[0] ?? 0, unit)
    const last = formatValue(values.at(-1) ?? 0, unit)
    return `${name}: from ${first} to ${last}, at most ${formatValue(Math.max(0, ...values), unit)}`
  })
  return `${title}. ${parts.join('. ')}.`
}

function numbers({ series, startedAt, unit, title }: DayChart): Markup {
  const days = Math.max(0, ...series.map(({ values }) => values.length))
  return html`<details>
    <summary>Numbers</summary>
    <div class="scroll">
      <table>
        <caption class="hidden">
          ${title}, by day
        </caption>
        <thead>
          <tr>
            <th scope="col">day</th>
            <th scope="col">date</th>
            ${series.map(({ name }) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${Array.from(
            { length: days },
            (_, day) =>
              html`<tr>
                <th scope="row">${day}</th>
                <td>${dateOf(startedAt, day)}</td>
                ${series.map(({ values }) => html`<td>${day < values.length ? formatValue(values[day] as number, unit) : ''}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`
}

/** Day 0 is the state at the start; day n ends n days later. */
function dateOf(startedAt: Instant, day: number): string {
  return iso(startedAt + day * dayMs).slice(0, 10)
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** The report of a simulation on a terminal: verdict, funnel, curves over the days, numbers with where they are from. */
import type { ReportedParameter, RunResult, Series, SimResult } from '../sim/result.ts'
import type { SensitivityRow } from '../sim/sensitivity.ts'
import { bar, grouped } from './bars.ts'
import type { Output } from './output.ts'
import { formatFields, formatTable, type Column } from './table.ts'

type Paper = Pick<Output, 'style' | 'width'>

export function reportLines(result: SimResult, paper: Paper): string[] {
  const { style } = paper
  const { scenario, seed, partial, verdict, runs } = result
  const lines = [style.bold(scenario.title), `scenario ${scenario.name}, seed ${seed}`]
  if (partial !== null)
    lines.push(style.yellow(`PARTIAL: ${partial}. What follows is what was measured until then.`))
  if (verdict !== null) {
    const word = verdict.isMet ? style.green('met') : style.red('not met')
    lines.push(
      `${verdict.what}: ${percent(verdict.measured)}, target at most ${percent(verdict.limit)}: ${word}`,
    )
  }
  for (const run of runs) lines.push('', ...runLines(run, paper))
  return [...lines, '', ...parameterLines(result.parameters, paper)]
}

function runLines(run: RunResult, paper: Paper): string[] {
  const { style } = paper
  const changes = Object.entries(run.changes).map(([name, value]) => `${name} ${value}`)
  const title = changes.length === 0 ? run.name : `${run.name} (${changes.join(', ')})`
  return [
    style.bold(`${title}: ${grouped(run.devices)} devices, ${run.days} virtual days`),
    ...funnelLines(run),
    '',
    ...outcomeLines(run, paper),
    '',
    ...curves(run, paper),
    '',
    ...run.events.map(({ day, what }) => `day ${day}: ${what}`),
    ...invariantLines(run, paper),
    costLine(run),
    `history ${run.historyHash}`,
  ]
}

function funnelLines({ funnel, devices }: RunResult): string[] {
  const width = Math.max(...funnel.map(({ step }) => step.length))
  return funnel.map(({ step, count }) => {
    const part = devices === 0 ? 0 : count / devices
    return `  ${step.padEnd(width)}  ${grouped(count).padStart(11)}  ${percent(100 * part).padStart(9)}  ${bar(part, 24)}`
  })
}

function outcomeLines({ outcome, devices }: RunResult, { style }: Paper): string[] {
  const of = (count: number) => `${grouped(count)} (${percent((100 * count) / devices)})`
  return formatFields(
    [
      ['Renewed', of(outcome.renewed)],
      ['  after a message', of(outcome.renewedByMessage)],
      ['  after an SMS', of(outcome.renewedBySms)],
      ['  unasked', of(outcome.renewedUnasked)],
      ['  after a visit', of(outcome.renewedByVisit)],
      ['99 % renewed', outcome.day99 === null ? 'never' : `on day ${outcome.day99}`],
      ['Ever on the field list', of(outcome.listed)],
      ['Visits for a certificate', of(outcome.visits - outcome.visitsWithRepair)],
      ['  together with a repair', of(outcome.visitsWithRepair)],
      ['Certificate ended first', of(outcome.lapsed)],
      ...(outcome.broken === 0 ? [] : ([['Out of service', of(outcome.broken)]] as const)),
      ['Messages, SMS', `${grouped(outcome.messages)}, ${grouped(outcome.sms)}`],
      ['Requests', `${grouped(outcome.requests)}, ${grouped(outcome.refused)} refused`],
      ['Certificates signed', grouped(outcome.certificates)],
      [
        'Campaign',
        outcome.campaign === null ? 'none' : campaignWords(outcome.campaign, outcome.campaignReason),
      ],
    ],
    style,
  )
}

function campaignWords(status: string, reason: string | null): string {
  return reason === null ? status : `${status}: ${reason}`
}

const shown: readonly (readonly [keyof Series, string])[] = [
  ['open', 'not renewed yet'],
  ['alive', 'valid certificate'],
  ['dark', 'cannot be reached'],
  ['fieldList', 'field list'],
  ['requests', 'requests per day'],
  ['messages', 'messages per day'],
  ['sms', 'SMS per day'],
  ['ends', 'certificates that end'],
]

function curves({ series }: RunResult, { width }: Paper): string[] {
  const columns = Math.max(20, Math.min(72, width - 44))
  return shown.map(([name, label]) => {
    const values = series[name]
    const most = Math.max(0, ...values)
    return `  ${label.padEnd(22)} ${sparkline(values, columns)}  most ${grouped(most)}`
  })
}

const blocks = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/** As many columns as there are days, or as fit; each shows the highest of its days. */
function sparkline(values: readonly number[], columns: number): string {
  const most = Math.max(1, ...values)
  const width = Math.min(columns, values.length)
  let line = ''
  for (let column = 0; column < width; column++) {
    const from = Math.floor((column * values.length) / width)
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / width))
    const high = Math.max(...values.slice(from, to))
    line += high === 0 ? '·' : (blocks[Math.min(7, Math.floor((high / most) * 7.999))] ?? '█')
  }
  return line.padEnd(columns)
}

function invariantLines({ invariants }: RunResult, { style }: Paper): string[] {
  const { violations, checks, depth } = invariants
  if (violations.length === 0)
    return [style.green(`Invariants held in ${grouped(checks)} checks (${depth}).`)]
  return [
    style.red(`Invariants were violated (${grouped(checks)} checks, ${depth}):`),
    ...violations.map((each) => style.red(`  ${each}`)),
  ]
}

function costLine({ cost }: RunResult): string {
  const seconds = (cost.wallMs / 1_000).toFixed(1)
  const most = cost.phases.slice(0, 4).map(({ name, ms }) => `${name} ${(ms / 1_000).toFixed(1)} s`)
  return `${seconds} s, ${cost.cpuMicrosPerDevice} µs of CPU for each device, ${grouped(cost.peakMemoryMb)} MB; most of it: ${most.join(', ')}`
}

function parameterLines(parameters: readonly ReportedParameter[], { style, width }: Paper): string[] {
  const columns: Column<ReportedParameter>[] = [
    { title: 'NUMBER', value: ({ name }) => name },
    { title: 'VALUE', value: ({ value }) => value, align: 'right' },
    { title: 'FROM', value: ({ source }) => source },
    { title: 'WHY', value: ({ why, what }) => why ?? what },
  ]
  const rank = { story: 0, 'command line': 1, assumption: 2, default: 3 } as const
  const rows = [...parameters].sort((a, b) => rank[a.source] - rank[b.source])
  return formatTable(columns, rows, { width, style })
}

export const sensitivityColumns: Column<SensitivityRow>[] = [
  { title: 'NUMBER', value: ({ parameter }) => parameter },
  { title: 'VALUE', value: ({ value, isBase }) => (isBase ? `${value} *` : value), align: 'right' },
  { title: 'RENEWED', value: (row) => share(row, row.outcome.renewed), align: 'right' },
  { title: 'BY SMS', value: (row) => share(row, row.outcome.renewedBySms), align: 'right' },
  { title: 'LISTED', value: (row) => share(row, row.outcome.listed), align: 'right' },
  {
    title: 'VISITS',
    value: (row) => share(row, row.outcome.visits - row.outcome.visitsWithRepair),
    align: 'right',
  },
  { title: 'WITH A REPAIR', value: (row) => share(row, row.outcome.visitsWithRepair), align: 'right' },
  { title: 'LAPSED', value: (row) => share(row, row.outcome.lapsed), align: 'right' },
  { title: '99 % ON DAY', value: ({ outcome }) => outcome.day99, align: 'right' },
  { title: 'CAMPAIGN', value: ({ outcome }) => outcome.campaign },
]

function share({ devices }: SensitivityRow, count: number): string {
  return percent((100 * count) / devices)
}

function percent(value: number): string {
  return `${value.toFixed(value !== 0 && value < 1 ? 3 : 2)} %`
}

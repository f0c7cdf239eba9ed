/** A campaign as people look at it: status, list and report. */
import { iso, type Instant } from '../base/clock.ts'
import {
  reportCampaign,
  viewCampaign,
  type CampaignReport,
  type CampaignView,
  type WaveView,
} from '../engine/campaigns/campaign-status.ts'
import { toCampaign } from '../engine/campaigns/campaign-record.ts'
import { abandonWords, channelWord, escalationWords } from '../engine/renewals/renewal-words.ts'
import { listCampaigns, type CampaignRecord, type CampaignStatus } from '../store/campaigns.ts'
import { bar, grouped, stackedBar } from './bars.ts'
import { campaignJson } from './campaign-control.ts'
import { money, percent } from './campaign-plan.ts'
import type { CliContext } from './context.ts'
import { everyPage, given } from './options.ts'
import type { Json } from './output.ts'
import type { Style } from './style.ts'
import { formatFields, formatTable } from './table.ts'
import { padEnd, padStart } from './text-width.ts'
import { ago, instant } from './time.ts'

export async function status(cli: CliContext, id: string): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const view = await viewCampaign(engine, id, now)
  cli.output.answer({ json: viewJson(view), text: () => viewLines(cli, view, now).join('\n') })
}

export async function list(
  cli: CliContext,
  { status: wanted }: { readonly status?: CampaignStatus },
): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  await cli.output.list<CampaignRecord>({
    columns: [
      { title: 'CAMPAIGN', value: (row) => row.id },
      { title: 'STATUS', value: (row) => row.status, paint: (row, style) => statusPaint(row.status, style) },
      { title: 'TARGETS', value: (row) => grouped(targetsOf(row)), align: 'right' },
      { title: 'LET IN', value: (row) => grouped(row.admitted), align: 'right' },
      { title: 'CREATED', value: (row) => ago(row.createdAt, now) },
      { title: 'STARTED', value: (row) => (row.startedAt === null ? null : ago(row.startedAt, now)) },
      { title: 'WHY', value: (row) => row.reason, shrink: true },
    ],
    rows: everyPage(
      (page) => listCampaigns(engine.store.db, { ...page, ...given({ status: wanted }) }),
      null,
    ),
    json: (row) => ({ ...campaignJson(toCampaign(row)), targets: targetsOf(row) }),
    empty: 'There is no campaign.',
  })
}

function targetsOf(row: CampaignRecord): number {
  return toCampaign(row).snapshot.sizes.reduce((sum, each) => sum + each, 0)
}

function statusPaint(value: CampaignStatus, style: Style): (text: string) => string {
  if (value === 'paused') return style.yellow
  if (value === 'aborted') return style.red
  return value === 'running' || value === 'completed' ? style.green : (text) => text
}

export function viewLines(cli: CliContext, view: CampaignView, now: Instant): string[] {
  const { style, width } = cli.output
  const { campaign, counts, targets, progress, waitsFor, waves, ratePerMinute } = view
  const isOn = campaign.status === 'running' || campaign.status === 'paused'
  const since = (at: Instant | null) => (at === null ? null : `${instant(at)} (${ago(at, now)})`)
  const { total } = progress
  const troubles = [
    ['failed', total.failed],
    ['rejected', total.rejected],
    ['timed out', isOn ? total.timedOut : 0],
    ['silent after renewal', isOn ? total.silent : 0],
  ] as const
  const shown = troubles.flatMap(([word, count]) => (count === 0 ? [] : [`${grouped(count)} ${word}`]))
  return [
    `${style.bold(campaign.id)}  ${statusPaint(campaign.status, style)(campaign.status)}`,
    ...formatFields(
      [
        ['Description', campaign.definition.description || null],
        ['Created', `${instant(campaign.createdAt)} by ${campaign.createdBy}, revision ${campaign.revision}`],
        ['Started', since(campaign.startedAt)],
        ['Ended', since(campaign.endedAt)],
        ['Why', campaign.reason],
        ['Waits for', waitsFor],
        [
          'Rate',
          isOn ? `${grouped(ratePerMinute)} a minute at most; ${grouped(campaign.admitted)} let in` : null,
        ],
        ['Trouble', shown.length === 0 ? null : shown.join(', ')],
      ],
      style,
    ).map((line) => `  ${line}`),
    '',
    ...stateBar(counts, targets, { width, style }),
    '',
    ...waveTable(waves, { width, style }),
  ]
}

const states = ['retired', 'confirmed', 'issued', 'triggered', 'planned', 'escalated', 'abandoned'] as const
const characters = {
  retired: '█',
  confirmed: '▓',
  issued: '▒',
  triggered: '░',
  planned: '·',
  escalated: '!',
  abandoned: 'x',
}
const stateWords = {
  retired: 'renewed, old one retired',
  confirmed: 'new one in use',
  issued: 'new one issued',
  triggered: 'asked',
  planned: 'not asked yet',
  escalated: 'on the field list',
  abandoned: 'given up',
}

function stateBar(
  counts: CampaignView['counts'],
  targets: number,
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  const plain = (text: string): string => text
  const paints = {
    retired: style.green,
    confirmed: style.green,
    issued: style.yellow,
    triggered: plain,
    planned: style.dim,
    escalated: style.red,
    abandoned: style.dim,
  }
  const parts = states.map((state) => ({
    count: counts[state],
    paint: paints[state],
    character: characters[state],
  }))
  const digits = Math.max(...states.map((state) => grouped(counts[state]).length))
  const lines = states
    .filter((state) => counts[state] > 0)
    .map((state) => {
      const share = targets === 0 ? '' : percent((100 * counts[state]) / targets)
      return `  ${paints[state](characters[state])} ${padStart(grouped(counts[state]), digits)}  ${padStart(share, 7)}  ${stateWords[state]}`
    })
  return [`  ${stackedBar(parts, Math.max(20, Math.min(100, width - 4)))}`, ...lines]
}

function waveTable(
  waves: readonly WaveView[],
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  if (waves.length === 0) return []
  return formatTable<WaveView>(
    [
      { title: 'WAVE', value: (wave) => wave.name, shrink: true },
      { title: 'STATUS', value: (wave) => wave.status },
      { title: 'DEVICES', value: (wave) => grouped(wave.size), align: 'right' },
      { title: 'PLANNED', value: (wave) => grouped(wave.counts.planned), align: 'right' },
      { title: 'ASKED', value: (wave) => grouped(wave.counts.triggered), align: 'right' },
      { title: 'ISSUED', value: (wave) => grouped(wave.counts.issued), align: 'right' },
      {
        title: 'IN USE',
        value: (wave) => grouped(wave.counts.confirmed + wave.counts.retired),
        align: 'right',
      },
      { title: 'FIELD', value: (wave) => grouped(wave.counts.escalated), align: 'right' },
      { title: 'GIVEN UP', value: (wave) => grouped(wave.counts.abandoned), align: 'right' },
    ],
    waves,
    { width, style },
  )
}

export function viewJson(view: CampaignView): Record<string, Json> {
  const { campaign, waves, counts, targets, progress, ratePerMinute, waitsFor } = view
  const at = (value: Instant | null) => (value === null ? null : iso(value))
  return {
    ...campaignJson(campaign),
    targets,
    counts: { ...counts },
    trouble: { ...progress.total },
    ratePerMinute,
    waitsFor,
    normalDarknessPercent: campaign.snapshot.normalDarknessPercent,
    left: campaign.snapshot.left,
    waves: waves.map((wave) => ({
      wave: wave.wave,
      name: wave.name,
      status: wave.status,
      size: wave.size,
      counts: { ...wave.counts },
      outcomes: { ...wave.outcomes },
      finishedPercent: wave.verdict.finishedPercent,
      successPercent: wave.verdict.successPercent,
      openedAt: at(wave.openedAt),
      soakUntil: at(wave.soakUntil),
      closedAt: at(wave.closedAt),
      approvedBy: wave.approvedBy,
      approvedAt: at(wave.approvedAt),
    })),
  }
}

export async function report(cli: CliContext, id: string): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const made = await reportCampaign(engine, id, now)
  cli.output.answer({ json: reportJson(made), text: () => reportLines(cli, made, now).join('\n') })
}

function reportLines(cli: CliContext, made: CampaignReport, now: Instant): string[] {
  const { style, width } = cli.output
  const { answers, reasons, attempts, smsSpent } = made
  const lines = viewLines(cli, made, now)
  const answered = answers.reduce((sum, { count }) => sum + count, 0)
  if (answered > 0) {
    const longest = answers.findLast(({ days }) => days !== null)?.days ?? 0
    const highest = Math.max(...answers.map(({ count }) => count))
    lines.push('', style.bold('From the first trigger to the first use of the new certificate'))
    for (const { days, count } of answers) {
      const label =
        days === null ? `more than ${longest} days` : `within ${days} ${days === 1 ? 'day' : 'days'}`
      const share = padStart(percent((100 * count) / answered), 7)
      const text = `  ${padEnd(label, 17)}  ${padStart(grouped(count), 11)}  ${style.dim(share)}`
      lines.push(`${text}  ${bar(count / highest, Math.max(10, Math.min(40, width - 46)))}`.trimEnd())
    }
  }
  if (reasons.length > 0) {
    lines.push('', style.bold('On the field list, or given up'))
    for (const { status: state, reason, count } of reasons) {
      const words = state === 'escalated' ? escalationWords({ reason }) : abandonWords(reason)
      lines.push(`  ${padStart(grouped(count), 11)}  ${words}`)
    }
  }
  if (attempts.length > 0) {
    lines.push('', style.bold('Triggers'))
    for (const { channel, status: state, count } of attempts)
      lines.push(`  ${padStart(grouped(count), 11)}  ${channelWord(channel)}: ${state}`)
    if (smsSpent !== null) lines.push(`  ${padStart(money(smsSpent), 11)}  spent on SMS`)
  }
  return lines
}

function reportJson(made: CampaignReport): Json {
  return {
    ...viewJson(made),
    reasons: made.reasons.map((each) => ({ ...each })),
    answers: made.answers.map((each) => ({ ...each })),
    attempts: made.attempts.map((each) => ({ ...each })),
    smsSpent: made.smsSpent,
  }
}

/** `campaign plan` and `campaign create`. */
import { iso, type Instant } from '../base/clock.ts'
import { createCampaign, continueCampaign } from '../engine/campaigns/campaign-create.ts'
import { planCampaign, type CampaignPlan, type LossReason } from '../engine/campaigns/campaign-plan.ts'
import { parseCampaignDefinition } from '../engine/campaigns/campaign-read.ts'
import type { Campaign } from '../engine/campaigns/campaign-record.ts'
import type { SelectionOutcome } from '../store/campaign-selection.ts'
import { commandLineActor } from './account.ts'
import { bar, grouped } from './bars.ts'
import { writtenDefinition, type DefinitionOptions } from './campaign-written.ts'
import type { CliContext } from './context.ts'
import { given } from './options.ts'
import type { Json } from './output.ts'
import type { Progress } from './progress.ts'
import type { Style } from './style.ts'
import { formatFields, formatTable } from './table.ts'
import { padEnd, padStart, wrapText } from './text-width.ts'
import { instant, span } from './time.ts'

export async function plan(cli: CliContext, options: DefinitionOptions): Promise<void> {
  const now = cli.clock.now()
  const definition = parseCampaignDefinition(await writtenDefinition(cli, options), now)
  const { engine } = await cli.app()
  const planned = await planCampaign(engine, definition, now)
  cli.output.answer({ json: planJson(planned), text: () => planLines(cli, planned, now).join('\n') })
}

export interface CreateOptions extends DefinitionOptions {
  readonly name?: string
  readonly dryRun?: boolean
  readonly continue?: boolean
}

export async function create(cli: CliContext, id: string, options: CreateOptions): Promise<void> {
  if (options.dryRun === true) return await plan(cli, options)
  const now = cli.clock.now()
  const actor = commandLineActor()
  const { engine } = await cli.app()
  const progress = createProgress(cli)
  try {
    const definition =
      options.continue === true ? null : parseCampaignDefinition(await writtenDefinition(cli, options), now)
    const request = { id, actor, now, onProgress: progress.step }
    const campaign = definition
      ? await createCampaign(engine, { ...request, definition, ...given({ name: options.name }) })
      : await continueCampaign(engine, request)
    progress.end()
    tellCreated(cli, campaign)
  } finally {
    progress.end()
  }
}

function tellCreated(cli: CliContext, { id, definition, snapshot }: Campaign): void {
  const targets = snapshot.sizes.reduce((sum, each) => sum + each, 0)
  const waves = definition.waves.map(({ name }, at) => ({ name, size: snapshot.sizes[at] ?? 0 }))
  const left = Object.entries(snapshot.left)
  cli.output.answer({
    json: { id, status: 'draft', targets, waves, left: snapshot.left },
    text: () => {
      const sizes = waves.flatMap(({ name, size }) => (size === 0 ? [] : [`${name} ${grouped(size)}`]))
      const leftLines = left.map(
        ([reason, count]) => `  ${grouped(count)} left out: ${leftWords[reason as SelectionOutcome]}`,
      )
      return [`Created ${id} with ${grouped(targets)} targets: ${sizes.join(', ')}.`, ...leftLines].join('\n')
    },
  })
  cli.output.note(`Nothing is asked yet. Start it with \`perennial campaign start ${id}\`.`)
}

/** One bar for each of the steps. */
function createProgress(cli: CliContext): {
  step: (step: 'selecting' | 'drawing' | 'inserting', done: number, total: number) => void
  end: () => void
} {
  const labels = {
    selecting: 'Reading the selection',
    drawing: 'Drawing the waves',
    inserting: 'Writing targets',
  }
  let current: { readonly step: string; readonly bar: Progress } | null = null
  return {
    step(step, done, total) {
      if (current?.step !== step) {
        current?.bar.end()
        current = { step, bar: cli.progress(labels[step], total) }
      }
      current.bar.update(done)
    },
    end: () => {
      current?.bar.end()
      current = null
    },
  }
}

export const leftWords: Readonly<Record<SelectionOutcome, string>> = {
  target: 'target',
  quarantined: 'quarantined',
  decommissioned: 'decommissioned',
  'no-certificate': 'no live certificate (never enrolled, or revoked)',
  'never-renewed': 'its profile is never renewed',
  expired: 'its certificate has ended, and its profile does not renew it then',
  'other-campaign': 'in another campaign',
  'being-renewed': 'is being asked already, without a campaign',
  'not-yet': 'its renewal window is not open yet',
}

const lossWords: Readonly<Record<LossReason, string>> = {
  'never-seen': 'never seen: nothing says that they can be reached',
  dark: 'silent for more than four of their check-ins',
  late: 'their certificate ends before their turn',
  overdue: 'silent for longer than their check-in: some of them',
}

export function planLines(cli: CliContext, planned: CampaignPlan, now: Instant): string[] {
  const { style, width } = cli.output
  const { selected, targets, left, waves, warnings } = planned
  const field = (label: string, value: string | null) => [label, value] as const
  const head = [
    `${style.bold(grouped(targets))} targets of ${grouped(selected)} selected devices`,
    ...left.map(({ reason, count }) => `  ${padStart(grouped(count), 11)}  left out: ${leftWords[reason]}`),
  ]
  if (targets === 0) return head
  const lines = [
    ...head,
    '',
    style.bold('Last seen'),
    ...histogram(planned, { width, style }),
    style.dim(
      `  ${percent(planned.normalDarknessPercent)} are silent for longer than their check-in: what the brakes take as normal.`,
    ),
    '',
    ...wavesTable(waves, { width, style }),
    '',
    ...formatFields(
      [
        field('Rate', rateText(planned)),
        field('Finish', finishText(planned, now)),
        field(
          'Approvals',
          planned.approvals === 0 ? null : `${planned.approvals}; waiting for people is not counted`,
        ),
        field('Will not make it', lossText(planned)),
      ],
      style,
    ),
    ...planned.lost.reasons.map(
      ({ reason, count }) => `  ${padStart(grouped(count), 11)}  ${lossWords[reason]}`,
    ),
    ...formatFields([field('SMS', smsText(planned))], style),
  ]
  const wrapped = warnings.flatMap((warning) =>
    wrapText(warning, Math.max(40, width - 9)).map((line, at) =>
      at === 0 ? `Warning: ${line}` : `         ${line}`,
    ),
  )
  return wrapped.length === 0 ? lines : [...lines, '', ...wrapped.map((line) => style.yellow(line))]
}

function histogram(
  { lastSeen, targets }: CampaignPlan,
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  const longest = lastSeen.findLast(({ days }) => days !== null)?.days ?? 0
  const labelOf = ({ days, isNever }: CampaignPlan['lastSeen'][number]): string =>
    isNever
      ? 'never'
      : days === null
        ? `longer ago than ${longest} days`
        : `within ${days} ${days === 1 ? 'day' : 'days'}`
  const highest = Math.max(1, ...lastSeen.map(({ count }) => count))
  const labels = Math.max(...lastSeen.map((each) => labelOf(each).length))
  const counts = Math.max(...lastSeen.map(({ count }) => grouped(count).length))
  const room = Math.max(10, Math.min(50, width - labels - counts - 16))
  return lastSeen.map((each) => {
    const share = padStart(targets === 0 ? '' : percent((100 * each.count) / targets), 7)
    const text = `  ${padEnd(labelOf(each), labels)}  ${padStart(grouped(each.count), counts)}  ${style.dim(share)}`
    return `${text}  ${bar(each.count / highest, room)}`.trimEnd()
  })
}

function wavesTable(
  waves: CampaignPlan['waves'],
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  if (waves.length === 0) return []
  const when = (at: Instant | null) => (at === null ? null : instant(at).slice(0, 16))
  return formatTable(
    [
      { title: 'WAVE', value: (wave) => wave.name, shrink: true },
      { title: 'DEVICES', value: (wave) => grouped(wave.size), align: 'right' },
      { title: 'OPENS (UTC)', value: (wave) => when(wave.opensAt) },
      { title: 'ALL ASKED', value: (wave) => when(wave.admittedAt) },
      { title: 'SOAK', value: (wave) => (wave === waves.at(-1) ? null : span(wave.soakMs)) },
      { title: 'APPROVAL', value: (wave) => wave.approval },
    ],
    waves,
    { width, style },
  )
}

function rateText({ rate }: CampaignPlan): string {
  const share = rate.capacityPerDay === 0 ? 0 : (100 * rate.perDay) / rate.capacityPerDay
  return `${grouped(rate.perMinute)} a minute, ${grouped(rate.perDay)} a day: ${percent(share)} of the capacity of ${grouped(rate.capacityPerDay)} a day`
}

function finishText({ finish }: CampaignPlan, now: Instant): string {
  if (finish === null) return 'never: no maintenance window opens'
  const day = (at: Instant) => iso(at).slice(0, 10)
  return `${day(finish.expected)}, in ${span(finish.expected - now)} (between ${day(finish.earliest)} and ${day(finish.latest)})`
}

function lossText({ lost }: CampaignPlan): string {
  if (lost.atMost === 0) return 'none'
  return lost.atLeast === lost.atMost
    ? `about ${grouped(lost.atLeast)}`
    : `between ${grouped(lost.atLeast)} and ${grouped(lost.atMost)}`
}

function smsText({ sms }: CampaignPlan): string | null {
  if (sms === null) return null
  const messages = `about ${grouped(sms.expected)} messages (between ${grouped(sms.low)} and ${grouped(sms.high)})`
  if (sms.perMessage === null) return `${messages}; no price is configured`
  const cost = (count: number) => money(count * (sms.perMessage ?? 0))
  return `${messages}: ${cost(sms.expected)} (${cost(sms.low)} to ${cost(sms.high)})`
}

/** Thousandths of the operator's currency. */
export function money(thousandths: number): string {
  return (thousandths / 1_000).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
}

export function percent(value: number): string {
  return `${value.toLocaleString('en-US', { maximumFractionDigits: value < 1 ? 2 : 1 })} %`
}

function planJson(planned: CampaignPlan): Record<string, Json> {
  const { waves, finish, sms, ...rest } = planned
  const at = (value: Instant | null) => (value === null ? null : iso(value))
  return {
    ...rest,
    left: rest.left.map((each) => ({ ...each })),
    waves: waves.map(({ name, size, approval, soakMs, opensAt, admittedAt }) => ({
      name,
      size,
      approval,
      soakMs,
      opensAt: at(opensAt),
      admittedAt: at(admittedAt),
    })),
    finish: finish && {
      earliest: at(finish.earliest),
      expected: at(finish.expected),
      latest: at(finish.latest),
    },
    sms: sms && { ...sms },
    lost: { ...rest.lost, reasons: rest.lost.reasons.map((each) => ({ ...each })) },
    lastSeen: rest.lastSeen.map((each) => ({ ...each })),
    byConnectivity: rest.byConnectivity.map((each) => ({ ...each })),
    rate: { ...rest.rate },
  }
}

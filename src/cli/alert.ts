/** `perennial alert`: what is wrong, who was told, and what people do about it. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander'
import { iso, type Instant } from '../base/clock.ts'
import {
  acknowledge,
  alertDetails,
  alertPage,
  currentAlerts,
  currentSilences,
  endSilence,
  silence,
  type AlertView,
  type SilenceRecord,
} from '../engine/alerts/alert-actions.ts'
import { alertRules, isRuleName, ruleNames, severities, type Severity } from '../engine/alerts/alert-rule.ts'
import { alertSettings } from '../engine/alerts/alert-settings.ts'
import { commandLineActor } from './account.ts'
import { registerNotifications } from './alert-notifications.ts'
import { alertJson, alertLines, notificationColumns, silenceJson } from './alert-view.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import {
  addListOptions,
  durationOption,
  everyPage,
  rowLimit,
  wholeNumber,
  type ListOptions,
} from './options.ts'
import type { Style } from './style.ts'
import { formatTable, type Column } from './table.ts'
import { ago, instant } from './time.ts'

export function registerAlert(program: Command, cli: CliContext): void {
  const alert = program.command('alert')
  registerList(alert, cli)
  registerDecisions(alert, cli)
  registerSilences(alert, cli)
  registerRules(alert, cli)
  registerNotifications(alert, cli)
}

const alertNumber = wholeNumber(1, Number.MAX_SAFE_INTEGER)

function registerList(alert: Command, cli: CliContext): void {
  addExamples(
    addListOptions(
      alert
        .command('list')
        .description('list what is wrong now, the gravest first; with --history also what was')
        .option('--history', 'open and resolved ones, newest first'),
    ).action(async (options: ListOptions & { readonly history?: true }) => await list(cli, options)),
    [
      { say: 'What is wrong now', run: 'perennial alert list' },
      { say: 'What was, for a script', run: 'perennial alert list --history --json' },
    ],
  )
  addExamples(
    alert
      .command('show')
      .description('show one alert: what it is about, why, and who was told')
      .argument('<number>', 'of the alert', alertNumber)
      .action(async (id: number) => await show(cli, id)),
    [{ say: 'Why, and which devices', run: 'perennial alert show 1', notRun: 'there may be none' }],
  )
}

async function list(cli: CliContext, options: ListOptions & { readonly history?: true }): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const limit = rowLimit(cli, options)
  const rows =
    options.history === true
      ? everyPage((page) => alertPage(engine, { ...page, now }), limit)
      : await currentAlerts(engine, now)
  await cli.output.list({
    columns: columns(now),
    rows,
    json: alertJson,
    empty: options.history === true ? 'There was no alert yet.' : 'Nothing is wrong: no alert is open.',
    limit,
  })
}

function columns(now: Instant): readonly Column<AlertView>[] {
  return [
    { title: 'ALERT', value: ({ id }) => id, align: 'right' },
    { title: 'SEVERITY', value: ({ severity }) => severity, paint: paintSeverity },
    { title: 'SINCE', value: ({ openedAt }) => ago(openedAt, now) },
    { title: 'STATE', value: (row) => stateOf(row) },
    { title: 'RULE', value: ({ rule }) => rule },
    { title: 'WHAT', value: ({ summary }) => summary, shrink: true },
  ]
}

function paintSeverity({ severity, status }: AlertView, style: Style): (cell: string) => string {
  if (status === 'resolved' || severity === 'notice') return (cell) => cell
  return severity === 'critical' ? style.red : style.yellow
}

function stateOf({ status, acknowledgedAt, silencedUntil, clearedAt }: AlertView): string {
  if (status === 'resolved') return 'resolved'
  if (clearedAt !== null) return 'clearing'
  if (acknowledgedAt !== null) return 'acknowledged'
  return silencedUntil === null ? 'open' : 'silenced'
}

async function show(cli: CliContext, id: number): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const { alert, notifications } = await alertDetails(engine, id, now)
  const { style, width } = cli.output
  cli.output.answer({
    json: {
      ...alertJson(alert),
      notifications: notifications.map(
        ({ id: number, notifier, event, status, attempts, detail, createdAt }) => ({
          id: number,
          notifier,
          event,
          status,
          attempts,
          detail,
          at: iso(createdAt),
        }),
      ),
    },
    text: () =>
      [
        ...alertLines(alert, now, style),
        '',
        ...(notifications.length === 0
          ? ['Nobody was told.']
          : formatTable(notificationColumns(now), notifications, { width, style })),
      ].join('\n'),
  })
}

function registerDecisions(alert: Command, cli: CliContext): void {
  addExamples(
    alert
      .command('ack')
      .description('acknowledge an alert: you look after it, and nobody else is told unless it gets graver')
      .argument('<number>', 'of the alert', alertNumber)
      .option('--note <text>', 'what you are doing about it')
      .action(async (id: number, { note }: { readonly note?: string }) => {
        const { engine } = await cli.app()
        const request = { id, actor: commandLineActor(), now: cli.clock.now(), note: note ?? null }
        const after = await acknowledge(engine, request)
        cli.output.answer({
          json: alertJson({ ...after, silencedUntil: null }),
          text: () => `Alert ${id} is yours: ${after.summary}`,
        })
      }),
    [
      {
        say: 'You look after it',
        run: 'perennial alert ack 1 --note "gateway swap on Friday"',
        notRun: 'there may be none',
      },
    ],
  )
}

interface SilenceOptions {
  readonly rule?: string
  readonly key?: string
  readonly severity?: Severity
  readonly for: number
  readonly reason: string
}

function registerSilences(alert: Command, cli: CliContext): void {
  addExamples(
    alert
      .command('silence')
      .description('tell nobody of certain alerts for a while; they are still listed')
      .option('--rule <name>', 'of this rule (`alert rules`)', ruleOption)
      .option('--key <text>', 'about this: a batch, an issuer, a campaign')
      .addOption(new Option('--severity <word>', 'up to this severity').choices(severities))
      .requiredOption('--for <duration>', 'how long, at most 90d', durationOption)
      .requiredOption('--reason <text>', 'why')
      .action(async (options: SilenceOptions) => await addSilence(cli, options)),
    [
      {
        say: 'The mast at Linz is down for repair',
        run: 'perennial alert silence --rule devices-dark --for 2d --reason "mast repair, Linz"',
      },
      {
        say: 'Nothing but what is critical over the holidays',
        run: 'perennial alert silence --severity warning --for 10d --reason holidays',
      },
    ],
  )
  addExamples(
    alert
      .command('silences')
      .description('list the silences in force')
      .action(async () => await listSilences(cli)),
    [{ say: 'What nobody is told of', run: 'perennial alert silences' }],
  )
  addExamples(
    alert
      .command('unsilence')
      .description('end a silence now')
      .argument('<number>', 'of the silence', alertNumber)
      .action(async (id: number) => {
        const { engine } = await cli.app()
        await endSilence(engine, { id, actor: commandLineActor(), now: cli.clock.now() })
        cli.output.answer({ json: { silence: id, ended: true }, text: () => `Silence ${id} has ended.` })
      }),
    [{ say: 'The repair was quick', run: 'perennial alert unsilence 1' }],
  )
}

function ruleOption(text: string): string {
  if (isRuleName(text)) return text
  throw new InvalidArgumentError(`It must be one of ${ruleNames.join(', ')}.`)
}

async function addSilence(cli: CliContext, options: SilenceOptions): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const record = await silence(engine, {
    rule: options.rule ?? null,
    key: options.key ?? null,
    severity: options.severity ?? null,
    reason: options.reason,
    endsAt: now + options.for,
    actor: commandLineActor(),
    now,
  })
  cli.output.answer({
    json: silenceJson(record),
    text: () => `Silence ${record.id} until ${instant(record.endsAt)}.`,
  })
}

async function listSilences(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await cli.output.list<SilenceRecord>({
    columns: [
      { title: 'SILENCE', value: ({ id }) => id, align: 'right' },
      { title: 'UNTIL', value: ({ endsAt }) => instant(endsAt) },
      { title: 'RULE', value: ({ rule }) => rule ?? 'all' },
      { title: 'KEY', value: ({ key }) => key ?? 'all', shrink: true },
      { title: 'UP TO', value: ({ severity }) => severity ?? 'all' },
      { title: 'BY', value: ({ createdBy }) => createdBy },
      { title: 'REASON', value: ({ reason }) => reason, shrink: true },
    ],
    rows: await currentSilences(engine, cli.clock.now()),
    json: silenceJson,
    empty: 'Nothing is silenced.',
  })
}

function registerRules(alert: Command, cli: CliContext): void {
  addExamples(
    alert
      .command('rules')
      .description('list the rules, and who is told of what they find')
      .addArgument(
        new Argument('[watches]', 'only these').choices(['expiry', 'revocation', 'campaign', 'platform']),
      )
      .action(async (watches: string | undefined) => {
        const { engine } = await cli.app()
        const { escalations } = alertSettings(engine.settings)
        const rows = ruleNames
          .filter((name) => watches === undefined || alertRules[name].watches === watches)
          .map((name) => ({
            name,
            watches: alertRules[name].watches,
            says: alertRules[name].says,
            told: escalations.filter(({ rules }) => rules.length === 0 || rules.includes(name)),
          }))
        await cli.output.list({
          columns: [
            { title: 'RULE', value: ({ name }) => name },
            { title: 'WATCHES', value: (row) => row.watches },
            {
              title: 'TOLD BY',
              value: ({ told }) => (told.length === 0 ? 'nobody' : told.map((each) => each.name).join(', ')),
            },
            { title: 'WHEN', value: ({ says }) => says, shrink: true },
          ],
          rows,
          json: ({ name, watches: what, says, told }) => ({
            rule: name,
            watches: what,
            says,
            escalations: told.map((each) => each.name),
          }),
          empty: 'There is no rule.',
        })
      }),
    [
      { say: 'Every rule', run: 'perennial alert rules' },
      { say: 'Those about revocation', run: 'perennial alert rules revocation --json' },
    ],
  )
}

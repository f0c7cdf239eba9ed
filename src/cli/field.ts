/** `perennial field`: the devices that people must deal with. */
import { Argument, type Command } from 'commander'
import { formatCsv } from '../base/csv-line.ts'
import { iso, type Instant } from '../base/clock.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { DeviceId } from '../base/id.ts'
import { assignEntry, fieldPage, resolveEntry, type FieldEntry } from '../engine/renewals/field.ts'
import { channelWord, outcomeWords } from '../engine/renewals/renewal-words.ts'
import type { AttemptRecord } from '../store/renewal-attempts.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addListOptions, deviceIdArgument, everyPage, given, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { renewalJson } from './renewal-json.ts'
import type { Column } from './table.ts'
import { day, instant } from './time.ts'

interface FieldFilter {
  readonly site?: string
  readonly campaign?: string
  readonly assignee?: string
}

export function registerField(program: Command, cli: CliContext): void {
  const field = program.command('field')
  registerList(field, cli)
  registerDecisions(field, cli)
}

function withFilter(command: Command): Command {
  return command
    .option('--site <name>', 'at this site')
    .option('--campaign <id>', 'of this campaign')
    .option('--assignee <name>', 'of this person or team')
}

function registerList(field: Command, cli: CliContext): void {
  addExamples(
    addListOptions(
      withFilter(
        field.command('list').description('list the devices that need a person, the most urgent first'),
      ),
    ).action(async (options: FieldFilter & ListOptions) => await list(cli, options)),
    [
      { say: 'Who must be visited, and why', run: 'perennial field list' },
      { say: 'At one site, for a script', run: 'perennial field list --site graz --json' },
    ],
  )
  addExamples(
    withFilter(field.command('export').description('write the list as CSV, one line for each device'))
      .option('--out <file>', 'a file instead of standard output')
      .action(async (options: FieldFilter & { readonly out?: string }) => await exportCsv(cli, options)),
    [
      { say: 'For a spreadsheet', run: 'perennial field export --out field.csv' },
      { say: 'One technician', run: 'perennial field export --assignee anna' },
    ],
  )
}

async function list(cli: CliContext, options: FieldFilter & ListOptions): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  await cli.output.list({
    columns: columns(cli.clock.now()),
    rows: everyPage((page) => fieldPage(engine, { ...page, ...filterOf(options) }), limit),
    json: entryJson,
    empty: 'Nobody has to go anywhere: the field list is empty.',
    limit,
  })
}

function filterOf({ site, campaign, assignee }: FieldFilter): {
  site?: string
  campaignId?: string
  assignee?: string
} {
  return given({ site, campaignId: campaign, assignee })
}

function columns(now: Instant): readonly Column<FieldEntry>[] {
  return [
    { title: 'DEVICE', value: ({ renewal }) => renewal.deviceId },
    { title: 'SITE', value: ({ renewal, device }) => device?.site ?? renewal.site, shrink: true },
    {
      title: 'DAYS LEFT',
      value: (row) => row.daysLeft,
      align: 'right',
      paint: ({ renewal }, style) => (renewal.notAfter < now ? style.red : (text) => text),
    },
    { title: 'ASKED', value: ({ attempts }) => askedTimes(attempts) },
    { title: 'ASSIGNEE', value: ({ renewal }) => renewal.assignee, shrink: true },
    { title: 'REASON', value: (row) => row.reason, shrink: true },
    { title: 'NEXT ACTION', value: (row) => row.nextAction, shrink: true },
  ]
}

/** `7 × mqtt, 2 × sms`. */
function askedTimes(attempts: readonly AttemptRecord[]): string {
  const counts = new Map<string, number>()
  for (const { channel } of attempts) counts.set(channel, (counts.get(channel) ?? 0) + 1)
  return counts.size === 0
    ? 'never'
    : [...counts].map(([channel, count]) => `${count} × ${channel}`).join(', ')
}

const csvHeader = [
  'device',
  'site',
  'days left',
  'not after',
  'reason',
  'next action',
  'assignee',
  'attempts',
  'campaign',
  'issuer',
  'serial number',
  'since',
]

async function exportCsv(cli: CliContext, options: FieldFilter & { readonly out?: string }): Promise<void> {
  const { engine } = await cli.app()
  const lines = [formatCsv(csvHeader)]
  const pages = everyPage((page) => fieldPage(engine, { ...page, ...filterOf(options) }), null)
  for await (const entry of pages) lines.push(formatCsv(csvFields(entry)))
  if (options.out === undefined) {
    cli.output.raw(lines.join(''))
    return
  }
  await writeFileAtomically(options.out, lines.join(''), 0o644)
  cli.output.note(`${lines.length - 1} devices written to ${options.out}.`)
}

function csvFields({
  renewal,
  device,
  certificate,
  attempts,
  daysLeft,
  reason,
  nextAction,
}: FieldEntry): (string | number | null)[] {
  return [
    renewal.deviceId,
    device?.site ?? renewal.site,
    daysLeft,
    day(renewal.notAfter),
    reason,
    nextAction,
    renewal.assignee,
    attempts.map(attemptText).join('; '),
    renewal.campaignId === '' ? null : renewal.campaignId,
    certificate?.issuerId ?? null,
    certificate?.serialNumber ?? null,
    day(renewal.createdAt),
  ]
}

function attemptText(attempt: AttemptRecord): string {
  return `${instant(attempt.at)} ${channelWord(attempt.channel)}: ${outcomeWords(attempt)}`
}

function entryJson(entry: FieldEntry): { readonly [key: string]: Json } {
  const { renewal, device, certificate, attempts, daysLeft, reason, nextAction } = entry
  return {
    deviceId: renewal.deviceId,
    site: device?.site ?? renewal.site,
    daysLeft,
    reason,
    nextAction,
    assignee: renewal.assignee,
    certificate: certificate && `${certificate.issuerId}/${certificate.serialNumber}`,
    attempts: attempts.map(attemptJson),
    renewal: renewalJson(renewal),
  }
}

export function attemptJson({ at, updatedAt, ...rest }: AttemptRecord): { readonly [key: string]: Json } {
  return { ...rest, at: iso(at), updatedAt: iso(updatedAt) }
}

function registerDecisions(field: Command, cli: CliContext): void {
  addExamples(
    field
      .command('assign')
      .description('say who deals with a device')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .argument('[assignee]', 'a name, a team or a ticket; without it, nobody')
      .action(async (id: DeviceId, assignee: string | undefined) => await assign(cli, id, assignee)),
    [{ say: 'Anna goes there', run: 'perennial field assign SN-0001 anna', exit: 5 }],
  )
  addExamples(
    field
      .command('resolve')
      .description('a person has dealt with the device: ask it again, or end it when it was renewed by hand')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .option('--note <text>', 'what was found; goes on record')
      .action(async (id: DeviceId, options: { readonly note?: string }) => await resolve(cli, id, options)),
    [{ say: 'The antenna was gone', run: 'perennial field resolve SN-0001 --note "new antenna"', exit: 5 }],
  )
}

async function assign(cli: CliContext, deviceId: DeviceId, assignee: string | undefined): Promise<void> {
  const { engine } = await cli.app()
  const renewal = await assignEntry(engine, {
    deviceId,
    assignee: assignee ?? null,
    actor: commandLineActor(),
  })
  cli.output.answer({
    json: renewalJson(renewal),
    text: () => (assignee === undefined ? `${deviceId}: nobody.` : `${deviceId}: ${assignee}.`),
  })
}

async function resolve(
  cli: CliContext,
  deviceId: DeviceId,
  { note }: { readonly note?: string },
): Promise<void> {
  const { engine } = await cli.app()
  const { outcome, renewal } = await resolveEntry(engine, {
    deviceId,
    actor: commandLineActor(),
    ...given({ note }),
  })
  cli.output.answer({
    json: { outcome, renewal: renewalJson(renewal) },
    text: () =>
      outcome === 'renewed'
        ? `${deviceId} has a newer certificate: its renewal is ${renewal.status}.`
        : `${deviceId} is asked again, from the first way of asking it on.`,
  })
}

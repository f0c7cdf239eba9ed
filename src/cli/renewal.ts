/** `perennial renewal`: what is under way for one device or one campaign. */
import { Argument, Option, type Command } from 'commander'
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { renewalDetails, renewalPage, renewalsFor } from '../engine/renewals/renewal-views.ts'
import { channelWord, outcomeWords } from '../engine/renewals/renewal-words.ts'
import { renewalStatuses, type RenewalRecord, type RenewalStatus } from '../store/renewal-record.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { attemptJson } from './field.ts'
import {
  addListOptions,
  deviceIdArgument,
  everyPage,
  given,
  rowLimit,
  wholeNumber,
  type ListOptions,
} from './options.ts'
import { renewalJson } from './renewal-json.ts'
import { formatFields, type Column } from './table.ts'
import { ago, day, describeLeft, instant } from './time.ts'

interface RenewalListOptions extends ListOptions {
  readonly device?: DeviceId
  readonly campaign?: string
  readonly status?: RenewalStatus
}

export function registerRenewal(program: Command, cli: CliContext): void {
  const renewal = program.command('renewal')
  addExamples(
    addListOptions(
      renewal
        .command('list')
        .description('list the renewals of a device, or the targets of a campaign')
        .addOption(
          new Option('--device <id>', 'of this device, the latest first').argParser(deviceIdArgument),
        )
        .option('--campaign <id>', 'of this campaign')
        .addOption(
          new Option('--status <status>', 'of a campaign, those in this status').choices(renewalStatuses),
        ),
    ).action(async (options: RenewalListOptions) => await list(cli, options)),
    [
      { say: 'The history of a device', run: 'perennial renewal list --device SN-0001' },
      {
        say: 'Who of a campaign has not answered',
        run: 'perennial renewal list --campaign spring --status triggered --json',
      },
    ],
  )
  addExamples(
    renewal
      .command('show')
      .description('show one renewal with every time that the device was asked')
      .addArgument(
        new Argument('<number>', 'number of the renewal').argParser(wholeNumber(1, Number.MAX_SAFE_INTEGER)),
      )
      .action(async (id: number) => await show(cli, id)),
    [{ say: 'One renewal', run: 'perennial renewal show 1', exit: 5 }],
  )
}

async function list(cli: CliContext, options: RenewalListOptions): Promise<void> {
  const { engine } = await cli.app()
  const { device, campaign, status } = options
  if ((device === undefined) === (campaign === undefined)) {
    throw new Refusal('invalid-input', 'say whose renewals: --device or --campaign')
  }
  const limit = rowLimit(cli, options)
  const rows =
    device === undefined
      ? everyPage(
          (page) => renewalPage(engine, { ...page, campaignId: campaign ?? '', ...given({ status }) }),
          limit,
        )
      : await renewalsFor(engine, device)
  await cli.output.list<RenewalRecord>({
    columns: columns(cli.clock.now()),
    rows,
    json: renewalJson,
    empty: 'No renewal matches.',
    limit,
  })
}

function columns(now: Instant): readonly Column<RenewalRecord>[] {
  return [
    { title: 'RENEWAL', value: (row) => row.id, align: 'right' },
    { title: 'DEVICE', value: (row) => row.deviceId },
    {
      title: 'STATUS',
      value: (row) => row.status,
      paint: (row, style) => (row.status === 'escalated' ? style.red : (text) => text),
    },
    { title: 'CAMPAIGN', value: (row) => (row.campaignId === '' ? null : row.campaignId) },
    { title: 'OLD ONE ENDS', value: (row) => day(row.notAfter) },
    { title: 'LEFT', value: (row) => describeLeft(row.notAfter, now) },
    { title: 'NEXT', value: (row) => (row.nextAt === null ? null : ago(row.nextAt, now)) },
    { title: 'REASON', value: (row) => row.reason, shrink: true },
  ]
}

async function show(cli: CliContext, id: number): Promise<void> {
  const { engine } = await cli.app()
  const { renewal, attempts } = await renewalDetails(engine, id)
  const { style } = cli.output
  const at = (value: Instant | null) => (value === null ? null : instant(value))
  cli.output.answer({
    json: { ...renewalJson(renewal), attempts: attempts.map(attemptJson) },
    text: () =>
      [
        style.bold(`Renewal ${renewal.id} of ${renewal.deviceId}`),
        ...formatFields(
          [
            ['Status', renewal.status],
            ['Reason', renewal.reason],
            ['Campaign', renewal.campaignId === '' ? null : `${renewal.campaignId}, wave ${renewal.wave}`],
            ['Connectivity', renewal.connectivity],
            ['Site', renewal.site],
            ['Old one ends', instant(renewal.notAfter)],
            ['Opened', instant(renewal.createdAt)],
            ['First asked', at(renewal.triggeredAt)],
            ['Issued', at(renewal.issuedAt)],
            ['Delivered', at(renewal.deliveredAt)],
            ['Stored', at(renewal.storedAt)],
            ['Confirmed', at(renewal.confirmedAt)],
            ['Ended', at(renewal.endedAt)],
            ['Assignee', renewal.assignee],
            ['Next look', at(renewal.nextAt)],
          ],
          style,
        ).map((line) => `  ${line}`),
        '',
        style.bold('Asked'),
        ...(attempts.length === 0
          ? ['  not yet']
          : attempts.map(
              (attempt) =>
                `  ${style.dim(instant(attempt.at))}  rung ${attempt.rung + 1}, ${channelWord(attempt.channel)} ${attempt.attempt}: ${outcomeWords(attempt)}`,
            )),
      ].join('\n'),
  })
}

/** `perennial campaign`. */
import { Argument, Option, type Command } from 'commander'
import type { DeviceId } from '../base/id.ts'
import { campaignStatuses, type CampaignStatus } from '../store/campaigns.ts'
import {
  abort,
  approve,
  edit,
  pause,
  resume,
  retry,
  skip,
  start,
  type ApproveOptions,
  type OrderOptions,
  type RetryOptions,
} from './campaign-control.ts'
import { create, plan, type CreateOptions } from './campaign-plan.ts'
import { compareForecast, rehearseCampaign, type RehearseOptions } from './campaign-rehearse.ts'
import { list, report, status } from './campaign-view.ts'
import { watch, type WatchOptions } from './campaign-watch.ts'
import {
  addDefinitionOptions,
  addEditOptions,
  type DefinitionOptions,
  type EditOptions,
} from './campaign-written.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { deviceIdArgument, durationOption, wholeNumber } from './options.ts'

export function registerCampaign(program: Command, cli: CliContext): void {
  const campaign = program.command('campaign')
  registerPlan(campaign, cli)
  registerCreate(campaign, cli)
  registerRehearse(campaign, cli)
  registerLook(campaign, cli)
  registerApprove(campaign, cli)
  registerEdit(campaign, cli)
  registerTargets(campaign, cli)
  registerRun(campaign, cli)
}

const idArgument = (): Argument => new Argument('<campaign>', 'name of the campaign')
const reasonOption = (): Option => new Option('--reason <text>', 'goes on record')

function registerPlan(campaign: Command, cli: CliContext): void {
  addExamples(
    addDefinitionOptions(
      campaign
        .command('plan')
        .description('what a campaign would do: counts, pace, losses, costs; nothing is written'),
    ).action(async (options: DefinitionOptions) => await plan(cli, options)),
    [
      {
        say: 'All gateways that end within a month, 50 a minute',
        run: 'perennial campaign plan --profile gateway --expiring-before 30d --rate 50',
      },
      {
        say: 'A definition in a file, at another rate',
        run: 'perennial campaign plan --file meters.yaml --rate 300',
      },
    ],
  )
}

function registerCreate(campaign: Command, cli: CliContext): void {
  addExamples(
    addDefinitionOptions(
      campaign
        .command('create')
        .description(
          'draw the targets of a campaign and put them into waves; nothing is asked before `start`',
        )
        .addArgument(new Argument('<campaign>', 'a new name: 1 to 64 of a-z, 0-9 and -')),
    )
      .option('--name <text>', 'a longer name, for people')
      .option('--continue', 'complete a draft whose creation was cut off')
      .option('--dry-run', 'the same as plan')
      .action(async (id: string, options: CreateOptions) => await create(cli, id, options)),
    [
      {
        say: 'What it would be',
        run: 'perennial campaign create spring --all --canary 20 --wave 30 --soak 2d --dry-run',
      },
      {
        say: 'A canary of a fifth, a third, the rest; a person approves each wave after the canary',
        run: 'perennial campaign create spring --profile gateway --canary 20 --wave 30 --soak 2d --approval manual',
      },
      {
        say: 'What the forecast proposes, where more end in a week than can be renewed',
        run: 'perennial campaign create cliff --from-forecast --dry-run',
        exit: 5,
      },
      {
        say: 'From a file, at night where the devices stand',
        run: "perennial campaign create meters --file meters.yaml --window 'cron(0 1 ? * * *)/240'",
      },
    ],
  )
}

function registerRun(campaign: Command, cli: CliContext): void {
  const verbs = [
    ['start', 'begin to ask', start, { say: 'Begin', run: 'perennial campaign start meters' }],
    [
      'pause',
      'no trigger leaves from now on; answers still count',
      pause,
      { say: 'Stop for now', run: 'perennial campaign pause meters --reason "network works on the mast"' },
    ],
    [
      'resume',
      'go on; the brakes count anew',
      resume,
      { say: 'Go on', run: 'perennial campaign resume meters' },
    ],
  ] as const
  for (const [name, description, action, example] of verbs) {
    addExamples(
      campaign
        .command(name)
        .description(description)
        .addArgument(idArgument())
        .addOption(reasonOption())
        .action(async (id: string, options: OrderOptions) => await action(cli, id, options)),
      [example],
    )
  }
  addExamples(
    campaign
      .command('abort')
      .description(
        'end it: devices that use no new certificate are let go, nothing is revoked; a draft is deleted',
      )
      .addArgument(idArgument())
      .addOption(reasonOption())
      .option('--dry-run', 'say how many would be let go; change nothing')
      .action(async (id: string, options: OrderOptions) => await abort(cli, id, options)),
    [
      { say: 'What it would mean', run: 'perennial campaign abort meters --dry-run' },
      { say: 'End it', run: 'perennial campaign abort meters --reason "wrong firmware list"' },
    ],
  )
}

function registerRehearse(campaign: Command, cli: CliContext): void {
  addExamples(
    campaign
      .command('rehearse')
      .description(
        'run a campaign on a copy of its devices, each with its own contact history, and say what is to be expected; nobody is asked',
      )
      .addArgument(idArgument())
      .addOption(
        new Option('--seeds <n>', 'runs, each with other luck; the answer is the band between them')
          .argParser(wholeNumber(1, 100))
          .default(5),
      )
      .addOption(
        new Option('--devices <n>', 'copy at most so many; of more targets, a sample')
          .argParser(wholeNumber(1, 200_000))
          .default(2_000),
      )
      .addOption(
        new Option('--days <n>', 'so many virtual days; default: until the last certificate ends').argParser(
          wholeNumber(1, 400),
        ),
      )
      .option('--html <file>', 'also write the report of the first run, with pictures, into this file')
      .action(async (id: string, options: RehearseOptions) => await rehearseCampaign(cli, id, options)),
    [
      {
        say: 'What is to be expected of a draft, in its first ten days',
        run: 'perennial campaign rehearse spring --seeds 2 --days 10',
      },
      {
        say: 'With pictures',
        run: 'perennial campaign rehearse spring --seeds 1 --days 3 --html rehearsal.html',
      },
    ],
  )
  addExamples(
    campaign
      .command('forecast')
      .description('the latest rehearsal of a campaign, against what has happened since')
      .addArgument(idArgument())
      .action(async (id: string) => await compareForecast(cli, id)),
    [{ say: 'How it goes', run: 'perennial campaign forecast spring' }],
  )
}

function registerEdit(campaign: Command, cli: CliContext): void {
  addExamples(
    addEditOptions(
      campaign
        .command('edit')
        .description('change rate, brakes, windows or approvals while it runs; selection and waves stay')
        .addArgument(idArgument())
        .option(
          '--file <file>',
          'rollout, brakes, abortConfig, timeoutConfig, schedulingConfig, approvals as YAML',
        ),
      'for every wave that is not open yet',
    )
      .addOption(reasonOption())
      .option('--dry-run', 'check it; change nothing')
      .action(async (id: string, options: EditOptions & OrderOptions) => await edit(cli, id, options)),
    [
      { say: 'Slower', run: 'perennial campaign edit spring --rate 20 --reason "core network is busy"' },
      {
        say: 'Other brakes, from a file',
        run: 'perennial campaign edit spring --file brakes.yaml --dry-run',
      },
    ],
  )
}

function registerApprove(campaign: Command, cli: CliContext): void {
  addExamples(
    campaign
      .command('approve')
      .description('let the next wave open, where the definition asks for a person')
      .addArgument(idArgument())
      .addArgument(new Argument('[wave]', 'its name or number; default: the one whose turn it is'))
      .option('--override', 'though the wave before has not soaked, or does not meet its success rule')
      .addOption(reasonOption())
      .action(
        async (id: string, wave: string | undefined, options: ApproveOptions) =>
          await approve(cli, id, wave, options),
      ),
    [
      { say: 'Say yes to the next wave', run: 'perennial campaign approve spring', exit: 3 },
      {
        say: 'A certain one, early',
        run: 'perennial campaign approve spring "wave 1" --override --reason "seen enough"',
        exit: 3,
      },
    ],
  )
}

function registerTargets(campaign: Command, cli: CliContext): void {
  addExamples(
    campaign
      .command('retry')
      .description('ask targets again that were given up or are on the field list')
      .addArgument(idArgument())
      .addArgument(new Argument('[device]', 'one device; default: all of them').argParser(deviceIdArgument))
      .addOption(new Option('--status <status>', 'only these').choices(['abandoned', 'escalated']))
      .addOption(reasonOption())
      .option('--dry-run', 'say how many; change nothing')
      .action(
        async (id: string, device: DeviceId | undefined, options: RetryOptions) =>
          await retry(cli, id, device, options),
      ),
    [
      { say: 'How many there are', run: 'perennial campaign retry spring --dry-run', exit: 3 },
      { say: 'One device', run: 'perennial campaign retry spring SN-0001', exit: 3 },
    ],
  )
  addExamples(
    campaign
      .command('skip')
      .description('take a device out of a campaign')
      .addArgument(idArgument())
      .addArgument(new Argument('<device>', 'device id').argParser(deviceIdArgument))
      .addOption(reasonOption())
      .action(
        async (id: string, device: DeviceId, options: OrderOptions) => await skip(cli, id, device, options),
      ),
    [
      {
        say: 'A device that is going to be replaced',
        run: 'perennial campaign skip spring SN-0001 --reason "to be replaced in March"',
        exit: 5,
      },
    ],
  )
}

function registerLook(campaign: Command, cli: CliContext): void {
  addExamples(
    campaign
      .command('list')
      .description('list campaigns in the order of their names')
      .addOption(new Option('--status <status>', 'in this state').choices(campaignStatuses))
      .action(async (options: { status?: CampaignStatus }) => await list(cli, options)),
    [{ say: 'Those that run', run: 'perennial campaign list --status running' }],
  )
  addExamples(
    campaign
      .command('status')
      .description('where it stands, what it waits for, and each wave')
      .addArgument(idArgument())
      .action(async (id: string) => await status(cli, id)),
    [{ say: 'One campaign', run: 'perennial campaign status spring' }],
  )
  addExamples(
    campaign
      .command('watch')
      .description('the status, live, until the campaign is over; with --json one line for each look')
      .addArgument(idArgument())
      .addOption(new Option('--interval <duration>', 'between two looks (2s)').argParser(durationOption))
      .addOption(
        new Option('--count <n>', 'end after so many looks').argParser(wholeNumber(1, 1_000_000_000)),
      )
      .action(async (id: string, options: WatchOptions) => await watch(cli, id, options)),
    [
      { say: 'Until it is over', run: 'perennial campaign watch spring', notRun: 'it would not end' },
      {
        say: 'For a program, three times',
        run: 'perennial campaign watch spring --json --interval 1s --count 3',
      },
    ],
  )
  addExamples(
    campaign
      .command('report')
      .description('what came of it: how soon devices answered, who did not and why, what was sent')
      .addArgument(idArgument())
      .action(async (id: string) => await report(cli, id)),
    [
      { say: 'For people', run: 'perennial campaign report spring' },
      { say: 'For a program', run: 'perennial campaign report spring --json' },
    ],
  )
}

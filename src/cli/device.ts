/** `perennial device`. */
import { Argument, Option, type Command } from 'commander'
import type { DeviceId } from '../base/id.ts'
import { decideRequests } from '../engine/issuing/approval.ts'
import { addDevice, importDevices, type NewDevice } from '../engine/inventory/device.ts'
import { waitingRequests } from '../engine/inventory/inventory.ts'
import { newSecret } from '../engine/issuing/secret.ts'
import { deviceResource } from '../filter/resources.ts'
import type { ApprovalRecord } from '../store/approvals.ts'
import { deviceSorts } from '../store/device-listing.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import {
  approvalJson,
  deviceJson,
  deviceStates,
  listDevices,
  showDevice,
  type DeviceListOptions,
} from './device-list.ts'
import { deviceSource } from './device-records.ts'
import { showWhy } from './device-why.ts'
import { registerSet } from './device-set.ts'
import { addExamples } from './examples.ts'
import { addFilterOptions } from './filter-options.ts'
import { runImport } from './import.ts'
import {
  addListOptions,
  collect,
  deviceIdArgument,
  durationOption,
  everyPage,
  given,
  tagOption,
} from './options.ts'
import type { ImportFormat } from './records.ts'
import { ago, instant } from './time.ts'

export function registerDevice(program: Command, cli: CliContext): void {
  const device = program.command('device')
  registerAdd(device, cli)
  registerSet(device, cli)
  registerImport(device, cli)
  registerList(device, cli)
  registerApprove(device, cli)
  registerSecret(device, cli)
}

function registerAdd(device: Command, cli: CliContext): void {
  addExamples(
    device
      .command('add')
      .description('register one device; it can then enrol with a secret or a factory identity')
      .addArgument(new Argument('<id>', 'serial number of the hardware').argParser(deviceIdArgument))
      .requiredOption('--profile <name>', 'certificate profile (`perennial profile list`)')
      .option('--cohort <name>', 'group that is renewed together')
      .option('--batch <name>', 'manufacturing run')
      .option('--site <name>', 'where it stands')
      .option('--connectivity <name>', 'connectivity profile; default: that of the profile')
      .option('--hardware <text>', 'hardware model')
      .option('--firmware <text>', 'firmware version')
      .addOption(new Option('--tag <name=value>', 'a tag; may be repeated').argParser(collect(tagOption)))
      .action(async (id: DeviceId, options: AddOptions) => await add(cli, id, options)),
    [
      {
        say: 'A machine in the plant in Graz',
        run: 'perennial device add SN-0001 --profile industrial --site graz',
      },
      {
        say: 'With tags, which subject templates may use',
        run: 'perennial device add SN-0002 --profile industrial --tag line=4 --tag owner=ops',
      },
    ],
  )
}

type AddOptions = Omit<NewDevice, 'id' | 'tags'> & { readonly tag?: readonly (readonly [string, string])[] }

async function add(cli: CliContext, id: DeviceId, { tag = [], ...options }: AddOptions): Promise<void> {
  const { engine } = await cli.app()
  const device = await addDevice(
    engine,
    { id, ...options, tags: Object.fromEntries(tag) },
    commandLineActor(),
  )
  cli.output.answer({
    json: deviceJson({ ...device, lastSeenAt: null }),
    text: () => `Registered ${device.id} with profile ${device.profile}.`,
  })
}

function registerImport(device: Command, cli: CliContext): void {
  addExamples(
    device
      .command('import')
      .description('register many devices from CSV or JSON Lines')
      .argument('<file...>', 'CSV with a header, or JSON Lines; - is standard input')
      .option('--profile <name>', 'profile of lines that name none')
      .option('--cohort <name>', 'cohort of lines that name none')
      .option('--batch <name>', 'batch of lines that name none')
      .option('--site <name>', 'site of lines that name none')
      .addOption(
        new Option('--format <format>', 'csv or jsonl; default: by name and first line').choices([
          'csv',
          'jsonl',
        ]),
      )
      .option('--dry-run', 'check everything and say what would happen; change nothing')
      .addHelpText(
        'after',
        [
          '',
          'Columns, or keys: id, profile, cohort, batch, site, connectivity, hardware, firmware, and tags.NAME for tags.',
          'A bad line is reported with its number and costs no other line. Devices that are there already are left as they',
          'are, so the same file can be imported again.',
        ].join('\n'),
      )
      .action(
        async (files: string[], options: ImportDevicesOptions) => await importFiles(cli, files, options),
      ),
    [
      { say: 'What would happen', run: 'perennial device import fleet.csv --dry-run' },
      { say: 'Do it', run: 'perennial device import fleet.csv --batch 2026-47' },
      {
        say: 'JSON Lines from another program',
        run: 'perennial device import fleet.jsonl --profile industrial',
      },
    ],
  )
}

interface ImportDevicesOptions {
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly format?: ImportFormat
  readonly dryRun?: boolean
}

async function importFiles(
  cli: CliContext,
  files: readonly string[],
  options: ImportDevicesOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const { profile = null, cohort = null, batch = null, site = null, format = null, dryRun = false } = options
  const defaults = { profile, cohort, batch, site }
  const actor = commandLineActor()
  // opened before the first is read: a name that is wrong is found before anything is changed
  const sources = await Promise.all(files.map((file) => deviceSource(file, { format, defaults })))
  await runImport(cli, {
    sources: eachOf(sources),
    store: (lines) => importDevices(engine, lines, { actor, dryRun }),
    dryRun,
    noun: 'device',
  })
}

async function* eachOf<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items
}

function registerList(device: Command, cli: CliContext): void {
  addExamples(
    addListOptions(
      addFilterOptions(device.command('list'), deviceResource, deviceSorts)
        .description('list devices in the order of their ids, or of the ends of their certificates')
        .option('--profile <name>', 'of this profile')
        .option('--cohort <name>', 'of this cohort')
        .option('--batch <name>', 'of this manufacturing run')
        .option('--site <name>', 'at this site')
        .option('--connectivity <name>', 'of this connectivity profile')
        .addOption(new Option('--state <state>', 'in this state').choices(deviceStates)),
    ).action(async (options: DeviceListOptions) => await listDevices(cli, options)),
    [
      { say: 'The first hundred', run: 'perennial device list' },
      {
        say: 'What ends within 30 days and has been silent for a week, the most urgent first',
        run: 'perennial device list --filter "expires<30d lastSeen>7d"',
      },
      { say: 'Ids of a batch, for a script', run: 'perennial device list --batch 2026-47 --json' },
    ],
  )
  addExamples(
    device
      .command('show')
      .description('show a device, its certificates, and what waits for a person')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .action(async (id: DeviceId) => await showDevice(cli, id)),
    [{ say: 'One device', run: 'perennial device show SN-0001' }],
  )
  addExamples(
    device
      .command('why')
      .description(
        'will it survive the end of its certificate, what blocks it, what happened, what comes next',
      )
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .action(async (id: DeviceId) => await showWhy(cli, id)),
    [{ say: 'In plain words', run: 'perennial device why SN-0001' }],
  )
}

function registerApprove(device: Command, cli: CliContext): void {
  addExamples(
    device
      .command('approve')
      .description('decide requests that wait for a person (profiles with approval: manual)')
      .addArgument(
        new Argument('[id]', 'device whose requests to approve; without it, list what waits').argParser(
          deviceIdArgument,
        ),
      )
      .option('--reject', 'say no instead')
      .option('--reason <text>', 'goes on record')
      .action(async (id: DeviceId | undefined, options: ApproveOptions) =>
        id === undefined ? await listWaiting(cli) : await decide(cli, id, options),
      ),
    [
      { say: 'What waits', run: 'perennial device approve' },
      { say: 'Say yes', run: 'perennial device approve SN-0001 --reason "checked on site"', exit: 5 },
    ],
  )
}

interface ApproveOptions {
  readonly reject?: boolean
  readonly reason?: string
}

async function listWaiting(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  await cli.output.list<ApprovalRecord>({
    columns: [
      { title: 'DEVICE', value: (row) => row.deviceId },
      { title: 'PROFILE', value: (row) => row.profile },
      { title: 'ASKED', value: (row) => ago(row.createdAt, now) },
      { title: 'KEY', value: (row) => row.spkiHash.slice(0, 16) },
      { title: 'SUBJECT', value: (row) => row.subject, shrink: true },
    ],
    rows: everyPage((page) => waitingRequests(engine, page), null),
    json: approvalJson,
    empty: 'Nothing waits for approval.',
  })
}

async function decide(
  cli: CliContext,
  deviceId: DeviceId,
  { reject = false, reason }: ApproveOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const decision = reject ? 'rejected' : 'approved'
  const actor = commandLineActor()
  const decided = await decideRequests(engine, { deviceId, decision, actor, ...given({ reason }) })
  cli.output.answer({
    json: decided.map((approval) => ({ ...approvalJson(approval), status: decision })),
    text: () => {
      const requests = decided.length === 1 ? 'The request' : `${decided.length} requests`
      return `${requests} of ${deviceId} ${decided.length === 1 ? 'is' : 'are'} ${decision}; the device learns of it when it asks again.`
    },
  })
}

function registerSecret(device: Command, cli: CliContext): void {
  addExamples(
    device
      .command('secret')
      .description('make a new one-time enrolment secret; the one before it is worth nothing from now on')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .addOption(
        new Option('--valid-for <duration>', 'how long it may be used (enrollment.secretLifetime)').argParser(
          durationOption,
        ),
      )
      .action(async (id: DeviceId, options: { validFor?: number }) => await makeSecret(cli, id, options)),
    [
      {
        say: 'Shown once; the device uses it as its HTTP Basic password',
        run: 'perennial device secret SN-0001',
      },
      { say: 'For a script', run: 'perennial device secret SN-0001 --json' },
    ],
  )
}

async function makeSecret(
  cli: CliContext,
  deviceId: DeviceId,
  { validFor }: { validFor?: number },
): Promise<void> {
  const { engine } = await cli.app()
  const actor = commandLineActor()
  const made = await newSecret(engine, { deviceId, actor, ...given({ lifetimeMs: validFor }) })
  cli.output.answer({ json: { deviceId, secret: made.secret }, text: () => made.secret })
  cli.output.note(`For ${deviceId}, once, until ${instant(made.expiresAt)}. It is not shown again.`)
}

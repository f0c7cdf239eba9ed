/** `perennial device`. */
import { Argument, Option, type Command } from 'commander'
import { iso, type Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { decideRequests } from '../engine/approval.ts'
import { addDevice, importDevices, type NewDevice } from '../engine/device.ts'
import {
  deviceDetails,
  devicePage,
  waitingRequests,
  type DeviceDetails,
  type DeviceRow,
} from '../engine/inventory.ts'
import { newSecret } from '../engine/secret.ts'
import type { ApprovalRecord } from '../store/approvals.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { certificateRowJson, statusOf } from './cert-list.ts'
import { deviceSource } from './device-records.ts'
import { addExamples } from './examples.ts'
import { runImport } from './import.ts'
import {
  addListOptions,
  collect,
  deviceIdArgument,
  durationOption,
  everyPage,
  given,
  rowLimit,
  tagOption,
  type ListOptions,
} from './options.ts'
import type { Json } from './output.ts'
import type { ImportFormat } from './records.ts'
import { formatFields, formatTable, type Column } from './table.ts'
import { ago, day, instant } from './time.ts'

const states = ['registered', 'active', 'quarantined', 'decommissioned'] as const

export function registerDevice(program: Command, cli: CliContext): void {
  const device = program.command('device')
  registerAdd(device, cli)
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
      device
        .command('list')
        .description('list devices in the order of their ids')
        .option('--profile <name>', 'of this profile')
        .option('--cohort <name>', 'of this cohort')
        .option('--batch <name>', 'of this manufacturing run')
        .option('--site <name>', 'at this site')
        .option('--connectivity <name>', 'of this connectivity profile')
        .addOption(new Option('--state <state>', 'in this state').choices(states)),
    ).action(async (options: DeviceListOptions) => await list(cli, options)),
    [
      { say: 'The first hundred', run: 'perennial device list' },
      { say: 'Ids of a batch, for a script', run: 'perennial device list --batch 2026-47 --json' },
    ],
  )
  addExamples(
    device
      .command('show')
      .description('show a device, its certificates, and what waits for a person')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .action(async (id: DeviceId) => await show(cli, id)),
    [{ say: 'One device', run: 'perennial device show SN-0001' }],
  )
}

interface DeviceListOptions extends ListOptions {
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly connectivity?: string
  readonly state?: (typeof states)[number]
}

async function list(cli: CliContext, options: DeviceListOptions): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const { profile, cohort, batch, site, connectivity, state } = options
  const filter = given({ profile, cohort, batch, site, connectivity, state })
  await cli.output.list({
    columns: deviceColumns(cli.clock.now()),
    rows: everyPage((page) => devicePage(engine, { ...page, filter }), limit),
    json: deviceJson,
    empty: 'No device matches.',
    limit,
  })
}

function deviceColumns(now: Instant): readonly Column<DeviceRow>[] {
  return [
    { title: 'DEVICE', value: (row) => row.id },
    {
      title: 'STATE',
      value: (row) => row.state,
      paint: (row, style) => (row.state === 'quarantined' ? style.red : (text) => text),
    },
    { title: 'PROFILE', value: (row) => row.profile },
    { title: 'COHORT', value: (row) => row.cohort, shrink: true },
    { title: 'BATCH', value: (row) => row.batch, shrink: true },
    { title: 'SITE', value: (row) => row.site, shrink: true },
    { title: 'LAST RENEWAL', value: (row) => (row.lastRenewalAt === null ? null : day(row.lastRenewalAt)) },
    { title: 'LAST SEEN', value: (row) => ago(row.lastSeenAt, now) },
  ]
}

async function show(cli: CliContext, id: DeviceId): Promise<void> {
  const { engine } = await cli.app()
  const details = await deviceDetails(engine, id)
  const { device, certificates, waiting, secret } = details
  cli.output.answer({
    json: {
      ...deviceJson(device),
      certificates: certificates.map(certificateRowJson),
      waiting: waiting.map(approvalJson),
      secret: secret && {
        expiresAt: iso(secret.expiresAt),
        usedAt: secret.usedAt === null ? null : iso(secret.usedAt),
      },
    },
    text: () => detailLines(cli, details).join('\n'),
  })
}

function detailLines(cli: CliContext, { device, certificates, waiting, secret }: DeviceDetails): string[] {
  const { style, width } = cli.output
  const now = cli.clock.now()
  const tags = Object.entries(device.tags).map(([name, value]) => `${name}=${value}`)
  const lines = [
    style.bold(device.id),
    ...formatFields(
      [
        ['State', device.state],
        ['Profile', device.profile],
        ['Connectivity', device.connectivity],
        ['Cohort', device.cohort],
        ['Batch', device.batch],
        ['Site', device.site],
        ['Hardware', device.hardware],
        ['Firmware', device.firmware],
        ['Tags', tags.length === 0 ? null : tags.join(', ')],
        ['Registered', instant(device.createdAt)],
        ['Last renewal', device.lastRenewalAt === null ? 'never' : instant(device.lastRenewalAt)],
        [
          'Last seen',
          device.lastSeenAt === null
            ? 'never'
            : `${instant(device.lastSeenAt)} (${ago(device.lastSeenAt, now)})`,
        ],
        ['Secret', secret && describeSecret(secret, now)],
      ],
      style,
    ).map((line) => `  ${line}`),
  ]
  if (certificates.length > 0) {
    const table = formatTable(
      [
        { title: 'SERIAL', value: (row) => row.serialNumber },
        { title: 'STATUS', value: (row) => statusOf(row, now) },
        { title: 'SLOT', value: (row) => row.slot },
        { title: 'NOT BEFORE', value: (row) => day(row.notBefore) },
        { title: 'NOT AFTER', value: (row) => day(row.notAfter) },
        { title: 'ISSUER', value: (row) => row.issuerId, shrink: true },
      ],
      certificates,
      { width: width - 2, style },
    )
    lines.push('', style.bold('Certificates, newest first'), ...table.map((line) => `  ${line}`))
  }
  if (waiting.length > 0) {
    lines.push('', style.bold('Waiting for approval'))
    for (const { spkiHash, createdAt, profile } of waiting) {
      lines.push(`  key ${spkiHash.slice(0, 16)}…, profile ${profile}, asked ${ago(createdAt, now)}`)
    }
  }
  return lines
}

function describeSecret(
  { expiresAt, usedAt }: { expiresAt: Instant; usedAt: Instant | null },
  now: Instant,
): string {
  if (usedAt !== null) return `used ${instant(usedAt)}`
  return expiresAt > now
    ? `unused, valid until ${instant(expiresAt)}`
    : `expired unused ${instant(expiresAt)}`
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
      .action(async (id: DeviceId, options: { validFor?: number }) => await secret(cli, id, options)),
    [
      {
        say: 'Shown once; the device uses it as its HTTP Basic password',
        run: 'perennial device secret SN-0001',
      },
      { say: 'For a script', run: 'perennial device secret SN-0001 --json' },
    ],
  )
}

async function secret(
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

function deviceJson(device: DeviceRow): { readonly [key: string]: Json } {
  const { lastRenewalAt, lastSeenAt, createdAt, ...rest } = device
  return {
    ...rest,
    lastRenewalAt: isoOrNull(lastRenewalAt),
    lastSeenAt: isoOrNull(lastSeenAt),
    createdAt: iso(createdAt),
  }
}

function approvalJson({ csr: _csr, createdAt, decidedAt, ...rest }: ApprovalRecord): {
  readonly [key: string]: Json
} {
  return { ...rest, createdAt: iso(createdAt), decidedAt: isoOrNull(decidedAt) }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

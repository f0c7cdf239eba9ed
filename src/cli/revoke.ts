/** `perennial revoke`: one certificate, one device, or everything that fits a selection. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import { certificatesBySerial, deviceDetails, type CertificateRow } from '../engine/inventory/inventory.ts'
import { needsApproval } from '../engine/proposals/approval-rule.ts'
import { deviceReasons, fleetWords, parseReason } from '../engine/revocation/revocation-words.ts'
import { ownIssuers, revokeCertificate, revokeDevice, type Revoked } from '../engine/revocation/revoke.ts'
import {
  cancelRevocation,
  countForApproval,
  orderRevocation,
  previewRevocation,
  revocationBatches,
  stepRevocation,
  type RevocationBatch,
  type RevocationPreview,
  type RevocationSelection,
} from '../engine/revocation/revoke-batch.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import {
  deviceIdArgument,
  durationOption,
  given,
  issuerIdArgument,
  serialArgument,
  wholeNumber,
} from './options.ts'
import type { Json } from './output.ts'
import { fileProposal } from './proposal.ts'
import { instant } from './time.ts'

type Reason = ReturnType<typeof parseReason>

export function registerRevoke(program: Command, cli: CliContext): void {
  const revoke = program.command('revoke')
  registerOne(revoke, cli)
  registerBatch(revoke, cli)
}

interface OrderOptions {
  readonly reason: Reason
  readonly note?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

function addOrderOptions(command: Command): Command {
  const words = [...Object.keys(fleetWords), ...deviceReasons].join(', ')
  return command
    .addOption(new Option('--reason <reason>', `why: ${words}`).argParser(reasonOption).makeOptionMandatory())
    .option('--note <text>', 'what happened, in words; goes on record')
    .option('--dry-run', 'only say what would be revoked')
    .option('--yes', 'do it: a revocation cannot be taken back')
}

function reasonOption(text: string): Reason {
  try {
    return parseReason(text)
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidArgumentError(error.message)
    throw error
  }
}

function registerOne(revoke: Command, cli: CliContext): void {
  addExamples(
    addOrderOptions(
      revoke
        .command('cert')
        .description('revoke one certificate; its device is quarantined when it was in use')
        .addArgument(new Argument('<serial>', 'serial number, hex').argParser(serialArgument))
        .addOption(
          new Option('--issuer <id>', 'when two issuers used the same serial number').argParser(
            issuerIdArgument,
          ),
        ),
    ).action(async (serial: SerialNumber, options: OrderOptions & { issuer?: IssuerId }) =>
      certificate(cli, serial, options),
    ),
    [
      {
        say: 'What would happen',
        run: 'perennial revoke cert $SERIAL --reason key-extracted --dry-run',
      },
    ],
  )
  addExamples(
    addOrderOptions(
      revoke
        .command('device')
        .description('revoke everything that a device holds, and quarantine it until somebody has looked')
        .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument)),
    ).action(async (id: DeviceId, options: OrderOptions) => device(cli, id, options)),
    [
      {
        say: 'A stolen device',
        run: 'perennial revoke device demo-gateway-002 --reason theft --note "van broken into" --yes',
      },
      {
        say: 'Without --yes nothing happens',
        run: 'perennial revoke device demo-gateway-001 --reason theft',
        exit: 3,
      },
    ],
  )
}

async function certificate(
  cli: CliContext,
  serialNumber: SerialNumber,
  { issuer, ...options }: OrderOptions & { readonly issuer?: IssuerId },
): Promise<void> {
  const { engine } = await cli.app()
  const rows = await certificatesBySerial(engine, serialNumber)
  const fitting = issuer === undefined ? rows : rows.filter(({ issuerId }) => issuerId === issuer)
  const [row, ...others] = fitting
  if (!row) throw new Refusal('not-found', `${issuer ?? 'nobody'} has issued no certificate ${serialNumber}`)
  if (others.length > 0) {
    const names = fitting.map(({ issuerId }) => issuerId).join(' and ')
    throw new Refusal('invalid-input', `${names} have both used ${serialNumber}: name one with --issuer`)
  }
  if (isOnlyAsked(cli, options, [row], row.deviceId)) return
  show(cli, await revokeCertificate(engine, row, orderOf(options)), row.deviceId)
}

async function device(cli: CliContext, id: DeviceId, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const { certificates } = await deviceDetails(engine, id)
  const ours = await ownIssuers(engine)
  const now = cli.clock.now()
  const live = certificates.filter(
    ({ status, issuerId, notAfter }) =>
      (status === 'issued' || status === 'confirmed' || status === 'superseded') &&
      ours.has(issuerId) &&
      notAfter + 999 >= now,
  )
  if (isOnlyAsked(cli, options, live, id)) return
  show(cli, await revokeDevice(engine, id, orderOf(options)), id)
}

function orderOf({ reason, note }: OrderOptions): { reason: Reason; note?: string; actor: string } {
  return { reason, actor: commandLineActor(), ...given({ note }) }
}

/** Says what would be done. @throws Refusal `invalid-input` when it was neither asked only nor confirmed */
function isOnlyAsked(
  cli: CliContext,
  { dryRun = false, yes = false, reason }: OrderOptions,
  certificates: readonly CertificateRow[],
  deviceId: DeviceId | null,
): boolean {
  if (yes && !dryRun) return false
  const what = counted(certificates.length, 'certificate')
  if (!dryRun) {
    throw new Refusal(
      'invalid-input',
      `this would revoke ${what} of ${deviceId ?? 'no device'} for ever: add --yes to do it`,
    )
  }
  cli.output.answer({
    json: { dryRun: true, deviceId, reason, certificates: certificates.map(certificateJson) },
    text: () =>
      [`Would revoke ${what} of ${deviceId ?? 'no device'} (${reason}):`, ...certificates.map(lineOf)].join(
        '\n',
      ),
  })
  return true
}

function show(cli: CliContext, { certificates, deviceState }: Revoked, deviceId: DeviceId | null): void {
  cli.output.answer({
    json: { deviceId, deviceState, certificates: certificates.map(certificateJson) },
    text: () =>
      [
        `Revoked ${counted(certificates.length, 'certificate')} of ${deviceId ?? 'no device'}.`,
        ...certificates.map(lineOf),
        ...(deviceState === null ? [] : [`The device is ${deviceState}.`]),
      ].join('\n'),
  })
  cli.output.note('OCSP answers so at once; CRLs follow within seconds where `perennial serve` runs.')
}

type Shown = Pick<CertificateRow, 'serialNumber' | 'issuerId' | 'notAfter' | 'status'>

function lineOf({ serialNumber, issuerId, notAfter, status }: Shown): string {
  return `  ${issuerId}/${serialNumber}  ${status}, until ${instant(notAfter)}`
}

function certificateJson({ serialNumber, issuerId, notAfter, status }: Shown): Json {
  return { serialNumber, issuerId, status, notAfter: iso(notAfter) }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

interface BatchOptions extends OrderOptions, RevocationSelection {
  readonly delay?: number
}

function registerBatch(revoke: Command, cli: CliContext): void {
  const batch = revoke
    .command('batch')
    .description('revoke every device that fits: a manufacturing run, a site, a cohort')
    .option('--batch <name>', 'of this manufacturing run')
    .option('--cohort <name>', 'of this cohort')
    .option('--site <name>', 'at this site')
    .option('--profile <name>', 'of this profile')
    .option('--connectivity <name>', 'connected in this way')
    .addOption(
      new Option(
        '--delay <duration>',
        'begin this much later, and until then `revoke cancel` undoes it',
      ).argParser(durationOption),
    )
  addExamples(
    addOrderOptions(batch).action(async (options: BatchOptions) => runBatch(cli, options)),
    [
      {
        say: 'What a lost shipment would cost',
        run: 'perennial revoke batch --batch 2026-07 --reason theft --dry-run',
      },
      {
        say: 'A site that is shut, with an hour to think again',
        run: 'perennial revoke batch --site "Plant 9" --reason end-of-life --delay 1h --yes',
      },
    ],
  )
  addExamples(
    revoke
      .command('list')
      .description('list batches of revocations and how far they are')
      .action(async () => list(cli)),
    [{ say: 'All of them, newest first', run: 'perennial revoke list' }],
  )
  addExamples(
    revoke
      .command('cancel')
      .description('stop a batch; what it has revoked stays revoked')
      .addArgument(new Argument('<number>', 'as `revoke list` shows it').argParser(wholeNumber(1, 2 ** 40)))
      .option('--note <text>', 'why; goes on record')
      .action(async (id: number, options: { note?: string }) => cancel(cli, id, options)),
    [{ say: 'Think again', run: 'perennial revoke cancel 1 --note "it was the wrong site"' }],
  )
}

async function runBatch(cli: CliContext, options: BatchOptions): Promise<void> {
  const { engine } = await cli.app()
  const { batch, cohort, site, profile, connectivity, delay = 0, dryRun = false, yes = false } = options
  const selection = given({ batch, cohort, site, profile, connectivity })
  const preview = await previewRevocation(engine, selection)
  if (dryRun || !yes) {
    showPreview(cli, preview, options)
    if (!dryRun) throw new Refusal('invalid-input', 'nothing was revoked: add --yes to do it')
    return
  }
  if (needsApproval(engine, 'revoke-batch', await countForApproval(engine, selection))) {
    const { reason, note = null } = options
    const payload = { selection, reason, note, delayMs: delay }
    await fileProposal(cli, { kind: 'revoke-batch', payload, why: note })
    return
  }
  let state = await orderRevocation(engine, { ...orderOf(options), selection, delayMs: delay })
  if (delay === 0) {
    const progress = cli.progress('Revoking devices', preview.devices)
    try {
      while (state.endedAt === null) {
        state = await stepRevocation(engine, state.id)
        progress.update(state.devices)
      }
    } finally {
      progress.end()
    }
  }
  cli.output.answer({ json: batchJson(state), text: () => batchText(state) })
}

function showPreview(cli: CliContext, preview: RevocationPreview, { reason }: OrderOptions): void {
  const { devices, certificates, outOfService } = preview
  const sites = [...preview.sites].sort(([, a], [, b]) => b - a)
  cli.output.answer({
    json: { dryRun: true, reason, devices, certificates, outOfService, sites: Object.fromEntries(sites) },
    text: () =>
      [
        `Would revoke ${counted(certificates, 'certificate')} of ${counted(devices, 'device')} (${reason}).`,
        `  ${outOfService} of them are out of service already.`,
        `  CRLs would grow by ${counted(certificates, 'entry').replace('entrys', 'entries')}, about ${Math.ceil((certificates * 49) / 1024)} kB.`,
        ...sites.slice(0, 10).map(([site, count]) => `  ${site}: ${counted(count, 'device')}`),
        ...(sites.length > 10 ? [`  and ${sites.length - 10} more sites`] : []),
      ].join('\n'),
  })
}

async function list(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await cli.output.list<RevocationBatch>({
    columns: [
      { title: 'NUMBER', value: ({ id }) => id },
      { title: 'STATUS', value: ({ status }) => status },
      { title: 'REASON', value: ({ reason }) => reason },
      { title: 'DEVICES', value: ({ devices }) => devices },
      { title: 'CERTIFICATES', value: ({ certificates }) => certificates },
      { title: 'BEGINS', value: ({ startsAt }) => instant(startsAt) },
      { title: 'SELECTION', value: ({ selection }) => selection, shrink: true },
    ],
    rows: await revocationBatches(engine),
    json: batchJson,
    empty: 'No batch was ever revoked.',
  })
}

async function cancel(cli: CliContext, id: number, { note }: { readonly note?: string }): Promise<void> {
  const { engine } = await cli.app()
  const state = await cancelRevocation(engine, id, { actor: commandLineActor(), ...given({ note }) })
  cli.output.answer({ json: batchJson(state), text: () => batchText(state) })
}

function batchText({ id, status, devices, certificates, startsAt }: RevocationBatch): string {
  const done = `${counted(certificates, 'certificate')} of ${counted(devices, 'device')}`
  switch (status) {
    case 'waiting':
      return `Revocation ${id} begins at ${instant(startsAt)}; until then: perennial revoke cancel ${id}`
    case 'running':
      return `Revocation ${id} has revoked ${done} and goes on.`
    case 'done':
      return `Revocation ${id} has revoked ${done}.`
    case 'cancelled':
      return `Revocation ${id} is cancelled; it had revoked ${done}.`
  }
}

function batchJson({ startsAt, createdAt, endedAt, selection, ...rest }: RevocationBatch): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    selection: JSON.parse(selection) as Json,
    createdAt: iso(createdAt),
    startsAt: iso(startsAt),
    endedAt: endedAt === null ? null : iso(endedAt),
  }
}

/** `perennial revoke`: one certificate, one device, everything that fits a selection, or an issuer. */
import { Argument, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import { certificatesBySerial, deviceDetails, type CertificateRow } from '../engine/inventory/inventory.ts'
import { openCaseOf } from '../engine/cases/case.ts'
import { closeCase } from '../engine/cases/verdict.ts'
import { impactOf, impactOfCertificate, onePage, type RevocationImpact } from '../engine/revocation/impact.ts'
import { ownIssuers, revokeCertificate, revokeDevice, type Revoked } from '../engine/revocation/revoke.ts'
import { commandLineActor } from './account.ts'
import { answerClosed } from './case.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { deviceIdArgument, given, issuerIdArgument, serialArgument } from './options.ts'
import type { Json } from './output.ts'
import { registerBatch } from './revoke-batch.ts'
import { impactJson, impactLines } from './revoke-impact.ts'
import { registerIssuer } from './revoke-issuer.ts'
import { addOrderOptions, counted, deviceReasonOption, orderOf, type OrderOptions } from './revoke-order.ts'
import { registerStatus } from './revoke-status.ts'
import { instant } from './time.ts'

export function registerRevoke(program: Command, cli: CliContext): void {
  const revoke = program.command('revoke')
  registerOne(revoke, cli)
  registerBatch(revoke, cli)
  registerIssuer(revoke, cli)
  registerRelease(revoke, cli)
  registerStatus(revoke, cli)
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
      deviceReasonOption(),
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
      deviceReasonOption(),
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

function registerRelease(revoke: Command, cli: CliContext): void {
  addExamples(
    revoke
      .command('release')
      .description(
        'take a hold back: the certificates of the device are good again, and its case is closed as cleared',
      )
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .option('--note <text>', 'why')
      .action(async (id: DeviceId, { note }: { note?: string }) => {
        const { engine } = await cli.app()
        const { id: number } = await openCaseOf(engine, id)
        const closing = {
          id: number,
          verdict: 'cleared',
          actor: commandLineActor(),
          ...given({ note }),
        } as const
        answerClosed(cli, await closeCase(engine, closing))
      }),
    [{ say: 'It was in a drawer', run: 'perennial revoke release demo-gateway-004', exit: 5 }],
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
  if (options.yes !== true || options.dryRun === true) {
    const impact = await impactOfCertificate(engine, row, options)
    onlyAsked(cli, options, { certificates: [row], deviceId: row.deviceId, impact })
    return
  }
  show(cli, await revokeCertificate(engine, row, orderOf(options)), row.deviceId)
}

async function device(cli: CliContext, id: DeviceId, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const { certificates, device: record } = await deviceDetails(engine, id)
  const ours = await ownIssuers(engine)
  const now = cli.clock.now()
  const live = certificates.filter(
    ({ status, issuerId, notAfter }) =>
      (status === 'issued' || status === 'confirmed' || status === 'superseded') &&
      ours.has(issuerId) &&
      notAfter + 999 >= now,
  )
  if (options.yes !== true || options.dryRun === true) {
    const impact = await impactOf(engine, onePage([record]), options)
    onlyAsked(cli, options, { certificates: live, deviceId: id, impact })
    return
  }
  show(cli, await revokeDevice(engine, id, orderOf(options)), id)
}

interface Looked {
  readonly certificates: readonly CertificateRow[]
  readonly deviceId: DeviceId | null
  readonly impact: RevocationImpact
}

/** Says what would be done. @throws Refusal `invalid-input` when it was neither asked only nor confirmed */
function onlyAsked(
  cli: CliContext,
  { dryRun = false, reason }: OrderOptions,
  { certificates, deviceId, impact }: Looked,
): void {
  const what = `${counted(certificates.length, 'certificate')} of ${deviceId ?? 'no device'}`
  if (!dryRun) {
    throw new Refusal('invalid-input', `this would revoke ${what} for ever: add --yes to do it`)
  }
  cli.output.answer({
    json: {
      dryRun: true,
      deviceId,
      reason,
      certificates: certificates.map(certificateJson),
      impact: impactJson(impact),
    },
    text: () =>
      [`Would revoke ${what} (${reason}):`, ...certificates.map(lineOf), ...impactLines(impact)].join('\n'),
  })
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

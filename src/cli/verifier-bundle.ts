/** `perennial verifier bundle` and `check`: status for verifiers without a link. */
import { createPublicKey } from 'node:crypto'
import { Option, type Command } from 'commander'
import { OfflineStatus, type OfflineAnswer } from '../agent/offline-status.ts'
import { dayMs, iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import {
  makeStatusBundle,
  statusMethods,
  type StatusMethod,
} from '../engine/revocation/status-bundle-make.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { isOtaDevice } from '../pki/ota-bundle.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { durationOption } from './options.ts'

interface BundleOptions {
  readonly out: string
  readonly method: StatusMethod
  readonly for: string
  readonly lifetime: number
}

export function registerBundle(verifier: Command, cli: CliContext): void {
  addExamples(
    verifier
      .command('bundle')
      .summary('trust bundle and status in one signed file, for verifiers without a link')
      .description(
        [
          'Write a signed file with the CAs to trust and which of their certificates are revoked, for verifiers without a link.',
          '',
          'set: a compact set for each issuing CA, a fiftieth of the size of its CRL, right about every certificate that was',
          'there when it was made. crl: the complete CRLs. delta: what came since, for those who hold a complete bundle.',
        ].join('\n'),
      )
      .requiredOption('--out <file>', 'where to write it')
      .addOption(new Option('--method <name>', 'what it holds').choices(statusMethods).default('set'))
      .option('--for <device>', 'a device, PREFIX* or *', '*')
      .option(
        '--lifetime <duration>',
        'how long it may be used (30d); no longer than its CRLs',
        durationOption,
        30 * dayMs,
      )
      .action(async (options: BundleOptions) => await bundle(cli, options)),
    [{ say: 'For gates that are never on a network', run: 'perennial verifier bundle --out fleet.status' }],
  )
  addExamples(
    verifier
      .command('check')
      .summary('what such a file says about a certificate')
      .description(
        'Verify a file of `perennial verifier bundle` and say what it says about certificates. It needs no data directory. Exit code 1 when one is not good. Programs use OfflineStatus of perennial/agent.',
      )
      .argument('<certificates...>', 'PEM or DER')
      .requiredOption('--bundle <file>', 'the file')
      .requiredOption('--key <file>', 'public key that must have signed it (perennial trigger key)')
      .action(async (files: string[], options: CheckOptions) => await check(cli, files, options)),
    [
      {
        say: 'At a gate',
        run: 'perennial trigger key > ota-key.pem && perennial verifier check device.pem --bundle fleet.status --key ota-key.pem',
      },
    ],
  )
}

async function bundle(cli: CliContext, { out, method, for: device, lifetime }: BundleOptions): Promise<void> {
  if (!isOtaDevice(device, 'status')) {
    throw new Refusal('invalid-input', `a bundle cannot be for ${device}: give a device, PREFIX* or *`)
  }
  const app = await cli.app()
  const file = await makeStatusBundle(app.engine, {
    method,
    device,
    lifetimeMs: lifetime,
    signer: await app.otaSigner(),
    actor: commandLineActor(),
    now: cli.clock.now(),
  })
  await writeFileAtomically(out, file, 0o644)
  cli.output.answer({
    json: { file: out, method, device, bytes: file.length },
    text: () => `Wrote ${out}: ${method} for ${device}, ${file.length} bytes.`,
  })
}

interface CheckOptions {
  readonly bundle: string
  readonly key: string
}

async function check(cli: CliContext, files: readonly string[], options: CheckOptions): Promise<void> {
  const now = cli.clock.now()
  const pem = Buffer.from(await cli.readInput(options.key))
  const key = createPublicKey(pem).export({ type: 'spki', format: 'der' })
  const status = OfflineStatus.take(await cli.readInput(options.bundle), { keys: [key], now })
  const answers: { file: string; serialNumber: string; status: OfflineAnswer['status']; why: string }[] = []
  for (const file of files) {
    const [der] = readCertificates(await cli.readInput(file), file)
    const certificate = parseCertificate(der as Uint8Array)
    answers.push({ file, serialNumber: certificate.serialNumber, ...status.check(certificate, now) })
  }
  cli.output.answer({
    json: { version: status.version, expiresAt: iso(status.expiresAt), certificates: answers },
    text: () => answers.map(({ file, status: is, why }) => `${file}: ${is} (${why})`).join('\n'),
  })
  if (answers.some(({ status: is }) => is !== 'good')) throw new FoundProblems()
}

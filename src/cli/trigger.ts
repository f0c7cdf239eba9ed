/** `perennial trigger`: ask a device by hand, and make signed bundles for devices that nothing reaches. */
import { createPublicKey } from 'node:crypto'
import { Argument, type Command } from 'commander'
import { dayMs, iso, minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { DeviceId } from '../base/id.ts'
import { ocspBundle } from '../engine/revocation/ocsp-bundle.ts'
import { manualTrigger, sendManually, signBundle } from '../engine/triggers/manual-trigger.ts'
import { triggerKinds, type TriggerKind } from '../engine/ports.ts'
import { isOtaDevice, maxOtaCertificates, otaKeyId, type OtaBundle } from '../pki/ota-bundle.ts'
import { encodePem } from '../pki/pem.ts'
import { triggerBundle } from '../triggers/ota.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import { deviceIdArgument, durationOption } from './options.ts'

export function registerTrigger(program: Command, cli: CliContext): void {
  const trigger = program.command('trigger')
  addExamples(
    trigger
      .command('test')
      .summary('ask one device to renew, by one channel, now')
      .description(
        [
          'Ask one device to renew, by one channel, now: to see that a channel works. It costs what a message costs, and',
          'counts as no attempt. mqtt, twin and ota without a URL need the broker of a running `perennial serve`.',
        ].join('\n'),
      )
      .addArgument(new Argument('<channel>', 'the way to ask').choices(triggerKinds))
      .argument('<device>', 'device id', deviceIdArgument)
      .action(async (channel: TriggerKind, deviceId: DeviceId) => await sendTest(cli, channel, deviceId)),
    [
      {
        say: 'By SMS',
        run: 'perennial trigger test sms meter-17',
        notRun: 'it needs a provider',
      },
      {
        say: 'The list that people work from: nothing leaves',
        run: 'perennial trigger test field demo-gateway-001',
      },
    ],
  )
  addExamples(
    trigger
      .command('bundle')
      .summary('write a signed bundle for a device, to be carried to it')
      .description(
        [
          'Write a signed bundle for a device, to be carried to it by any means: whoever carries it cannot change it. It asks',
          'the device to renew; with --trust it brings the CAs that it is to trust from now on, with --certificate a chain, with',
          '--ocsp the answer that its TLS server staples, in force for some hours.',
          'A bundle of --trust may be for many: meter-* or *.',
        ].join('\n'),
      )
      .argument('<device>', 'device id; with --trust also PREFIX* or *')
      .requiredOption('--out <file>', 'where to write it; - is standard output')
      .option('--trust <file>', 'PEM file of the CA certificates to trust')
      .option('--certificate <file>', "PEM file of the device's new chain, its own certificate first")
      .option('--ocsp', 'the signed OCSP answer about its certificate, for its TLS server to staple')
      .option('--lifetime <duration>', 'how long the device may take it (90d)', durationOption, 90 * dayMs)
      .action(async (device: string, options: BundleOptions) => await bundle(cli, device, options)),
    [
      {
        say: 'Ask a device to renew, by courier',
        run: 'perennial trigger bundle demo-gateway-001 --out demo-gateway-001.bundle',
      },
      {
        say: 'For the TLS server of a device that reaches no responder',
        run: 'perennial trigger bundle demo-gateway-001 --ocsp --out staple.bundle',
      },
    ],
  )
  addExamples(
    trigger
      .command('key')
      .description('print the public key that devices check bundles against (PEM)')
      .action(async () => await printKey(cli)),
    [{ say: 'For the firmware', run: 'perennial trigger key > ota-key.pem' }],
  )
}

async function sendTest(cli: CliContext, kind: TriggerKind, deviceId: DeviceId): Promise<void> {
  const { engine } = await cli.app()
  const { trigger, reference } = await sendManually(engine, { kind, deviceId }, new AbortController().signal)
  cli.output.answer({
    json: { channel: kind, device: deviceId, certificate: trigger.certificate, reference },
    text: () =>
      `Taken by ${kind}: ${deviceId} is asked to renew ${trigger.certificate}${reference === null ? '' : ` (${reference})`}.`,
  })
}

interface BundleOptions {
  readonly out: string
  readonly trust?: string
  readonly certificate?: string
  readonly ocsp?: boolean
  readonly lifetime: number
}

async function bundle(cli: CliContext, device: string, options: BundleOptions): Promise<void> {
  const app = await cli.app()
  const now = cli.clock.now()
  const content = await contentOf(cli, device, options)
  const signer = await app.otaSigner()
  const text = await signBundle(app.engine, { bundle: content, signer, actor: commandLineActor(), now })
  if (options.out === '-') return void process.stdout.write(`${text}\n`)
  await writeFileAtomically(options.out, `${text}\n`, 0o644)
  const { kind } = content.payload
  cli.output.answer({
    json: { device, kind, version: content.version, expiresAt: iso(content.expiresAt), file: options.out },
    text: () => `Wrote ${options.out}: ${kind} for ${device}, valid until ${iso(content.expiresAt)}.`,
  })
}

async function contentOf(
  cli: CliContext,
  device: string,
  { trust, certificate, ocsp = false, lifetime }: BundleOptions,
): Promise<OtaBundle> {
  if ([trust !== undefined, certificate !== undefined, ocsp].filter(Boolean).length > 1) {
    throw new Refusal('invalid-input', 'a bundle holds one thing: give --trust, --certificate or --ocsp')
  }
  const now = cli.clock.now()
  if (ocsp) return await ocspBundle((await cli.app()).engine, deviceIdArgument(device), now)
  if (trust === undefined && certificate === undefined) {
    const { engine } = await cli.app()
    return triggerBundle(await manualTrigger(engine, deviceIdArgument(device), now), lifetime)
  }
  const file = trust ?? (certificate as string)
  const certificates = readCertificates(await cli.readInput(file), file).map((der) =>
    encodePem('CERTIFICATE', der),
  )
  const kind = trust === undefined ? 'certificate' : 'trust'
  if (!isOtaDevice(device, kind)) {
    throw new Refusal('invalid-input', `a bundle of --${kind} cannot be for ${device}; see the help`)
  }
  if (certificates.length > maxOtaCertificates) {
    throw new Refusal('invalid-input', `${file} has more than ${maxOtaCertificates} certificates`)
  }
  const span = { notBefore: now - 5 * minuteMs, expiresAt: now + lifetime }
  return { device, version: now, ...span, payload: { kind, certificates } }
}

async function printKey(cli: CliContext): Promise<void> {
  const { spki } = await (await cli.app()).otaSigner()
  const pem = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({
    type: 'spki',
    format: 'pem',
  })
  cli.output.answer({ json: { keyId: otaKeyId(spki), pem: String(pem) }, text: () => String(pem).trimEnd() })
}

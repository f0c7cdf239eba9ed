/** `perennial trust`: manufacturer CAs whose factory identities (IEEE 802.1AR IDevID) may enrol. */
import { Argument, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { addTrustAnchor, removeTrustAnchor, trustAnchors } from '../engine/issuing/trust.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { encodePem } from '../pki/pem.ts'
import type { TrustAnchorRecord } from '../store/trust-anchors.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import type { Json } from './output.ts'
import { day } from './time.ts'

export function registerTrust(program: Command, cli: CliContext): void {
  const trust = program.command('trust')
  addExamples(
    trust
      .command('add')
      .summary('let devices enrol with the factory identity that this CA signed')
      .description(
        [
          'Let devices enrol with the factory identity that this CA of their manufacturer signed. The rule says which part of',
          'the factory certificate is the device id; it must find exactly one value.',
          '',
          'Rules: subject.serialNumber, subject.CN, san.uri:PREFIX*, san.dns:*.SUFFIX, san.hardwareModuleName,',
          'san.hardwareModuleName.hex; the * stands for the device id.',
        ].join('\n'),
      )
      .argument('<file>', 'certificate of the CA (PEM or DER); - is standard input')
      .requiredOption('--name <text>', 'what people call it')
      .option('--device-id <rule>', 'which part of the certificate is the device id', 'subject.serialNumber')
      .option('--profile <name>', 'the only profile that its devices may have')
      .action(async (file: string, options: AddOptions) => await add(cli, file, options)),
    [
      {
        say: 'The serial number in the subject is the device id',
        run: 'perennial trust add acme-factory-ca.pem --name "ACME factory" --device-id subject.serialNumber',
      },
    ],
  )
  addExamples(
    trust
      .command('list')
      .description('list the manufacturer CAs')
      .action(async () => await list(cli)),
    [{ say: 'All of them', run: 'perennial trust list' }],
  )
  addExamples(
    trust
      .command('remove')
      .description('no longer let devices enrol with identities of this CA; what they have stays')
      .addArgument(new Argument('<id>', 'id from `perennial trust list`'))
      .action(async (id: string) => await remove(cli, id)),
    [{ say: 'By its id', run: 'perennial trust remove 0123456789abcdef', exit: 5 }],
  )
}

interface AddOptions {
  readonly name: string
  readonly deviceId: string
  readonly profile?: string
}

async function add(cli: CliContext, file: string, options: AddOptions): Promise<void> {
  const [certificate, ...others] = readCertificates(await cli.readInput(file), file)
  if (!certificate || others.length > 0) {
    throw new Refusal(
      'invalid-input',
      `${file} holds ${1 + others.length} certificates; give the one of the CA alone`,
    )
  }
  const { engine } = await cli.app()
  const record = await addTrustAnchor(engine, {
    name: options.name,
    certificate,
    deviceIdRule: options.deviceId,
    profile: options.profile ?? null,
    actor: commandLineActor(),
  })
  cli.output.answer({
    json: anchorJson(record),
    text: () =>
      `Trusted as ${record.id}: ${record.subject}. Its devices are named by ${record.deviceIdRule}.`,
  })
}

async function list(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await cli.output.list({
    columns: [
      { title: 'ID', value: (row) => row.id },
      { title: 'NAME', value: (row) => row.name },
      { title: 'DEVICE ID', value: (row) => row.deviceIdRule },
      { title: 'PROFILE', value: (row) => row.profile ?? 'any' },
      { title: 'NOT AFTER', value: (row) => day(parseCertificate(row.certificate).notAfter) },
      { title: 'SUBJECT', value: (row) => row.subject, shrink: true },
    ],
    rows: await trustAnchors(engine),
    json: anchorJson,
    empty: 'No manufacturer CA is trusted.',
  })
}

async function remove(cli: CliContext, id: string): Promise<void> {
  const { engine } = await cli.app()
  const record = await removeTrustAnchor(engine, id, commandLineActor())
  cli.output.answer({
    json: anchorJson(record),
    text: () => `No longer trusted: ${record.name}. Devices that it let in keep their certificates.`,
  })
}

function anchorJson({ certificate, createdAt, ...rest }: TrustAnchorRecord): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    notAfter: iso(parseCertificate(certificate).notAfter),
    createdAt: iso(createdAt),
    pem: encodePem('CERTIFICATE', certificate),
  }
}

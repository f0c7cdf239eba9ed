/** `perennial cert`: the inventory of certificates, and tools that read any certificate. */
import { Argument, Option, type Command } from 'commander'
import { exportCertificate, listAll, listNeedsRenewal, show } from './cert-list.ts'
import { expiry } from './cert-expiry.ts'
import { whatIfOption } from './cert-forecast.ts'
import { splits } from '../engine/inventory/forecast-read.ts'
import { importCertificates } from './cert-import.ts'
import { inspect, lint, verify } from './cert-inspect.ts'
import { certificateResource } from '../filter/resources.ts'
import { certificateSorts } from '../store/certificate-listing.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addFilterOptions } from './filter-options.ts'
import {
  addListOptions,
  collect,
  deviceIdArgument,
  durationOption,
  instantOption,
  issuerIdArgument,
  serialArgument,
  wholeNumber,
} from './options.ts'

const statuses = ['reserved', 'issued', 'confirmed', 'superseded', 'revoked', 'abandoned'] as const

export function registerCert(program: Command, cli: CliContext): void {
  const cert = program.command('cert')
  registerList(cert, cli)
  registerShow(cert, cli)
  registerExpiry(cert, cli)
  registerImport(cert, cli)
  registerTools(cert, cli)
}

function registerList(cert: Command, cli: CliContext): void {
  const list = cert
    .command('list')
    .description('list certificates, oldest first; with --expires-within, those that end soonest first')
    .addOption(new Option('--device <id>', 'of this device').argParser(deviceIdArgument))
    .addOption(new Option('--issuer <id>', 'of this issuer').argParser(issuerIdArgument))
    .addOption(new Option('--status <status>', 'in this status').choices(statuses))
    .option('--profile <name>', 'of this profile')
    .option('--cohort <name>', 'of this cohort')
    .option('--batch <name>', 'of this manufacturing run')
    .option('--site <name>', 'at this site')
    .addOption(
      new Option('--expires-within <duration>', 'live ones that end within this time (30d)').argParser(
        durationOption,
      ),
    )
    .action(async (options: Parameters<typeof listAll>[1]) => await listAll(cli, options))
  addExamples(addListOptions(addFilterOptions(list, certificateResource, certificateSorts)), [
    { say: 'Everything, as JSON', run: 'perennial cert list --json' },
    {
      say: 'What is revoked and would otherwise live on',
      run: 'perennial cert list --filter "status=revoked notAfter>0"',
    },
    { say: 'What a device has had', run: 'perennial cert list --device SN-0001' },
    { say: 'What ends within 30 days', run: 'perennial cert list --expires-within 30d' },
  ])

  const needsRenewal = cert
    .command('needs-renewal')
    .description('list devices whose renewal window is open and who have not renewed yet, soonest end first')
    .option('--profile <name>', 'of this profile')
    .option('--cohort <name>', 'of this cohort')
    .addOption(new Option('--at <instant>', 'as of this instant instead of now').argParser(instantOption))
    .action(async (options: Parameters<typeof listNeedsRenewal>[1]) => await listNeedsRenewal(cli, options))
  addExamples(addListOptions(needsRenewal), [
    { say: 'Who should renew now', run: 'perennial cert needs-renewal' },
    { say: 'Who should have renewed by new year', run: 'perennial cert needs-renewal --at 2030-01-01' },
  ])
}

function registerShow(cert: Command, cli: CliContext): void {
  const serial = () => new Argument('<serial>', 'serial number, hex').argParser(serialArgument)
  const issuer = () =>
    new Option('--issuer <id>', 'when two issuers used the same serial number').argParser(issuerIdArgument)
  addExamples(
    cert
      .command('show')
      .description('show a certificate of the inventory and its life so far')
      .addArgument(serial())
      .addOption(issuer())
      .action(async (number, options) => await show(cli, number, options)),
    [{ say: 'By the serial number that tools print', run: 'perennial cert show $SERIAL' }],
  )
  addExamples(
    cert
      .command('export')
      .description('write a certificate of the inventory as PEM or DER')
      .addArgument(serial())
      .addOption(issuer())
      .addOption(new Option('--format <format>', 'pem or der').choices(['pem', 'der']).default('pem'))
      .option('--chain', 'followed by its issuers, root last (PEM)')
      .option('--out <file>', 'write to this file instead of standard output')
      .action(async (number, options) => await exportCertificate(cli, number, options)),
    [
      { say: 'With its chain', run: 'perennial cert export $SERIAL --chain' },
      { say: 'As DER into a file', run: 'perennial cert export $SERIAL --format der --out device.der' },
    ],
  )
}

function registerExpiry(cert: Command, cli: CliContext): void {
  addExamples(
    cert
      .command('expiry')
      .description('histogram of when live certificates end')
      .addOption(
        new Option('--by <unit>', 'day, week (from Monday) or month')
          .choices(['day', 'week', 'month'])
          .default('week'),
      )
      .addOption(
        new Option('--count <n>', 'how many of them; default: 30 days, 26 weeks or 24 months').argParser(
          wholeNumber(1, 1000),
        ),
      )
      .addOption(new Option('--from <day>', 'begin here instead of today').argParser(instantOption))
      .option('--profile <name>', 'of this profile')
      .option('--cohort <name>', 'of this cohort')
      .addOption(new Option('--stack <what>', 'how many of each').choices(splits))
      .option('--renewals', 'when they are renewed, at the rate that there is, and what lapses')
      .option(
        '--what-if <name=value>',
        'with jitter=30d, window=60d or rate=5000 (a week) in place of what is; may be repeated',
        collect(whatIfOption),
      )
      .option('--flatten', 'how many to renew early in which week, where more end than can be renewed in one')
      .action(async (options) => await expiry(cli, options)),
    [
      { say: 'The next half year by week', run: 'perennial cert expiry' },
      { say: 'By who signed them', run: 'perennial cert expiry --by month --stack issuer' },
      { say: 'What a jitter of a month would do', run: 'perennial cert expiry --what-if jitter=30d' },
      { say: 'How to flatten a cliff', run: 'perennial cert expiry --flatten' },
      {
        say: 'Three years by month, one cohort',
        run: 'perennial cert expiry --by month --count 36 --cohort pilot',
      },
    ],
  )
}

function registerImport(cert: Command, cli: CliContext): void {
  addExamples(
    cert
      .command('import')
      .description('take certificates issued elsewhere into the inventory, so that their ends are seen')
      .argument('<file...>', 'PEM, DER, CSV, JSON Lines, or a directory of them; - is standard input')
      .addHelpText(
        'after',
        [
          '',
          'CSV has a header, JSON Lines an object a line; the columns, or keys, are certificate (PEM, or base64 of the DER) and',
          'deviceId. A device must be registered, unless --register says with which profile to do that. Signatures are not',
          'checked: the CA that issued them need not be here, and nobody can authenticate with an imported certificate.',
        ].join('\n'),
      )
      .option(
        '--device-id-from <rule>',
        'which part of a certificate is the device id, as for `perennial trust add`',
      )
      .option('--register <profile>', 'register devices that are not there yet, with this profile')
      .option('--dry-run', 'check everything and say what would happen; change nothing')
      .action(async (files: string[], options) => await importCertificates(cli, files, options)),
    [
      {
        say: 'What would happen with a bundle of another CA',
        run: 'perennial cert import old-fleet.pem --device-id-from subject.CN --register industrial --dry-run',
      },
      {
        say: 'From an export of another system',
        run: 'perennial cert import old-fleet.csv --register industrial',
      },
    ],
  )
}

function registerTools(cert: Command, cli: CliContext): void {
  addExamples(
    cert
      .command('inspect')
      .description('show what is in any certificate or request: PEM, DER, base64, CMS bundle')
      .argument('[file]', 'file, or - for standard input', '-')
      .action(async (file: string) => await inspect(cli, file)),
    [{ say: 'A file', run: 'perennial cert inspect device.pem' }],
  )
  addExamples(
    cert
      .command('lint')
      .description(
        'check a certificate against the rules of RFC 5280 and its companions, each finding with its clause',
      )
      .argument('[file]', 'file, or - for standard input', '-')
      .option(
        '--issuer <file>',
        'certificate of its issuer; default: an issuer of this installation, if it is one',
      )
      .addOption(
        new Option('--purpose <purpose>', 'what it is for').choices(['device', 'ca', 'server', 'matter-dac']),
      )
      .action(async (file: string, options) => await lint(cli, file, options)),
    [{ say: 'A certificate of this installation', run: 'perennial cert lint device.pem' }],
  )
  addExamples(
    cert
      .command('verify')
      .description(
        'validate the path of a certificate (RFC 5280 §6) to the roots of this installation or of a bundle',
      )
      .argument('[file]', 'the certificate, with intermediates after it; - for standard input', '-')
      .option('--anchors <file>', 'trust these roots instead of those of this installation')
      .option('--intermediates <file>', 'further certificates that a path may use')
      .option('--purpose <usage>', 'extended key usage that the path must allow, such as clientAuth')
      .addOption(new Option('--at <instant>', 'at this instant instead of now').argParser(instantOption))
      .action(async (file: string, options) => await verify(cli, file, options)),
    [
      {
        say: 'Is it good for a TLS client, today',
        run: 'perennial cert verify device.pem --purpose clientAuth',
      },
      { say: 'Will it still be good at new year', run: 'perennial cert verify device.pem --at 2027-01-01' },
    ],
  )
}

/** `perennial init`. */
import type { Command } from 'commander'
import { commandName } from '../base/command-name.ts'
import { shellQuoted } from '../data-directory.ts'
import { initialise, type Initialisation } from '../initialise.ts'
import { encodePem } from '../pki/pem.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { givenPassphrase } from './passphrase.ts'
import { promptNewSecret } from './prompt.ts'
import { formatFields } from './table.ts'

interface InitOptions {
  readonly organization?: string
  readonly name?: string[]
  readonly statusUrl?: string
  readonly prompt?: boolean
}

export function registerInit(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('init')
      .description(
        [
          'Create the data directory: a root CA (25 years), an issuing CA (10 years), the key of the audit log, the',
          'certificate of the EST endpoint, and perennial.yaml. Run it again after a crash: it finishes what is missing.',
          '',
          'The CA keys are encrypted with a passphrase. Unless one is given (--passphrase-file, PERENNIAL_PASSPHRASE,',
          'PERENNIAL_PASSPHRASE_FILE, or --prompt), init generates one into the file `passphrase` of the data directory,',
          'so that the platform starts unattended.',
        ].join('\n'),
      )
      .option(
        '--organization <name>',
        'O= of the CAs and of device subjects (organization in perennial.yaml)',
      )
      .option(
        '--name <name...>',
        'DNS names or IP addresses that devices connect to (est.names); default: the host name',
      )
      .option(
        '--status-url <url>',
        'public base URL of CA certificates, written into certificates (status.url)',
      )
      .option('--prompt', 'ask for the passphrase instead of generating one; it is then asked at every start')
      .action(async (options: InitOptions) => await init(cli, options)),
    [
      { say: 'With defaults', run: 'perennial init' },
      {
        say: 'For devices that reach this machine as est.example.com',
        run: 'perennial init --data ./fleet --organization "Example Inc" --name est.example.com',
      },
    ],
  )
}

async function init(cli: CliContext, options: InitOptions): Promise<void> {
  const made: string[] = []
  const result = await initialise({
    path: cli.dataPath(),
    env: cli.env,
    passphrase: await newPassphrase(cli, options),
    settings: settingsOf(options),
    actor: commandLineActor(),
    clock: cli.clock,
    random: cli.random,
    onMade: (what) => void made.push(what),
  })
  cli.output.answer({
    json: {
      dataDirectory: result.directory.path,
      created: result.isNew,
      made,
      rootFingerprint: result.rootFingerprint.replaceAll(':', '').toLowerCase(),
      rootCertificate: encodePem('CERTIFICATE', result.rootCertificate),
      auditKey: result.auditKey,
      passphraseStored: result.isPassphraseStored,
    },
    text: () => describe(result, made, cli).join('\n'),
  })
}

async function newPassphrase(cli: CliContext, options: InitOptions): Promise<string | null> {
  const given = givenPassphrase({ option: cli.passphraseOption(), env: cli.env })
  if (given !== null) return given
  return options.prompt ? await promptNewSecret('New passphrase of the CA keys: ') : null
}

function settingsOf({ organization, name, statusUrl }: InitOptions): Record<string, unknown> {
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(name === undefined ? {} : { 'est.names': name }),
    ...(statusUrl === undefined ? {} : { 'status.url': statusUrl }),
  }
}

function describe(result: Initialisation, made: readonly string[], cli: CliContext): string[] {
  const { style } = cli.output
  const { directory, rootFingerprint, auditKey, isPassphraseStored } = result
  const perennial = nextCommand(directory.path)
  return [
    made.length === 0
      ? `${directory.path} is initialised already; nothing to do.`
      : style.bold(`Initialised ${directory.path}`),
    ...made.map((what) => `  ${style.green('+')} ${what}`),
    '',
    ...formatFields(
      [
        ['Root fingerprint', `${rootFingerprint} (SHA-256)`],
        ['Audit key', auditKey],
      ],
      style,
    ),
    '',
    'Note both down: devices are given the first, audits are checked against the second.',
    isPassphraseStored
      ? `The passphrase of the CA keys is in ${directory.passphraseFile}: back it up apart from the keys.`
      : 'The passphrase is not stored here: every start needs it.',
    '',
    style.bold('Next'),
    `  ${perennial('serve')}`,
    `  ${perennial('device add SN-0001 --profile industrial')}`,
    `  ${perennial('device secret SN-0001')}`,
  ]
}

/** Lines that work when they are copied: with the data directory, unless it is the default one. */
function nextCommand(path: string): (command: string) => string {
  const isDefault = path === `${process.cwd()}/perennial-data`
  return (command) => `${commandName()} ${command}${isDefault ? '' : ` --data ${shellQuoted(path)}`}`
}

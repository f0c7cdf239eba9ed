/**
 * The command tree. Each noun is one file that is loaded only when it is typed, so that `perennial --help` stays
 * quick and a command file may import whatever it needs at its top.
 */
import { Command, Option } from 'commander'
import type { CliContext } from './context.ts'
import { exitCodeHelp } from './failure.ts'

/** What a command file exports: `export function registerDevice(program: Command, cli: CliContext): void`. */
export type Register = (program: Command, cli: CliContext) => void

interface Noun {
  readonly name: string
  readonly summary: string
  readonly group: string
  load(): Promise<Register>
}

const operate = 'Operate:'
const inventory = 'Fleet:'
const authority = 'Authority:'
const elsewhere = 'From another machine:'

export const nouns: readonly Noun[] = [
  {
    name: 'init',
    summary: 'create the data directory: root CA, issuing CA, audit key, EST server certificate',
    group: operate,
    load: async () => (await import('./init.ts')).registerInit,
  },
  {
    name: 'serve',
    summary: 'run the platform: EST, status, admin endpoints and the jobs',
    group: operate,
    load: async () => (await import('./serve.ts')).registerServe,
  },
  {
    name: 'demo',
    summary: 'initialise, serve and enrol a small fleet of simulated devices',
    group: operate,
    load: async () => (await import('./demo.ts')).registerDemo,
  },
  {
    name: 'doctor',
    summary: 'check this installation and say what to do',
    group: operate,
    load: async () => (await import('./doctor.ts')).registerDoctor,
  },
  {
    name: 'config',
    summary: 'check or print the configuration',
    group: operate,
    load: async () => (await import('./config.ts')).registerConfig,
  },
  {
    name: 'operator',
    summary: 'accounts of the API and the dashboard: add, roles, disable, reset',
    group: operate,
    load: async () => (await import('./operator.ts')).registerOperator,
  },
  {
    name: 'token',
    summary: 'API tokens: create, list, revoke',
    group: operate,
    load: async () => (await import('./token.ts')).registerToken,
  },
  {
    name: 'device',
    summary: 'register, import, list and approve devices, and why one will survive',
    group: inventory,
    load: async () => (await import('./device.ts')).registerDevice,
  },
  {
    name: 'renewal',
    summary: 'list and show renewals: of a device, of a campaign',
    group: inventory,
    load: async () => (await import('./renewal.ts')).registerRenewal,
  },
  {
    name: 'field',
    summary: 'devices that need a person: list, assign, resolve, export',
    group: inventory,
    load: async () => (await import('./field.ts')).registerField,
  },
  {
    name: 'broker',
    summary: 'access rules for your own MQTT broker; its log as signs of life',
    group: inventory,
    load: async () => (await import('./broker.ts')).registerBroker,
  },
  {
    name: 'cert',
    summary: 'list, inspect, verify and import certificates; what expires next',
    group: inventory,
    load: async () => (await import('./cert.ts')).registerCert,
  },
  {
    name: 'campaign',
    summary: 'renew many devices: plan, waves, brakes, progress',
    group: inventory,
    load: async () => (await import('./campaign.ts')).registerCampaign,
  },
  {
    name: 'sim',
    summary: 'rehearse fleets and campaigns on a virtual clock',
    group: inventory,
    load: async () => (await import('./sim.ts')).registerSim,
  },
  {
    name: 'trigger',
    summary: 'ask a device by hand; signed bundles for devices that nothing reaches',
    group: inventory,
    load: async () => (await import('./trigger.ts')).registerTrigger,
  },
  {
    name: 'alert',
    summary: 'what is wrong now: list, acknowledge, silence; who is told',
    group: inventory,
    load: async () => (await import('./alert.ts')).registerAlert,
  },
  {
    name: 'agent',
    summary: "the device's side: enrol, keep the certificate alive, renew",
    group: inventory,
    load: async () => (await import('./agent.ts')).registerAgent,
  },
  {
    name: 'ca',
    summary: 'list, export and create certificate authorities',
    group: authority,
    load: async () => (await import('./ca.ts')).registerCa,
  },
  {
    name: 'trust',
    summary: 'manufacturer CAs whose factory identities may enrol',
    group: authority,
    load: async () => (await import('./trust.ts')).registerTrust,
  },
  {
    name: 'profile',
    summary: 'certificate profiles in force',
    group: authority,
    load: async () => (await import('./profile.ts')).registerProfile,
  },
  {
    name: 'policy',
    summary: 'check profiles, issuers and renewal windows against each other',
    group: authority,
    load: async () => (await import('./policy.ts')).registerPolicy,
  },
  {
    name: 'audit',
    summary: 'read, verify and export the audit log',
    group: authority,
    load: async () => (await import('./audit.ts')).registerAudit,
  },
  {
    name: 'revoke',
    summary: 'revoke a certificate, a device, or every device that fits',
    group: authority,
    load: async () => (await import('./revoke.ts')).registerRevoke,
  },
  {
    name: 'case',
    summary: 'devices that wait for an investigation: open, note, evidence, close, list, show',
    group: authority,
    load: async () => (await import('./case.ts')).registerCase,
  },
  {
    name: 'proposal',
    summary: 'acts that wait for a second person: list, show, approve, reject',
    group: authority,
    load: async () => (await import('./proposal.ts')).registerProposal,
  },
  {
    name: 'crl',
    summary: 'list, show, export and compare certificate revocation lists',
    group: authority,
    load: async () => (await import('./crl.ts')).registerCrl,
  },
  {
    name: 'export',
    summary: 'devices, certificates, the field list or facts as CSV or JSON Lines',
    group: inventory,
    load: async () => (await import('./export.ts')).registerExport,
  },
  {
    name: 'ocsp',
    summary: 'signed status answers as files, for servers that staple',
    group: authority,
    load: async () => (await import('./ocsp.ts')).registerOcsp,
  },
  {
    name: 'verifier',
    summary: 'servers of others that check device certificates: configuration, fresh files',
    group: authority,
    load: async () => (await import('./verifier.ts')).registerVerifier,
  },
  {
    name: 'login',
    summary: 'remember a server and a token for its API',
    group: elsewhere,
    load: async () => (await import('./login.ts')).registerLogin,
  },
  {
    name: 'logout',
    summary: 'forget a server and its token',
    group: elsewhere,
    load: async () => (await import('./login.ts')).registerLogout,
  },
  {
    name: 'context',
    summary: 'the servers that were logged in to: list, use',
    group: elsewhere,
    load: async () => (await import('./login.ts')).registerContext,
  },
  {
    name: 'api',
    summary: 'ask the REST API of a server: any of its operations, from any machine',
    group: elsewhere,
    load: async () => (await import('./api.ts')).registerApi,
  },
  {
    name: 'completion',
    summary: 'shell completion for bash, zsh or fish',
    group: 'Other:',
    load: async () => (await import('./completion.ts')).registerCompletion,
  },
]

/**
 * The program with the noun that `argv` names fully registered and every other one as a stub with its summary.
 * @param argv without the runtime and the script; `null` loads every noun (completion, tests of the help)
 */
export async function buildProgram(argv: readonly string[] | null, cli: CliContext): Promise<Command> {
  const program = createRoot(cli)
  const typed = argv === null ? null : findNoun(argv)
  for (const noun of nouns) {
    if (argv === null || noun.name === typed) (await noun.load())(program, cli)
    const command = program.commands.find((each) => each.name() === noun.name) ?? program.command(noun.name)
    command.description(command.description() || noun.summary).summary(noun.summary)
    command.helpGroup(noun.group)
  }
  cli.attach(program)
  return program
}

function createRoot(cli: CliContext): Command {
  const program = new Command('perennial')
  program
    .description('Keeps the X.509 certificates of device fleets alive.')
    .usage('<command> [options]')
    .addOption(new Option('--data <dir>', 'data directory (PERENNIAL_DATA; default ./perennial-data)'))
    .addOption(
      new Option(
        '--passphrase-file <file>',
        'file with the passphrase of the CA keys (PERENNIAL_PASSPHRASE_FILE)',
      ),
    )
    .addOption(new Option('--json', 'print JSON: camelCase keys, lists as arrays, instants as ISO 8601'))
    .version(cli.version, '-V, --version', 'print the version')
    .commandsGroup('Other:')
    .helpCommand('help [command]', 'help for a command')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', () => `\n${exitCodeHelp()}`)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput(cli.commanderOutput)
  return program
}

/** The first word that names a noun; the value of an option such as `--data cert` is not one. */
function findNoun(argv: readonly string[]): string | null {
  const takesValue = new Set(['--data', '--passphrase-file'])
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    if (takesValue.has(word)) i++
    else if (nouns.some((noun) => noun.name === word)) return word
    else if (!word.startsWith('-') && word !== 'help') return null
  }
  return null
}

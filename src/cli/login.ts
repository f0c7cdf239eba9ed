/** `perennial login`, `logout` and `context`: which servers' API the command line asks, and as whom. */
import type { Command } from 'commander'
import { Refusal } from '../base/errors.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { promptSecret } from './prompt.ts'
import {
  asking,
  clientOf,
  contextsFile,
  readContexts,
  serverUrl,
  writeContexts,
  type RemoteContext,
} from './remote-contexts.ts'

interface LoginOptions {
  readonly name?: string
  readonly tokenFile?: string
  readonly ca?: string
}

export function registerLogin(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('login')
      .summary('remember a server and a token for its API: `perennial api` asks it')
      .description(
        [
          'Ask a server who a token belongs to, and remember both. The token comes from --token-file (- is standard',
          'input), from PERENNIAL_TOKEN, or is asked for on a terminal; `perennial token create` makes one. Another machine',
          'is reached over https only: through your reverse proxy, or a tunnel (ssh -L 8090:127.0.0.1:8090 HOST).',
        ].join('\n'),
      )
      .argument('<url>', 'such as https://pki.example.com or http://127.0.0.1:8090')
      .option('--name <name>', 'what to call it here (default: its host name)')
      .option('--token-file <file>', 'file with the token')
      .option('--ca <file>', 'PEM of a CA that vouches for the server, besides those of the system')
      .action(async (url: string, options: LoginOptions) => await logIn(cli, url, options)),
    [
      {
        say: 'The server of this machine, with a token of an account',
        run: 'perennial login http://127.0.0.1:8090 --token-file token.txt',
        notRun: 'needs a running server',
      },
    ],
  )
}

async function logIn(cli: CliContext, text: string, options: LoginOptions): Promise<void> {
  const url = serverUrl(text)
  const ca = options.ca === undefined ? null : await readText(cli, options.ca)
  if (ca !== null && !ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new Refusal('malformed', `${options.ca} has no certificate in PEM in it`)
  const context: RemoteContext = { url, token: await readToken(cli, options.tokenFile), ca }
  const session = await asking(url, async () => clientOf(context, cli.random).getSession())
  const name = options.name ?? new URL(url).hostname
  const { contexts } = await readContexts(cli)
  await writeContexts(cli, { current: name, contexts: { ...contexts, [name]: context } })
  const { operator, expiresAt } = session
  cli.output.answer({
    json: { name, url, operator, expiresAt, permissions: session.permissions },
    text: () =>
      `Logged in to ${url} as ${operator}${expiresAt === null ? '' : `, until ${expiresAt}`}. This is context ${name} now.`,
  })
}

async function readText(cli: CliContext, file: string): Promise<string> {
  return Buffer.from(await cli.readInput(file)).toString('utf8')
}

async function readToken(cli: CliContext, file: string | undefined): Promise<string> {
  const text = file === undefined ? await otherToken(cli) : await readText(cli, file)
  // what `perennial token create` prints ends with it
  const token = text.trim().split('\n').at(-1) ?? ''
  if (/^[\x21-\x7e]{1,512}$/.test(token)) return token
  throw new Refusal('invalid-input', 'that is no API token: `perennial token create` makes one')
}

async function otherToken(cli: CliContext): Promise<string> {
  const given = cli.env['PERENNIAL_TOKEN']
  if (given) return given
  if (process.stdin.isTTY) return await promptSecret('API token: ')
  throw new Refusal('invalid-input', 'no API token: give --token-file, or set PERENNIAL_TOKEN')
}

export function registerLogout(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('logout')
      .summary('forget a server and its token')
      .description('Forget a server and its token. The token stays good: `perennial token revoke` ends it.')
      .argument('[name]', 'of the context (default: the current one)')
      .action(async (name: string | undefined) => await logOut(cli, name)),
    [{ say: 'The current one', run: 'perennial logout', notRun: 'there is none' }],
  )
}

async function logOut(cli: CliContext, given: string | undefined): Promise<void> {
  const { current, contexts } = await readContexts(cli)
  const name = given ?? current
  if (name === null) throw new Refusal('not-found', 'no context is in use: name one')
  const { [name]: gone, ...others } = contexts
  if (!gone) throw unknownContext(name)
  await writeContexts(cli, { current: current === name ? null : current, contexts: others })
  cli.output.answer({
    json: { name, url: gone.url, forgotten: true },
    text: () => `Context ${name} is forgotten. Its token is still good: \`perennial token revoke\` ends it.`,
  })
}

function unknownContext(name: string): Refusal {
  return new Refusal('not-found', `there is no context ${name}: \`perennial context list\``)
}

export function registerContext(program: Command, cli: CliContext): void {
  const context = program.command('context')
  addExamples(
    context
      .command('list')
      .description('list the servers that were logged in to')
      .action(async () => await list(cli)),
    [{ say: 'All of them', run: 'perennial context list' }],
  )
  addExamples(
    context
      .command('use')
      .description('choose the server that is asked when none is named')
      .argument('<name>')
      .action(async (name: string) => await use(cli, name)),
    [{ say: 'The one of the factory', run: 'perennial context use factory', notRun: 'there is none' }],
  )
}

async function list(cli: CliContext): Promise<void> {
  const { current, contexts } = await readContexts(cli)
  await cli.output.list({
    columns: [
      { title: 'CONTEXT', value: (row) => row.name },
      { title: 'URL', value: (row) => row.url },
      { title: 'IN USE', value: (row) => (row.isCurrent ? 'yes' : null) },
    ],
    rows: Object.entries(contexts).map(([name, { url }]) => ({ name, url, isCurrent: name === current })),
    json: (row) => row,
    empty: `No server is known (${contextsFile(cli)}): \`perennial login URL\`.`,
  })
}

async function use(cli: CliContext, name: string): Promise<void> {
  const { contexts } = await readContexts(cli)
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined
  if (!context) throw unknownContext(name)
  await writeContexts(cli, { current: name, contexts })
  cli.output.answer({
    json: { name, url: context.url },
    text: () => `Context ${name} (${context.url}) is in use.`,
  })
}

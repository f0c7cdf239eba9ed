/** `perennial operator`: accounts of the people and programs that use the API and the dashboard. */
import { Argument, type Command } from 'commander'
import { adminUrl } from '../app.ts'
import { sha256Hex } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { formatGrant, parseGrant } from '../engine/operators/grants.ts'
import {
  addOperator,
  operatorPage,
  resetOperator,
  setDisabled,
  setGrants,
  type Operator,
  type SetupLink,
} from '../engine/operators/operator.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import { addListOptions, everyPage, given, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { ago, instant } from './time.ts'

const roleHelp =
  'viewer, operator, officer, auditor or administrator; for a part of the fleet officer@site:NAME or viewer@cohort:NAME'

export function registerOperator(program: Command, cli: CliContext): void {
  const operator = program.command('operator')
  registerAdd(operator, cli)
  registerList(operator, cli)
  registerChanges(operator, cli)
}

interface AddOptions {
  readonly role: readonly string[]
  readonly oidc?: string
  readonly certificate?: string
}

function registerAdd(operator: Command, cli: CliContext): void {
  addExamples(
    operator
      .command('add')
      .summary('make an account')
      .description(
        [
          'Make an account and print the link on which the person sets password and authenticator app, once. An account with',
          '--oidc logs in with the OpenID provider, one with --certificate shows a client certificate; neither needs a link.',
          'The admin port speaks no TLS of its own yet, so an account with --certificate cannot log in so far: give machines a token.',
        ].join('\n'),
      )
      .argument('<name>', 'of the account: a-z 0-9 . _ @ -')
      .requiredOption('--role <role...>', roleHelp)
      .option('--oidc <subject>', 'issuer|sub of the OpenID provider')
      .option('--certificate <file>', 'client certificate of a machine (PEM or DER)')
      .action(async (name: string, options: AddOptions) => await add(cli, name, options)),
    [
      {
        say: 'A person who looks after one site',
        run: 'perennial operator add anna --role operator@site:graz',
      },
      {
        say: 'Somebody who answers for the PKI, known to the company’s login',
        run: "perennial operator add bert --role officer --oidc 'https://id.example.com|7f3a'",
      },
      {
        say: 'A machine that reads',
        run: 'perennial operator add grafana --role viewer --certificate device.pem',
      },
    ],
  )
}

async function add(cli: CliContext, name: string, options: AddOptions): Promise<void> {
  const { engine, config } = await cli.app()
  const link = await addOperator(engine, {
    name,
    grants: options.role.map(parseGrant),
    actor: commandLineActor(),
    ...given({ oidcSubject: options.oidc, certificateHash: await certificateHash(cli, options.certificate) }),
  })
  const base = adminUrl(config)
  cli.output.answer({
    json: { operator: name, link: link && linkUrl(base, link), expiresAt: link && iso(link.expiresAt) },
    text: () => (link ? linkText(base, link) : `${name} may log in.`),
  })
}

async function certificateHash(cli: CliContext, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const [certificate] = readCertificates(await cli.readInput(file), file)
  if (!certificate) throw new Refusal('invalid-input', `${file} holds no certificate`)
  return sha256Hex(certificate)
}

function registerList(operator: Command, cli: CliContext): void {
  addExamples(
    addListOptions(operator.command('list').description('list the accounts with their roles')).action(
      async (options: ListOptions) => await list(cli, options),
    ),
    [{ say: 'All of them', run: 'perennial operator list' }],
  )
}

async function list(cli: CliContext, options: ListOptions): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const now = cli.clock.now()
  await cli.output.list({
    columns: [
      { title: 'NAME', value: (row) => row.name },
      {
        title: 'STATUS',
        value: (row) => row.status,
        paint: (row, style) => (row.status === 'disabled' ? style.red : (text) => text),
      },
      { title: 'ROLES', value: (row) => row.grants.map(formatGrant).join(', '), shrink: true },
      { title: 'LOGS IN WITH', value: loginOf },
      { title: 'LAST LOG-IN', value: (row) => ago(row.lastLoginAt, now) },
    ],
    rows: everyPage((page) => operatorPage(engine, page), limit),
    json: operatorJson,
    empty: 'There is no account: `perennial serve` prints the link for the first one.',
    limit,
  })
}

function loginOf({ hasPassword, hasTotp, oidcSubject, certificateHash: hash }: Operator): string | null {
  if (oidcSubject !== null) return 'OpenID'
  if (hash !== null) return 'certificate'
  if (!hasPassword) return null
  return hasTotp ? 'password and code' : 'password'
}

function registerChanges(operator: Command, cli: CliContext): void {
  const nameArgument = () => new Argument('<name>', 'of the account')
  addExamples(
    operator
      .command('set-role')
      .description('give an account these roles in place of those that it has')
      .addArgument(nameArgument())
      .addArgument(new Argument('<role...>', roleHelp))
      .action(async (name: string, roles: readonly string[]) => await setRole(cli, name, roles)),
    [
      {
        say: 'Two sites instead of one',
        run: 'perennial operator set-role anna operator@site:graz operator@site:linz',
      },
    ],
  )
  addExamples(
    operator
      .command('reset')
      .description('forget password and authenticator app, end sessions and API tokens, and print a new link')
      .addArgument(nameArgument())
      .action(async (name: string) => await reset(cli, name)),
    [{ say: 'After a lost phone', run: 'perennial operator reset anna' }],
  )
  addExamples(
    operator
      .command('disable')
      .description('end sessions and API tokens of an account; it cannot be used')
      .addArgument(nameArgument())
      .action(async (name: string) => await disable(cli, name, true)),
    [{ say: 'Somebody who has left', run: 'perennial operator disable anna' }],
  )
  addExamples(
    operator
      .command('enable')
      .description('let a disabled account be used again')
      .addArgument(nameArgument())
      .action(async (name: string) => await disable(cli, name, false)),
    [{ say: 'Somebody who is back', run: 'perennial operator enable anna' }],
  )
}

async function setRole(cli: CliContext, name: string, roles: readonly string[]): Promise<void> {
  const { engine } = await cli.app()
  const changed = await setGrants(engine, { name, grants: roles.map(parseGrant), actor: commandLineActor() })
  cli.output.answer({
    json: operatorJson(changed),
    text: () => `${name} is now ${changed.grants.map(formatGrant).join(', ')}.`,
  })
}

async function reset(cli: CliContext, name: string): Promise<void> {
  const { engine, config } = await cli.app()
  const link = await resetOperator(engine, { name, actor: commandLineActor() })
  const base = adminUrl(config)
  cli.output.answer({
    json: { operator: name, link: linkUrl(base, link), expiresAt: iso(link.expiresAt) },
    text: () => linkText(base, link),
  })
}

async function disable(cli: CliContext, name: string, isDisabled: boolean): Promise<void> {
  const { engine } = await cli.app()
  const changed = await setDisabled(engine, { name, isDisabled, actor: commandLineActor() })
  cli.output.answer({
    json: operatorJson(changed),
    text: () =>
      isDisabled ? `${name} is disabled; sessions and tokens have ended.` : `${name} is ${changed.status}.`,
  })
}

/** The token stands behind the #, which browsers do not send: it gets into no log of a proxy. */
export function linkUrl(base: string, { token }: SetupLink): string {
  return `${base}/setup#${token}`
}

function linkText(base: string, link: SetupLink): string {
  return [
    `${link.operator} sets a password here, once, until ${instant(link.expiresAt)}:`,
    `  ${linkUrl(base, link)}`,
  ].join('\n')
}

function operatorJson({ grants, lockedUntil, lastLoginAt, createdAt, ...rest }: Operator): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    roles: grants.map(formatGrant),
    lockedUntil: isoOrNull(lockedUntil),
    lastLoginAt: isoOrNull(lastLoginAt),
    createdAt: iso(createdAt),
  }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

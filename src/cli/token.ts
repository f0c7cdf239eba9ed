/** `perennial token`: API tokens of accounts. */
import { Argument, Option, type Command } from 'commander'
import { dayMs, iso, type Instant } from '../base/clock.ts'
import { createToken, revokeToken, tokenPage, type ApiToken } from '../engine/operators/api-token.ts'
import { formatGrant, parseGrant } from '../engine/operators/grants.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addListOptions, durationOption, everyPage, given, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { ago, day, instant } from './time.ts'

interface CreateOptions {
  readonly operator: string
  readonly role: readonly string[]
  readonly expires: number
  readonly dangerous?: boolean
}

export function registerToken(program: Command, cli: CliContext): void {
  const token = program.command('token')
  addExamples(
    token
      .command('create')
      .summary('make an API token of an account')
      .description(
        [
          'Make an API token and print it, once: only its hash is kept. It carries no more than its account may do at the',
          'time that it is used.',
        ].join('\n'),
      )
      .argument('<name>', 'what it is for, in words')
      .requiredOption('--operator <name>', 'the account that it belongs to')
      .requiredOption('--role <role...>', 'of those of the account; for a part of the fleet viewer@site:NAME')
      .addOption(
        new Option('--expires <duration>', 'how long it may be used, at most 366d')
          .argParser(durationOption)
          .default(90 * dayMs, '90d'),
      )
      .option('--dangerous', 'it may also do what a person would have to give the password for again')
      .action(async (name: string, options: CreateOptions) => await create(cli, name, options)),
    [
      {
        say: 'For a board on the wall',
        run: 'perennial operator add board --role viewer --oidc https://id.example.com/board && perennial token create "board in the hall" --operator board --role viewer --expires 30d',
      },
    ],
  )
  addExamples(
    addListOptions(token.command('list').description('list the API tokens'))
      .option('--operator <name>', 'of this account')
      .action(async (options: ListOptions & { readonly operator?: string }) => await list(cli, options)),
    [{ say: 'All of them', run: 'perennial token list' }],
  )
  addExamples(
    token
      .command('revoke')
      .description('end an API token at once')
      .addArgument(new Argument('<id>', 'from `perennial token list`'))
      .action(async (id: string) => await revoke(cli, id)),
    [{ say: 'By its id', run: 'perennial token revoke 0123456789ab', exit: 5 }],
  )
}

async function create(cli: CliContext, name: string, options: CreateOptions): Promise<void> {
  const { engine } = await cli.app()
  const { operator, role, expires, dangerous = false } = options
  const made = await createToken(engine, {
    operator,
    name,
    grants: role.map(parseGrant),
    lifetimeMs: expires,
    allowsDangerous: dangerous,
    actor: commandLineActor(),
  })
  cli.output.answer({
    json: { ...tokenJson(made.record), token: made.token },
    text: () =>
      `Token ${made.record.id} of ${operator}, until ${instant(made.record.expiresAt)}. Keep it: it is shown once.\n${made.token}`,
  })
}

async function list(cli: CliContext, options: ListOptions & { readonly operator?: string }): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const now = cli.clock.now()
  const filter = given({ operator: options.operator })
  await cli.output.list({
    columns: [
      { title: 'ID', value: (row) => row.id },
      { title: 'ACCOUNT', value: (row) => row.operator },
      { title: 'NAME', value: (row) => row.name, shrink: true },
      { title: 'ROLES', value: (row) => row.grants.map(formatGrant).join(', '), shrink: true },
      { title: 'STATUS', value: (row) => statusOf(row, now) },
      { title: 'EXPIRES', value: (row) => day(row.expiresAt) },
      { title: 'LAST USED', value: (row) => ago(row.usedAt, now) },
    ],
    rows: everyPage((page) => tokenPage(engine, { ...page, ...filter }), limit),
    json: tokenJson,
    empty: 'There is no API token.',
    limit,
  })
}

function statusOf({ revokedAt, expiresAt }: ApiToken, now: Instant): string {
  if (revokedAt !== null) return 'revoked'
  return expiresAt <= now ? 'expired' : 'active'
}

async function revoke(cli: CliContext, id: string): Promise<void> {
  const { engine } = await cli.app()
  await revokeToken(engine, { id, actor: commandLineActor() })
  cli.output.answer({ json: { id, revoked: true }, text: () => `Token ${id} is revoked.` })
}

function tokenJson({ grants, createdAt, expiresAt, usedAt, revokedAt, ...rest }: ApiToken): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    roles: grants.map(formatGrant),
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
    usedAt: usedAt === null ? null : iso(usedAt),
    revokedAt: revokedAt === null ? null : iso(revokedAt),
  }
}

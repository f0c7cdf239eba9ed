/** `perennial serve`. */
import { Metrics } from '../api/metrics.ts'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { openApp, type App } from '../app.ts'
import { roles as allRoles, type Role } from '../config/schema.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { firstStartLink } from '../engine/operators/setup.ts'
import { serve, type Endpoints, type Serving } from '../serve.ts'
import { recordSettingsChanges, requirePolicy } from '../start-checks.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { wholeNumber } from './options.ts'
import { linkUrl } from './operator.ts'
import type { Json } from './output.ts'
import { formatFields } from './table.ts'

export interface ServeCommandOptions {
  readonly roles?: readonly Role[]
  readonly workers?: number
}

export function registerServe(program: Command, cli: CliContext): void {
  addExamples(
    addServeOptions(program.command('serve'))
      .description(
        [
          'Run the platform until SIGINT or SIGTERM; requests that were begun are finished first. Logs are JSON lines on',
          'standard error. Other commands work on the same data directory at the same time.',
        ].join('\n'),
      )
      .action(async (options: ServeCommandOptions) => await run(cli, options)),
    [
      { say: 'Everything in one process', run: 'perennial serve', notRun: 'runs until it is stopped' },
      {
        say: 'Devices only, on two processors; jobs and admin run elsewhere',
        run: 'perennial serve --roles est,status --workers 2',
        notRun: 'runs until it is stopped',
      },
    ],
  )
}

export function addServeOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--roles <list>', `any of ${allRoles.join(',')} (serve.roles)`).argParser(parseRoles),
    )
    .addOption(
      new Option('--workers <n>', 'TLS worker processes of the est role (serve.workers)').argParser(
        wholeNumber(1, 64),
      ),
    )
}

async function run(cli: CliContext, options: ServeCommandOptions): Promise<void> {
  const app = await openForServing(cli)
  try {
    const serving = await startServing(cli, app, options)
    const setUp = await setupLines(cli, app, serving)
    cli.output.answer({
      json: { dataDirectory: app.dataDirectory.path, endpoints: endpointsJson(serving.endpoints) },
      text: () => [...endpointLines(cli, app, serving.endpoints), ...setUp].join('\n'),
    })
    await stopSignal()
    cli.output.note('Stopping; what was begun is finished first.')
    await serving.stop()
  } finally {
    await app.close()
  }
}

export type ServedApp = App & { readonly metrics: Metrics }

/** The app as `serve` and `demo` need it: the database brought up to date, the rules checked, changes on record. */
export async function openForServing(cli: CliContext): Promise<ServedApp> {
  const metrics = new Metrics({ version: cli.version })
  const app = await openApp({
    observer: metrics.observer,
    dataDirectory: await cli.dataDirectory(),
    env: cli.env,
    passphrase: () => cli.passphrase(),
    migrate: true,
  })
  try {
    await requirePolicy(app)
    await recordSettingsChanges(app)
    return { ...app, metrics }
  } catch (error) {
    await app.close()
    throw error
  }
}

export async function startServing(
  cli: CliContext,
  app: ServedApp,
  options: ServeCommandOptions,
): Promise<Serving> {
  return await serve(app, {
    roles: options.roles ?? app.config.serve.roles,
    workers: options.workers ?? app.config.serve.workers,
    version: cli.version,
    metrics: app.metrics,
    passphrase: () => cli.passphrase(),
    env: cli.env,
  })
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
export async function stopSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = () => {
      process.once('SIGINT', () => process.exit(130))
      process.once('SIGTERM', () => process.exit(143))
      resolve()
    }
    process.once('SIGINT', stop)
    process.once('SIGTERM', stop)
  })
}

/** While there is no account: where the first one is made. Not in JSON, which is kept in logs. */
export async function setupLines(cli: CliContext, app: App, { endpoints }: Serving): Promise<string[]> {
  if (endpoints.admin === null) return []
  const link = await firstStartLink(app.engine)
  if (link === null) return []
  const { style } = cli.output
  return [
    '',
    style.bold('There is no account yet. Make the first one here, once, within 30 minutes:'),
    `  ${linkUrl(app.config.admin.url ?? endpoints.admin, link)}`,
  ]
}

export function endpointsJson({ est, status, mqtt, admin }: Endpoints): Json {
  return { est, status, mqtt, admin }
}

function endpointLines(cli: CliContext, app: App, { est, status, mqtt, admin }: Endpoints): string[] {
  const { style } = cli.output
  return [
    style.bold(`Perennial ${cli.version} is running on ${app.dataDirectory.path}`),
    ...formatFields(
      [
        ['Devices (EST)', est],
        ['Devices (MQTT)', mqtt],
        ['Status', status],
        ['Admin', admin],
      ],
      style,
    ).map((line) => `  ${line}`),
    'Stop it with Ctrl-C.',
  ]
}

function parseRoles(text: string): Role[] {
  return text.split(',').map((word) => {
    const role = allRoles.find((each) => each === word.trim())
    if (role) return role
    throw new InvalidArgumentError(
      `There is no role ${word}${didYouMean(word, allRoles) || `; they are ${allRoles.join(', ')}.`}`,
    )
  })
}

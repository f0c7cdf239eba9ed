/** `perennial demo`: what `npm start` runs. */
import type { Command } from 'commander'
import { demoLines, enrolDemoFleet, openDemoCampaign, type DemoFleet } from '../demo.ts'
import type { App } from '../app.ts'
import { seal } from '../engine/audit/seal.ts'
import { initialise } from '../initialise.ts'
import type { Serving } from '../serve.ts'
import { demoEntries, demoSettings } from '../serve/demo-campaign.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { plural } from './import.ts'
import { givenPassphrase } from './passphrase.ts'
import {
  addServeOptions,
  endpointsJson,
  openForServing,
  setupLines,
  startServing,
  stopSignal,
  type ServeCommandOptions,
} from './serve.ts'

interface DemoOptions extends ServeCommandOptions {
  readonly once?: boolean
}

export function registerDemo(program: Command, cli: CliContext): void {
  addExamples(
    addServeOptions(program.command('demo'))
      .description(
        [
          'Initialise the data directory if it is not there, run the platform, and enrol a small fleet of simulated devices',
          'over its real EST endpoint. Devices that are enrolled already stay as they are.',
        ].join('\n'),
      )
      .option('--once', 'stop when the fleet is enrolled')
      .action(async (options: DemoOptions) => await demo(cli, options)),
    [
      { say: 'A platform to look around in', run: 'perennial demo', notRun: 'runs until it is stopped' },
      { say: 'Only fill the inventory', run: 'perennial demo --data ./demo-data --once' },
    ],
  )
}

async function demo(cli: CliContext, options: DemoOptions): Promise<void> {
  await initialise({
    path: cli.dataPath(),
    env: cli.env,
    passphrase: givenPassphrase({ option: cli.passphraseOption(), env: cli.env }),
    actor: commandLineActor(),
    settings: demoSettings,
    entries: demoEntries,
    onMade: (what) => cli.output.note(`  ${cli.output.style.green('+')} ${what}`),
  })
  const app = await openForServing(cli)
  try {
    const serving = await startServing(cli, app, options)
    try {
      await show(cli, { app, serving, options })
    } finally {
      await serving.stop()
    }
    // what the devices were last seen doing was written while stopping
    await seal(app.engine, cli.clock.now())
  } finally {
    await app.close()
  }
}

interface Demo {
  readonly app: App
  readonly serving: Serving
  readonly options: DemoOptions
}

/** Resolves when the demo is to stop. */
async function show(cli: CliContext, { app, serving, options }: Demo): Promise<void> {
  const print = (line: string) => cli.output.note(line)
  const fleet = await enrolDemoFleet(app, serving, { print })
  const campaign = options.once ? null : await openDemoCampaign(app, serving, { print })
  // so that the log can be verified, exported and proved from at once
  await seal(app.engine, cli.clock.now())
  const lines = options.once
    ? []
    : [...(await demoLines(app, serving, campaign)), ...(await setupLines(cli, app, serving))]
  cli.output.answer({
    json: { dataDirectory: app.dataDirectory.path, endpoints: endpointsJson(serving.endpoints), ...fleet },
    text: () => (options.once ? onceLine(app.dataDirectory.path, fleet) : lines.join('\n')),
  })
  if (options.once) return
  const stopping = new AbortController()
  // the platform outlives its simulated devices
  const living = campaign
    ?.run(stopping.signal)
    .catch((error: unknown) => print(`The demo's devices have stopped: ${String(error)}`))
  await stopSignal()
  print('Stopping; what was begun is finished first.')
  stopping.abort()
  await living
}

function onceLine(path: string, { enrolled, alreadyThere }: DemoFleet): string {
  const before = alreadyThere > 0 ? `, ${alreadyThere} were there` : ''
  return `${plural(enrolled, 'simulated device')} enrolled into ${path}${before}.`
}

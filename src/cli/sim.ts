/** `perennial sim`: rehearses fleets and campaigns on a virtual clock. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { formatParameter } from '../sim/parameters.ts'
import { faultKinds, faultNames, withFaults } from '../sim/faults.ts'
import { fuzzSeeds, type FuzzCommand } from './sim-fuzz.ts'
import { readScenario, type Scenario } from '../sim/scenario.ts'
import { sensitivity } from '../sim/sensitivity.ts'
import { scenarioFile, shippedScenarios } from '../sim/shipped.ts'
import { reportPage } from '../sim/report/page.ts'
import { simulate, type Progress as SimProgress } from '../sim/simulate.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { durationOption, wholeNumber } from './options.ts'
import { jsonText } from './output.ts'
import type { Json } from './output.ts'
import { progressOf } from './sim-progress.ts'
import { reportLines, sensitivityColumns } from './sim-report.ts'

/** Exit code of a run in which something did not hold that must. */
const violatedExit = 1

export function registerSim(program: Command, cli: CliContext): void {
  const sim = program.command('sim')
  registerRun(sim, cli)
  registerSensitivity(sim, cli)
  registerFuzz(sim, cli)
  registerScenarios(sim, cli)
}

interface RunOptions {
  readonly devices?: number
  readonly days?: number
  readonly seed: string
  readonly faults?: readonly string[]
  readonly directory?: string
}

const scenarioArgument = (): Argument =>
  new Argument('<scenario>', 'a YAML file, or the name of a scenario that ships')

function addRunOptions(command: Command): Command {
  return command
    .addArgument(scenarioArgument())
    .addOption(
      new Option('--devices <n>', 'so many in place of what the scenario says').argParser(
        wholeNumber(1, 10_000_000),
      ),
    )
    .addOption(new Option('--days <n>', 'so many virtual days').argParser(wholeNumber(1, 3_650)))
    .addOption(new Option('--seed <word>', 'another seed is another world').default('1'))
    .addOption(
      new Option(
        '--faults <names>',
        `faults beside those of the scenario: ${faultNames.join(', ')}`,
      ).argParser(namesOption),
    )
    .option(
      '--directory <path>',
      'where the database of the run goes; default: the temporary folder of the system',
    )
}

function namesOption(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  if (names.some((name) => name === ''))
    throw new InvalidArgumentError('It must be names with commas between them.')
  return names
}

function registerRun(sim: Command, cli: CliContext): void {
  addExamples(
    addRunOptions(
      sim
        .command('run')
        .description('run a scenario against the engine as it is shipped, and report what came of it'),
    )
      .option('--out <file>', 'also write the whole result as JSON into this file')
      .option('--html <file>', 'also write the report with pictures, as one HTML file')
      .action(async (word: string, options: OutOptions) => run(cli, word, options)),
    [
      {
        say: 'A small copy of the 2.2 million meters, over their first two weeks',
        run: 'perennial sim run smart-meters-2.2m --devices 200 --days 14',
      },
      {
        say: 'All of them, with everything that came of it in a file',
        run: 'perennial sim run smart-meters-2.2m --out meters.json --html meters.html',
        notRun: 'it takes a quarter of an hour and more',
      },
      {
        say: 'With more faults than the scenario has',
        run: 'perennial sim run bad-firmware --devices 100 --days 3 --faults loss,power-cuts --json',
      },
    ],
  )
}

function registerSensitivity(sim: Command, cli: CliContext): void {
  addExamples(
    addRunOptions(
      sim
        .command('sensitivity')
        .description(
          'run a scenario again and again, with one number changed each time: how the outcome moves',
        ),
    )
      .option('--out <file>', 'also write the results of all runs as JSON into this file')
      .option('--html <file>', 'also write the report of the scenario with the table, as one HTML file')
      .action(async (word: string, options: OutOptions) => await vary(cli, word, options)),
    [
      {
        say: 'Which assumptions matter',
        run: 'perennial sim sensitivity smart-meters-2.2m --devices 2000 --html meters.html',
        notRun: 'it is thirteen runs of half a year',
      },
    ],
  )
}

function registerFuzz(sim: Command, cli: CliContext): void {
  addExamples(
    sim
      .command('fuzz')
      .description(
        'random fleets, faults and orders, with the platform killed between any two commits: looks for our own bugs',
      )
      .addOption(new Option('--seeds <n>', 'so many worlds').argParser(wholeNumber(1, 1_000_000)).default(20))
      .option('--seed <word>', 'this one world alone')
      .addOption(new Option('--devices <n>', 'so many devices').argParser(wholeNumber(1, 100_000)))
      .addOption(
        new Option('--days <n>', 'so many days before everything is calm').argParser(wholeNumber(1, 3_650)),
      )
      .addOption(new Option('--tick <duration>', 'how far the clock moves at once').argParser(durationOption))
      .action(async (options: FuzzCommand) => await fuzzSeeds(cli, options)),
    [
      { say: 'Three worlds', run: 'perennial sim fuzz --seeds 3' },
      { say: 'One of them again', run: 'perennial sim fuzz --seed 2 --json' },
    ],
  )
}

function registerScenarios(sim: Command, cli: CliContext): void {
  addExamples(
    sim
      .command('scenarios')
      .description('list the scenarios that ship, and the faults that may be added')
      .action(async () => await scenarios(cli)),
    [{ say: 'What there is', run: 'perennial sim scenarios' }],
  )
}

async function read(word: string, options: RunOptions): Promise<Scenario> {
  const { devices, days, faults = [] } = options
  const scenario = await readScenario(scenarioFile(word), {
    ...(devices === undefined ? {} : { devices }),
    ...(days === undefined ? {} : { days }),
  })
  return withFaults(scenario, faults)
}

interface OutOptions extends RunOptions {
  readonly out?: string
  readonly html?: string
}

async function run(cli: CliContext, word: string, options: OutOptions): Promise<void> {
  const scenario = await read(word, options)
  const { seed, directory, out, html } = options
  const stop = stopOnSignal(cli)
  const progress = progressOf(cli)
  const result = await simulate({
    scenario,
    seed,
    signal: stop.signal,
    onProgress: (each: SimProgress) => progress.update(each),
    ...(directory === undefined ? {} : { directory }),
  })
  progress.end()
  stop.end()
  if (out !== undefined) await writeFile(out, `${jsonText(result as unknown as Json)}\n`)
  if (html !== undefined) await writeFile(html, reportPage(result))
  cli.output.answer({
    json: result as unknown as Json,
    text: () => reportLines(result, cli.output).join('\n'),
  })
  if (result.runs.some(({ invariants }) => invariants.violations.length > 0))
    throw new FoundProblems(violatedExit)
}

async function vary(cli: CliContext, word: string, options: OutOptions): Promise<void> {
  const scenario = await read(word, options)
  const { seed, directory, out, html } = options
  const stop = stopOnSignal(cli)
  const progress = progressOf(cli)
  const { rows, result } = await sensitivity({
    scenario,
    seed,
    signal: stop.signal,
    onProgress: (each: SimProgress) => progress.update(each),
    ...(directory === undefined ? {} : { directory }),
  })
  progress.end()
  stop.end()
  if (out !== undefined) await writeFile(out, `${jsonText(result as unknown as Json)}\n`)
  if (html !== undefined) await writeFile(html, reportPage(result))
  if (result.partial !== null) cli.output.note(`Not all of it: ${result.partial}.`)
  await cli.output.list({
    columns: sensitivityColumns,
    rows,
    json: (row) => row as unknown as Json,
    empty: 'This scenario names nothing to vary.',
  })
}

async function scenarios(cli: CliContext): Promise<void> {
  const all = await Promise.all(
    shippedScenarios().map(async (name) => await readScenario(scenarioFile(name))),
  )
  await cli.output.list({
    columns: [
      { title: 'SCENARIO', value: ({ name }) => name },
      { title: 'DEVICES', value: ({ values }) => formatParameter('devices', values.devices), align: 'right' },
      { title: 'DAYS', value: ({ values }) => values.days, align: 'right' },
      { title: 'STORY', value: ({ title }) => title, shrink: true },
    ],
    rows: all,
    json: ({ name, title, values }) => ({ name, title, devices: values.devices, days: values.days }),
    empty: 'There is none.',
  })
  for (const name of faultNames) cli.output.note(`--faults ${name}: ${faultKinds[name].what}`)
}

/** The first Ctrl-C ends the run with what was measured so far; a second one ends it at once. */
export function stopOnSignal(cli: CliContext): { readonly signal: AbortSignal; end(): void } {
  const stop = new AbortController()
  const onSignal = (): void => {
    process.once('SIGINT', () => process.exit(130))
    cli.output.note('Stopping; the report is about what was simulated so far. Again: stop at once.')
    stop.abort()
  }
  process.once('SIGINT', onSignal)
  return { signal: stop.signal, end: () => void process.off('SIGINT', onSignal) }
}

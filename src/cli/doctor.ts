/** `perennial doctor`. */
import type { Command } from 'commander'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { acceptClock } from '../engine/renewals/clock-guard.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { checks, type Check, type CheckContext, type Finding } from './doctor-checks.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { plural } from './import.ts'
import { padEnd, wrapText } from './text-width.ts'

export function registerDoctor(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('doctor')
      .description(
        [
          'Check this installation: directory, permissions, configuration, disk, database, clock, keys, lifetimes, policy, audit',
          'log, ports. Each line is ok, warn or fail, and says what to do. The exit code is 1 when something fails.',
        ].join('\n'),
      )
      .option('--accept-clock', 'the clock is right although it jumped: renewals and retirements go on')
      .action(async ({ acceptClock: isAccepted = false }: { acceptClock?: boolean }) => {
        if (isAccepted) await accept(cli)
        await doctor(cli)
      }),
    [
      { say: 'Before you ask anybody', run: 'perennial doctor' },
      { say: 'After the server was off for two months', run: 'perennial doctor --accept-clock' },
    ],
  )
}

async function accept(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await acceptClock(engine, cli.clock.now(), commandLineActor())
}

interface Result {
  readonly check: Check
  readonly findings: readonly Finding[]
}

async function doctor(cli: CliContext): Promise<void> {
  const results: Result[] = []
  const context: CheckContext = {
    cli,
    now: cli.clock.now(),
    directory: await cli.dataDirectory().catch(nullForRefusal),
    app: await cli.app().catch(nullForRefusal),
  }
  for (const check of checks) {
    const isMet = check.needs === 'nothing' || context[check.needs] !== null || check.name === 'Database'
    if (isMet) results.push({ check, findings: await check.run(context) })
  }
  const all = results.flatMap(({ findings }) => findings)
  const failed = all.filter(({ status }) => status === 'fail').length
  const warned = all.filter(({ status }) => status === 'warn').length
  cli.output.answer({
    json: {
      ok: failed === 0,
      checks: results.flatMap(({ check, findings }) =>
        findings.map((finding) => ({ check: check.name, ...finding })),
      ),
    },
    text: () =>
      [...results.flatMap((result) => lines(cli, result)), '', verdict(cli, failed, warned)].join('\n'),
  })
  if (failed > 0) throw new FoundProblems()
}

/** What cannot be opened is told by the check that opens it. */
function nullForRefusal(error: unknown): null {
  if (error instanceof Refusal) return null
  throw error
}

const nameWidth = Math.max(...checks.map(({ name }) => name.length))

function lines(cli: CliContext, { check, findings }: Result): string[] {
  const { style } = cli.output
  const marks = { ok: style.green('ok  '), warn: style.yellow('warn'), fail: style.red('fail') }
  const indent = 4 + 2 + nameWidth + 2
  // in a pipe, one finding is one line
  const room = cli.output.isTerminal ? Math.max(30, cli.output.width - indent) : Infinity
  return findings.flatMap(({ status, message, fix }, i) => {
    const [first = '', ...rest] = wrapText(printable(message), room)
    const steps = fix === null ? [] : wrapText(printable(fix), room - 2)
    return [
      `${marks[status]}  ${padEnd(i === 0 ? check.name : '', nameWidth)}  ${first}`,
      ...rest.map((line) => ' '.repeat(indent) + line),
      ...steps.map((line, step) => `${' '.repeat(indent)}${style.dim(step === 0 ? '→' : ' ')} ${line}`),
    ]
  })
}

function verdict(cli: CliContext, failed: number, warned: number): string {
  const { style } = cli.output
  if (failed > 0)
    return style.red(
      `${plural(failed, 'problem')} to solve${warned > 0 ? `, ${plural(warned, 'warning')}` : ''}.`,
    )
  return warned > 0 ? style.yellow(`${plural(warned, 'warning')}, no problem.`) : style.green('All is well.')
}

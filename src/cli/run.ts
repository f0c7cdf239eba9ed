/** Runs one command line and turns its failure into a line and an exit code. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { createCliContext, type ClosableContext } from './create-context.ts'
import { describeFailure, formatFailure, usageExit, type Failure } from './failure.ts'
import { jsonText } from './output.ts'
import { buildProgram } from './program.ts'

/** @returns the exit code */
export async function run(argv: readonly string[]): Promise<number> {
  quietBrokenPipe()
  const cli = createCliContext({ version: await packageVersion() })
  let program: Command | null = null
  try {
    program = await buildProgram(argv, cli)
    await program.parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    const failure = describeFailure(error)
    report(failure, { cli, program, argv })
    return failure.exit
  } finally {
    await cli.close()
  }
}

function report(
  failure: Failure,
  { cli, program, argv }: { cli: ClosableContext; program: Command | null; argv: readonly string[] },
): void {
  if (failure.code === null) return
  if (argv.includes('--json')) {
    const { code, message, exit, retryAfterMs } = failure
    cli.output.warn(
      jsonText({ error: { code, message, exit, ...(retryAfterMs === null ? {} : { retryAfterMs }) } }),
    )
    return
  }
  cli.output.warn(formatFailure(failure))
  if (failure.exit === usageExit && program) cli.output.warn(`See: ${commandPath(program, argv)} --help`)
}

/** `perennial device add`: the deepest command that the words name. */
function commandPath(program: Command, argv: readonly string[]): string {
  let command = program
  const path = [program.name()]
  for (const word of argv) {
    const next = command.commands.find((each) => each.name() === word)
    if (!next) continue
    command = next
    path.push(word)
  }
  return path.join(' ')
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { version?: unknown } = JSON.parse(text)
  return String(version)
}

/** `perennial device list | head` is no error. */
function quietBrokenPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
}

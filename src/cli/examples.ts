/** Worked examples in the help of a command. `test/e2e/cli.test.ts` runs every one of them. */
import type { Command } from 'commander'

export interface Example {
  /** What it does, one line. */
  readonly say: string
  /** The line to type. `$ID`-style words are not expanded: examples are complete. */
  readonly run: string
  /** Why the test does not run it (it would never end, or needs another machine). */
  readonly notRun?: string
  /** Exit code that the example shows; 0 unless said. */
  readonly exit?: number
}

const examplesOf = new WeakMap<Command, readonly Example[]>()

export function addExamples(command: Command, examples: readonly Example[]): Command {
  examplesOf.set(command, examples)
  const lines = examples.flatMap(({ say, run }) => [`  # ${say}`, `  ${run}`])
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}

export function readExamples(command: Command): readonly Example[] {
  return examplesOf.get(command) ?? []
}

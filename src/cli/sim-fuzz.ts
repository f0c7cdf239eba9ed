/** `sim fuzz`: one random world after the other, and the command that runs a bad one again. */
import { fuzz, type FuzzResult } from '../sim/fuzz.ts'
import type { CliContext } from './context.ts'
import { FoundProblems } from './failure.ts'
import type { Json } from './output.ts'

export interface FuzzCommand {
  readonly seeds: number
  readonly seed?: string
  readonly devices?: number
  readonly days?: number
  readonly tick?: number
}

const violatedExit = 1

export async function fuzzSeeds(cli: CliContext, options: FuzzCommand): Promise<void> {
  const { devices, days, tick } = options
  const names = seedsOf(options)
  const progress = cli.progress('Worlds', names.length)
  const results: FuzzResult[] = []
  for (const [at, seed] of names.entries()) {
    const result = await fuzz({
      seed,
      ...(devices === undefined ? {} : { devices }),
      ...(days === undefined ? {} : { days }),
      ...(tick === undefined ? {} : { tickMs: tick }),
    })
    results.push(result)
    if (result.violations.length > 0) warn(cli, result)
    progress.update(at + 1)
  }
  progress.end()
  const bad = results.filter(({ violations }) => violations.length > 0)
  cli.output.answer({
    json: results as unknown as Json,
    text: () => {
      const [only] = results
      const hash = results.length === 1 && only ? `, history ${only.historyHash}` : ''
      const wallMs = results.reduce((sum, each) => sum + each.wallMs, 0)
      const each = `${Math.round(wallMs / Math.max(1, results.length))} ms each`
      return `${results.length} worlds, ${bad.length} with violations${hash}, ${each}`
    },
  })
  if (bad.length > 0) throw new FoundProblems(violatedExit)
}

function seedsOf({ seed, seeds }: FuzzCommand): string[] {
  return seed === undefined ? Array.from({ length: seeds }, (_, n) => String(n + 1)) : [seed]
}

function warn(cli: CliContext, { seed, violations, actions, replay }: FuzzResult): void {
  cli.output.warn(`seed ${seed}:`)
  for (const each of violations) cli.output.warn(`  ${each}`)
  for (const each of actions) cli.output.warn(`    ${each}`)
  cli.output.warn(`  again: ${replay}`)
}

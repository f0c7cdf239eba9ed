/** `perennial config`: what is wrong with the configuration, and what is in force. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { checkConfig, type CheckedConfig } from '../config.ts'
import type { Problem } from '../config/check.ts'
import { jsonSchema } from '../config/json-schema.ts'
import { defaultsYaml, effectiveKeys, effectiveYaml, type PrintedKey } from '../config/print.ts'
import { configFileName } from '../data-directory.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { type Json, jsonText } from './output.ts'

export function registerConfig(program: Command, cli: CliContext): void {
  const config = program.command('config')

  addExamples(
    config
      .command('check')
      .description('check perennial.yaml and the PERENNIAL_… variables; every problem with its line')
      .action(async () => await check(cli)),
    [{ say: 'Check before a restart', run: 'perennial config check' }],
  )

  addExamples(
    config
      .command('print')
      .description('print the configuration in force and where each value comes from; secrets are masked')
      .option('--defaults', 'print a commented perennial.yaml with every default instead')
      .option('--schema', 'print the JSON Schema of perennial.yaml instead, for editors')
      .action(async (options: { defaults?: boolean; schema?: boolean }) => {
        if (options.schema) cli.output.raw(`${jsonText(jsonSchema() as Json, 2)}\n`)
        else if (options.defaults) cli.output.raw(defaultsYaml())
        else await print(cli)
      }),
    [
      { say: 'What is in force', run: 'perennial config print' },
      {
        say: 'A commented file to start from',
        run: 'perennial config print --defaults > perennial.yaml.new',
      },
    ],
  )
}

async function check(cli: CliContext): Promise<void> {
  const { problems } = await read(cli)
  cli.output.answer({
    json: { ok: problems.length === 0, problems: problems.map(({ where, message }) => ({ where, message })) },
    text: () =>
      problems.length === 0 ? 'The configuration is right.' : problems.map(problemLine).join('\n'),
  })
  if (problems.length > 0) throw new FoundProblems()
}

async function print(cli: CliContext): Promise<void> {
  const { config, origins, problems } = await read(cli)
  const keys = effectiveKeys(config, origins)
  cli.output.answer({ json: asTree(keys), text: () => effectiveYaml(keys, cli.output.style.dim) })
  for (const problem of problems) cli.output.warn(problemLine(problem))
  if (problems.length > 0) throw new FoundProblems()
}

/** Works before `init` too: then there are only defaults and variables. */
async function read(cli: CliContext): Promise<CheckedConfig> {
  const file = join(cli.dataPath(), configFileName)
  if (!existsSync(file)) cli.output.note(`There is no ${file}: defaults and variables only.`)
  return await checkConfig({ file, env: cli.env })
}

function problemLine({ where, message }: Problem): string {
  return `${where}: ${message}`
}

/** `{ values: nested, origins: { "est.port": "perennial.yaml:3" } }`; what is not in `origins` is at its default. */
function asTree(keys: readonly PrintedKey[]): Json {
  const values: Record<string, unknown> = {}
  for (const { path, value } of keys) {
    let node = values
    for (const name of path.slice(0, -1)) node = (node[name] ??= {}) as Record<string, unknown>
    node[path.at(-1) as string] = value
  }
  const origins = keys.flatMap(({ path, origin }) =>
    origin === 'default' ? [] : [[path.join('.'), origin] as const],
  )
  return { values: values as Json, origins: Object.fromEntries(origins) }
}

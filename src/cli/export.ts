/** `perennial export`: whole lists as CSV or JSON Lines, written as they are read. */
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { Argument, Option, type Command } from 'commander'
import {
  exportFormats,
  exportKinds,
  exportList,
  type ExportFormat,
  type ExportKind,
} from '../engine/inventory/export.ts'
import { grouped } from './bars.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { given } from './options.ts'

interface ExportOptions {
  readonly filter?: string
  readonly format: ExportFormat
  readonly out?: string
}

export function registerExport(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('export')
      .description('write devices, certificates, the field list or facts as CSV or JSON Lines')
      .addArgument(new Argument('<what>', exportKinds.join(', ')).choices(exportKinds))
      .option('--filter <terms>', 'those for which all of the terms hold (docs/filters.md)')
      .addOption(new Option('--format <format>', 'csv or jsonl').choices(exportFormats).default('csv'))
      .option('--out <file>', 'write to this file instead of standard output')
      .addHelpText(
        'after',
        '\nNo cell of CSV can become a formula in a spreadsheet, and no text has control characters.',
      )
      .action(async (kind: ExportKind, options: ExportOptions) => await run(cli, kind, options)),
    [
      { say: 'All devices for a spreadsheet', run: 'perennial export devices --out devices.csv' },
      {
        say: 'What ends within 90 days, for a program',
        run: 'perennial export certificates --filter "expires<90d" --format jsonl',
      },
    ],
  )
}

async function run(cli: CliContext, kind: ExportKind, { filter, format, out }: ExportOptions): Promise<void> {
  const { engine } = await cli.app()
  const progress = cli.progress(`Writing ${kind}`, null)
  let count = 0
  const pieces = exportList(engine, {
    kind,
    format,
    ...given({ filter }),
    onProgress: (rows) => {
      count = rows
      // on standard output the rows themselves are the progress
      if (out !== undefined) progress.update(rows)
    },
  })
  try {
    if (out === undefined) for await (const piece of pieces) await cli.output.stream(piece)
    else await writeAll(out, pieces)
  } finally {
    progress.end()
  }
  if (out !== undefined) cli.output.note(`${grouped(count)} rows written to ${out}.`)
}

/** Beside the file until it is whole, so that nobody reads half of it. */
async function writeAll(path: string, pieces: AsyncIterable<string>): Promise<void> {
  const beside = `${path}.new`
  const file = createWriteStream(beside, { mode: 0o600 })
  try {
    for await (const piece of pieces) if (!file.write(piece)) await once(file, 'drain')
    file.end()
    await finished(file)
  } catch (error) {
    file.destroy()
    throw error
  }
  await rename(beside, path)
}

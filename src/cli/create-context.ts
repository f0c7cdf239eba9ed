/** What commands are given, built from the real process. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer as readBuffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { App } from '../app.ts'
import { systemClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { systemRandom } from '../base/random.ts'
import { openDataDirectory, type DataDirectory } from '../data-directory.ts'
import type { CliContext } from './context.ts'
import { createOutput } from './output.ts'
import { findPassphrase } from './passphrase.ts'
import { createProgress, silentProgress } from './progress.ts'

export interface ClosableContext extends CliContext {
  close(): Promise<void>
}

interface GlobalOptions {
  readonly data?: string
  readonly passphraseFile?: string
  readonly json?: boolean
}

export function createCliContext({ version }: { version: string }): ClosableContext {
  const env = process.env
  let program: Command | null = null
  let opening: Promise<App> | null = null
  let directory: Promise<DataDirectory> | null = null
  const options = (): GlobalOptions => program?.opts<GlobalOptions>() ?? {}
  const isJson = () => options().json === true
  const output = createOutput({ stdout: process.stdout, stderr: process.stderr, env, isJson })

  const cli: ClosableContext = {
    version,
    env,
    clock: systemClock,
    random: systemRandom,
    output,
    commanderOutput: {
      getOutHasColors: () => output.style !== undefined && output.isTerminal && !env['NO_COLOR'],
      getErrHasColors: () => false,
      getOutHelpWidth: () => Math.min(output.width, 100),
      getErrHelpWidth: () => 100,
      // run.ts prints errors: once, with the code, as JSON when asked.
      outputError: () => undefined,
    },
    attach: (parsed) => void (program = parsed),
    dataPath: () => resolve(options().data ?? env['PERENNIAL_DATA'] ?? 'perennial-data'),
    dataDirectory: () => (directory ??= openDataDirectory(cli.dataPath())),
    app: () => (opening ??= open(cli)),
    passphraseOption: () => options().passphraseFile ?? null,
    passphrase: async () =>
      await findPassphrase({
        option: cli.passphraseOption(),
        env,
        stored: (await cli.dataDirectory()).passphraseFile,
      }),
    progress: (label, total) =>
      process.stderr.isTTY
        ? createProgress({
            label,
            total,
            width: process.stderr.columns || 80,
            clock: systemClock,
            write: (text) => void process.stderr.write(text),
          })
        : silentProgress,
    readInput: async (file) => (file === '-' ? await readBuffer(process.stdin) : await readInputFile(file)),
    close: async () => {
      const app = await opening?.catch(() => null)
      await app?.close()
    },
  }
  return cli
}

async function open(cli: CliContext): Promise<App> {
  const { openApp } = await import('../app.ts')
  const dataDirectory = await cli.dataDirectory()
  return await openApp({ dataDirectory, env: cli.env, passphrase: () => cli.passphrase() })
}

async function readInputFile(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new Refusal('invalid-input', `cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    })
  }
}

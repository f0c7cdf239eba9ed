/** What every command is given. */
import type { Command, OutputConfiguration } from 'commander'
import type { App } from '../app.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { DataDirectory } from '../data-directory.ts'
import type { Environment } from '../config.ts'
import type { Output } from './output.ts'
import type { Progress } from './progress.ts'

export interface CliContext {
  readonly version: string
  readonly env: Environment
  readonly clock: Clock
  readonly random: Random
  readonly output: Output
  /** How commander writes help and errors. */
  readonly commanderOutput: OutputConfiguration
  /** Gives the context the parsed program, from which it reads the global options. */
  attach(program: Command): void
  /** Path of the data directory that `--data`, PERENNIAL_DATA or the default names; it need not exist. */
  dataPath(): string
  /** The data directory, checked. Throws Refusal `data-directory-invalid` when it is not initialised. */
  dataDirectory(): Promise<DataDirectory>
  /** The opened installation; the same one each time, closed when the command ends. */
  app(): Promise<App>
  /** The passphrase of the CA keys, from file, environment, the data directory, or a prompt on a terminal. */
  passphrase(): Promise<string>
  /** The file that `--passphrase-file` names. */
  passphraseOption(): string | null
  /** A progress bar on standard error; silent unless that is a terminal. `total` null when it is not known. */
  progress(label: string, total: number | null): Progress
  /** Reads a file, or standard input when the name is `-`. */
  readInput(file: string): Promise<Uint8Array>
}

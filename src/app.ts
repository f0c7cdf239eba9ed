/** Composition root: the only file that constructs everything. */
import type { Clock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import type { Random } from './base/random.ts'
import type { Config, Environment } from './config.ts'
import type { DataDirectory } from './data-directory.ts'
import type { Engine } from './engine/context.ts'
import type { Store } from './store/open.ts'

export interface App {
  readonly config: Config
  readonly engine: Engine
  /** Null for an app in memory. */
  readonly dataDirectory: DataDirectory | null
  /** Closes the database; idempotent. */
  close(): Promise<void>
}

export interface OpenAppOptions {
  readonly dataDirectory: DataDirectory
  readonly env: Environment
  /** Asked at most once, when a CA key is first used. */
  readonly passphrase: () => Promise<string>
  readonly config?: Config
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
}

/** For tests and the simulator: a whole app, by default in memory, with software keys that live only as long as it. */
export interface CreateAppOptions {
  readonly config?: Config
  readonly store?: Store
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
}

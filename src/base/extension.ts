import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Random } from './random.ts'

/** What an extension is given. Never the store: an extension acts on the outside world and answers. */
export interface ExtensionHost {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly fetch: typeof fetch
  /** Reads a secret by the name used in the configuration; throws Refusal `configuration-invalid` when it is missing. */
  secret(name: string): Promise<string>
}

/** One file that implements one port. `Options` has been checked against `optionSchema` before `create` is called. */
export interface Extension<Options, Port> {
  readonly kind: string
  /** JSON Schema of the options. */
  readonly optionSchema: object
  create(options: Options, host: ExtensionHost): Promise<Port>
}

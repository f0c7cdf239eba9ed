/** Configuration: `perennial.yaml` in the data directory, then PERENNIAL_SECTION__KEY, checked by one schema. */
import type { Connectivity, Profile } from './engine/profile.ts'
import type { Loaded } from './config/knob.ts'
import type { schema } from './config/schema.ts'

/** Variables of the process; a parameter so that tests need not touch their own. */
export type Environment = Readonly<Record<string, string | undefined>>

export type { Role } from './config/schema.ts'

/** Every knob at its effective value; durations are `…Ms`. */
export type Settings = Loaded<typeof schema>

export interface Config extends Settings {
  /** Default profiles merged with the user's. */
  readonly profiles: ReadonlyMap<string, Profile>
  readonly connectivity: ReadonlyMap<string, Connectivity>
}

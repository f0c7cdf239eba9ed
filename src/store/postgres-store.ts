import { Refusal } from '../base/errors.ts'
import type { Store, StoreParts } from './open.ts'

export function openPostgresStore(_url: string, _parts: StoreParts): Store {
  throw new Refusal('not-implemented', 'PostgreSQL comes next')
}

/**
 * Certificates by the SHA-256 of their bytes, for those who tell us of a sighting and know nothing else of it. Filled
 * behind the issuing path (engine/inventory/fingerprints.ts), and only where somebody asks this way.
 */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function fingerprints(engine: Engine): string[] {
  const { int, keyed } = words[engine]
  return [
    // The first 48 bits of the hash: a fifth of the size of the whole one, and whoever finds a row compares the bytes.
    `create table certificate_fingerprints (
      prefix ${int} not null,
      certificate_id ${int} not null,
      primary key (prefix, certificate_id)
    ) ${keyed}`,
  ]
}

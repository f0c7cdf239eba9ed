/** OCSP answers that are signed already. */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function status(engine: Engine): string[] {
  const { int, bytes, text, keyed } = words[engine]
  return [
    // One per question: SHA-256 of the CertID, which names issuer, serial number and hash algorithm. Every process that
    // answers gives them, also one whose signer is gone.
    `create table ocsp_answers (
      question ${bytes} primary key,
      standing ${text} not null,
      produced_at ${int} not null,
      next_update ${int} not null,
      der ${bytes} not null
    ) ${keyed}`,
    // What has lapsed is deleted.
    'create index ocsp_answers_lapsed on ocsp_answers (next_update)',
  ]
}

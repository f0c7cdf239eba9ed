/** What the passes over renewals and ended certificates look for. */
import type { Engine } from '../schema.ts'

/** @returns the statements in order */
export function forgetting(_engine: Engine): string[] {
  return [
    // Only those that wait to be let in: one that was let in and waits for its ladder is in nobody's way.
    'drop index renewals_planned',
    `create index renewals_planned on renewals (campaign_id, wave, id) where status = 'planned' and next_at is null`,
    // What is not live any more, by its end: the job that forgets. Live ones have certificates_expiry.
    `create index certificates_ended on certificates (not_after, id)
      where status in ('superseded', 'revoked', 'abandoned')`,
    // Who replaced a certificate that is to be deleted: the foreign key asks too, for each row.
    `create index certificates_predecessor on certificates (predecessor_id) where predecessor_id is not null`,
  ]
}

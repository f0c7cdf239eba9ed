/** What the brakes of a campaign count at each tick: who was asked and is silent, and who is on the field list. */
import type { Engine } from '../schema.ts'

/** @returns the statements in order */
export function campaignCounts(_engine: Engine): string[] {
  return [
    // Covering, so that the rows are not read: a twelfth of a fleet may be dark, and is counted every few seconds.
    `create index renewals_unfinished on renewals (campaign_id, status, connectivity, triggered_at, issued_at)
      where status in ('triggered', 'issued', 'escalated')`,
  ]
}

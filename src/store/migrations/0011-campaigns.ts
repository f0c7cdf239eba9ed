/** A renewal that is sent up its ladder again keeps what happened on the way before; hints find those that wait. */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function climbs(engine: Engine): string[] {
  const { int } = words[engine]
  return [
    `alter table renewals add column climb ${int} not null default 0`,
    `alter table renewal_attempts add column climb ${int} not null default 0`,
    'drop index renewal_attempts_renewal',
    `create unique index renewal_attempts_renewal on renewal_attempts (renewal_id, climb, rung, attempt, channel)`,
    // Without a campaign, each that waits has an instant, so that renewals_planned does not have it.
    `create index renewals_planned_alone on renewals (id) where status = 'planned' and campaign_id = ''`,
  ]
}

/** What rehearsals of campaigns foresaw, kept to be compared with what happens. */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function rehearsals(engine: Engine): string[] {
  const { id, int, text, rows } = words[engine]
  return [
    `create table rehearsals (
      id ${id},
      campaign_id ${text} not null references campaigns (id),
      created_at ${int} not null,
      created_by ${text} not null,
      forecast ${text} not null
    ) ${rows}`,
    'create index rehearsals_campaign on rehearsals (campaign_id, id)',
  ]
}

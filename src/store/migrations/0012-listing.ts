/** What lists by filter read: every list is a range of an index in the order of that index. */
import type { Engine } from '../schema.ts'

/** @returns the statements in order */
export function listing(_engine: Engine): string[] {
  return [
    // The devices of a site; most devices of a fleet that is not in the field have none.
    'create index devices_by_site on devices (site, id) where site is not null',
    // Those that are not as they should be. Most are active, and an index of those would cost each and save nothing.
    `create index devices_by_state on devices (state, id) where state <> 'active'`,
    // What ends next at a site.
    `create index certificates_site_expiry on certificates (site, not_after, id)
      where status in ('issued', 'confirmed') and site is not null`,
  ]
}

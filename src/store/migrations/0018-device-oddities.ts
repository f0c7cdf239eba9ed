/**
 * What a device shows unasked that is not right: one row for each device and kind, so that it is bounded by the fleet. And the
 * indexes along which the alerts walk over the whole fleet, in the order of the devices.
 */
import type { Engine } from '../schema.ts'
import { words } from './words.ts'

/** @returns the statements in order */
export function deviceOddities(engine: Engine): string[] {
  const { int, text, keyed } = words[engine]
  return [
    `create table device_oddities (
      kind ${text} not null check (kind in ('clock-off', 'revoked-calls')),
      device_id ${text} not null,
      times ${int} not null,
      first_at ${int} not null,
      last_at ${int} not null,
      value ${int},
      primary key (kind, device_id)
    ) ${keyed}`,
    // The rules count those of the last day; old ones are deleted by it.
    'create index device_oddities_last on device_oddities (kind, last_at)',
    `create index certificates_live on certificates (device_id, slot, id, not_after) where status in ('issued', 'confirmed')`,
    `create index devices_active on devices (connectivity, site) where state = 'active'`,
  ]
}

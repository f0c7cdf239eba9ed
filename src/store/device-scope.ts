/** A part of the fleet: what a caller may see and touch. */
import type { DeviceRecord } from './devices.ts'

/** Devices of one of the cohorts or of one of the sites. Null: the whole fleet. */
export type DeviceScope = {
  readonly cohorts: readonly string[]
  readonly sites: readonly string[]
} | null

export function isInScope(device: Pick<DeviceRecord, 'cohort' | 'site'>, scope: DeviceScope): boolean {
  if (scope === null) return true
  const { cohort, site } = device
  return (cohort !== null && scope.cohorts.includes(cohort)) || (site !== null && scope.sites.includes(site))
}

/** Letting targets in: each device is looked at again, because weeks may have passed since the targets were drawn. */
import type { Instant } from '../../base/clock.ts'
import type { WaitingTarget } from '../../store/campaign-targets.ts'
import type { RenewalChange } from '../../store/renewals.ts'
import { isInWindow } from './campaign-cron.ts'
import type { CampaignDefinition, CampaignSelection } from './campaign-definition.ts'
import { defaultCampaignSettings } from './campaign-settings.ts'
import type { EngineSettings } from '../context.ts'
import type { AbandonReason } from '../renewals/renewal-step.ts'

/** `change`: let in, or moved to what its device did by itself. `abandon`: given up before it is asked. */
export type Admission = { readonly change: RenewalChange } | { readonly abandon: AbandonReason }

/** What becomes of a target whose turn has come. */
export function admissionOf(
  { renewal, device, current }: WaitingTarget,
  selection: CampaignSelection,
  now: Instant,
): Admission {
  if (device === null || device.state === 'decommissioned') return { abandon: 'device-decommissioned' }
  if (device.state === 'quarantined') return { abandon: 'device-quarantined' }
  if (current === null) return { abandon: 'certificate-revoked' }
  if (current.id !== renewal.certificateId) {
    const issuedAt = current.issuedAt ?? now
    const renewed = { newCertificateId: current.id, issuedAt }
    if (current.status === 'confirmed')
      return {
        change: { ...renewed, status: 'confirmed', nextAt: null, confirmedAt: current.confirmedAt ?? now },
      }
    // the next pass looks whether it is used
    return { change: { ...renewed, status: 'issued', nextAt: now } }
  }
  if (!isStillSelected(device, selection)) return { abandon: 'no-longer-selected' }
  return { change: { nextAt: now } }
}

/** By what the record of the device says; its certificate and its last contact were looked at when it was drawn. */
function isStillSelected(
  device: NonNullable<WaitingTarget['device']>,
  selection: CampaignSelection,
): boolean {
  const columns = ['profile', 'cohort', 'batch', 'site'] as const
  return (
    columns.every((name) => selection[name] === null || selection[name] === device[name]) &&
    Object.entries(selection.tags).every(([name, value]) => device.tags[name] === value)
  )
}

/** Where devices may be let in now: null = everywhere, `nowhere`, or by the names of sites. */
export type OpenSites = { readonly isOnly: boolean; readonly names: readonly string[] } | 'nowhere' | null

/** By the clock at each site; a site that the configuration does not name has the time zone of `campaigns.timeZone`. */
export function openSites(
  { sites, campaigns }: Pick<EngineSettings, 'sites' | 'campaigns'>,
  { schedulingConfig }: CampaignDefinition,
  now: Instant,
): OpenSites {
  const { maintenanceWindows } = schedulingConfig
  if (maintenanceWindows.length === 0) return null
  const isOpen = new Map<string, boolean>()
  const isOpenIn = (timeZone: string): boolean => {
    const known = isOpen.get(timeZone)
    if (known !== undefined) return known
    const value = isInWindow(maintenanceWindows, now, timeZone)
    isOpen.set(timeZone, value)
    return value
  }
  const isDefaultOpen = isOpenIn((campaigns ?? defaultCampaignSettings).timeZone)
  const others = [...(sites ?? [])].flatMap(([name, { timeZone }]) =>
    isOpenIn(timeZone) === isDefaultOpen ? [] : [name],
  )
  if (isDefaultOpen) return others.length === 0 ? null : { isOnly: false, names: others }
  return others.length === 0 ? 'nowhere' : { isOnly: true, names: others }
}

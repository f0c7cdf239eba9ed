/** What a sweep over the fleet has found: certificates that may end unrenewed, by group; silent devices. Pure. */
import type { Instant } from '../../base/clock.ts'
import type { WatchedCertificate, SilenceSum } from '../../store/expiry-watch.ts'
import type { EngineSettings } from '../context.ts'
import type { Profile } from '../issuing/profile.ts'
import { isGraver, type Severity } from './alert-rule.ts'
import { otherThresholds, type AlertSettings, type Thresholds } from './alert-settings.ts'
import { renewalChance, type ContactHistory, type RenewalChance } from './contact-chance.ts'

export interface RiskGroup {
  /** `batch run-0001`, `cohort …` or `profile …`: the closest thing that its devices have in common. */
  readonly name: string
  readonly connectivity: string
  severity: Severity
  count: number
  /** Sum of the chances of not renewing in time: how many will be lost if nothing is done. */
  expectedLoss: number
  firstEnd: Instant
  lastEnd: Instant
  /** Devices that visit, and do not renew when they do; and those that were never seen. */
  stuck: number
  neverSeen: number
  /** The most urgent few. */
  devices: { readonly id: string; readonly notAfter: Instant; readonly chance: RenewalChance }[]
}

export interface FleetRisk {
  readonly ending: ReadonlyMap<string, RiskGroup>
  readonly ended: ReadonlyMap<string, RiskGroup>
  readonly silence: readonly SilenceSum[]
  readonly at: Instant
}

export interface RiskSettings {
  readonly alerts: AlertSettings
  readonly profiles: ReadonlyMap<string, Profile>
  readonly connectivity: EngineSettings['connectivity']
  /** Share of the renewal window over which devices are asked. */
  readonly spread: number
}

const samples = 5
/** Inside this share of the last lead time a certificate counts whatever the chances are. */
const lastShare = 0.25

export function thresholdsOf(settings: AlertSettings, connectivity: string): Thresholds {
  return settings.thresholds.get(connectivity) ?? otherThresholds
}

/** How near the end is, by lead times; null when it is further away than the longest. */
export function severityAt([first, second, third]: Thresholds, leftMs: number): Severity | null {
  if (leftMs <= third) return 'critical'
  if (leftMs <= second) return 'warning'
  return leftMs <= first ? 'notice' : null
}

export interface RiskVerdict {
  readonly severity: Severity
  readonly chance: RenewalChance
}

/** Whether a certificate counts, and how urgently. @returns null when it does not */
export function riskOf(
  certificate: Pick<WatchedCertificate, 'notBefore' | 'notAfter' | 'profile' | 'connectivity'>,
  history: ContactHistory,
  settings: RiskSettings,
  now: Instant,
): RiskVerdict | null {
  const { notAfter, connectivity } = certificate
  const thresholds = thresholdsOf(settings.alerts, connectivity)
  const severity = severityAt(thresholds, notAfter - now)
  if (severity === null) return null
  const chance = renewalChance({ history, now, ...questionOf(certificate, settings) })
  if (
    chance.share * 100 >= settings.alerts.chancePercent &&
    notAfter - now > lastLead(certificate, thresholds)
  )
    return null
  return { severity, chance }
}

/** A certificate of a week cannot be known a month before its end: an eighth of its life is late for any. */
function lastLead(
  { notBefore, notAfter }: Pick<WatchedCertificate, 'notBefore' | 'notAfter'>,
  [, , third]: Thresholds,
): number {
  return Math.min(third * lastShare, (notAfter - notBefore) / 8)
}

function questionOf(
  { notAfter, profile, connectivity }: Pick<WatchedCertificate, 'notAfter' | 'profile' | 'connectivity'>,
  { profiles, connectivity: known, spread }: RiskSettings,
) {
  const checkInMs = known.get(connectivity)?.checkInMs ?? 0
  const windowMs = profiles.get(profile)?.renewBeforeMs ?? null
  // for life, or of another CA: no visit brings a new one
  if (windowMs === null) return { checkInMs, opensAt: notAfter, askedBy: notAfter, notAfter }
  return { checkInMs, opensAt: notAfter - windowMs, askedBy: notAfter - windowMs * (1 - spread), notAfter }
}

export interface RiskCollector {
  add(certificate: WatchedCertificate, history: ContactHistory): void
  addSilence(sums: readonly SilenceSum[]): void
  result(at: Instant): FleetRisk
}

export function collectRisk(settings: RiskSettings, now: Instant): RiskCollector {
  const ending = new Map<string, RiskGroup>()
  const ended = new Map<string, RiskGroup>()
  const silence = new Map<string, SilenceSum>()
  return {
    add(certificate, history) {
      const verdict = riskOf(certificate, history, settings, now)
      if (!verdict) return
      addTo(certificate.notAfter < now ? ended : ending, certificate, verdict)
    },
    addSilence(sums) {
      for (const sum of sums) {
        const key = `${sum.connectivity} ${sum.site ?? ''}`
        const known = silence.get(key) ?? { ...sum, seen: 0, dark: 0 }
        silence.set(key, { ...known, seen: known.seen + sum.seen, dark: known.dark + sum.dark })
      }
    },
    result: (at) => ({ ending, ended, silence: [...silence.values()], at }),
  }
}

function addTo(
  groups: Map<string, RiskGroup>,
  certificate: WatchedCertificate,
  { severity, chance }: RiskVerdict,
): void {
  const { connectivity, notAfter, deviceId: id } = certificate
  const name = groupOf(certificate)
  const key = `${name}, ${connectivity}`
  let group = groups.get(key)
  if (!group) {
    group = {
      name,
      connectivity,
      severity,
      count: 0,
      expectedLoss: 0,
      firstEnd: notAfter,
      lastEnd: notAfter,
      stuck: 0,
      neverSeen: 0,
      devices: [],
    }
    groups.set(key, group)
  }
  group.count++
  group.expectedLoss += 1 - chance.share
  group.firstEnd = Math.min(group.firstEnd, notAfter)
  group.lastEnd = Math.max(group.lastEnd, notAfter)
  if (chance.silentMs === null) group.neverSeen++
  else if (chance.missed > 0) group.stuck++
  if (isGraver(severity, group.severity)) group.severity = severity
  keepUrgent(group.devices, { id, notAfter, chance })
}

/** The first to end, in that order. */
function keepUrgent(devices: RiskGroup['devices'], device: RiskGroup['devices'][number]): void {
  const last = devices[samples - 1]
  if (last && last.notAfter <= device.notAfter) return
  const at = devices.findIndex(({ notAfter }) => notAfter > device.notAfter)
  devices.splice(at === -1 ? devices.length : at, 0, device)
  if (devices.length > samples) devices.pop()
}

function groupOf({ batch, cohort, profile }: WatchedCertificate): string {
  if (batch !== null) return `batch ${batch}`
  return cohort === null ? `profile ${profile}` : `cohort ${cohort}`
}

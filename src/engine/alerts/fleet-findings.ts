/** The rules over what the sweep has found: one alert for each group, never one for each device. */
import type { CanonicalValue } from '../../base/canonical-json.ts'
import { iso, type Instant } from '../../base/clock.ts'
import { printable } from '../../base/text.ts'
import type { SilenceSum } from '../../store/expiry-watch.ts'
import type { EngineSettings } from '../context.ts'
import type { AlertInput, AlertMemory } from './alert-input.ts'
import { gravest, type Finding, type RuleName } from './alert-rule.ts'
import { alertSettings } from './alert-settings.ts'
import { amount, day, daysOf } from './findings.ts'
import type { RiskGroup } from './fleet-risk.ts'

/** More groups than this are nobody's to read: the smallest are told of together. */
const mostGroups = 40

export function findEnding({ risk }: AlertInput): Finding[] | null {
  return risk && groupFindings('certificates-ending', [...risk.ending.values()], risk.at)
}

export function findEnded({ risk }: AlertInput): Finding[] | null {
  return risk && groupFindings('certificates-ended', [...risk.ended.values()], risk.at)
}

function groupFindings(rule: RuleName, groups: readonly RiskGroup[], at: Instant): Finding[] {
  const bySize = groups.toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
  const own = bySize.slice(0, bySize.length > mostGroups ? mostGroups - 1 : mostGroups)
  const rest = bySize.slice(own.length)
  return [
    ...own.map((group) => groupFinding(rule, group, at)),
    ...(rest.length === 0 ? [] : [restFinding(rule, rest)]),
  ]
}

function groupFinding(rule: RuleName, group: RiskGroup, at: Instant): Finding {
  const { name, connectivity, severity, count } = group
  return {
    rule,
    key: printable(`${name}, ${connectivity}`),
    severity: rule === 'certificates-ended' ? 'critical' : severity,
    count,
    summary: rule === 'certificates-ended' ? endedText(group) : endingText(group, at),
    details: detailsOf(group),
  }
}

function endingText(group: RiskGroup, at: Instant): string {
  const { name, connectivity, count, firstEnd, expectedLoss, stuck, neverSeen } = group
  const parts = [
    `${amount(count)} ${connectivity} ${count === 1 ? 'device' : 'devices'} of ${name} may not renew in time`,
    `the first certificate ends in ${daysOf(firstEnd - at)}`,
    `about ${amount(Math.max(1, Math.round(expectedLoss)))} will be lost as things are`,
    ...(stuck > 0 ? [`${amount(stuck)} visit and do not renew`] : []),
    ...(neverSeen > 0 ? [`${amount(neverSeen)} were never seen`] : []),
  ]
  return printable(parts.join('; '))
}

function endedText({ name, connectivity, count, firstEnd }: RiskGroup): string {
  const certificates = count === 1 ? 'certificate has' : 'certificates have'
  return printable(
    `${amount(count)} ${certificates} ended and nothing replaced ${count === 1 ? 'it' : 'them'}: ${connectivity}, ${name}, since ${day(firstEnd)}`,
  )
}

function restFinding(rule: RuleName, groups: readonly RiskGroup[]): Finding {
  const count = groups.reduce((sum, each) => sum + each.count, 0)
  const verb = rule === 'certificates-ended' ? 'have certificates that ended' : 'may not renew in time'
  return {
    rule,
    key: 'smaller groups',
    severity: rule === 'certificates-ended' ? 'critical' : gravest(groups.map(({ severity }) => severity)),
    count,
    summary: `${amount(count)} devices in ${amount(groups.length)} smaller groups ${verb}`,
    details: { groups: groups.length, largest: groups.slice(0, 5).map(({ name }) => printable(name)) },
  }
}

/** What a person asks first: which ones, and why. */
function detailsOf(group: RiskGroup): Record<string, CanonicalValue> {
  const { name, connectivity, expectedLoss, stuck, neverSeen, firstEnd, lastEnd, devices } = group
  return {
    group: printable(name),
    connectivity,
    firstEnd: iso(firstEnd),
    lastEnd: iso(lastEnd),
    expectedLoss: Math.round(expectedLoss),
    stuck,
    neverSeen,
    devices: devices.map(({ id, notAfter, chance }) => ({
      id,
      notAfter: iso(notAfter),
      chancePercent: Math.floor(chance.share * 100),
      usualGap: daysOf(chance.usualGapMs),
      silent: chance.silentMs === null ? 'never seen' : daysOf(chance.silentMs),
      left: daysOf(chance.leftMs),
      missedVisits: chance.missed,
    })),
  }
}

/** Groups of fewer devices go up and down by themselves. */
const leastSeen = 20

export function findDarkness(
  { risk, memory }: AlertInput,
  settings: Pick<EngineSettings, 'alerts'>,
): Finding[] | null {
  if (!risk) return null
  const { darkPoints } = alertSettings(settings)
  return risk.silence.flatMap((sum): Finding[] => {
    const { seen, dark, connectivity, site } = sum
    const key = darknessKey(sum)
    const normal = memory.darkness[key]
    const percent = (100 * dark) / seen
    if (seen < leastSeen || normal === undefined || percent <= normal / 100 + darkPoints) return []
    const where = printable(site === null ? connectivity : `${connectivity} at ${site}`)
    return [
      {
        rule: 'devices-dark',
        key,
        severity: percent > 50 ? 'critical' : 'warning',
        count: dark,
        summary: `${amount(dark)} of ${amount(seen)} devices (${where}) are silent, ${Math.round(percent)} %; ${Math.round(normal / 100)} % is normal`,
        details: { seen, normalPercent: Math.round(normal / 100) },
      },
    ]
  })
}

/** A tenth of each sweep: what lasts for weeks becomes normal. */
const newShare = 0.1

/** What is normal, with this sweep in it; a share far above does not count, or an outage would soon be normal. */
export function learnDarkness(
  memory: AlertMemory,
  silence: readonly SilenceSum[],
  darkPoints: number,
): AlertMemory {
  const darkness: Record<string, number> = {}
  for (const sum of silence) {
    if (sum.seen < leastSeen) continue
    const key = darknessKey(sum)
    const now = (10_000 * sum.dark) / sum.seen
    const before = memory.darkness[key] ?? now
    const counted = Math.min(now, before + darkPoints * 100)
    darkness[key] = Math.round(before + newShare * (counted - before))
  }
  return { ...memory, darkness }
}

function darknessKey({ connectivity, site }: SilenceSum): string {
  return printable(site === null ? connectivity : `${connectivity}, ${site}`)
}

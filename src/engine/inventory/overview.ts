/** What a first page shows: sums of the whole fleet, from the roll-ups, in milliseconds whatever its size. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { countApprovals } from '../../store/approvals.ts'
import { listCases } from '../../store/cases.ts'
import { listProposals } from '../../store/proposals.ts'
import { openCampaigns } from '../../store/campaigns.ts'
import { certificateStatuses } from '../../store/certificate-record.ts'
import { latestSigned } from '../../store/checkpoints.ts'
import { expiryHistogram, readCounters } from '../../store/counters.ts'
import { renewalStatuses, type RenewalStatus } from '../../store/renewal-record.ts'
import { countTasks } from '../../store/tasks.ts'
import { currentAlerts, type AlertView } from '../alerts/alert-actions.ts'
import type { Engine } from '../context.ts'

export const expiryWindowDays = [7, 30, 90, 180] as const

export interface Overview {
  readonly devices: Readonly<Record<string, number>>
  readonly certificates: Readonly<Record<string, number>>
  readonly expiry: {
    /** Live ones whose end has passed; by whole days, so those of today count as not passed. */
    readonly expired: number
    /** Live ones that end within so many days from the midnight before now. */
    readonly within: readonly { readonly days: number; readonly count: number }[]
  }
  /** Of all campaigns, and of none. */
  readonly renewals: Readonly<Record<RenewalStatus, number>>
  readonly campaigns: { readonly running: number; readonly paused: number }
  /** Enrolments that wait for a person, at most 1,000 counted. */
  readonly waitingRequests: number
  /** Alerts that nobody has acknowledged or silenced. */
  readonly unansweredAlerts: number
  /** At most 1,000 counted, as of proposals. */
  readonly openCases: number
  readonly openProposals: number
  readonly tasks: { readonly open: number; readonly dead: number }
  readonly checkpoint: { readonly size: number; readonly at: Instant } | null
  /** Renewals that the installation bears. */
  readonly capacityPerDay: number
}

const deviceStates = ['registered', 'active', 'quarantined', 'decommissioned'] as const

export async function overview({ store, settings }: Engine, now: Instant): Promise<Overview> {
  const { db } = store
  const today = Math.floor(now / dayMs)
  const longest = expiryWindowDays.at(-1) as number
  const sums = await expiryHistogram(db, { fromDay: 0, days: today + longest })
  const before = (day: number): number =>
    sums.reduce((sum, each) => (each.day < day ? sum + each.count : sum), 0)
  const expired = before(today)
  const campaigns = await openCampaigns(db)
  const tasks = await countTasks(db)
  const checkpoint = await latestSigned(db)
  const ofTasks = (isDead: boolean): number =>
    tasks.reduce((sum, { status, count }) => ((status === 'dead') === isDead ? sum + count : sum), 0)
  return {
    devices: named(deviceStates, 'devices.', await readCounters(db, 'devices.')),
    certificates: named(certificateStatuses, 'certificates.', await readCounters(db, 'certificates.')),
    expiry: {
      expired,
      within: expiryWindowDays.map((days) => ({ days, count: before(today + days) - expired })),
    },
    renewals: allRenewals(await readCounters(db, 'renewals.'), await readCounters(db, 'campaign.')),
    campaigns: {
      running: campaigns.filter(({ status }) => status === 'running').length,
      paused: campaigns.filter(({ status }) => status === 'paused').length,
    },
    waitingRequests: await countApprovals(db, 1_000),
    unansweredAlerts: (await currentAlerts({ store }, now)).filter(isUnanswered).length,
    openCases: (await listCases(db, { filter: { isOpen: true }, limit: 1_000 })).rows.length,
    openProposals: (await listProposals(db, { state: 'open', limit: 1_000 })).rows.length,
    tasks: { open: ofTasks(false), dead: ofTasks(true) },
    checkpoint: checkpoint && { size: checkpoint.size, at: checkpoint.at },
    capacityPerDay: settings.renewal.maximumPerMinute * 60 * 24,
  }
}

function isUnanswered({ acknowledgedAt, silencedUntil }: AlertView): boolean {
  return acknowledgedAt === null && silencedUntil === null
}

function named(
  names: readonly string[],
  prefix: string,
  sums: ReadonlyMap<string, number>,
): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, sums.get(`${prefix}${name}`) ?? 0]))
}

/** `renewals.<status>` and `campaign.<id>.<wave>.<status>`. */
function allRenewals(...sums: readonly ReadonlyMap<string, number>[]): Record<RenewalStatus, number> {
  const totals = Object.fromEntries(renewalStatuses.map((status) => [status, 0])) as Record<
    RenewalStatus,
    number
  >
  for (const each of sums) {
    for (const [name, value] of each) {
      const status = name.slice(name.lastIndexOf('.') + 1) as RenewalStatus
      if (Object.hasOwn(totals, status)) totals[status] += value
    }
  }
  return totals
}

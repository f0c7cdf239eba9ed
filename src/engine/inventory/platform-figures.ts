/** What metrics show of the whole installation: sums of the roll-ups and the heads of indexes, in milliseconds whatever its size. */
import { stopwatch, type Instant } from '../../base/clock.ts'
import { openAlerts } from '../../store/alerts.ts'
import { openCampaigns } from '../../store/campaigns.ts'
import { readCounters } from '../../store/counters.ts'
import { countOddities, oddityKinds, type OddityKind } from '../../store/device-oddities.ts'
import { unsealedFacts } from '../../store/facts.ts'
import { oldestDue, type DueTask } from '../../store/tasks.ts'
import { oddSinceMs } from '../alerts/alert-input.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { crlAges, type CrlAge } from '../revocation/crl-watch.ts'
import { countTasks, type TaskCount } from '../../store/tasks.ts'
import { overview, type Overview } from './overview.ts'

export interface IssuerEnd {
  readonly issuer: string
  readonly notAfter: Instant
}

export interface PlatformFigures extends Pick<
  Overview,
  'devices' | 'certificates' | 'expiry' | 'renewals' | 'campaigns' | 'checkpoint'
> {
  readonly now: Instant
  readonly issuers: readonly IssuerEnd[]
  readonly crls: readonly CrlAge[]
  /** Targets of the campaigns that are open, by the status of their renewal. */
  readonly targets: ReadonlyMap<string, number>
  /** Of the oldest fact that waits to be sealed. */
  readonly unsealedSince: Instant | null
  readonly tasks: readonly TaskCount[]
  /** The longest that is due, by kind. */
  readonly due: readonly DueTask[]
  readonly openAlerts: readonly { readonly rule: string; readonly severity: string }[]
  /** What became of messages to people, since ever: `[notifier, result, count]`. */
  readonly notifications: readonly (readonly [notifier: string, result: string, count: number])[]
  /** Devices of the last day. */
  readonly oddities: Readonly<Record<OddityKind, number>>
  /** How long it took to read all this, ms: how the database is. */
  readonly readMs: number
}

/** More are not counted. */
const mostOdd = 100_000

export async function platformFigures(engine: Engine, now: Instant): Promise<PlatformFigures> {
  const { db } = engine.store
  const elapsedMs = stopwatch()
  const [oldest] = await unsealedFacts(db, 1)
  const odd = async (kind: OddityKind): Promise<readonly [OddityKind, number]> => [
    kind,
    await countOddities(db, { kind, since: now - oddSinceMs, limit: mostOdd }),
  ]
  return {
    ...(await overview(engine, now)),
    now,
    issuers: (await engine.issuers.list()).map(({ id, notAfter }) => ({ issuer: id, notAfter })),
    crls: await crlAges(engine, now),
    targets: await targetsByStatus(engine),
    unsealedSince: oldest ? Date.parse(readFact(oldest.entry).at) : null,
    tasks: await countTasks(db),
    due: await oldestDue(db, now),
    openAlerts: await openAlerts(db),
    notifications: [...(await readCounters(db, 'notifications.'))].map(([name, count]) => {
      const [, result = '', ...notifier] = name.split('.')
      return [notifier.join('.'), result, count] as const
    }),
    oddities: Object.fromEntries(await Promise.all(oddityKinds.map(odd))) as Record<OddityKind, number>,
    readMs: elapsedMs(),
  }
}

/** Of the sums by campaign and wave (`campaign.<id>.<wave>.<status>`), those of open campaigns. */
async function targetsByStatus({ store }: Engine): Promise<ReadonlyMap<string, number>> {
  const totals = new Map<string, number>()
  for (const { id } of await openCampaigns(store.db)) {
    for (const [name, count] of await readCounters(store.db, `campaign.${id}.`)) {
      const status = name.slice(name.lastIndexOf('.') + 1)
      totals.set(status, (totals.get(status) ?? 0) + count)
    }
  }
  return totals
}

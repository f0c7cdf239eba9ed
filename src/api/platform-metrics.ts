/**
 * What is true of the whole installation, as gauges: given by one process of it, read from the roll-ups when somebody scrapes,
 * and not more often than every ten seconds however many do. Labels are states, kinds, issuers and rules: closed sets.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import { dayMs, secondMs, type Instant } from '../base/clock.ts'
import type { PlatformFigures } from '../engine/inventory/platform-figures.ts'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

interface Figure {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** A sum since ever, whose name ends in `_total`. */
  readonly isCounter?: boolean
  read(figures: PlatformFigures): readonly Sample[]
}

const seconds = (ms: number): number => ms / 1000
const one = (value: number | null): Sample[] => (value === null ? [] : [[{}, value]])
const by = (label: string, counts: Iterable<readonly [string, number]>): Sample[] =>
  [...counts].map(([name, count]) => [{ [label]: name }, count])
const ages = (now: Instant, at: Instant | null): Sample[] =>
  one(at === null ? 0 : Math.max(0, seconds(now - at)))

const figures: readonly Figure[] = [
  {
    name: 'perennial_devices',
    help: 'Devices by state.',
    labels: ['state'],
    read: ({ devices }) => by('state', Object.entries(devices)),
  },
  {
    name: 'perennial_certificates',
    help: 'Certificates of the inventory by status.',
    labels: ['status'],
    read: ({ certificates }) => by('status', Object.entries(certificates)),
  },
  {
    name: 'perennial_certificates_expiring',
    help: 'Live certificates that end within so many seconds from the midnight (UTC) before now; those of 30 days include those of 7.',
    labels: ['within'],
    read: ({ expiry }) =>
      expiry.within.map(({ days, count }) => [{ within: String((days * dayMs) / secondMs) }, count]),
  },
  {
    name: 'perennial_certificates_expired',
    help: 'Live certificates whose end has passed, by whole days.',
    read: ({ expiry }) => one(expiry.expired),
  },
  {
    name: 'perennial_renewals',
    help: 'Renewals by status, those of ended campaigns included.',
    labels: ['status'],
    read: ({ renewals }) => by('status', Object.entries(renewals)),
  },
  {
    name: 'perennial_campaigns',
    help: 'Campaigns that are running or paused.',
    labels: ['status'],
    read: ({ campaigns }) => by('status', Object.entries(campaigns)),
  },
  {
    name: 'perennial_campaign_targets',
    help: 'Targets of the open campaigns together, by the status of their renewal.',
    labels: ['status'],
    read: ({ targets }) => by('status', targets),
  },
  {
    name: 'perennial_issuer_not_after_seconds',
    help: 'When the certificate of an issuer expires, epoch seconds.',
    labels: ['issuer'],
    read: ({ issuers }) => issuers.map(({ issuer, notAfter }) => [{ issuer }, seconds(notAfter)]),
  },
  {
    name: 'perennial_crl_next_update_seconds',
    help: 'When the oldest CRL of an issuer and kind lapses, epoch seconds: from then on verifiers refuse every device.',
    labels: ['issuer', 'kind'],
    read: ({ crls }) => crls.map(({ issuer, kind, nextUpdate }) => [{ issuer, kind }, seconds(nextUpdate)]),
  },
  {
    name: 'perennial_crl_age_seconds',
    help: 'Since the thisUpdate of the oldest CRL of an issuer and kind.',
    labels: ['issuer', 'kind'],
    read: ({ crls, now }) =>
      crls.map(({ issuer, kind, thisUpdate }) => [{ issuer, kind }, seconds(now - thisUpdate)]),
  },
  {
    name: 'perennial_crl_entries',
    help: 'Entries of the newest CRLs of an issuer and kind together.',
    labels: ['issuer', 'kind'],
    read: ({ crls }) => crls.map(({ issuer, kind, entries }) => [{ issuer, kind }, entries]),
  },
  {
    name: 'perennial_audit_entries',
    help: 'Facts in the sealed audit log, as of its last signed checkpoint.',
    read: ({ checkpoint }) => one(checkpoint?.size ?? 0),
  },
  {
    name: 'perennial_audit_checkpoint_seconds',
    help: 'Instant of the last signed checkpoint, epoch seconds; a log that nothing is added to has an old one.',
    read: ({ checkpoint }) => one(checkpoint && seconds(checkpoint.at)),
  },
  {
    name: 'perennial_audit_unsealed_age_seconds',
    help: 'How long the oldest fact has waited to be sealed; 0 when none waits.',
    read: ({ unsealedSince, now }) => ages(now, unsealedSince),
  },
  {
    name: 'perennial_tasks',
    help: 'Tasks by kind and status: ready, running, or dead, which waits for a person.',
    labels: ['kind', 'status'],
    read: ({ tasks }) => tasks.map(({ kind, status, count }) => [{ kind, status }, count]),
  },
  {
    name: 'perennial_task_oldest_due_age_seconds',
    help: 'How long the oldest task of a kind has been due; kinds without any are missing.',
    labels: ['kind'],
    read: ({ due, now }) => due.map(({ kind, runAt }) => [{ kind }, seconds(now - runAt)]),
  },
  {
    name: 'perennial_alerts',
    help: 'Open alerts by rule and severity.',
    labels: ['rule', 'severity'],
    read: ({ openAlerts }) => [
      ...openAlerts
        .reduce((counts, { rule, severity }) => {
          const key = `${rule} ${severity}`
          const [labels, count] = counts.get(key) ?? [{ rule, severity }, 0]
          return counts.set(key, [labels, count + 1])
        }, new Map<string, Sample>())
        .values(),
    ],
  },
  {
    name: 'perennial_notifications_total',
    help: 'Messages about alerts by notifier (webhooks among them) and end: sent, or failed for good.',
    labels: ['notifier', 'result'],
    isCounter: true,
    read: ({ notifications }) =>
      notifications.map(([notifier, result, count]) => [{ notifier, result }, count]),
  },
  {
    name: 'perennial_device_clocks_off',
    help: 'Devices whose clock was more than five minutes off within the last day.',
    read: ({ oddities }) => one(oddities['clock-off']),
  },
  {
    name: 'perennial_revoked_devices_calling',
    help: 'Revoked or quarantined devices that tried to connect or to enrol within the last day.',
    read: ({ oddities }) => one(oddities['revoked-calls']),
  },
  {
    name: 'perennial_database_read_seconds',
    help: 'How long the database took for the figures of this installation.',
    read: ({ readMs }) => one(seconds(readMs)),
  },
]

const readEveryMs = 10 * secondMs

/**
 * @param read  asked when a scrape finds what was read older than ten seconds
 * @param clock of the process
 */
export function registerPlatformMetrics(
  registry: Registry,
  read: () => Promise<PlatformFigures>,
  clock: { now(): Instant },
): void {
  let known: { readonly at: Instant; readonly figures: ReturnType<Current> } | null = null
  const current = (): ReturnType<Current> => {
    const now = clock.now()
    if (known === null || Math.abs(now - known.at) >= readEveryMs)
      known = { at: now, figures: read().catch(() => null) }
    return known.figures
  }
  const up = new Gauge({
    name: 'perennial_database_up',
    help: 'Whether the figures of this installation could be read: 1, or 0, and then they are missing.',
    registers: [],
    async collect() {
      this.set((await current()) === null ? 0 : 1)
    },
  })
  registry.registerMetric(up)
  for (const figure of figures) register(registry, figure, current)
}

/** Null: the database is away; what a process knows of itself is shown all the same. */
type Current = () => Promise<PlatformFigures | null>

function register(registry: Registry, figure: Figure, current: Current): void {
  const samplesNow = async (): Promise<readonly Sample[]> => {
    const known = await current()
    return known === null ? [] : figure.read(known)
  }
  const { name, help, labels = [], isCounter = false } = figure
  const common = { name, help, labelNames: [...labels], registers: [] }
  if (isCounter) {
    const counter = new Counter({
      ...common,
      async collect() {
        const samples = await samplesNow()
        this.reset()
        for (const [values, value] of samples) this.inc(values, value)
      },
    })
    registry.registerMetric(counter)
    return
  }
  const gauge = new Gauge({
    ...common,
    async collect() {
      const samples = await samplesNow()
      this.reset()
      // gauges without labels start at 0, which would be a lie where nothing is known
      if (samples.length === 0 && labels.length === 0) this.remove()
      for (const [values, value] of samples) this.set(values, value)
    },
  })
  registry.registerMetric(gauge)
}

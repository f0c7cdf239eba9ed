/** What the rules look at, read from the records in a few index ranges; the fleet itself comes from the sweep. */
import { dayMs, hourMs, type Instant } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { listWaves, openCampaigns } from '../../store/campaigns.ts'
import { expiryHistogram, readCounters } from '../../store/counters.ts'
import {
  countOddities,
  latestOddities,
  type OddDevice,
  type OddityKind,
} from '../../store/device-oddities.ts'
import { listCrls, type CrlRecord } from '../../store/crls.ts'
import { recentFacts, unsealedFacts } from '../../store/facts.ts'
import { readMeta, writeMeta } from '../../store/meta.ts'
import type { Tx } from '../../store/schema.ts'
import { countTasks } from '../../store/tasks.ts'
import { readFact, subjects } from '../audit/audit.ts'
import { forecast } from '../campaigns/campaign-forecast.ts'
import { toCampaign, type Campaign } from '../campaigns/campaign-record.ts'
import type { Engine } from '../context.ts'
import type { FleetRisk } from './fleet-risk.ts'

export interface OwnCertificate {
  /** Of which endpoint: `EST endpoint of host`. */
  readonly name: string
  readonly notAfter: Instant
}

export interface WatchedIssuer {
  readonly id: IssuerId
  readonly notAfter: Instant
  /** Of the certificates that it signs; null: for life. */
  readonly longestValidityMs: number | null
}

export interface WatchedCampaign {
  readonly id: string
  /** Why a brake has paused it; null when none has. */
  readonly brake: string | null
  /** How long ago what it has not reached was planned for; null when it is on time. */
  readonly behindMs: number | null
  /** The wave that is late. */
  readonly wave: string | null
}

/** Devices that showed something within the last day. */
export interface OddDevices {
  readonly count: number
  /** The latest few. */
  readonly latest: readonly OddDevice[]
}

/** What is remembered from one pass to the next. */
export interface AlertMemory {
  /** Sums of signer errors at past instants, the oldest first, over an hour. */
  readonly signer: readonly (readonly [at: Instant, total: number])[]
  /** The usual share of dark devices, percent in hundredths, by connectivity and site. */
  readonly darkness: Readonly<Record<string, number>>
}

export interface AlertInput {
  readonly now: Instant
  /** Null before the first sweep is through. */
  readonly risk: FleetRisk | null
  readonly memory: AlertMemory
  /** Certificates that end within week n from now. */
  readonly weeks: readonly number[]
  /** The newest of each scope. */
  readonly crls: readonly CrlRecord[]
  readonly issuers: readonly WatchedIssuer[]
  readonly campaigns: readonly WatchedCampaign[]
  /** Of the oldest fact that waits. */
  readonly unsealedSince: Instant | null
  /** Signatures that were not given within the last hour; null when it is not known yet. */
  readonly signerErrors: number | null
  readonly clockProblem: string | null
  readonly deadTasks: readonly { readonly kind: string; readonly count: number }[]
  readonly ownCertificates: readonly OwnCertificate[]
  readonly revokedCalls: OddDevices
  readonly clocksOff: OddDevices
}

const memoryKey = 'alerts.memory'
const emptyMemory: AlertMemory = { signer: [], darkness: {} }

export async function readMemory({ store }: Pick<Engine, 'store'>): Promise<AlertMemory> {
  const text = await readMeta(store.db, memoryKey)
  return text === null ? emptyMemory : (JSON.parse(text) as AlertMemory)
}

export async function writeMemory(tx: Tx, memory: AlertMemory): Promise<void> {
  await writeMeta(tx, memoryKey, JSON.stringify(memory))
}

export interface InputParts {
  readonly now: Instant
  readonly risk: FleetRisk | null
  readonly clockProblem: string | null
  readonly ownCertificates: readonly OwnCertificate[]
}

/** Weeks looked ahead for a wave of ends. */
export const weeksAhead = 26

export async function readInput(engine: Engine, parts: InputParts): Promise<AlertInput> {
  const { store } = engine
  const { now } = parts
  const memory = await readMemory(engine)
  const total = (await readCounters(store.db, 'certificates.abandoned')).get('certificates.abandoned') ?? 0
  const signer = [...memory.signer.filter(([at]) => at > now - hourMs && at <= now), [now, total] as const]
  const [oldest] = await unsealedFacts(store.db, 1)
  return {
    ...parts,
    memory: { ...memory, signer },
    weeks: await endsByWeek(engine, now),
    crls: newestCrls(await listCrls(store.db)),
    issuers: await watchedIssuers(engine),
    campaigns: await watchedCampaigns(engine, now),
    unsealedSince: oldest ? Date.parse(readFact(oldest.entry).at) : null,
    signerErrors: signer.length < 2 ? null : total - (signer[0]?.[1] ?? total),
    deadTasks: (await countTasks(store.db)).filter(({ status }) => status === 'dead'),
    revokedCalls: await oddDevices(engine, 'revoked-calls', now),
    clocksOff: await oddDevices(engine, 'clock-off', now),
  }
}

/** A sign of so long ago says nothing of now. */
export const oddSinceMs = dayMs
/** More are not counted: no rule says anything else of them. */
const mostOdd = 100_000

async function oddDevices({ store }: Engine, kind: OddityKind, now: Instant): Promise<OddDevices> {
  const request = { kind, since: now - oddSinceMs }
  const count = await countOddities(store.db, { ...request, limit: mostOdd })
  return { count, latest: count === 0 ? [] : await latestOddities(store.db, { ...request, limit: 5 }) }
}

async function endsByWeek({ store }: Engine, now: Instant): Promise<number[]> {
  const fromDay = Math.floor(now / dayMs)
  const days = await expiryHistogram(store.db, { fromDay, days: weeksAhead * 7 })
  const weeks = Array.from({ length: weeksAhead }, () => 0)
  for (const { day, count } of days) {
    const week = Math.floor((day - fromDay) / 7)
    weeks[week] = (weeks[week] ?? 0) + count
  }
  return weeks
}

/** The list comes newest first within each scope. */
function newestCrls(crls: readonly CrlRecord[]): CrlRecord[] {
  const newest = new Map<string, CrlRecord>()
  for (const crl of crls) {
    const scope = `${crl.issuerId} ${crl.kind} ${crl.shard}`
    if (!newest.has(scope)) newest.set(scope, crl)
  }
  return [...newest.values()]
}

/** Issuers that profiles name, and those above them. */
async function watchedIssuers({ issuers, settings }: Engine): Promise<WatchedIssuer[]> {
  const all = (await issuers.list()).filter(({ status, kind }) => status === 'active' && kind !== 'external')
  return all.flatMap(({ id, notAfter }) => {
    const profiles = [...settings.profiles.values()].filter(({ issuer }) => issuer === id)
    if (profiles.length === 0) return []
    const longest = profiles.reduce<number | null>(
      (most, { validityMs }) => (most === null || validityMs === null ? null : Math.max(most, validityMs)),
      0,
    )
    return [{ id, notAfter, longestValidityMs: longest }]
  })
}

async function watchedCampaigns(engine: Engine, now: Instant): Promise<WatchedCampaign[]> {
  const watched: WatchedCampaign[] = []
  for (const record of await openCampaigns(engine.store.db)) {
    const campaign = toCampaign(record)
    const brake = campaign.status === 'paused' ? await brakeOf(engine, campaign) : null
    const late = campaign.status === 'running' ? await lateWave(engine, campaign, now) : null
    watched.push({ id: campaign.id, brake, behindMs: late?.behindMs ?? null, wave: late?.name ?? null })
  }
  return watched
}

/** A person who pauses a campaign knows of it. */
async function brakeOf({ store }: Engine, { id, reason }: Campaign): Promise<string | null> {
  const [latest] = await recentFacts(store.db, {
    subject: subjects.campaign(id),
    action: 'campaign.paused',
    limit: 1,
  })
  const isByBrake = latest !== undefined && readFact(latest.entry).actor.startsWith('job:')
  return isByBrake ? (reason ?? 'a brake') : null
}

/** The plan is that of its start; a wave may take a quarter longer, and a day. */
async function lateWave(
  { store, settings }: Engine,
  { id, definition, snapshot, startedAt }: Campaign,
  now: Instant,
): Promise<{ readonly name: string; readonly behindMs: number } | null> {
  if (startedAt === null) return null
  const records = await listWaves(store.db, id)
  const checkIns = [...settings.connectivity.values()].map(({ checkInMs }) => checkInMs)
  const median = checkIns.sort((a, b) => a - b)[Math.floor(checkIns.length / 2)] ?? dayMs
  const { waves } = forecast({
    definition,
    sizes: snapshot.sizes,
    now: startedAt,
    checkInMs: median,
    ladderMs: 0,
  })
  const planned = new Map(waves.map((wave) => [wave.name, wave]))
  for (const { wave, status } of records) {
    const name = definition.waves[wave]?.name
    const plan = name === undefined ? undefined : planned.get(name)
    if (name === undefined || !plan?.admittedAt || status === 'done' || status === 'soaking') continue
    const dueAt = plan.admittedAt + (plan.admittedAt - startedAt) / 4 + dayMs
    if (now > dueAt) return { name, behindMs: now - plan.admittedAt }
  }
  return null
}

/**
 * Publishing: which CRLs there are, when each is due, and putting a new one in the place of the old. A pass looks at the
 * marks that revocations leave, so it costs nothing while nothing happens. Whatever goes wrong, the last good CRL stays.
 *
 * One sequence of numbers for all CRLs of an issuer. A number is at least the time in seconds, so that numbers grow also
 * when the database comes back from a backup (RFC 5280 §5.2.3).
 */
import { secondMs, type Instant } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { crlAt } from '../../pki/distribution-point.ts'
import { userCertsAt } from '../../pki/issuing-distribution-point.ts'
import {
  findCrl,
  findLatestCrl,
  insertCrl,
  lastCrlNumber,
  type CrlRecord,
  type CrlScope,
} from '../../store/crls.ts'
import { shardRevisions, type RevokedRequest } from '../../store/revocations.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import {
  crlSettings,
  deltaLifetimeMs,
  largeCrl,
  largeCrlGapMs,
  listedFrom,
  publishedAt,
  overlapMs,
  type CrlSettings,
} from './crl-settings.ts'
import { addReleased, collectEntries, signCrl, validity, type CrlPlan } from './crl-sign.ts'
import { deltaUrl, shardUrl } from './crl-url.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import type { Fence, Job } from '../jobs.ts'

/** CRLs in one pass of the job. */
const batch = 50

export const crlJob: Job = {
  name: 'crl-publish',
  intervalMs: secondMs,
  async run(engine, now, signal, fence) {
    let worked = 0
    let failure: unknown = null
    for (const issuer of await publishingIssuers(engine, now)) {
      try {
        worked += await publishDue(engine, issuer, { now, signal, fence, atMost: batch - worked })
      } catch (error) {
        // one key that cannot be reached must not keep the CRLs of the others from coming
        failure ??= error
      }
      if (signal.aborted || worked >= batch) break
    }
    if (failure !== null) throw failure
    return { worked, isBehind: worked >= batch }
  },
}

/** Everything that is due, or everything, without a lease: for one process at the command line. @returns how many */
export async function publishNow(engine: Engine, isAnew = false): Promise<number> {
  const now = engine.clock.now()
  let published = 0
  for (const issuer of await publishingIssuers(engine, now)) {
    published += await publishDue(engine, issuer, { now, isAnew })
  }
  return published
}

/** Issuers whose key is ours and whose certificate has not ended: retired ones as well, until what they issued has ended. */
export async function publishingIssuers({ issuers }: Engine, now: Instant): Promise<IssuerMaterial[]> {
  const found: IssuerMaterial[] = []
  for (const record of await issuers.list()) {
    if (record.kind === 'external' || now > record.notAfter || now < record.notBefore) continue
    const material = await issuers.find(record.id)
    if (material) found.push(material)
  }
  return found
}

export interface PublishRequest {
  readonly now: Instant
  readonly signal?: AbortSignal
  readonly fence?: Fence
  readonly atMost?: number
  /** True: also what is not due. */
  readonly isAnew?: boolean
}

/** Publishes what is due of one issuer: shards first, because they are what certificates point to. @returns how many */
export async function publishDue(
  engine: Engine,
  issuer: IssuerMaterial,
  { now, signal, fence, atMost = Number.MAX_SAFE_INTEGER, isAnew = false }: PublishRequest,
): Promise<number> {
  const revisions = await shardRevisions(engine.store.db, issuer.record.id)
  let worked = 0
  for (const scope of scopesOf(issuer)) {
    if (signal?.aborted || worked >= atMost) break
    const latest = await findLatestCrl(engine.store.db, scope)
    const revision = revisionOf(scope, revisions)
    if (!isAnew && !isDue(scope, { latest, revision, now, settings: crlSettings(engine.settings) })) continue
    if (await publish(engine, issuer, { scope, latest, revision, now, fence })) worked += 1
  }
  return worked
}

/** CAs under a root have no partitions: there are few of them, and `onlyContainsUserCerts` would leave them out. */
export function scopesOf({ record }: IssuerMaterial): CrlScope[] {
  const { id: issuerId, kind, crlShards } = record
  const scope = (name: CrlScope['kind'], shard = 0): CrlScope => ({ issuerId, kind: name, shard })
  if (kind === 'root' || kind === 'paa') return [scope('complete')]
  const shards = Array.from({ length: crlShards }, (_, shard) => scope('shard', shard))
  return [...shards, scope('complete'), scope('delta')]
}

function revisionOf({ kind, shard }: CrlScope, revisions: ReadonlyMap<number, number>): number {
  if (kind === 'shard') return revisions.get(shard) ?? 0
  return [...revisions.values()].reduce((sum, revision) => sum + revision, 0)
}

interface Due {
  readonly latest: CrlRecord | null
  readonly revision: number
  readonly now: Instant
  readonly settings: CrlSettings
}

function isDue({ kind }: CrlScope, { latest, revision, now, settings }: Due): boolean {
  if (latest === null) return true
  const ageMs = now - publishedAt(latest)
  // a clock that went back: thisUpdate must not lie in the future of verifiers for long
  if (ageMs >= settings.periodMs || ageMs < -settings.periodMs) return true
  if (latest.revision === revision) return false
  return kind !== 'complete' || latest.entries <= largeCrl || ageMs >= largeCrlGapMs
}

interface Publication {
  readonly scope: CrlScope
  readonly latest: CrlRecord | null
  /** Read before the entries: what is revoked meanwhile is either in them or due again. */
  readonly revision: number
  readonly now: Instant
  readonly fence: Fence | undefined
}

/** @returns false when there is nothing to publish: a delta CRL without a base */
async function publish(
  engine: Engine,
  issuer: IssuerMaterial,
  { scope, latest, revision, now, fence }: Publication,
): Promise<boolean> {
  const settings = crlSettings(engine.settings)
  const { id: issuerId } = issuer.record
  const base = scope.kind === 'delta' ? await baseOf(engine, issuerId, latest, now) : null
  if (scope.kind === 'delta' && base === null) return false
  const previous = latest?.thisUpdate ?? null
  const notAfterFrom = listedFrom(settings, now, previous)
  const entries = await collectEntries(engine, requestsOf(issuer, scope, { notAfterFrom, base }))
  if (base) await addReleased(engine, entries, { issuerId, from: base.thisUpdate - overlapMs })
  const number = Math.max((await lastCrlNumber(engine.store.db, issuerId)) + 1, Math.floor(now / secondMs))
  const plan = planOf(engine, scope, { number, now, base, hasDelta: scopesOf(issuer).length > 1 })
  const { parts, size, sha256 } = await signCrl(engine, issuer, plan, entries)
  const { thisUpdate, nextUpdate } = plan
  const baseNumber = base?.number ?? null
  const record = { ...scope, number, baseNumber, revision, thisUpdate, nextUpdate, size, sha256 }
  const details = { kind: scope.kind, shard: scope.shard, number, baseNumber, entries: entries.count, sha256 }
  await engine.store.transaction(async (tx) => {
    await fence?.(tx)
    await insertCrl(tx, { ...record, entries: entries.count }, parts)
    const actor = actors.job(crlJob.name)
    const subject = subjects.issuer(issuerId)
    await recordFacts(tx, fact(now, { actor, action: 'crl.published', subject, details }))
  })
  return true
}

/**
 * The complete CRL that a delta CRL builds on. The same one for as long as it is in force, so that whoever holds it or any
 * later one can use the delta; then the newest.
 */
async function baseOf(
  { store }: Engine,
  issuerId: IssuerId,
  latest: CrlRecord | null,
  now: Instant,
): Promise<CrlRecord | null> {
  const used = latest?.baseNumber ? await findCrl(store.db, issuerId, latest.baseNumber) : null
  if (used && used.nextUpdate > now) return used
  return await findLatestCrl(store.db, { issuerId, kind: 'complete', shard: 0 })
}

function requestsOf(
  { record }: IssuerMaterial,
  { kind, shard }: CrlScope,
  { notAfterFrom, base }: { readonly notAfterFrom: Instant; readonly base: CrlRecord | null },
): RevokedRequest[] {
  const shards = kind === 'shard' ? [shard] : Array.from({ length: record.crlShards }, (_, each) => each)
  const revokedFrom = base ? base.thisUpdate - overlapMs : 0
  return shards.map((each) => ({ issuerId: record.id, shard: each, notAfterFrom, revokedFrom }))
}

interface PlanInput {
  readonly number: number
  readonly now: Instant
  readonly base: CrlRecord | null
  readonly hasDelta: boolean
}

function planOf(
  { settings }: Engine,
  { issuerId, kind, shard }: CrlScope,
  { number, now, base, hasDelta }: PlanInput,
): CrlPlan {
  const { statusUrl } = settings
  const crl = crlSettings(settings)
  const lifetimeMs = kind === 'delta' ? deltaLifetimeMs(crl) : crl.lifetimeMs
  const common = { ...validity(now, lifetimeMs), crlNumber: number }
  switch (kind) {
    case 'complete':
      return hasDelta ? { ...common, freshestCRL: [crlAt(deltaUrl(statusUrl, issuerId))] } : common
    case 'delta':
      assert(base !== null, 'a delta CRL has a base')
      return { ...common, baseCrlNumber: base.number }
    case 'shard':
      return { ...common, issuingDistributionPoint: userCertsAt(shardUrl(statusUrl, issuerId, shard)) }
  }
}

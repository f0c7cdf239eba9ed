/** Whether verifiers are about to run out of fresh status: CRLs that get old, and OCSP signers that cannot be made. */
import { iso, minuteMs, type Instant } from '../../base/clock.ts'
import { findLatestCrl, type CrlKind, type CrlRecord } from '../../store/crls.ts'
import type { Engine } from '../context.ts'
import { publishingIssuers, scopesOf } from './crl-publish.ts'
import { crlSettings, isLateCrl } from './crl-settings.ts'

export interface CrlAge {
  readonly issuer: string
  readonly kind: CrlKind
  /** Of the oldest one of its kind that is in force. */
  readonly thisUpdate: Instant
  readonly nextUpdate: Instant
  /** Of all of its kind together. */
  readonly entries: number
}

/** One line per issuer and kind, so that an issuer of a thousand shards has no more series than one of one. */
export async function crlAges(engine: Engine, now: Instant): Promise<CrlAge[]> {
  const oldest = new Map<string, CrlAge>()
  for await (const { issuer, kind, latest } of latestCrls(engine, now)) {
    if (latest === null) continue
    const { thisUpdate, nextUpdate, entries } = latest
    const key = `${issuer} ${kind}`
    const known = oldest.get(key)
    const ages = known && known.nextUpdate <= nextUpdate ? known : { thisUpdate, nextUpdate }
    oldest.set(key, {
      issuer,
      kind,
      thisUpdate: ages.thisUpdate,
      nextUpdate: ages.nextUpdate,
      entries: (known?.entries ?? 0) + entries,
    })
  }
  return [...oldest.values()]
}

/** What the operator has to look at, worst first; null when every CRL is as young as it should be. */
export async function crlProblem(engine: Engine, now: Instant): Promise<string | null> {
  const settings = crlSettings(engine.settings)
  let late: string | null = null
  for await (const { issuer, kind, shard, latest, isNew } of latestCrls(engine, now)) {
    const what = `the ${kind} CRL${kind === 'shard' ? ` ${shard}` : ''} of ${issuer}`
    if (latest === null) {
      if (!isNew) late ??= `${what} was never published`
    } else if (now >= latest.nextUpdate) {
      return `${what} lapsed at ${iso(latest.nextUpdate)}: verifiers refuse whom they check with it`
    } else if (kind !== 'delta' && isLateCrl(settings, latest.nextUpdate, now)) {
      late ??= `${what} is late: no new one came, and this one lapses at ${iso(latest.nextUpdate)}`
    }
  }
  return late
}

interface Latest {
  readonly issuer: string
  readonly kind: CrlKind
  readonly shard: number
  readonly latest: CrlRecord | null
  /** The issuer is too young to have published anything. */
  readonly isNew: boolean
}

async function* latestCrls(engine: Engine, now: Instant): AsyncGenerator<Latest> {
  for (const issuer of await publishingIssuers(engine, now)) {
    const { id, createdAt } = issuer.record
    for (const scope of scopesOf(issuer)) {
      const latest = await findLatestCrl(engine.store.db, scope)
      yield { issuer: id, kind: scope.kind, shard: scope.shard, latest, isNew: now - createdAt < minuteMs }
    }
  }
}

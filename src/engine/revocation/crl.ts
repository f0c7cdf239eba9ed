/** The CRLs that are published, for edges: verifiers that fetch them, and people who look at them. */
import type { IssuerId } from '../../base/id.ts'
import { Refusal } from '../../base/errors.ts'
import {
  findCrl,
  findLatestCrl,
  listCrls,
  readCrlParts,
  type CrlKind,
  type CrlRecord,
  type CrlScope,
} from '../../store/crls.ts'
import type { Engine } from '../context.ts'

export type { CrlKind, CrlRecord, CrlScope }

export interface PublishedCrl {
  readonly record: CrlRecord
  readonly der: Uint8Array
}

/** By engine, then by scope: a CRL is read from the store once by each process. */
const cache = new WeakMap<Engine, Map<string, PublishedCrl>>()

/** What is in force. The same object as long as no newer one is published. Null when there is none (yet). */
export async function currentCrl(engine: Engine, scope: CrlScope): Promise<PublishedCrl | null> {
  let known = cache.get(engine)
  if (!known) cache.set(engine, (known = new Map()))
  const key = `${scope.issuerId} ${scope.kind} ${scope.shard}`
  // a newer one may take its place, and drop its bytes, between the two reads; once more is enough for that
  for (let attempt = 0; attempt < 3; attempt++) {
    const record = await findLatestCrl(engine.store.db, scope)
    if (!record) return null
    const cached = known.get(key)
    if (cached?.record.sha256 === record.sha256) return cached
    const der = await bytesOf(engine, record)
    if (!der) continue
    const published = { record, der }
    known.set(key, published)
    return published
  }
  return null
}

/** @throws Refusal `not-found` when there is none with that number, or its bytes are not kept any more */
export async function crlByNumber(engine: Engine, issuerId: IssuerId, number: number): Promise<PublishedCrl> {
  const record = await findCrl(engine.store.db, issuerId, number)
  const der = record && (await bytesOf(engine, record))
  if (!record || !der) {
    throw new Refusal('not-found', `CRL ${number} of ${issuerId} is not kept here; see: perennial crl list`)
  }
  return { record, der }
}

/** By issuer, kind and shard, newest first. */
export async function crlHistory({ store }: Engine, issuerId?: IssuerId): Promise<CrlRecord[]> {
  return await listCrls(store.db, issuerId)
}

async function bytesOf({ store }: Engine, { id, size }: CrlRecord): Promise<Uint8Array | null> {
  const parts = await readCrlParts(store.db, id)
  const der = Buffer.concat(parts)
  return der.length === size ? der : null
}

/**
 * Issuers in memory. They are few and change a few times in their lives, but every issuance needs its issuer's name, key
 * and status: read from the store once, and looked at again every second, so that another process's change is seen.
 */
import { secondMs, type Clock, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { parsePublicKey, type PublicKey } from '../../pki/key.ts'
import { defaultSignatureAlgorithm, type SignatureAlgorithm } from '../../pki/signature.ts'
import { listIssuers, type IssuerRecord } from '../../store/issuers.ts'
import type { Store } from '../../store/open.ts'

/** An issuer that has its certificate, taken apart. The same object as long as the record does not change. */
export interface IssuerMaterial {
  readonly record: IssuerRecord
  readonly certificate: Certificate
  readonly key: PublicKey
  /** What its key signs with. */
  readonly signatureAlgorithm: SignatureAlgorithm
}

export interface IssuerCache {
  /** Every issuer, also unfinished and retired ones; at most a second old. */
  list(): Promise<readonly IssuerRecord[]>
  /** Null when there is no such issuer or it has no certificate yet. */
  find(id: IssuerId): Promise<IssuerMaterial | null>
  /** @throws Refusal `issuer-unavailable` unless the issuer is complete, active, within its validity and its key is ours */
  active(id: IssuerId, now: Instant): Promise<IssuerMaterial>
  /** True for the key of any issuer, ours or not. */
  isIssuerKey(spkiHash: string): Promise<boolean>
  /** Called after a change in this process. */
  forget(): void
}

const freshForMs = secondMs

interface Loaded {
  readonly at: Instant
  readonly records: readonly IssuerRecord[]
  readonly materials: ReadonlyMap<string, IssuerMaterial>
  readonly keys: ReadonlySet<string>
}

export function createIssuerCache({
  clock,
  store,
}: {
  readonly clock: Clock
  readonly store: Store
}): IssuerCache {
  let loaded: Loaded | null = null
  let loading: Promise<Loaded> | null = null

  async function current(): Promise<Loaded> {
    const now = clock.now()
    if (loaded && Math.abs(now - loaded.at) < freshForMs) return loaded
    loading ??= load(store, now, loaded)
    const mine = loading
    try {
      const next = await mine
      // a change in this process while we were reading has made what we read old
      if (loading === mine) loaded = next
      return next
    } finally {
      if (loading === mine) loading = null
    }
  }

  return {
    list: async () => (await current()).records,
    find: async (id) => (await current()).materials.get(id) ?? null,
    isIssuerKey: async (spkiHash) => (await current()).keys.has(spkiHash),
    async active(id, now) {
      const { materials } = await current()
      return requireActive(id, materials.get(id) ?? null, now)
    },
    forget() {
      loaded = null
      loading = null
    },
  }
}

function requireActive(id: IssuerId, material: IssuerMaterial | null, now: Instant): IssuerMaterial {
  if (material === null || material.record.kind === 'external') {
    throw new Refusal(
      'issuer-unavailable',
      `issuer ${id} does not exist here: an operator must create it first`,
    )
  }
  if (material.record.status !== 'active') {
    throw new Refusal(
      'issuer-unavailable',
      `issuer ${id} is ${material.record.status} and signs nothing any more`,
    )
  }
  if (now > material.record.notAfter || now < material.record.notBefore) {
    throw new Refusal(
      'issuer-unavailable',
      `issuer ${id} is outside its own validity: an operator must replace it`,
    )
  }
  return material
}

async function load(store: Store, at: Instant, before: Loaded | null): Promise<Loaded> {
  const records = await listIssuers(store.db)
  const materials = new Map<string, IssuerMaterial>()
  for (const record of records) {
    const material = materialOf(record, before?.materials.get(record.id) ?? null)
    if (material) materials.set(record.id, material)
  }
  return { at, records, materials, keys: new Set(records.map((record) => record.spkiHash)) }
}

function materialOf(record: IssuerRecord, before: IssuerMaterial | null): IssuerMaterial | null {
  if (record.certificate === null) return null
  if (
    before &&
    before.record.status === record.status &&
    sameBytes(before.certificate.der, record.certificate)
  ) {
    return before
  }
  const certificate = parseCertificate(record.certificate)
  const key = parsePublicKey(certificate.spki)
  return { record, certificate, key, signatureAlgorithm: defaultSignatureAlgorithm(key.algorithm) }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

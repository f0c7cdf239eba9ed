/**
 * Finds certificates by the SHA-256 of their DER, which is all that some brokers and clouds tell. The index is written
 * behind the issuing path, by a job and by whoever misses a certificate, so that issuing costs nothing more.
 */
import { sha256Hex } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findByFingerprints, fingerprintPrefix, indexFingerprints } from '../../store/fingerprints.ts'
import { readMeta, writeMeta } from '../../store/meta.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'

const cursorKey = 'fingerprints.done'
/** Rows of one transaction. */
const batch = 1_000
/** No transaction that writes a certificate is older than this. */
const settleMs = minuteMs

/** One for each process: it remembers how far it has looked. */
export class FingerprintIndex {
  readonly #engine: Engine
  /** Rows up to here are in the index, but for those that were not committed when we looked. */
  #complete = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** @param hashes SHA-256 of DER. @returns those found, by lower-case hex of the hash */
  async find(hashes: readonly Uint8Array[]): Promise<Map<string, CertificateRecord>> {
    const found = await this.#lookUp(hashes)
    if (found.size === new Set(hashes.map((hash) => Buffer.from(hash).toString('hex'))).size) return found
    // It may have been issued a moment ago.
    const isNew = await this.#catchUp()
    return isNew ? await this.#lookUp(hashes) : found
  }

  async #lookUp(hashes: readonly Uint8Array[]): Promise<Map<string, CertificateRecord>> {
    const records = await findByFingerprints(this.#engine.store.db, hashes.map(fingerprintPrefix))
    return new Map(
      records.flatMap((record) => (record.der === null ? [] : [[sha256Hex(record.der), record]])),
    )
  }

  /** @returns true when there were rows that this process had not seen */
  async #catchUp(): Promise<boolean> {
    const { store, clock } = this.#engine
    const settledBefore = clock.now() - settleMs
    let after = Math.max(this.#complete, await doneUpTo(this.#engine))
    let complete: number | null = null
    let isNew = false
    for (let i = 0; i < maxCatchUp; i++) {
      const from = after
      const indexed = await store.transaction(async (tx) =>
        indexFingerprints(tx, { after: from, limit: batch, settledBefore }),
      )
      if (indexed.complete < indexed.seen) complete ??= indexed.complete
      after = indexed.seen
      isNew ||= indexed.count > 0
      if (indexed.count < batch) break
    }
    this.#complete = complete ?? after
    return isNew
  }
}

/** What a request may index by itself; the job does the rest. */
const maxCatchUp = 4

/** Enters every certificate, also those that no sighting has missed yet. Only where sightings are taken by fingerprint. */
export const indexFingerprintsJob: Job = {
  name: 'index-fingerprints',
  intervalMs: minuteMs,
  async run(engine, now, signal, fence) {
    let worked = 0
    for (let i = 0; i < batchesPerPass && !signal.aborted; i++) {
      const { done, advanced, isBehind } = await indexBatch(engine, now, fence)
      worked += advanced
      if (done === 0 || advanced === 0 || !isBehind) return { worked }
    }
    return { worked, isBehind: true }
  },
}

const batchesPerPass = 10

async function indexBatch(
  engine: Engine,
  now: Instant,
  fence: Parameters<Job['run']>[3],
): Promise<{ done: number; advanced: number; isBehind: boolean }> {
  return await engine.store.transaction(async (tx) => {
    await fence(tx)
    const after = Number((await readMeta(tx, cursorKey)) ?? 0)
    const { done, count } = await indexFingerprints(tx, {
      after,
      limit: batch,
      settledBefore: now - settleMs,
    })
    if (done > after) await writeMeta(tx, cursorKey, String(done))
    return { done, advanced: done - after, isBehind: count === batch }
  })
}

async function doneUpTo({ store }: Engine): Promise<number> {
  return Number((await readMeta(store.db, cursorKey)) ?? 0)
}

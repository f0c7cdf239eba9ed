import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import type { CompiledQuery } from 'kysely'
import { toHex } from '../base/bytes.ts'
import { dayMs, secondMs } from '../base/clock.ts'
import type { IssuerId, SerialNumber } from '../base/id.ts'
import {
  sampleCertificate,
  sampleHash,
  sampleReservation,
  start,
} from '../../test/conformance/store-samples.ts'
import { forEachStore } from '../../test/helpers/stores.ts'
import type { CertificateRecord } from './certificate-record.ts'
import { insertCertificates, reserveCertificate } from './certificates.ts'
import {
  findCrl,
  findLatestCrl,
  insertCrl,
  keptCrls,
  lastCrlNumber,
  listCrls,
  readCrlParts,
  type CrlRecord,
} from './crls.ts'
import { listCertificates } from './inventory.ts'
import { schemaStatements } from './migrations.ts'
import type { Store } from './open.ts'
import {
  findDueRevocationBatch,
  findRevocationBatch,
  insertRevocationBatch,
  listRevocationBatches,
  updateRevocationBatch,
} from './revocation-batches.ts'
import { revokeCertificates, revokedEntries, shardRevisions } from './revocations.ts'

const issuing = 'issuing' as IssuerId
const theft = { reason: 'keyCompromise', revokedAt: start }

/** Issued certificates, in the order of their numbers. */
async function certificates(
  store: Store,
  numbers: readonly number[],
  change: (n: number) => Partial<CertificateRecord> = () => ({}),
): Promise<CertificateRecord[]> {
  await store.transaction(async (tx) => {
    const rows = numbers.map((n) => sampleCertificate(n, { spkiHash: sampleHash(n), ...change(n) }))
    assert.deepEqual(await insertCertificates(tx, rows), [])
  })
  return (await listCertificates(store.db, { limit: 10_000 })).rows
}

async function entriesOf(
  store: Store,
  request: Partial<Parameters<typeof revokedEntries>[1]> = {},
): Promise<string[]> {
  const found: string[] = []
  const scope = { issuerId: issuing, shard: 0, notAfterFrom: start, ...request }
  for await (const page of revokedEntries(store.db, scope)) {
    assert.ok(page.length > 0)
    for (const row of page) found.push(toHex(row.serial_number))
  }
  return found
}

forEachStore((name, open) => {
  test('revokes what is live or superseded, once, and marks its shard', async () => {
    const store = await open()
    const rows = await certificates(store, [1, 2, 3, 4], (n) => ({
      status: (['issued', 'confirmed', 'superseded', 'revoked'] as const)[n - 1] ?? 'issued',
      crlShard: n === 3 ? 7 : 0,
      ...(n === 4 ? { reason: 'superseded', revokedAt: start - dayMs } : {}),
    }))
    const done = await store.transaction((tx) => revokeCertificates(tx, rows, theft))
    assert.deepEqual(
      done.map(({ id }) => id),
      rows.slice(0, 3).map(({ id }) => id),
    )
    assert.deepEqual(
      await shardRevisions(store.db, issuing),
      new Map([
        [0, 1],
        [7, 1],
      ]),
    )
    assert.deepEqual(await store.transaction((tx) => revokeCertificates(tx, rows, theft)), [])
    assert.deepEqual(
      await shardRevisions(store.db, issuing),
      new Map([
        [0, 1],
        [7, 1],
      ]),
    )
    const after = (await listCertificates(store.db, { limit: 10 })).rows
    assert.deepEqual(
      after.map(({ status, reason, revokedAt }) => [status, reason, revokedAt]),
      [
        ['revoked', 'keyCompromise', start],
        ['revoked', 'keyCompromise', start],
        ['revoked', 'keyCompromise', start],
        ['revoked', 'superseded', start - dayMs],
      ],
    )
  })

  test('a reservation cannot be revoked', async () => {
    const store = await open()
    const reserved = await store.transaction((tx) => reserveCertificate(tx, sampleReservation(1)))
    assert.ok('id' in reserved)
    const row = { id: reserved.id, issuerId: issuing, crlShard: 0 }
    assert.deepEqual(await store.transaction((tx) => revokeCertificates(tx, [row], theft)), [])
  })

  test('nothing of a revocation stays when its transaction fails', async () => {
    const store = await open()
    const rows = await certificates(store, [1])
    await assert.rejects(
      store.transaction(async (tx) => {
        await revokeCertificates(tx, rows, theft)
        throw new Error('planned')
      }),
      /planned/,
    )
    assert.deepEqual(await shardRevisions(store.db, issuing), new Map())
    assert.deepEqual(await entriesOf(store), [])
  })

  test('the entries of a shard come in order of revocation, without those that ended before', async () => {
    const store = await open()
    const rows = await certificates(store, [1, 2, 3, 4, 5], (n) => ({
      crlShard: n === 5 ? 1 : 0,
      notAfter: n === 3 ? start - 1000 : start,
    }))
    for (const [index, row] of rows.toReversed().entries()) {
      await store.transaction((tx) =>
        revokeCertificates(tx, [row], { reason: 'superseded', revokedAt: start + index * secondMs }),
      )
    }
    const serial = (n: number): string => rows[n - 1]?.serialNumber ?? ''
    assert.deepEqual(await entriesOf(store), [serial(4), serial(2), serial(1)])
    assert.deepEqual(await entriesOf(store, { notAfterFrom: start - 1000 }), [4, 3, 2, 1].map(serial))
    assert.deepEqual(await entriesOf(store, { notAfterFrom: start + 1 }), [])
    assert.deepEqual(await entriesOf(store, { shard: 1 }), [serial(5)])
    assert.deepEqual(await entriesOf(store, { issuerId: 'other' as IssuerId }), [])
    assert.deepEqual(await entriesOf(store, { revokedFrom: start + 3 * secondMs }), [serial(2), serial(1)])
  })

  test('many entries of one instant and of many are read over the edges of pages', async () => {
    const store = await open()
    const numbers = Array.from({ length: 12_001 }, (_, n) => n + 1)
    for (let from = 0; from < numbers.length; from += 4_000) {
      await store.transaction(async (tx) => {
        const rows = numbers.slice(from, from + 4_000).map((n) =>
          sampleCertificate(n, {
            serialNumber: `4${n.toString(16).padStart(31, '0')}` as SerialNumber,
            status: 'revoked',
            reason: 'superseded',
            // 7,000 at one instant, then one each
            revokedAt: n <= 7_000 ? start : start + n,
          }),
        )
        await insertCertificates(tx, rows)
      })
    }
    const found = await entriesOf(store)
    assert.equal(found.length, numbers.length)
    assert.equal(new Set(found).size, numbers.length)
    assert.deepEqual(found, found.toSorted())
  })

  if (name === 'sqlite in memory') {
    test('the entries of a CRL are read from the index alone, in its order', async () => {
      const store = await open()
      const texts = new Set<string>()
      const recorded = new Proxy(store.db, {
        get(db, member) {
          if (member === 'getExecutor') return () => db.getExecutor()
          if (member !== 'executeQuery') return Reflect.get(db, member, db) as unknown
          return async (query: CompiledQuery) => {
            texts.add(query.sql)
            const row = { id: 1, serial_number: Uint8Array.of(1), revoked_at: start, reason: null }
            // pages that are full, so that the reader asks for the rest of an instant as well
            return { rows: texts.size < 3 ? Array.from({ length: 5_000 }, () => row) : [] }
          }
        },
      })
      for await (const page of revokedEntries(recorded, { issuerId: issuing, shard: 0, notAfterFrom: 0 })) {
        assert.ok(page.length > 0)
        if (texts.size === 2) break
      }
      assert.equal(texts.size, 2)
      const database = new DatabaseSync(':memory:')
      for (const statement of schemaStatements('sqlite')) database.exec(statement)
      for (const text of texts) {
        const plan = database.prepare(`explain query plan ${text}`).all()
        const steps = plan.map(({ detail }) => String(detail)).join('\n')
        assert.match(steps, /COVERING INDEX certificates_revoked/)
        assert.doesNotMatch(steps, /TEMP B-TREE/)
      }
    })
  }

  describe('published CRLs', () => {
    const crl = (number: number, change: Partial<CrlRecord> = {}): Omit<CrlRecord, 'id'> => ({
      issuerId: issuing,
      kind: 'complete',
      shard: 0,
      number,
      baseNumber: null,
      revision: 3,
      thisUpdate: start,
      nextUpdate: start + dayMs,
      entries: 2,
      size: 5,
      sha256: sampleHash(number),
      ...change,
    })
    const parts = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]

    test('the newest of a scope counts, its bytes come back in order', async () => {
      const store = await open()
      const scope = { issuerId: issuing, kind: 'complete', shard: 0 } as const
      assert.equal(await findLatestCrl(store.db, scope), null)
      assert.equal(await lastCrlNumber(store.db, issuing), 0)
      await store.transaction((tx) => insertCrl(tx, crl(10), parts))
      await store.transaction((tx) => insertCrl(tx, crl(12, { kind: 'shard', shard: 3 }), []))
      await store.transaction((tx) => insertCrl(tx, crl(11, { kind: 'delta', baseNumber: 10 }), []))
      const latest = await findLatestCrl(store.db, scope)
      assert.ok(latest)
      const { id, ...rest } = latest
      assert.deepEqual(rest, crl(10))
      assert.deepEqual((await readCrlParts(store.db, id)).map(toHex), parts.map(toHex))
      assert.equal(await lastCrlNumber(store.db, issuing), 12)
      assert.equal((await findCrl(store.db, issuing, 11))?.baseNumber, 10)
      assert.equal(await findCrl(store.db, issuing, 13), null)
      assert.deepEqual(
        (await listCrls(store.db, issuing)).map(({ number }) => number),
        [10, 11, 12],
      )
    })

    test('a number is never given twice', async () => {
      const store = await open()
      await store.transaction((tx) => insertCrl(tx, crl(10), parts))
      await assert.rejects(store.transaction((tx) => insertCrl(tx, crl(10, { kind: 'delta' }), parts)))
    })

    test(`${keptCrls} of a scope keep their bytes, other scopes are left alone`, async () => {
      const store = await open()
      await store.transaction((tx) => insertCrl(tx, crl(1, { kind: 'shard', shard: 1 }), parts))
      for (let number = 2; number < 10; number++) {
        await store.transaction((tx) => insertCrl(tx, crl(number), parts))
      }
      const kept: number[] = []
      for (const { id, number } of await listCrls(store.db)) {
        if ((await readCrlParts(store.db, id)).length > 0) kept.push(number)
      }
      assert.deepEqual(kept, [9, 8, 7, 6, 1])
      assert.ok(await findCrl(store.db, issuing, 2), 'its record stays')
    })
  })

  test('a batch of revocations is taken when it is due, oldest first, until it has ended', async () => {
    const store = await open()
    const asked = { selection: '{}', reason: 'superseded', note: null, actor: 'cli:a', createdAt: start }
    const first = await store.transaction((tx) =>
      insertRevocationBatch(tx, { ...asked, startsAt: start + 10 }),
    )
    const second = await store.transaction((tx) => insertRevocationBatch(tx, { ...asked, startsAt: start }))
    assert.equal(await findDueRevocationBatch(store.db, start - 1), null)
    assert.equal((await findDueRevocationBatch(store.db, start))?.id, second)
    await store.transaction((tx) =>
      updateRevocationBatch(tx, second, { status: 'running', position: 'SN-1', devices: 1, certificates: 2 }),
    )
    assert.equal((await findDueRevocationBatch(store.db, start + 10))?.position, 'SN-1')
    await store.transaction((tx) => updateRevocationBatch(tx, second, { status: 'done', endedAt: start + 5 }))
    assert.equal((await findDueRevocationBatch(store.db, start + 10))?.id, first)
    const ended = await findRevocationBatch(store.db, second)
    assert.deepEqual([ended?.devices, ended?.certificates, ended?.endedAt], [1, 2, start + 5])
    assert.deepEqual(
      (await listRevocationBatches(store.db, 10)).map(({ id }) => id),
      [second, first],
    )
    assert.equal(await findRevocationBatch(store.db, 99), null)
  })
})

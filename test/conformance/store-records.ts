import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IssuerId } from '../../src/base/id.ts'
import {
  decideApproval,
  findApproval,
  findLatestApproval,
  findOpenApproval,
  listApprovals,
  markApprovalUsed,
  requestApproval,
  type NewApproval,
} from '../../src/store/approvals.ts'
import { blockKey, findBlockedKey, listBlockedKeys, unblockKey } from '../../src/store/blocked-keys.ts'
import { insertDevice } from '../../src/store/devices.ts'
import { findIssuer, insertIssuer, listIssuers, updateIssuer } from '../../src/store/issuers.ts'
import { readMeta, writeMeta, writeMetaOnce } from '../../src/store/meta.ts'
import type { Store } from '../../src/store/open.ts'
import { findSecret, releaseSecret, replaceSecret, useSecret } from '../../src/store/secrets.ts'
import {
  deleteTrustAnchor,
  findTrustAnchor,
  insertTrustAnchor,
  listTrustAnchors,
} from '../../src/store/trust-anchors.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { anyId, sampleDevice, sampleHash, sampleIssuer, start } from './store-samples.ts'

export function recordConformance(open: StoreOpener): void {
  const device = sampleDevice(1)
  async function withDevice(): Promise<Store> {
    const store = await open()
    await store.transaction((tx) => insertDevice(tx, device))
    return store
  }

  test('issuers come back as they went in, once per name', async () => {
    const store = await open()
    const root = sampleIssuer()
    const child = sampleIssuer({ id: 'issuing' as IssuerId, kind: 'intermediate', parentId: root.id })
    await store.transaction(async (tx) => {
      await insertIssuer(tx, root)
      await insertIssuer(tx, child)
    })
    await assert.rejects(
      store.transaction((tx) => insertIssuer(tx, root)),
      { code: 'already-exists' },
    )
    const certificate = Uint8Array.of(1, 2, 3)
    assert.equal(await store.transaction((tx) => updateIssuer(tx, child.id, { certificate })), true)
    assert.deepEqual(await findIssuer(store.db, child.id), { ...child, certificate })
    assert.deepEqual(
      (await listIssuers(store.db)).map(({ id }) => id),
      ['issuing', 'root'],
    )
    await store.transaction((tx) => updateIssuer(tx, child.id, { status: 'retired', notAfter: start }))
    assert.deepEqual(await findIssuer(store.db, child.id), {
      ...child,
      certificate,
      status: 'retired',
      notAfter: start,
    })
    const none = 'none' as IssuerId
    assert.equal(await store.transaction((tx) => updateIssuer(tx, none, { status: 'retired' })), false)
    assert.equal(await findIssuer(store.db, none), null)
  })

  test('trust anchors can be added once, listed and removed', async () => {
    const store = await open()
    const anchor = {
      id: 'acme',
      name: 'Acme',
      certificate: Uint8Array.of(1),
      subject: 'CN=Acme',
      deviceIdRule: 'serialNumber',
      profile: null,
      createdAt: start,
    }
    await store.transaction((tx) => insertTrustAnchor(tx, anchor))
    await assert.rejects(
      store.transaction((tx) => insertTrustAnchor(tx, anchor)),
      { code: 'already-exists' },
    )
    assert.deepEqual(await listTrustAnchors(store.db), [anchor])
    assert.deepEqual(await findTrustAnchor(store.db, 'acme'), anchor)
    assert.equal(await store.transaction((tx) => deleteTrustAnchor(tx, 'acme')), true)
    assert.equal(await store.transaction((tx) => deleteTrustAnchor(tx, 'acme')), false)
    assert.equal(await findTrustAnchor(store.db, 'acme'), null)
  })

  test('an enrolment secret serves one key, and a new one makes the old one worthless', async () => {
    const store = await withDevice()
    const secret = {
      deviceId: device.id,
      hash: sampleHash(1),
      createdAt: start,
      expiresAt: start + 1,
      usedAt: null,
      usedFor: null,
    }
    const use = (change = {}) => ({
      deviceId: device.id,
      hash: sampleHash(1),
      spkiHash: sampleHash(7),
      at: start,
      ...change,
    })
    await store.transaction((tx) => replaceSecret(tx, secret))
    assert.deepEqual(await findSecret(store.db, device.id), secret)
    const using = (change = {}) => store.transaction((tx) => useSecret(tx, use(change)))
    assert.equal(await using({ hash: sampleHash(2) }), false)
    const parallel = await Promise.all([1, 2, 3, 4].map((n) => using({ spkiHash: sampleHash(n) })))
    assert.equal(parallel.filter(Boolean).length, 1)
    const usedFor = (await findSecret(store.db, device.id))?.usedFor ?? ''
    assert.equal(await using({ spkiHash: usedFor, at: start + 9 }), true, 'a repeat for the same key')
    assert.equal((await findSecret(store.db, device.id))?.usedAt, start, 'the first use counts')
    const release = (spkiHash: string) =>
      store.transaction((tx) => releaseSecret(tx, { deviceId: device.id, spkiHash }))
    assert.equal(await release(sampleHash(9)), false)
    assert.equal(await release(usedFor), true)
    assert.deepEqual(await findSecret(store.db, device.id), secret)
    await store.transaction((tx) => replaceSecret(tx, { ...secret, hash: sampleHash(3) }))
    assert.equal(await using(), false)
    assert.equal(await using({ hash: sampleHash(3) }), true)
  })

  test('a repeated request finds its own approval, until it is used or rejected', async () => {
    const store = await withDevice()
    const wanted: NewApproval = {
      deviceId: device.id,
      slot: 'default',
      spkiHash: sampleHash(1),
      subject: 'CN=x',
      profile: 'consumer',
      protocol: 'est',
      csr: Uint8Array.of(5),
      predecessorId: null,
      createdAt: start,
    }
    const request = (change = {}) => store.transaction((tx) => requestApproval(tx, { ...wanted, ...change }))
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => request()))
    assert.equal(outcomes.filter(({ isNew }) => isNew).length, 1)
    assert.equal(new Set(outcomes.map(({ approval }) => approval.id)).size, 1)
    const { approval } = await request({ createdAt: start + 1 })
    assert.deepEqual(approval, {
      ...wanted,
      id: approval.id,
      status: 'pending',
      decidedAt: null,
      decidedBy: null,
    })
    assert.equal((await request({ predecessorId: anyId })).isNew, true)
    assert.equal((await request({ slot: 'second' })).isNew, true)

    const decide = (status: 'approved' | 'rejected', id = approval.id) =>
      store.transaction((tx) => decideApproval(tx, { id, status, at: start + 2, by: 'ann' }))
    assert.equal(
      await store.transaction((tx) => markApprovalUsed(tx, approval.id)),
      false,
      'not approved yet',
    )
    assert.equal(await decide('approved'), true)
    assert.equal(await decide('rejected'), false)
    assert.equal((await findOpenApproval(store.db, wanted))?.status, 'approved')
    assert.equal(await store.transaction((tx) => markApprovalUsed(tx, approval.id)), true)
    assert.equal(await findOpenApproval(store.db, wanted), null)
    assert.equal((await findLatestApproval(store.db, wanted))?.status, 'used')

    const second = await request()
    assert.equal(second.isNew, true)
    assert.equal(await decide('rejected', second.approval.id), true)
    assert.equal((await findLatestApproval(store.db, wanted))?.decidedBy, 'ann')
    assert.equal((await findApproval(store.db, second.approval.id))?.status, 'rejected')
    const pending = await listApprovals(store.db, { filter: { status: 'pending' }, limit: 10 })
    assert.equal(pending.rows.length, 2)
    const ofDevice = await listApprovals(store.db, { filter: { deviceId: device.id }, limit: 3 })
    assert.equal(ofDevice.rows.length, 3)
    const rest = await listApprovals(store.db, {
      filter: { deviceId: device.id },
      limit: 3,
      after: ofDevice.next,
    })
    assert.equal(rest.rows.length, 1)
  })

  test('a blocked key keeps its first reason until it is unblocked', async () => {
    const store = await open()
    const key = { spkiHash: sampleHash(1), reason: 'leaked', createdAt: start }
    assert.equal(await store.transaction((tx) => blockKey(tx, key)), true)
    assert.equal(await store.transaction((tx) => blockKey(tx, { ...key, reason: 'other' })), false)
    await store.transaction((tx) => blockKey(tx, { ...key, spkiHash: sampleHash(2) }))
    assert.deepEqual(await findBlockedKey(store.db, sampleHash(1)), key)
    const first = await listBlockedKeys(store.db, { limit: 1 })
    assert.deepEqual(first.rows, [key])
    const second = await listBlockedKeys(store.db, { limit: 1, after: first.next })
    assert.deepEqual([second.rows[0]?.spkiHash, second.next], [sampleHash(2), null])
    assert.equal(await store.transaction((tx) => unblockKey(tx, sampleHash(1))), true)
    assert.equal(await findBlockedKey(store.db, sampleHash(1)), null)
    assert.equal(await store.transaction((tx) => unblockKey(tx, sampleHash(1))), false)
  })

  test('a word about the installation that is written once stays', async () => {
    const store = await open()
    assert.equal(await readMeta(store.db, 'id'), null)
    assert.equal(await store.transaction((tx) => writeMetaOnce(tx, 'id', 'a')), 'a')
    assert.equal(await store.transaction((tx) => writeMetaOnce(tx, 'id', 'b')), 'a')
    await store.transaction((tx) => writeMeta(tx, 'id', 'c'))
    assert.equal(await readMeta(store.db, 'id'), 'c')
  })
}

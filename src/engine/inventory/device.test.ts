import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256Hex } from '../../base/bytes.ts'
import { isUnsafeText } from '../../base/text.ts'
import type { DeviceId } from '../../base/id.ts'
import { recentFacts } from '../../store/facts.ts'
import { findSecret } from '../../store/secrets.ts'
import { forEachEngine, refusal, testActor, testStart } from '../../../test/helpers/app.ts'
import { addDevice, importDevices, type NewDevice } from './device.ts'
import { devicePage } from './inventory.ts'
import { newSecret } from '../issuing/secret.ts'

const profile = 'industrial'

function lines(...items: NewDevice[]) {
  return items.map((item, index) => ({ line: index + 2, item }))
}

forEachEngine((start) => {
  test('a device takes the connectivity of its profile unless its record says otherwise', async () => {
    const { engine } = await start()
    const a = await addDevice(engine, { id: 'SN-1', profile: 'meter' }, testActor)
    const b = await addDevice(engine, { id: 'SN-2', profile: 'meter', connectivity: 'always-on' }, testActor)
    assert.deepEqual([a.connectivity, b.connectivity], ['deep-sleep-72h', 'always-on'])
    assert.deepEqual([a.state, a.createdAt, a.cohort, a.tags], ['registered', testStart, null, {}])
    assert.equal(
      (await refusal(addDevice(engine, { id: 'SN-1', profile }, testActor))).code,
      'already-exists',
    )
  })

  test('refuses what a device cannot be, naming the field', async () => {
    const { engine } = await start({ withIssuers: false })
    const bad: [Partial<NewDevice>, RegExp][] = [
      [{ id: '' }, /device id/],
      [{ id: 'a b' }, /device id/],
      [{ id: 'x'.repeat(65) }, /device id/],
      [{ profile: 'nobody' }, /profile "nobody"/],
      [{ connectivity: 'nobody' }, /connectivity "nobody"/],
      [{ connectivity: 'air-gapped' }, /365d, longer than the renewal window/],
      [{ cohort: 'a\u0007b' }, /cohort/],
      [{ batch: '-x' }, /batch/],
      [{ site: 'x'.repeat(129) }, /site/],
      [{ hardware: 'a\u202eb' }, /hardware/],
      [{ tags: { 'a b': 'x' } }, /tag "a b"/],
      [{ tags: { a: '\u0000' } }, /tag a/],
      [{ tags: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`t${n}`, ''])) }, /32 tags/],
    ]
    for (const [change, message] of bad) {
      const refused = await refusal(addDevice(engine, { id: 'SN-1', profile, ...change }, testActor))
      assert.equal(refused.code, 'invalid-input')
      assert.match(refused.message, message)
      assert.ok(!isUnsafeText(refused.message))
    }
    assert.equal((await addDevice(engine, { id: 'x'.repeat(64), profile }, testActor)).id.length, 64)
  })

  test('an import reports each bad line with its number and loses none of the good ones', async () => {
    const { engine } = await start()
    await addDevice(engine, { id: 'SN-0', profile }, testActor)
    const batch = lines(
      { id: 'SN-1', profile, batch: 'run 7', tags: { color: 'red' } },
      { id: 'bad id', profile },
      { id: 'SN-0', profile },
      { id: 'SN-1', profile: 'meter' },
      { id: 'SN-2', profile: 'nobody' },
      { id: 'SN-3', profile },
    )
    const planned = await importDevices(engine, batch, { actor: testActor, dryRun: true })
    assert.equal((await devicePage(engine, { limit: 10 })).rows.length, 1)
    const results = await importDevices(engine, batch, { actor: testActor })
    assert.deepEqual(planned, results)
    assert.deepEqual(
      results.map(({ line, outcome }) => [line, outcome]),
      [
        [2, 'added'],
        [3, 'invalid'],
        [4, 'known'],
        [5, 'known'],
        [6, 'invalid'],
        [7, 'added'],
      ],
    )
    assert.ok(results[3]?.outcome === 'known' && /line 2/.test(results[3].reason))
    const { rows } = await devicePage(engine, { limit: 10 })
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['SN-0', 'SN-1', 'SN-3'],
    )
    assert.equal(rows[1]?.profile, profile)
    const facts = await recentFacts(engine.store.db, { action: 'device.imported', limit: 10 })
    assert.deepEqual(facts.map(({ subject }) => subject).toReversed(), ['device:SN-1', 'device:SN-3'])
    const again = await importDevices(engine, batch, { actor: testActor })
    assert.deepEqual(new Set(again.map(({ outcome }) => outcome)), new Set(['known', 'invalid']))
  })

  test('a secret has 140 bits, and only its hash is kept', async () => {
    const { engine } = await start()
    await addDevice(engine, { id: 'SN-1', profile }, testActor)
    const deviceId = 'SN-1' as DeviceId
    const { secret, expiresAt } = await newSecret(engine, { deviceId, actor: testActor })
    assert.match(secret, /^[0-9a-hjkmnp-tv-z]{28}$/)
    assert.equal(expiresAt, testStart + engine.settings.secretLifetimeMs)
    const row = await findSecret(engine.store.db, deviceId)
    assert.equal(row?.hash, sha256Hex(secret))
    const facts = await recentFacts(engine.store.db, { limit: 100 })
    assert.ok(
      facts.every(
        ({ entry }) => !Buffer.from(entry).includes(secret) && !Buffer.from(entry).includes(row.hash),
      ),
    )
    const other = await newSecret(engine, { deviceId, actor: testActor, lifetimeMs: 1000 })
    assert.notEqual(other.secret, secret)
    assert.equal(other.expiresAt, testStart + 1000)
    assert.equal(
      (await refusal(newSecret(engine, { deviceId: 'SN-9' as DeviceId, actor: testActor }))).code,
      'not-found',
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secondMs } from '../../base/clock.ts'
import { recentFacts } from '../../store/facts.ts'
import { forEachEngine, issuingId, refusal, testActor, testStart } from '../../../test/helpers/app.ts'
import { createCa } from '../../../test/helpers/ca.ts'
import { addTrustAnchor, removeTrustAnchor, trustAnchors } from './trust.ts'

const maker = createCa('CN=Maker', testStart)
const anchor = {
  name: 'Maker',
  certificate: maker.der,
  deviceIdRule: 'subject.serialNumber',
  profile: null,
  actor: testActor,
}

forEachEngine((start) => {
  test('an anchor is added, listed and removed, each with its fact', async () => {
    const { engine } = await start()
    const added = await addTrustAnchor(engine, anchor)
    assert.match(added.id, /^[0-9a-f]{16}$/)
    assert.deepEqual(await trustAnchors(engine), [added])
    assert.equal((await refusal(addTrustAnchor(engine, anchor))).code, 'already-exists')
    assert.deepEqual(await removeTrustAnchor(engine, added.id, testActor), added)
    assert.deepEqual(await trustAnchors(engine), [])
    assert.equal((await refusal(removeTrustAnchor(engine, added.id, testActor))).code, 'not-found')
    const facts = await recentFacts(engine.store.db, { subject: `trust-anchor:${added.id}`, limit: 5 })
    assert.deepEqual(
      facts.map(({ action }) => action),
      ['trust-anchor.removed', 'trust-anchor.added'],
    )
  })

  test('refuses what is no CA of a manufacturer', async () => {
    const { engine } = await start()
    const codeOf = async (change: Partial<typeof anchor>) =>
      (await refusal(addTrustAnchor(engine, { ...anchor, ...change }))).code
    const leaf = maker.issue({ subject: 'CN=leaf' })
    assert.equal(await codeOf({ certificate: leaf.der }), 'invalid-input')
    const ended = maker.issueCa({ subject: 'CN=Sub', notAfter: testStart - secondMs })
    assert.equal(await codeOf({ certificate: ended.der }), 'invalid-input')
    const ours = await engine.issuers.find(issuingId)
    assert.equal(await codeOf({ certificate: ours?.certificate.der ?? assert.fail() }), 'invalid-input')
    assert.equal(await codeOf({ deviceIdRule: 'subject.O' }), 'invalid-input')
    assert.equal(await codeOf({ name: ' ' }), 'invalid-input')
    assert.equal(
      (await refusal(addTrustAnchor(engine, { ...anchor, profile: 'nobody' }))).code,
      'invalid-input',
    )
    assert.equal(await codeOf({ certificate: new Uint8Array(2) }), 'malformed')
  })
})

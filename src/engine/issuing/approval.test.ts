import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { recentFacts } from '../../store/facts.ts'
import {
  enrolled,
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  registerDevice,
  renewalCsr,
  requestOf,
  testActor,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { decideRequests } from './approval.ts'
import { enroll } from './enroll.ts'
import { deviceDetails, waitingRequests } from '../inventory/inventory.ts'
import type { ProfileInput } from './profile.ts'

const manual: ProfileInput = {
  name: 'manual',
  issuer: issuingId,
  validityMs: 100 * dayMs,
  renewBeforeMs: 30 * dayMs,
  connectivity: 'always-on',
  approval: 'manual',
}
const deviceId = 'SN-1' as DeviceId
const approve = { deviceId, decision: 'approved', actor: testActor } as const

forEachEngine((start) => {
  test('waits until a person says yes; then the same request, signed anew, gets its certificate', async () => {
    const { engine, clock } = await start({ profiles: [manual] })
    await registerDevice(engine, deviceId, { profile: 'manual' })
    const peer = await freshSecret(engine, deviceId)
    const key = createKey()
    for (let poll = 0; poll < 3; poll++) {
      const outcome = await enroll(engine, requestOf(peer, key.csr()))
      assert.deepEqual(outcome, { kind: 'pending', retryAfterMs: engine.settings.pendingRetryAfterMs })
    }
    const { rows } = await waitingRequests(engine, { limit: 10 })
    assert.deepEqual(
      rows.map((row) => [row.deviceId, row.subject, row.profile]),
      [[deviceId, 'CN=SN-1,O=Example', 'manual']],
    )
    assert.equal((await decideRequests(engine, approve)).length, 1)
    // people are slow: the secret may have expired meanwhile
    await clock.advance(30 * dayMs)
    const first = await enroll(engine, requestOf(peer, key.csr()))
    assert.ok(first.kind === 'issued' && !first.repeated)
    const again = await enroll(engine, requestOf(peer, key.csr()))
    assert.ok(again.kind === 'issued' && again.repeated)
    assert.deepEqual((await deviceDetails(engine, deviceId)).waiting, [])
    const facts = await recentFacts(engine.store.db, { limit: 100 })
    const about = facts.filter(({ action }) => action.startsWith('approval.')).map(({ action }) => action)
    assert.deepEqual(about.toReversed(), ['approval.requested', 'approval.granted'])
  })

  test('an approval is good for one certificate: the renewal asks again', async () => {
    const { engine, clock } = await start({ profiles: [{ ...manual, rekey: 'allowed' }] })
    await registerDevice(engine, deviceId, { profile: 'manual' })
    const key = createKey()
    const peer = await freshSecret(engine, deviceId)
    await enroll(engine, requestOf(peer, key.csr()))
    await decideRequests(engine, approve)
    const first = enrolled(await enroll(engine, requestOf(peer, key.csr())), key)
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const renew = () =>
      enroll(engine, requestOf(first.peer, renewalCsr(key, first.certificate), { operation: 'reenroll' }))
    assert.equal((await renew()).kind, 'pending')
    await decideRequests(engine, approve)
    assert.equal((await renew()).kind, 'issued')
  })

  test('a request that was rejected stays rejected, and the device may ask with another key and secret', async () => {
    const { engine } = await start({ profiles: [manual] })
    await registerDevice(engine, deviceId, { profile: 'manual' })
    const peer = await freshSecret(engine, deviceId)
    const key = createKey()
    await enroll(engine, requestOf(peer, key.csr()))
    await decideRequests(engine, { ...approve, decision: 'rejected', reason: 'not on the order list' })
    assert.equal((await refusal(enroll(engine, requestOf(peer, key.csr())))).code, 'approval-rejected')
    assert.equal((await refusal(enroll(engine, requestOf(peer, createKey().csr())))).code, 'secret-invalid')
    const second = await freshSecret(engine, deviceId)
    assert.equal((await enroll(engine, requestOf(second, createKey().csr()))).kind, 'pending')
  })

  test('polls in parallel file one request, and after the approval get one certificate', async () => {
    const { engine, another } = await start({ profiles: [manual] })
    await registerDevice(engine, deviceId, { profile: 'manual' })
    const peer = await freshSecret(engine, deviceId)
    const key = createKey()
    const poll = async () =>
      await Promise.all([engine, another(), another()].map((one) => enroll(one, requestOf(peer, key.csr()))))
    assert.ok((await poll()).every(({ kind }) => kind === 'pending'))
    assert.equal((await decideRequests(engine, approve)).length, 1)
    const first = await enroll(engine, requestOf(peer, key.csr()))
    assert.ok(first.kind === 'issued')
    for (const outcome of await poll()) {
      assert.ok(outcome.kind === 'issued' && outcome.record.id === first.record.id)
    }
  })

  test('refuses to decide where nothing waits', async () => {
    const { engine } = await start()
    assert.equal((await refusal(decideRequests(engine, approve))).code, 'not-found')
  })
})

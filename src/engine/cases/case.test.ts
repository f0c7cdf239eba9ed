import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceId } from '../../base/id.ts'
import {
  enrolDevice,
  enrolled,
  forEachEngine,
  freshSecret,
  refusal,
  registerDevice,
  renew,
  renewalCsr,
  requestOf,
  testActor,
  windowOpensAt,
  type Enrolled,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { findBlockedKey } from '../../store/blocked-keys.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { enroll } from '../issuing/enroll.ts'
import { orderRevocation, stepRevocation } from '../revocation/revoke-batch.ts'
import { revokeDevice } from '../revocation/revoke.ts'
import { addToCase, caseDetails, casePage, openCase, openCaseOf } from './case.ts'
import { closeCase, closeCasesOf } from './verdict.ts'

const sn1 = 'SN-1' as DeviceId
const theft = { reason: 'keyCompromise', note: 'stolen', actor: testActor } as const

async function codeOf(engine: Engine, { peer, certificate }: Enrolled): Promise<string> {
  const request = requestOf(peer, renewalCsr(createKey(), certificate), { operation: 'reenroll' })
  return (await refusal(enroll(engine, request))).code
}

async function stateOf(engine: Engine, id: DeviceId = sn1): Promise<string | undefined> {
  return (await findDevice(engine.store.db, id))?.state
}

async function told(engine: Engine): Promise<string[]> {
  const facts = (await recentFacts(engine.store.db, { limit: 100 })).map(({ entry }) => readFact(entry))
  return facts
    .filter(({ action }) => /^(case|device\.(quarantined|released|decomm)|key)/.test(action))
    .map(({ action, subject }) => `${action} ${subject}`)
    .toReversed()
}

forEachEngine((start) => {
  test('a revocation opens a case; cleared, the device is back, and its certificates stay revoked', async () => {
    const { engine, close } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await revokeDevice(engine, sn1, theft)
    const { id, reason, openedBy } = await openCaseOf(engine, sn1)
    assert.deepEqual([reason, openedBy], ['keyCompromise', testActor])
    const file = { name: 'camera.jpg', sha256: 'ab'.repeat(32), size: 1_234 }
    await addToCase(engine, { id, note: 'found in a drawer', actor: 'cli:ann' })
    await addToCase(engine, { id, note: null, file, actor: 'cli:ann' })
    assert.equal((await refusal(freshSecret(engine, 'SN-1'))).code, 'device-quarantined')

    const closed = await closeCase(engine, { id, verdict: 'cleared', actor: 'cli:ann', note: 'never left' })
    assert.deepEqual([closed.deviceState, closed.needsSecret, closed.released], ['active', true, []])
    assert.equal(await codeOf(engine, device), 'device-revoked')
    const key = createKey()
    const again = enrolled(await enroll(engine, requestOf(await freshSecret(engine, 'SN-1'), key.csr())), key)
    assert.equal(again.record.status, 'issued')
    const { record, entries } = await caseDetails(engine, id)
    assert.deepEqual([record.verdict, record.closedBy], ['cleared', 'cli:ann'])
    assert.deepEqual(
      entries.map(({ note, file: kept }) => [note, kept]),
      [
        ['found in a drawer', null],
        [null, file],
        ['never left', null],
      ],
    )
    assert.deepEqual(await told(engine), [
      'device.quarantined device:SN-1',
      'case.opened case:1',
      'case.noted case:1',
      'case.evidence-added case:1',
      'case.closed case:1',
      'device.released device:SN-1',
    ])
    await close()
  })

  test('a closed case stays closed, and a device has one open case', async () => {
    const { engine, close } = await start()
    await enrolDevice(engine, 'SN-1')
    const { id } = await openCase(engine, { deviceId: sn1, actor: testActor })
    assert.equal(
      (await refusal(openCase(engine, { deviceId: sn1, actor: testActor }))).code,
      'already-exists',
    )
    // the revocation of a device under investigation opens no second one
    await revokeDevice(engine, sn1, theft)
    assert.equal((await casePage(engine, { limit: 10 })).rows.length, 1)
    await closeCase(engine, { id, verdict: 'destroyed', actor: testActor })
    for (const work of [
      () => closeCase(engine, { id, verdict: 'cleared', actor: testActor }),
      () => addToCase(engine, { id, note: 'too late', actor: testActor }),
    ]) {
      assert.equal((await refusal(work())).code, 'case-state')
    }
    assert.equal(await stateOf(engine), 'decommissioned')
    const gone = await refusal(openCase(engine, { deviceId: sn1, actor: testActor }))
    assert.equal(gone.code, 'device-decommissioned')
    for (const unknown of [
      () => caseDetails(engine, 77),
      () => openCaseOf(engine, sn1),
      () => openCase(engine, { deviceId: 'SN-9' as DeviceId, actor: testActor }),
    ]) {
      assert.equal((await refusal(unknown())).code, 'not-found')
    }
    await close()
  })

  test('a case alone takes a device out and revokes nothing; cleared, it goes on with what it had', async () => {
    const { engine, clock, close } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    const { id } = await openCase(engine, { deviceId: sn1, actor: testActor, note: 'odd' })
    assert.equal(await codeOf(engine, device), 'device-quarantined')
    assert.equal((await findCertificate(engine.store.db, device.record.id))?.status, 'issued')
    const { needsSecret } = await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    assert.equal(needsSecret, false)
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    assert.equal((await renew(engine, device)).record.status, 'issued')
    await close()
  })

  for (const verdict of ['replaced', 'destroyed', 'compromised'] as const) {
    test(`${verdict}: out for good, with everything that it still holds`, async () => {
      const { engine, close } = await start()
      const device = await enrolDevice(engine, 'SN-1')
      const { id } = await openCase(engine, { deviceId: sn1, actor: testActor })
      await closeCase(engine, { id, verdict, actor: testActor })
      assert.equal(await stateOf(engine), 'decommissioned')
      const { status, reason } = (await findCertificate(engine.store.db, device.record.id)) ?? {}
      const why = verdict === 'compromised' ? 'keyCompromise' : 'cessationOfOperation'
      assert.deepEqual([status, reason], ['revoked', why])
      const blocked = await findBlockedKey(engine.store.db, device.record.spkiHash)
      assert.equal(blocked !== null, verdict === 'compromised')
      assert.equal((await casePage(engine, { limit: 10, filter: { isOpen: true } })).rows.length, 0)
      await close()
    })
  }

  test('one verdict about all that a batch has opened, and not about what was closed before', async () => {
    const { engine, close } = await start()
    for (let n = 0; n < 120; n++) await registerDevice(engine, `SN-${n}`, { batch: 'B1' })
    await registerDevice(engine, 'OTHER')
    await revokeDevice(engine, 'OTHER' as DeviceId, theft)
    const order = { selection: { batch: 'B1' }, reason: 'keyCompromise', actor: testActor } as const
    const { id: revocationId } = await orderRevocation(engine, order)
    await stepRevocation(engine, revocationId)
    await stepRevocation(engine, revocationId)
    const { id } = await openCaseOf(engine, 'SN-7' as DeviceId)
    await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    const closing = { verdict: 'destroyed', actor: testActor, revocationId } as const
    assert.equal(await closeCasesOf(engine, closing), 119)
    assert.equal(await closeCasesOf(engine, closing), 0)
    assert.equal(await stateOf(engine, 'SN-7' as DeviceId), 'registered')
    assert.equal(await stateOf(engine, 'SN-119' as DeviceId), 'decommissioned')
    assert.equal(await stateOf(engine, 'OTHER' as DeviceId), 'quarantined')
    await close()
  })

  for (const [what, note, name] of [
    ['an empty note', ' ', null],
    ['a note that is too long', 'x'.repeat(4_001), null],
    ['a note that is no text', '\ud800', null],
    ['nothing at all', null, null],
    ['a file name that acts on a terminal', null, '\u001b[2J'],
  ] as const) {
    test(`${what} is not taken`, async () => {
      const { engine, close } = await start()
      await registerDevice(engine, 'SN-1')
      const { id } = await openCase(engine, { deviceId: sn1, actor: testActor })
      const file = name === null ? null : { name, sha256: 'ab'.repeat(32), size: 1 }
      const refused = await refusal(addToCase(engine, { id, note, file, actor: testActor }))
      assert.equal(refused.code, 'invalid-input')
      assert.deepEqual((await caseDetails(engine, id)).entries, [])
      await close()
    })
  }
})

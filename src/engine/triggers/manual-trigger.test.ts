import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  enrolDevice,
  forEachEngine,
  refusal,
  registerDevice,
  renew,
  testStart,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { putRenewal } from '../../../test/helpers/renewals.ts'
import { testOtaSigner } from '../../../test/helpers/trigger-host.ts'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { openOtaBundle } from '../../pki/ota-bundle.ts'
import { createFieldChannel } from '../../triggers/field.ts'
import { manualTrigger, sendManually, signBundle } from './manual-trigger.ts'

const meter1 = 'meter-1' as DeviceId
const never = new AbortController().signal

forEachEngine((start) => {
  test('names the newest certificate in force, and the open renewal if there is one', async (t) => {
    const { engine, clock, close } = await start()
    t.after(close)
    const first = await enrolDevice(engine, meter1, { tags: { msisdn: '+491701234567' }, site: 'berlin' })
    const before = await manualTrigger(engine, meter1, testStart)
    assert.equal(before.certificate, `issuing/${first.record.serialNumber}`)
    assert.deepEqual([before.renewalId, before.tags['msisdn'], before.site], [0, '+491701234567', 'berlin'])
    await clock.advance(windowOpensAt(engine, first) - testStart)
    const second = await renew(engine, first)
    const { id } = await putRenewal(engine, second)
    const after = await manualTrigger(engine, meter1, clock.now())
    assert.equal(after.certificate, `issuing/${second.record.serialNumber}`)
    assert.equal(after.renewalId, id)
  })

  test('refuses a device that is not there, has no certificate, or has one that ended', async (t) => {
    const { engine, close } = await start()
    t.after(close)
    assert.equal((await refusal(manualTrigger(engine, meter1, testStart))).code, 'not-found')
    await registerDevice(engine, meter1)
    assert.equal((await refusal(manualTrigger(engine, meter1, testStart))).code, 'not-found')
    const { record } = await enrolDevice(engine, 'meter-2')
    await manualTrigger(engine, 'meter-2' as DeviceId, record.notAfter)
    const late = manualTrigger(engine, 'meter-2' as DeviceId, record.notAfter + 1)
    assert.equal((await refusal(late)).code, 'not-found')
  })

  test('sends by a channel that is set up, and says which are when it is not', async (t) => {
    const { engine, close } = await start({ triggers: new Map([['field', createFieldChannel()]]) })
    t.after(close)
    await enrolDevice(engine, meter1)
    const { trigger } = await sendManually(engine, { kind: 'field', deviceId: meter1 }, never)
    assert.equal(trigger.deviceId, meter1)
    const refused = await refusal(sendManually(engine, { kind: 'sms', deviceId: meter1 }, never))
    assert.equal(refused.code, 'configuration-invalid')
    assert.match(refused.message, /these are: field/)
  })

  test('a bundle that leaves by hand is good, and on record', async (t) => {
    const { engine, close } = await start()
    t.after(close)
    const signer = testOtaSigner()
    const trigger = {
      renewal: 0,
      certificate: 'issuing/01',
      notAfter: testStart,
      window: { start: 0, end: 1_000 },
    }
    const span = { notBefore: testStart, expiresAt: testStart + dayMs }
    const bundle = {
      device: meter1,
      version: testStart,
      ...span,
      payload: { kind: 'trigger', trigger },
    } as const
    const text = await signBundle(engine, { bundle, signer, actor: 'cli:test', now: testStart })
    const expected = { keys: [signer.spki], deviceId: meter1, now: testStart, lastVersion: () => null }
    assert.deepEqual(openOtaBundle(text, expected).bundle, bundle)
    const facts = await engine.store.db
      .selectFrom('facts')
      .select(['subject'])
      .where('action', '=', 'bundle.signed')
      .execute()
    assert.deepEqual(
      facts.map(({ subject }) => subject),
      ['bundle:meter-1'],
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTrigger } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import type { DeviceId } from '../base/id.ts'
import { createSmsChannel, renderSms, smsTemplateProblem } from './sms.ts'

const never = new AbortController().signal

/** Nothing listens there: what is refused before is told apart by its code. */
async function sendTo(tags: Readonly<Record<string, string>>, numberTag = 'msisdn') {
  const channel = await createSmsChannel(
    {
      numberTag,
      template: 'RENEW {renewal}',
      gateway: {
        provider: 'twilio',
        baseUrl: 'http://127.0.0.1:1',
        accountSid: 'AC1',
        authToken: 'twilio',
        from: 'X',
        statusCallback: null,
        timeoutMs: 5_000,
        insecureHttp: false,
      },
    },
    testTriggerHost({ secrets: { twilio: 'token' } }),
  )
  return (await refusal(channel.send(sampleTrigger({ tags }), never))).code
}

for (const number of [
  '+1234567',
  '+123456789012345',
  '+49 170 1234567',
  '+1 (212) 555-0100',
  '+49.170.1234567',
]) {
  test(`takes the number ${number}`, async () => {
    assert.equal(await sendTo({ msisdn: number }), 'trigger-failed')
  })
}

for (const number of [
  '',
  ' ',
  '491701234567',
  '0170 1234567',
  '+01701234567',
  '+123456',
  '+1234567890123456',
  '+49170x234567',
  '+49170123456７',
  '+1234567;+7654321',
  '+1234567\n',
]) {
  test(`refuses the number ${JSON.stringify(number)}`, async () => {
    assert.equal(await sendTo({ msisdn: number }), 'trigger-impossible')
  })
}

test('takes the number from the tag that is configured, and from no other', async () => {
  assert.equal(await sendTo({ sim: '+491701234567' }, 'sim'), 'trigger-failed')
  assert.equal(await sendTo({ msisdn: '+491701234567' }, 'sim'), 'trigger-impossible')
  assert.equal(await sendTo({}), 'trigger-impossible')
  assert.equal(await sendTo({}, '__proto__'), 'trigger-impossible')
})

test('fills in what the template names', () => {
  const template = '{renewal};{device};{certificate};{notAfter}'
  assert.equal(
    renderSms(template, sampleTrigger()),
    '4711;meter-1;issuing/0a1b2c3d4e5f60718293a4b5c6d7e8f901;2027-02-18T12:00:00Z',
  )
})

test('one message holds 160 characters', () => {
  const trigger = sampleTrigger({ deviceId: 'd'.repeat(64) as DeviceId })
  assert.equal(renderSms(`{device}${'x'.repeat(96)}`, trigger).length, 160)
  assert.throws(() => renderSms(`{device}${'x'.repeat(97)}`, trigger), { code: 'trigger-impossible' })
})

for (const template of ['RENEW {renewal}', 'PERENNIAL RENEW {renewal} {notAfter}', '@_$ "%&"']) {
  test(`takes the template ${template}`, () => {
    assert.equal(smsTemplateProblem(template), null)
  })
}

for (const template of [
  '',
  ' ',
  'RENEW {number}',
  'RENEW {constructor}',
  'ERNEUERN für {renewal}',
  'a\nb',
  '{',
  '~',
  '€',
]) {
  test(`refuses the template ${JSON.stringify(template)}`, () => {
    assert.notEqual(smsTemplateProblem(template), null)
  })
}

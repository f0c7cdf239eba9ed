import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusal, testEngine } from '../../test/helpers/app.ts'
import { smsReceiptToken } from '../base/sms-receipt-token.ts'
import type { DeliveryReceipt } from '../engine/ports.ts'
import { createDeviceRoutes, deviceOperation } from './device-routes.ts'
import { createSmsReceipts, smsReceiptsPrefix, twilioSignature, type SmsReceiptKeys } from './sms-receipts.ts'

const keys: SmsReceiptKeys = {
  twilio: { authToken: '12345', url: 'https://est.example:8443/perennial/v1/sms-receipts/twilio' },
  kannel: { password: 'foobar' },
}

function start(given = keys) {
  const recorded: DeliveryReceipt[] = []
  return { recorded, receipts: createSmsReceipts(given, async (receipt) => void recorded.push(receipt)) }
}

function twilio(
  fields: Readonly<Record<string, string>>,
  changes: { signature?: string; type?: string } = {},
) {
  const form = new URLSearchParams(fields)
  const signature = changes.signature ?? twilioSignature(keys.twilio?.url ?? '', form, '12345')
  const headers = {
    'content-type': changes.type ?? 'application/x-www-form-urlencoded; charset=utf-8',
    'x-twilio-signature': signature,
  }
  const path = `${smsReceiptsPrefix}twilio`
  return { method: 'POST', path, headers, body: Buffer.from(form.toString()) }
}

function kannel(reference: string, state: string, token = smsReceiptToken(reference, 'foobar')) {
  const path = `${smsReceiptsPrefix}kannel/${encodeURIComponent(reference)}/${token}/${state}`
  return { method: 'GET', path, headers: {}, body: Buffer.alloc(0) }
}

// The example of Twilio's own documentation (Security → Validating requests) and libraries.
test('computes the signature of the example in Twilio’s documentation', () => {
  const form = new URLSearchParams({
    CallSid: 'CA1234567890ABCDE',
    Caller: '+14158675309',
    Digits: '1234',
    From: '+14158675309',
    To: '+18005551212',
  })
  const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
  assert.equal(twilioSignature(url, form, '12345'), 'RSOYDt4T1cUTdK1PDd93/VVr8B8=')
})

for (const [status, outcome] of [
  ['delivered', 'delivered'],
  ['read', 'delivered'],
  ['undelivered', 'failed'],
  ['failed', 'failed'],
  ['sent', 'pending'],
  ['queued', 'pending'],
  ['toString', 'pending'],
] as const) {
  test(`Twilio’s ${status} is ${outcome}`, async () => {
    const { recorded, receipts } = start()
    const answer = await receipts.handle(twilio({ MessageSid: 'SM1', MessageStatus: status, To: '+1 2' }))
    assert.equal(answer.status, 204)
    assert.deepEqual(recorded, [{ reference: 'SM1', outcome, detail: status }])
  })
}

test('the error code of the provider is kept', async () => {
  const { recorded, receipts } = start()
  const fields = { MessageSid: 'SM1', MessageStatus: 'undelivered', ErrorCode: '30005' }
  await receipts.handle(twilio(fields))
  assert.equal(recorded[0]?.detail, 'undelivered, error 30005')
})

test('refuses a receipt that Twilio has not signed', async () => {
  const { recorded, receipts } = start()
  const fields = { MessageSid: 'SM1', MessageStatus: 'delivered' }
  const good = twilio(fields)
  const { 'x-twilio-signature': _signature, ...unsigned } = good.headers
  for (const request of [
    twilio(fields, { signature: '' }),
    twilio(fields, { signature: 'AAAA' }),
    twilio(fields, {
      signature: twilioSignature(keys.twilio?.url ?? '', new URLSearchParams(fields), 'other'),
    }),
    twilio(fields, {
      signature: twilioSignature('http://est.example', new URLSearchParams(fields), '12345'),
    }),
    { ...good, body: Buffer.from('MessageSid=SM2&MessageStatus=delivered') },
    { ...good, body: Buffer.from(`${good.body.toString()}&ErrorCode=1`) },
    { ...good, headers: unsigned },
  ]) {
    assert.equal((await receipts.handle(request)).status, 403)
  }
  assert.deepEqual(recorded, [])
})

test('refuses a signed receipt that names no message, or is no form', async () => {
  const { recorded, receipts } = start()
  for (const fields of [
    { MessageStatus: 'delivered' },
    { MessageSid: 'SM1' },
    { MessageSid: '../1', MessageStatus: 'x' },
  ]) {
    assert.equal((await refusal(receipts.handle(twilio(fields as Record<string, string>)))).code, 'malformed')
  }
  const json = twilio({ MessageSid: 'SM1', MessageStatus: 'delivered' }, { type: 'application/json' })
  assert.equal((await refusal(receipts.handle(json))).code, 'unsupported-media-type')
  assert.deepEqual(recorded, [])
})

for (const [state, outcome] of [
  ['1', 'delivered'],
  ['2', 'failed'],
  ['4', 'pending'],
  ['8', 'pending'],
  ['16', 'failed'],
] as const) {
  test(`Kannel’s ${state} is ${outcome}`, async () => {
    const { recorded, receipts } = start()
    assert.equal((await receipts.handle(kannel('4711.0.1', state))).status, 204)
    assert.equal(recorded[0]?.outcome, outcome)
    assert.equal(recorded[0]?.reference, '4711.0.1')
  })
}

test('refuses a report of Kannel about a message that it was not given', async () => {
  const { recorded, receipts } = start()
  const token = smsReceiptToken('4711.0.1', 'foobar')
  assert.equal((await receipts.handle(kannel('4711.0.2', '1', token))).status, 403)
  assert.equal((await receipts.handle(kannel('4711.0.1', '1', ''))).status, 403)
  assert.equal((await receipts.handle(kannel('4711.0.1', '1', smsReceiptToken('4711.0.1', 'x')))).status, 403)
  for (const state of ['', '0', '3', '01', '%d', 'constructor']) {
    assert.equal((await refusal(receipts.handle(kannel('4711.0.1', state)))).code, 'malformed')
  }
  const path = `${smsReceiptsPrefix}kannel/%zz/${token}/1`
  assert.equal((await refusal(receipts.handle({ ...kannel('a', '1'), path }))).code, 'malformed')
  assert.deepEqual(recorded, [])
})

test('before the body: unknown providers, those not set up, and wrong methods', () => {
  const { receipts } = start()
  const none = start({ twilio: null, kannel: null }).receipts
  const good = [twilio({}), kannel('a', '1')]
  assert.deepEqual(
    good.map((request) => receipts.refuse(request)),
    [null, null],
  )
  assert.deepEqual(
    good.map((request) => none.refuse(request)?.status),
    [404, 404],
  )
  assert.equal(receipts.refuse({ ...twilio({}), method: 'GET' })?.status, 405)
  assert.equal(receipts.refuse({ ...kannel('a', '1'), method: 'POST' })?.headers['Allow'], 'GET')
  for (const rest of [
    '',
    'smpp',
    'twilio/',
    'twilio/x',
    'kannel',
    'kannel/a/b',
    'kannel/a/b/c/d',
    '../twilio',
  ]) {
    assert.equal(
      receipts.refuse({ method: 'POST', path: smsReceiptsPrefix + rest, headers: {} })?.status,
      404,
    )
  }
})

test('a receipt that could not be recorded is an error, so that the provider asks again', async () => {
  const receipts = createSmsReceipts(keys, async () => await Promise.reject(new Error('busy')))
  await assert.rejects(receipts.handle(kannel('a', '1')), /busy/)
})

test('on the device port: without a client certificate, with a limit of their own, and not at all when not set up', async (t) => {
  const app = await testEngine()
  t.after(() => app.close())
  const { recorded, receipts } = start()
  const routes = createDeviceRoutes(app.engine, { smsReceipts: receipts })
  const peer = { address: '192.0.2.1', certificate: null, chain: [] }
  const request = { ...kannel('4711.0.1', '1'), peer, tlsUnique: null }
  assert.equal(routes.refuseEarly(request), null)
  assert.equal(routes.maxBodyBytes(request), 16_384)
  assert.equal((await routes.handle(request)).status, 204)
  assert.equal(recorded.length, 1)
  assert.equal(
    (await routes.handle({ ...kannel('4711.0.1', '1', 'forged'), peer, tlsUnique: null })).status,
    403,
  )
  assert.equal((await routes.handle({ ...kannel('4711.0.1', '99'), peer, tlsUnique: null })).status, 400)
  assert.equal(deviceOperation(request.path), 'sms-receipts')
  assert.equal(createDeviceRoutes(app.engine).refuseEarly(request)?.status, 404)
})

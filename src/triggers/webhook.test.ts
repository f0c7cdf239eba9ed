import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import { sampleTrigger, triggerConformance } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { httpPeer, type HttpPeer } from '../../test/helpers/http-peer.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import { systemClock, VirtualClock } from '../base/clock.ts'
import type { TriggerChannel } from '../engine/ports.ts'
import { parseWebhookSecret } from '../base/standard-webhooks.ts'
import { createWebhookChannel } from './webhook.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const never = new AbortController().signal
const timeoutMs = 20_000

async function channelTo(url: string, clock = systemClock): Promise<TriggerChannel> {
  const host = testTriggerHost({ secrets: { hook: secret }, clock })
  return await createWebhookChannel({ url, secret: 'hook', timeoutMs, insecureHttp: false }, host)
}

async function start(t: TestContext): Promise<{ peer: HttpPeer; channel: TriggerChannel }> {
  const peer = await httpPeer()
  t.after(() => peer.stop())
  return { peer, channel: await channelTo(`${peer.url}/renew`) }
}

triggerConformance({
  name: 'webhook',
  without: ['unreachable'],
  async open() {
    const peer = await httpPeer()
    return {
      channel: await channelTo(peer.url),
      // `send` resolves after the answer: what arrived is there
      received: async () => peer.taken.map(({ headers, body }) => `${String(headers['webhook-id'])} ${body}`),
      breakPeer: () => peer.stop(),
      repairPeer: async () => {
        peer.answer = () => ({ status: 200 })
        await peer.start()
      },
      stallPeer: async () => {
        peer.answer = 'never'
      },
      secrets: [secret, secret.slice('whsec_'.length)],
      close: () => peer.stop(),
    }
  },
})

test('the signature is one that the library of the Standard Webhooks project accepts', async (t) => {
  const { peer, channel } = await start(t)
  await channel.send(sampleTrigger(), never)
  const [{ headers, body, method, url } = assert.fail('nothing arrived')] = peer.taken
  assert.equal(`${method} ${url}`, 'POST /renew')
  const flat = headers as Record<string, string>
  const message = new Webhook(secret).verify(body, flat) as { type: string; data: { device: string } }
  assert.equal(message.type, 'certificate.renew')
  assert.equal(message.data.device, 'meter-1')
  const others = new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`)
  assert.throws(() => others.verify(body, flat), WebhookVerificationError)
  assert.throws(() => new Webhook(secret).verify(body.replace('meter-1', 'meter-2'), flat))
})

test('a repeat of an attempt has the same webhook-id, the next attempt another', async (t) => {
  const { peer, channel } = await start(t)
  await channel.send(sampleTrigger({ idempotencyKey: '4711.0.1' }), never)
  await channel.send(sampleTrigger({ idempotencyKey: '4711.0.1' }), never)
  await channel.send(sampleTrigger({ idempotencyKey: '4711.0.2' }), never)
  assert.deepEqual(
    peer.taken.map(({ headers }) => headers['webhook-id']),
    ['4711.0.1', '4711.0.1', '4711.0.2'],
  )
})

for (const status of [200, 201, 202, 204]) {
  test(`${status} is success`, async (t) => {
    const { peer, channel } = await start(t)
    peer.answer = () => ({ status })
    assert.deepEqual(await channel.send(sampleTrigger(), never), { reference: null })
  })
}

for (const status of [301, 307, 400, 401, 404, 410, 500, 502]) {
  test(`${status} is a failure, and is not followed elsewhere`, async (t) => {
    const { peer, channel } = await start(t)
    peer.answer = () => ({ status, headers: { location: `${peer.url}/elsewhere`, 'retry-after': '5' } })
    const { code, retryAfterMs } = await refusal(channel.send(sampleTrigger(), never))
    assert.deepEqual({ code, retryAfterMs }, { code: 'trigger-failed', retryAfterMs: null })
    assert.deepEqual(
      peer.seen.map(({ url }) => url),
      ['/renew'],
    )
  })
}

for (const status of [429, 503]) {
  test(`${status} with Retry-After says when to come again`, async (t) => {
    const { peer, channel } = await start(t)
    for (const [retryAfter, expected] of [
      ['120', 120_000],
      ['0', 0],
      ['99999999', 86_400_000],
      ['soon', null],
      ['-1', 0],
    ] as const) {
      peer.answer = () => ({ status, headers: { 'retry-after': retryAfter } })
      const { retryAfterMs } = await refusal(channel.send(sampleTrigger(), never))
      if (retryAfter !== '-1') assert.equal(retryAfterMs, expected, retryAfter)
    }
  })
}

test('no answer within the time-out is a failure of which nobody knows whether it arrived', async (t) => {
  const peer = await httpPeer('never')
  t.after(() => peer.stop())
  const clock = new VirtualClock(Date.UTC(2026, 10, 20))
  const channel = await channelTo(peer.url, clock)
  const sending = refusal(channel.send(sampleTrigger(), never))
  await clock.advance(timeoutMs)
  const refused = await sending
  assert.equal(refused.code, 'trigger-failed')
  assert.ok(refused.cause instanceof Error)
  assert.equal(refused.cause.name, 'TimeoutError')
})

test('an answer without end is not read to its end', async (t) => {
  const { peer, channel } = await start(t)
  peer.answer = () => ({ status: 200, body: 'x'.repeat(1_000_000) })
  assert.match((await refusal(channel.send(sampleTrigger(), never))).message, /too long/)
})

for (const [url, isAllowed] of [
  ['https://hooks.example/renew', true],
  ['http://localhost:1/renew', true],
  ['http://127.0.0.1:1/renew', true],
  ['http://[::1]:1/renew', true],
  ['http://hooks.example/renew', false],
  ['http://127.0.0.1.example/renew', false],
  ['http://10.0.0.1/renew', false],
  ['https://user:password@hooks.example/renew', false],
  ['ftp://hooks.example/renew', false],
  ['hooks.example', false],
] as const) {
  test(`${isAllowed ? 'takes' : 'refuses'} ${url.replace('user:password', 'user:…')}`, async () => {
    if (isAllowed) return void (await channelTo(url))
    const { code, message } = await refusal(channelTo(url))
    assert.equal(code, 'configuration-invalid')
    assert.ok(!message.includes('password@'))
  })
}

test('plain http to another machine needs its switch', async () => {
  const host = testTriggerHost({ secrets: { hook: secret } })
  const options = { url: 'http://hooks.example', secret: 'hook', timeoutMs }
  await createWebhookChannel({ ...options, insecureHttp: true }, host)
  await refusal(createWebhookChannel({ ...options, insecureHttp: false }, host))
})

test('refuses a secret that is none, without repeating it', () => {
  for (const text of [
    '',
    'whsec_',
    'whsec_c2hvcnQ=',
    secret.slice(6),
    `${secret}!`,
    `whsec_${'A'.repeat(120)}`,
  ]) {
    assert.throws(
      () => parseWebhookSecret(text, 'secret'),
      (error: Error) => text.length < 10 || !error.message.includes(text),
    )
  }
  assert.equal(parseWebhookSecret(secret, 'secret').byteLength, 32)
})

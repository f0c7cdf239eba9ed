import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTrigger, triggerConformance } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { httpPeer } from '../../test/helpers/http-peer.ts'
import { testOtaSigner, testTriggerHost } from '../../test/helpers/trigger-host.ts'
import { dayMs, minuteMs, secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import type { MqttMessage } from '../engine/ports.ts'
import { openOtaBundle } from '../pki/ota-bundle.ts'
import { createFieldChannel } from './field.ts'
import { createOtaHttpChannel, createOtaMqttChannel, triggerBundle, type OtaHttpOptions } from './ota.ts'

const signer = testOtaSigner()
const lifetimeMs = 14 * dayMs
const never = new AbortController().signal
const password = 'Bearer ota-password'

async function channelTo(url: string, options: Partial<OtaHttpOptions> = {}) {
  const host = testTriggerHost({ secrets: { ota: password }, signer })
  const given = { url: `${url}/{device}/bundle`, method: 'PUT', authorization: 'ota', ...options } as const
  return await createOtaHttpChannel({ lifetimeMs, timeoutMs: 20_000, insecureHttp: false, ...given }, host)
}

triggerConformance({
  name: 'ota over HTTP',
  without: ['unreachable'],
  async open() {
    const peer = await httpPeer()
    return {
      channel: await channelTo(peer.url),
      received: async () => peer.taken.map(({ body }) => body),
      breakPeer: () => peer.stop(),
      repairPeer: async () => {
        peer.answer = () => ({ status: 200 })
        await peer.start()
      },
      stallPeer: async () => {
        peer.answer = 'never'
      },
      secrets: [password],
      close: () => peer.stop(),
    }
  },
})

triggerConformance({
  name: 'ota over MQTT',
  without: ['stallPeer', 'unreachable'],
  async open() {
    const broker = fakeLink()
    const options = { link: broker.link, prefix: 'perennial/v1', lifetimeMs, parallel: 8 }
    return {
      channel: createOtaMqttChannel(options, testTriggerHost({ signer })),
      received: async () =>
        broker.messages.map(({ payload }) => String(payload)).filter((text) => text !== ''),
      breakPeer: async () => broker.setUp(false),
      repairPeer: async () => broker.setUp(true),
      standing: async (deviceId) => broker.retained.get(`perennial/v1/devices/${deviceId}/ota`) ?? null,
      close: async () => {},
    }
  },
})

test('puts a bundle that the device can check to the address of the device', async (t) => {
  const peer = await httpPeer()
  t.after(() => peer.stop())
  const channel = await channelTo(peer.url)
  const trigger = sampleTrigger({ deviceId: 'meter:1' as DeviceId })
  await channel.send(trigger, never)
  const [{ method, url, headers, body } = assert.fail('nothing arrived')] = peer.taken
  assert.deepEqual([method, url], ['PUT', '/meter%3A1/bundle'])
  assert.equal(headers.authorization, password)
  assert.equal(headers['idempotency-key'], trigger.idempotencyKey)
  const opened = openOtaBundle(body, {
    keys: [signer.spki],
    deviceId: trigger.deviceId,
    now: trigger.issuedAt,
    lastVersion: () => null,
  })
  assert.deepEqual(opened.bundle, triggerBundle(trigger, lifetimeMs))
})

test('a later attempt has a higher version, so that an earlier bundle is refused after it', () => {
  const first = sampleTrigger()
  const second = sampleTrigger({ issuedAt: first.issuedAt + secondMs })
  assert.ok(triggerBundle(second, lifetimeMs).version > triggerBundle(first, lifetimeMs).version)
})

test('is valid for its life, and a little before for clocks that are behind', () => {
  const { issuedAt } = sampleTrigger()
  const { notBefore, expiresAt } = triggerBundle(sampleTrigger(), lifetimeMs)
  assert.deepEqual([notBefore, expiresAt], [issuedAt - 5 * minuteMs, issuedAt + lifetimeMs])
})

test('refuses an address without the device, and plain http to another machine', async () => {
  assert.equal((await refusal(channelTo('', { url: 'https://ota.example' }))).code, 'configuration-invalid')
  assert.equal((await refusal(channelTo('http://ota.example'))).code, 'configuration-invalid')
  await channelTo('http://ota.example', { insecureHttp: true })
})

test('the field list takes every trigger and sends nothing', async () => {
  const channel = createFieldChannel()
  assert.deepEqual(await channel.send(sampleTrigger(), never), { reference: null })
  await channel.close()
})

/** The port that the engine gives to links, with a broker in memory behind it. */
function fakeLink() {
  const messages: MqttMessage[] = []
  const retained = new Map<string, string>()
  let isUp = true
  return {
    messages,
    retained,
    setUp: (up: boolean) => void (isUp = up),
    link: {
      isConnected: true,
      async publish(message: MqttMessage) {
        if (!isUp) throw new Refusal('trigger-failed', 'the broker is not there')
        messages.push(message)
        if (String(message.payload) === '') retained.delete(message.topic)
        else retained.set(message.topic, String(message.payload))
      },
      subscribe: async () => {},
      close: async () => {},
    },
  }
}

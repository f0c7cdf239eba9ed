import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import type { MqttClient } from 'mqtt'
import { enrolMessage, statusMessage } from '../../test/helpers/mqtt-device.ts'
import { ended, granted, Inbox, startMqttRig, topicOf, type MqttRig } from '../../test/helpers/mqtt-rig.ts'
import { renew } from '../../test/helpers/app.ts'
import type { DeviceId } from '../base/id.ts'
import { findLiveByHash } from '../engine/inventory/device-report.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'

suite('the embedded broker', () => {
  let rig: MqttRig
  before(async () => {
    rig = await startMqttRig()
  })
  after(() => rig.close())

  test('a device reads its own retained trigger, also when it comes long after', async () => {
    const device = await rig.enrol('early')
    const topic = topicOf('early', 'renew')
    await rig.broker.link.publish({ topic, payload: '{"renewal":1}', retain: true })
    const client = await rig.connect(device)
    const inbox = new Inbox(client)
    assert.equal(await granted(client, topic), 1)
    assert.deepEqual(await inbox.wait(1), [{ topic, text: '{"renewal":1}', retained: true }])
    await rig.broker.link.publish({ topic, payload: '{"renewal":2}', retain: true })
    assert.equal((await inbox.wait(2))[1]?.text, '{"renewal":2}')
    await rig.broker.link.publish({ topic, payload: '', retain: true })
    assert.equal((await inbox.wait(3))[2]?.text, '')
    const again = await rig.connect(device)
    const second = new Inbox(again)
    await granted(again, topic)
    await again.publishAsync(topicOf('early', 'twin/reported'), '{}', { qos: 1 })
    assert.deepEqual(second.messages, [])
  })

  test('a device renews, and hears of it on its own topics only', async () => {
    const device = await rig.enrol('renewing')
    const other = await rig.enrol('listening')
    const client = await rig.connect(device)
    const inbox = new Inbox(client)
    const elsewhere = new Inbox(await rig.connect(other))
    assert.equal(await granted(client, topicOf('renewing', 'csr/accepted')), 1)
    await client.publishAsync(topicOf('renewing', 'csr'), enrolMessage({ device }), { qos: 1 })
    const [answer] = await inbox.wait(1)
    const body = JSON.parse(answer?.text ?? '') as { clientToken: string; certificate: string }
    assert.equal(body.clientToken, 'token-1')
    assert.notEqual(Buffer.from(body.certificate, 'base64').compare(device.certificate), 0)
    assert.deepEqual(elsewhere.messages, [])
  })

  test('a connection with the new certificate confirms it', async () => {
    const device = await rig.enrol('confirming')
    const fresh = await renew(rig.engine, device)
    const client = await rig.connect(fresh)
    await client.publishAsync(
      topicOf('confirming', 'status'),
      statusMessage({ device: fresh, state: 'confirmed' }),
      { qos: 1 },
    )
    await flushSightings(rig.engine, rig.clock.now())
    const hash = createHash('sha256').update(fresh.certificate).digest('hex')
    const found = await findLiveByHash(rig.engine, 'confirming' as DeviceId, hash)
    assert.equal(found?.status, 'confirmed')
  })

  test('what is refused is answered on the rejected topic', async () => {
    const device = await rig.enrol('refused')
    const client = await rig.connect(device)
    const inbox = new Inbox(client)
    await granted(client, topicOf('refused', 'csr/rejected'))
    await client.publishAsync(topicOf('refused', 'csr'), 'no JSON', { qos: 1 })
    const [answer] = await inbox.wait(1)
    assert.deepEqual(JSON.parse(answer?.text ?? ''), {
      v: 1,
      clientToken: null,
      code: 'malformed',
      message: 'the message is no JSON in UTF-8',
    })
  })

  test('a device sees nothing but its own subtree', async () => {
    const client = await rig.connect(await rig.enrol('curious'))
    await rig.enrol('victim')
    for (const filter of [
      '#',
      '+/+/+/+/renew',
      topicOf('victim', 'renew'),
      'perennial/v1/devices/+/renew',
      '$SYS/#',
      `$share/g/${topicOf('curious', 'renew')}`,
    ]) {
      assert.equal(await granted(client, filter), 128, filter)
    }
    assert.equal(await granted(client, 'perennial/v1/devices/curious/#'), 1)
    const inbox = new Inbox(client)
    await rig.broker.link.publish({ topic: topicOf('victim', 'renew'), payload: 'secret', retain: true })
    await rig.broker.link.publish({ topic: topicOf('curious', 'renew'), payload: 'mine', retain: false })
    assert.deepEqual(
      (await inbox.wait(1)).map(({ text }) => text),
      ['mine'],
    )
  })

  for (const topic of [
    topicOf('victim-2', 'csr'),
    topicOf('intruder', 'renew'),
    topicOf('intruder', 'csr/accepted'),
    topicOf('intruder', 'twin/desired'),
    '$SYS/x/new/clients',
    'elsewhere',
    'a/'.repeat(150),
  ]) {
    test(`publishing on ${topic.slice(0, 60)} ends the connection`, async () => {
      const device = await rig.enrol(
        `intruder-${createHash('sha256').update(topic).digest('hex').slice(0, 8)}`,
      )
      const client = await rig.connect(device)
      client.publish(topic, 'x', { qos: 0 })
      await ended(client)
    })
  }

  test('a device leaves nothing retained behind', async () => {
    const device = await rig.enrol('littering')
    const client = await rig.connect(device)
    await client.publishAsync(topicOf('littering', 'status'), 'garbage', { qos: 1, retain: true })
    const inbox = new Inbox(client)
    await granted(client, 'perennial/v1/devices/littering/#')
    await rig.broker.link.publish({ topic: topicOf('littering', 'hint'), payload: 'end', retain: false })
    assert.deepEqual(
      (await inbox.wait(1)).map(({ text }) => text),
      ['end'],
    )
  })

  test('a last will is not published, and no session outlives its connection', async () => {
    const device = await rig.enrol('dying')
    const will = {
      topic: topicOf('dying', 'renew'),
      payload: Buffer.from('from the grave'),
      qos: 1 as const,
      retain: true,
    }
    const client = await rig.connect(device, { will, clean: false, clientId: 'same' })
    await granted(client, 'perennial/v1/devices/dying/#')
    client.stream.destroy()
    await ended(client)
    const again = await rig.connect(device, { clean: false, clientId: 'same' })
    const inbox = new Inbox(again)
    await granted(again, 'perennial/v1/devices/dying/#')
    await rig.broker.link.publish({ topic: topicOf('dying', 'hint'), payload: 'end', retain: false })
    assert.deepEqual(
      (await inbox.wait(1)).map(({ text }) => text),
      ['end'],
    )
  })

  test('one session for a client id, and nobody takes over that of another device', async () => {
    const one = await rig.connect(await rig.enrol('name-1'), { clientId: 'shared' })
    const two = await rig.connect(await rig.enrol('name-2'), { clientId: 'shared' })
    await one.publishAsync(topicOf('name-1', 'status'), '{}', { qos: 1 })
    await two.publishAsync(topicOf('name-2', 'status'), '{}', { qos: 1 })
    const first = await rig.enrol('name-3')
    const old = await rig.connect(first, { clientId: 'shared' })
    const gone = ended(old)
    await rig.connect(first, { clientId: 'shared' })
    await gone
    assert.equal(one.connected, true)
  })

  test('a device has four connections at most; the oldest gives way', async () => {
    const device = await rig.enrol('many')
    const clients: MqttClient[] = []
    for (let n = 0; n < 4; n++) clients.push(await rig.connect(device, { clientId: `c${n}` }))
    const gone = ended(clients[0] as MqttClient)
    await rig.connect(device, { clientId: 'c4' })
    await gone
    assert.equal(clients[1]?.connected, true)
  })
})

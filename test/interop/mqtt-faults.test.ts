/** Brokers that go away while triggers are published, and Mosquitto's clients as devices of the embedded broker. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { everyDevice } from '../../src/base/mqtt-topics.ts'
import { Refusal } from '../../src/base/errors.ts'
import { createMqttTrigger } from '../../src/triggers/mqtt.ts'
import { sampleTrigger } from '../conformance/trigger.ts'
import { startEstRig } from '../helpers/est-rig.ts'
import {
  clientArguments,
  connected,
  platformLink,
  publish,
  startMosquitto,
  subscribe,
} from '../helpers/mosquitto.ts'
import { rigPrefix, startMqttRig, topicOf } from '../helpers/mqtt-rig.ts'
import { missing } from '../helpers/require.ts'

const skip = missing('mosquitto', 'mosquitto_pub', 'mosquitto_sub')
const never = new AbortController().signal

suite('MQTT under faults', { skip }, () => {
  test('Mosquitto restarts while 2,000 triggers are published: each is there in the end, and none was taken for sent', async (t) => {
    const rig = await startEstRig()
    t.after(() => rig.close())
    const broker = await startMosquitto(rig, await rig.newIdentity(), ['max_queued_messages 100000'])
    t.after(() => broker.close())
    const link = await platformLink(rig, broker.port, { maxInFlight: 50 })
    t.after(() => link.close())
    const channel = createMqttTrigger({ link, prefix: rigPrefix, parallel: 100 })
    const count = { failures: 0, sent: 0 }
    const send = async (n: number) => {
      // as the tasks do it: again after a failure
      for (let attempt = 0; attempt < 200; attempt++) {
        try {
          await channel.send(sampleTrigger({ renewalId: n, deviceId: `meter-${n}` as DeviceId }), never)
          count.sent++
          return
        } catch (error) {
          assert.ok(error instanceof Refusal && error.code === 'trigger-failed')
          count.failures++
          await systemClock.sleep(100)
        }
      }
    }
    let next = 0
    const workers = Array.from({ length: 100 }, async () => {
      while (next < 2_000) await send(next++)
    })
    while (count.sent < 500) await systemClock.sleep(5)
    await broker.stop()
    await systemClock.sleep(300)
    await broker.start()
    await Promise.all(workers)
    assert.equal(count.sent, 2_000)
    assert.ok(count.failures > 0, 'the outage was felt')
    const standing = new Set<string>()
    await connected(link)
    await link.subscribe(everyDevice(rigPrefix, 'renew'), async ({ topic }) => void standing.add(topic))
    for (let left = 200; left > 0 && standing.size < 2_000; left--) await systemClock.sleep(25)
    assert.equal(standing.size, 2_000)
  })

  test('mosquitto_sub and mosquitto_pub reach their own topics at the embedded broker, and no others', async (t) => {
    const rig = await startMqttRig()
    t.after(() => rig.close())
    const one = clientArguments(rig, rig.port, await rig.enrol('one'))
    const two = clientArguments(rig, rig.port, await rig.enrol('two'))
    for (const id of ['one', 'two']) {
      await rig.broker.link.publish({ topic: topicOf(id, 'renew'), payload: `for ${id}`, retain: true })
    }
    const filters = ['#', `${rigPrefix}/devices/+/renew`, topicOf('two', 'renew'), topicOf('one', 'renew')]
    const seen = await subscribe(one, filters, { count: 3, seconds: 2 })
    assert.deepEqual(seen, [`${topicOf('one', 'renew')} for one`])
    for (const topic of [topicOf('two', 'renew'), topicOf('two', 'csr'), topicOf('one', 'renew')]) {
      const { exitCode } = await publish([...one, '-r'], topic, 'forged')
      assert.notEqual(exitCode, 0, topic)
    }
    assert.equal((await publish(one, topicOf('one', 'status'), 'x')).exitCode, 0)
    const kept = await subscribe(two, [`${rigPrefix}/devices/two/#`], { count: 2, seconds: 2 })
    assert.deepEqual(kept, [`${topicOf('two', 'renew')} for two`])
  })
})

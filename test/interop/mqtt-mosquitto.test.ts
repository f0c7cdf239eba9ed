/** Mosquitto as the broker, and its clients as devices, with the access rules that `perennial broker acl` prints. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { hourMs, systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { deviceLeaves, everyDevice, sharedFilter } from '../../src/base/mqtt-topics.ts'
import { createMqttTrigger } from '../../src/triggers/mqtt.ts'
import { MqttService } from '../../src/protocols/mqtt-service.ts'
import type { MqttClientLink } from '../../src/protocols/mqtt-client.ts'
import { takeMessage } from '../../src/serve/mqtt-role.ts'
import { MosquittoContacts } from '../../src/engine/renewals/mosquitto-contacts.ts'
import { findLiveByHash } from '../../src/engine/inventory/device-report.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { sha256Hex } from '../../src/base/bytes.ts'
import { sampleTrigger } from '../conformance/trigger.ts'
import { enrolDevice, renew, type Enrolled } from '../helpers/app.ts'
import { startEstRig, type EstRig } from '../helpers/est-rig.ts'
import {
  clientArguments,
  connected,
  platformLink,
  publish,
  startMosquitto,
  subscribe,
  type Mosquitto,
} from '../helpers/mosquitto.ts'
import { enrolMessage, statusMessage } from '../helpers/mqtt-device.ts'
import { rigPrefix, topicOf } from '../helpers/mqtt-rig.ts'
import { missing } from '../helpers/require.ts'

const skip = missing('mosquitto', 'mosquitto_pub', 'mosquitto_sub')
const never = new AbortController().signal

suite('Mosquitto', { skip }, () => {
  let rig: EstRig
  let broker: Mosquitto
  let link: MqttClientLink
  const results: string[] = []
  const as = (device: Enrolled) => clientArguments(rig, broker.port, device)

  before(async () => {
    rig = await startEstRig()
    broker = await startMosquitto(rig, await rig.newIdentity())
    link = await platformLink(rig, broker.port)
    const service = new MqttService({
      engine: rig.engine,
      link,
      prefix: rigPrefix,
      maxMessageBytes: 65_536,
      maxConcurrent: 10,
      overloadRetryAfterMs: 1_000,
      answered: (operation, result) => void results.push(`${operation} ${result}`),
    })
    for (const leaf of deviceLeaves) {
      const filter = sharedFilter('perennial', everyDevice(rigPrefix, leaf))
      await link.subscribe(filter, (message) => takeMessage(service, rigPrefix, message))
    }
  })
  after(async () => {
    await link.close()
    await broker.close()
    await rig.close()
  })

  test('a sleeping device finds its trigger when it wakes, and after a restart of the broker', async () => {
    const device = await enrolDevice(rig.engine, 'sleeper', { profile: 'open' })
    const channel = createMqttTrigger({ link, prefix: rigPrefix, parallel: 10 })
    await channel.send(sampleTrigger({ deviceId: 'sleeper' as DeviceId, renewalId: 7 }), never)
    await channel.send(sampleTrigger({ deviceId: 'sleeper' as DeviceId, renewalId: 7 }), never)
    const topic = topicOf('sleeper', 'renew')
    assert.match((await subscribe(as(device), [topic], { count: 1 }))[0] ?? '', /"renewal":7,/)
    await broker.stop()
    await assert.rejects(channel.send(sampleTrigger({ deviceId: 'sleeper' as DeviceId }), never), {
      code: 'trigger-failed',
    })
    await broker.start()
    assert.match((await subscribe(as(device), [topic], { count: 1 }))[0] ?? '', /"renewal":7,/)
    await connected(link)
    await channel.retract?.('sleeper' as DeviceId, never)
    assert.deepEqual(await subscribe(as(device), [topic], { count: 1, seconds: 1 }), [])
  })

  test('a device reads and writes nothing of another', async () => {
    const thief = await enrolDevice(rig.engine, 'thief', { profile: 'open' })
    const victim = await enrolDevice(rig.engine, 'victim', { profile: 'open' })
    await link.publish({ topic: topicOf('victim', 'renew'), payload: 'for the victim', retain: true })
    await link.publish({ topic: topicOf('thief', 'renew'), payload: 'for the thief', retain: true })
    const seen = await subscribe(as(thief), ['#', topicOf('victim', 'renew'), '$SYS/broker/version'], {
      count: 5,
      seconds: 2,
    })
    assert.deepEqual([...new Set(seen)], [`${topicOf('thief', 'renew')} for the thief`])
    for (const leaf of ['renew', 'csr/accepted', 'hint', 'csr'] as const) {
      await publish([...as(thief), '-r'], topicOf('victim', leaf), 'forged')
    }
    await publish([...as(thief), '-r'], topicOf('thief', 'renew'), 'forged')
    const kept = await subscribe(as(victim), [`${rigPrefix}/devices/victim/#`], { count: 3, seconds: 2 })
    assert.deepEqual(kept, [`${topicOf('victim', 'renew')} for the victim`])
    const own = await subscribe(as(thief), [topicOf('thief', 'renew')], { count: 1 })
    assert.deepEqual(own, [`${topicOf('thief', 'renew')} for the thief`])
  })

  test('a device renews through it: signed request, answer, report of use', async () => {
    const device = await enrolDevice(rig.engine, 'renewing', { profile: 'open' })
    const listening = subscribe(as(device), [`${rigPrefix}/devices/renewing/#`], { count: 1 })
    await subscribed('renewing')
    await publish(as(device), topicOf('renewing', 'csr'), enrolMessage({ device, signed: true }))
    const [answer = ''] = await listening
    assert.match(answer, /csr\/accepted \{/)
    const fresh = await renew(rig.engine, device)
    await publish(as(fresh), topicOf('renewing', 'status'), statusMessage({ device: fresh, state: 'stored' }))
    await publish(
      as(fresh),
      topicOf('renewing', 'status'),
      statusMessage({ device: fresh, state: 'confirmed', signer: fresh }),
    )
    await resultIs('status confirmed')
    await flushSightings(rig.engine, rig.clock.now())
    const found = await findLiveByHash(rig.engine, 'renewing' as DeviceId, sha256Hex(fresh.certificate))
    assert.equal(found?.status, 'confirmed')
  })

  test('a message that comes twice and 72 hours late gets the same certificate', async () => {
    const device = await enrolDevice(rig.engine, 'late', { profile: 'open' })
    const payload = enrolMessage({ device, signed: true })
    const ask = async () => {
      const listening = subscribe(as(device), [topicOf('late', 'csr/accepted')], { count: 1 })
      await subscribed('late')
      await publish(as(device), topicOf('late', 'csr'), payload)
      const [answer = ''] = await listening
      return (JSON.parse(answer.slice(answer.indexOf('{'))) as { certificate: string }).certificate
    }
    const first = await ask()
    assert.equal(await ask(), first)
    rig.clock.shift(72 * hourMs)
    assert.equal(await ask(), first)
    rig.clock.shift(-72 * hourMs)
  })

  test('retained garbage, and a request in the name of another, are no requests', async () => {
    const device = await enrolDevice(rig.engine, 'noisy', { profile: 'open' })
    results.length = 0
    await publish([...as(device), '-r'], topicOf('noisy', 'csr'), 'garbage')
    await resultIs('enroll malformed')
    results.length = 0
    await broker.stop()
    await broker.start()
    await connected(link)
    const other = await enrolDevice(rig.engine, 'other', { profile: 'open' })
    await publish(
      as(device),
      topicOf('noisy', 'csr'),
      enrolMessage({ device: other, deviceId: 'noisy', signed: true }),
    )
    await resultIs('enroll unauthenticated')
    assert.deepEqual(results, ['enroll unauthenticated'], 'what was retained was not taken again')
  })

  test('its log tells who was there', async () => {
    const device = await enrolDevice(rig.engine, 'logged', { profile: 'open' })
    await publish(as(device), topicOf('logged', 'status'), 'x')
    const contacts = new MosquittoContacts(rig.engine)
    const taken: string[] = []
    for (const line of broker.log().split('\n')) if (await contacts.take(line)) taken.push(line)
    assert.ok(taken.some((line) => line.includes("u'logged'")))
    assert.ok(taken.length >= 5)
  })

  /** mosquitto_sub does not say when it has subscribed; the broker's log does. */
  async function subscribed(id: string): Promise<void> {
    const known = count(broker.log(), id)
    for (let left = 1_000; left > 0; left--) {
      if (count(broker.log(), id) > known) return
      await pause()
    }
    throw new Error(`${id} has not subscribed`)
  }

  function count(log: string, id: string): number {
    // the lines that follow `Received SUBSCRIBE`
    return log.split('\n').filter((line) => line.includes(`/devices/${id}/`) && line.endsWith('(QoS 1)'))
      .length
  }

  async function resultIs(wanted: string): Promise<void> {
    for (let left = 1_000; left > 0 && !results.includes(wanted); left--) await pause()
    assert.ok(results.includes(wanted), `${results.join(', ')} has no ${wanted}`)
  }
})

const pause = () => systemClock.sleep(25)

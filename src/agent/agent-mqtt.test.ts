import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { deviceId, MqttRig, topic } from '../../test/helpers/agent-mqtt-rig.ts'
import { work } from '../../test/helpers/agent-rig.ts'
import { makeCertificate } from '../../test/helpers/certificates.ts'
import { MemoryBroker } from '../../test/helpers/memory-broker.ts'
import { dayMs, hourMs, minuteMs, nextTurn, VirtualClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import { generateKeyPair } from '../pki/key.ts'
import { encodePem } from '../pki/pem.ts'
import { MqttTransport } from './mqtt-transport.ts'

/** The loop, until so much time has passed; `onWake` may do something at each instant. */
async function runFor(
  rig: MqttRig,
  ms: number,
  onWake: () => Promise<void> = async () => undefined,
): Promise<void> {
  rig.clock.endAt = rig.clock.at + ms
  rig.clock.stop = new AbortController()
  rig.clock.onWake = onWake
  await (await rig.boot()).run(rig.clock.stop.signal)
  rig.clock.onWake = null
}

suite('over MQTT', () => {
  test('renews, reports what is stored and then that it is in use, each signed by its key', async () => {
    const rig = await new MqttRig().enrolled()
    await rig.toRenewal()
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 2)
    assert.equal(rig.requests, 1)
    assert.ok(!rig.server.asked.slice(2).includes('cacerts by nobody'), 'the chain came with the answer')
    const [first, second] = rig.server.issued.map(({ spkiHash }) => spkiHash)
    assert.ok(first && second)
    const said = rig.reports.map(({ state, certificate }) => {
      const index = rig.server.issued.findIndex((each) => rig.server.find(certificate) === each.certificate)
      return `${state} ${index}`
    })
    assert.deepEqual([...new Set(said)], ['confirmed 0', 'stored 1', 'confirmed 1'])
    await rig.activeSerial()
  })

  test('a retained trigger is found at the first contact and renews once, however often it is delivered', async () => {
    const rig = await new MqttRig().enrolled()
    rig.server.renewBeforeMs = 90 * dayMs
    const serial = await rig.activeSerial()
    await rig.broker.publish(topic('renew'), rig.trigger(serial, { endMs: hourMs }), { retain: true })
    // it sleeps for three days, longer than the window
    rig.clock.at += 72 * hourMs
    let deliveries = 0
    await runFor(rig, dayMs, async () => {
      deliveries += 3
      await rig.broker.publish(topic('renew'), rig.trigger(serial), { times: 3 })
    })
    assert.ok(deliveries > 20)
    assert.equal(rig.server.issued.length, 2)
    assert.notEqual(await rig.activeSerial(), serial)
  })

  test('garbage, other certificates and triggers that come late or out of order do no harm', async () => {
    const rig = await new MqttRig().enrolled()
    rig.server.renewBeforeMs = 90 * dayMs
    const serial = await rig.activeSerial()
    const late = rig.trigger(serial, { startMs: 20 * dayMs, endMs: 21 * dayMs, issuedMs: -dayMs })
    const newest = rig.trigger(serial, { startMs: 10 * dayMs, endMs: 11 * dayMs })
    const forAnother = rig.trigger('abcdef')
    for (const payload of ['{', '', 'null', forAnother]) {
      rig.broker.retained.set(topic('renew'), Buffer.from(payload))
      rig.broker.retained.set(topic('hint'), Buffer.from(payload))
      rig.broker.retained.set(topic('ota'), Buffer.from(payload))
      await runFor(rig, dayMs)
    }
    assert.equal(rig.server.issued.length, 1)
    const start = rig.clock.at
    await runFor(rig, 2 * dayMs, async () => {
      await rig.broker.publish(topic('renew'), newest, { times: 2 })
      await rig.broker.publish(topic('renew'), late)
    })
    assert.equal(rig.server.issued.length, 1)
    await runFor(rig, 12 * dayMs)
    assert.equal(rig.server.issued.length, 2)
    const renewedAt = rig.server.issued[1]?.certificate.notBefore ?? 0
    assert.ok(renewedAt - start < 10 * dayMs, 'the newest one counts')
  })

  test('asked for a certificate that it has replaced, it says again which one it uses, and not too often', async () => {
    const rig = await new MqttRig().enrolled()
    const replaced = await rig.activeSerial()
    await rig.toRenewal()
    await work(rig, await rig.boot())
    const before = rig.reports.length
    await runFor(rig, minuteMs, async () => {
      await rig.broker.publish(topic('renew'), rig.trigger(replaced), { times: 5 })
      for (let turn = 0; turn < 20; turn++) await nextTurn()
    })
    const again = rig.reports.slice(before).filter(({ state }) => state === 'confirmed')
    // one when it connects, and then at most one in ten seconds
    assert.ok(again.length >= 2 && again.length <= 8, `${again.length} reports`)
    for (const { certificate } of again) {
      assert.equal(rig.server.find(certificate), rig.server.issued[1]?.certificate)
    }
    assert.equal(rig.server.issued.length, 2)
  })

  test('a trigger that was taken back before its time does not renew', async () => {
    const rig = await new MqttRig().enrolled()
    rig.server.renewBeforeMs = 90 * dayMs
    const serial = await rig.activeSerial()
    const wish = rig.trigger(serial, { startMs: 2 * dayMs, endMs: 3 * dayMs })
    await rig.broker.publish(topic('renew'), wish, { retain: true })
    let hours = 0
    await runFor(rig, 10 * dayMs, async () => {
      if (++hours === 20) await rig.broker.publish(topic('renew'), '', { retain: true })
    })
    assert.equal(rig.server.issued.length, 1)
    assert.equal((await (await rig.boot()).state()).inbox.trigger, null)
  })

  test('forged triggers for each new certificate renew at most once an hour', async () => {
    const rig = await new MqttRig().enrolled()
    rig.server.renewBeforeMs = 90 * dayMs
    await runFor(rig, 6 * hourMs, async () => {
      const { certificate } = rig.server.issued.at(-1) ?? {}
      if (certificate) await rig.broker.publish(topic('renew'), rig.trigger(certificate.serialNumber))
    })
    assert.ok(rig.server.issued.length <= 1 + 7, `${rig.server.issued.length} certificates in six hours`)
    await rig.activeSerial()
  })

  test('a message that cannot be written down is not acknowledged, and comes again', async () => {
    const rig = await new MqttRig().enrolled()
    const serial = await rig.activeSerial()
    let isFull = true
    const agent = await rig.boot('secret-1', async (path, data, mode) => {
      if (isFull && path.endsWith('inbox.json'))
        throw Object.assign(new Error('ENOSPC'), { syscall: 'write' })
      await rig.write(path, data, mode)
    })
    const wish = rig.trigger(serial, { startMs: 20 * dayMs, endMs: 20 * dayMs })
    rig.clock.endAt = rig.clock.at + dayMs
    let pendingWhileFull = 0
    rig.clock.onWake = async () => {
      if (isFull) {
        await rig.broker.publish(topic('renew'), wish).catch(() => undefined)
        pendingWhileFull = rig.broker.pending('device-1')
      }
      isFull = rig.clock.at < rig.clock.endAt - dayMs / 2
    }
    await agent.run(rig.clock.stop.signal)
    assert.ok(pendingWhileFull > 0)
    assert.equal((await agent.state()).inbox.trigger?.serialNumber, serial)
  })

  test('a broker that is away is no obstacle: it goes over EST, and the server hears of it later', async () => {
    const rig = await new MqttRig().enrolled()
    await rig.toRenewal()
    rig.broker.judge = () => new Refusal('server-unreachable', 'no route')
    assert.equal((await (await rig.boot()).settle('keep')).isActivated, true)
    assert.deepEqual([rig.server.issued.length, rig.requests], [2, 0])
    rig.broker.judge = null
    await runFor(rig, hourMs)
    const { state, certificate } = rig.reports.at(-1) ?? { state: '', certificate: '' }
    assert.deepEqual([state, rig.server.find(certificate)], ['confirmed', rig.server.issued[1]?.certificate])
    await rig.activeSerial()
  })

  test('connecting is tried again and again, with pauses that grow and differ from device to device', async () => {
    const tries = await Promise.all(
      ['one', 'two'].map(async (seed) => {
        const clock = new VirtualClock(0)
        const broker = new MemoryBroker()
        const at: number[] = []
        broker.judge = () => {
          at.push(clock.now())
          return new Refusal('server-unreachable', 'no route')
        }
        const random = seededRandom(seed)
        const transport = new MqttTransport({ connector: broker, deviceId, topicPrefix: 'p', clock, random })
        const { certificate } = makeCertificate()
        const identity = {
          chainPem: encodePem('CERTIFICATE', certificate.der),
          key: generateKeyPair('ec-p256').privateKey,
        }
        const stop = new AbortController()
        transport.listen({ kind: 'certificate', identity, sign: async () => new Uint8Array() }, stop.signal)
        for (let minute = 0; minute < 24 * 60; minute++) {
          await clock.advance(minuteMs)
          await nextTurn()
        }
        stop.abort()
        await transport.close()
        return at
      }),
    )
    for (const at of tries) assert.ok(at.length > 100 && at.length < 1_500, `${at.length} in a day`)
    assert.notDeepEqual(tries[0], tries[1])
  })

  test('a broker that does not let the new certificate in keeps the old one in use', async () => {
    const rig = await new MqttRig().enrolled()
    const serial = await rig.activeSerial()
    await rig.toRenewal()
    const first = rig.server.issued[0]
    rig.broker.judge = (fingerprint) =>
      rig.server.find(fingerprint) === first?.certificate
        ? null
        : new Refusal('server-refused', 'not authorized')
    const { step, outcome } = await (await rig.boot()).settle('keep')
    assert.deepEqual([step.kind, outcome], ['try', 'refused'])
    assert.equal(await rig.activeSerial(), serial)
    assert.equal(rig.reports.at(-1)?.state, 'failed')
    rig.broker.judge = null
    rig.clock.at += dayMs
    await work(rig, await rig.boot())
    assert.notEqual(await rig.activeSerial(), serial)
  })

  test('answers to nobody, and garbage in place of an answer, are passed over', async () => {
    const rig = await new MqttRig().enrolled()
    await rig.toRenewal()
    const agent = await rig.boot()
    for (const body of [{}, { clientToken: 'x' }, { clientToken: 1, certificate: 'AA==' }]) {
      await rig.broker.publish(topic('csr/accepted'), JSON.stringify(body))
      await rig.broker.publish(topic('csr/rejected'), JSON.stringify(body))
    }
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('too early over MQTT is a wait as long as the server says', async () => {
    const rig = await new MqttRig({ renewBeforeMs: 10 * dayMs }).enrolled()
    await rig.toRenewal()
    const { outcome, retryAt, detail } = await (await rig.boot()).settle('keep')
    assert.equal(outcome, 'waiting')
    assert.match(detail, /too-early/)
    const opensAt = (rig.server.issued[0]?.certificate.notAfter ?? 0) - 10 * dayMs
    assert.ok(retryAt !== null && retryAt >= opensAt - minuteMs)
  })

  test('any broken connection is opened again, and what came in between is not lost', async () => {
    const rig = await new MqttRig().enrolled()
    rig.server.renewBeforeMs = 90 * dayMs
    const serial = await rig.activeSerial()
    let wakes = 0
    await runFor(rig, 2 * dayMs, async () => {
      wakes++
      if (wakes % 2 === 0) rig.broker.cut()
      if (wakes === 9) await rig.broker.publish(topic('renew'), rig.trigger(serial))
    })
    assert.equal(rig.server.issued.length, 2)
  })
})

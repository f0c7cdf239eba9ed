import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { after, before, suite, test } from 'node:test'
import { enrolMessage } from '../../test/helpers/mqtt-device.ts'
import { ended, granted, Inbox, startMqttRig, topicOf, type MqttRig } from '../../test/helpers/mqtt-rig.ts'
import { pemOfKey } from '../../test/helpers/est-rig.ts'
import { createCa, createKey } from '../../test/helpers/ca.ts'
import { dayMs, minuteMs } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { encodePem } from '../pki/pem.ts'
import { setDeviceState } from '../store/devices.ts'
import { setStatus } from '../store/certificates.ts'

suite('who is let in', () => {
  let rig: MqttRig
  before(async () => {
    rig = await startMqttRig()
  })
  after(() => rig.close())

  test('nobody without a certificate', async () => {
    await assert.rejects(rig.connect(null), /Not authorized/)
  })

  test('nobody with a certificate of his own making', async () => {
    const device = await rig.enrol('forged')
    const key = createKey()
    const credential = createCa('CN=forged', rig.clock.now())
    await assert.rejects(
      rig.connect({ certificate: credential.der, key: { ...key, privateKey: credential.privateKey } }),
      /Not authorized/,
    )
    assert.ok(await rig.connect(device))
  })

  test('no revoked certificate; and a session is ended when its certificate is revoked', async () => {
    const device = await rig.enrol('revoked')
    const client = await rig.connect(device)
    await rig.engine.store.transaction(async (tx) => {
      const change = { status: 'revoked', reason: 'keyCompromise', revokedAt: rig.clock.now() } as const
      assert.ok(await setStatus(tx, device.record.id, change))
    })
    rig.clock.shift(2 * minuteMs)
    const gone = ended(client)
    await rig.broker.recheck(rig.clock.now())
    await gone
    await assert.rejects(rig.connect(device), /Not authorized/)
  })

  test('no device in quarantine: its session is over at its next message', async () => {
    const device = await rig.enrol('suspect')
    const client = await rig.connect(device)
    await rig.engine.store.transaction((tx) => setDeviceState(tx, 'suspect' as DeviceId, 'quarantined'))
    rig.clock.shift(1_500)
    client.publish(topicOf('suspect', 'status'), '{}', { qos: 1 })
    await ended(client)
    await assert.rejects(rig.connect(device), /Not authorized/)
  })

  test('no expired certificate, and no message to a session whose certificate has expired', async () => {
    const device = await rig.enrol('late')
    const client = await rig.connect(device)
    const inbox = new Inbox(client)
    await granted(client, topicOf('late', 'renew'))
    rig.clock.shift(31 * dayMs)
    await rig.broker.link.publish({ topic: topicOf('late', 'renew'), payload: 'too late', retain: false })
    const gone = ended(client)
    await rig.broker.recheck(rig.clock.now())
    await gone
    assert.deepEqual(inbox.messages, [])
    await assert.rejects(rig.connect(device), /Not authorized/)
  })

  test('no client of MQTT 5 yet, and it is told so', async () => {
    await assert.rejects(
      rig.connect(await rig.enrol('modern'), { protocolVersion: 5 }),
      /protocol version|Unacceptable/i,
    )
  })
})

suite('hostile bytes', () => {
  let rig: MqttRig
  before(async () => {
    rig = await startMqttRig({ broker: { maxMessageBytes: 4_096 } })
  })
  after(() => rig.close())

  const connectPacket = Buffer.from('101000044d5154540402003c000461626364', 'hex')
  for (const [what, bytes] of [
    ['nothing that is MQTT', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a packet that announces 256 MB', Buffer.from('30ffffff7f', 'hex')],
    ['a publish before CONNECT', Buffer.from('300500016178', 'hex')],
    ['CONNECT twice', Buffer.concat([connectPacket, connectPacket])],
    ['a reserved packet type', Buffer.concat([connectPacket, Buffer.from('f000', 'hex')])],
    [
      'a subscription to nothing',
      Buffer.concat([connectPacket, Buffer.from('820500010000 01'.replace(' ', ''), 'hex')]),
    ],
    [
      'a message of 9 kB where 8 are the most',
      Buffer.concat([connectPacket, Buffer.from('30a846', 'hex'), Buffer.alloc(9_000)]),
    ],
  ] as const) {
    test(`${what} ends the connection and nothing else`, async () => {
      const device = await rig.enrol(`hostile-${createHash('sha256').update(what).digest('hex').slice(0, 8)}`)
      const socket = connectTls({
        port: rig.port,
        host: 'localhost',
        ca: rig.rootPem,
        cert: encodePem('CERTIFICATE', device.certificate) + rig.issuingPem,
        key: pemOfKey(device.key.privateKey),
      })
      socket.on('error', () => undefined)
      await once(socket, 'secureConnect')
      socket.write(bytes)
      socket.resume()
      await once(socket, 'close')
      const client = await rig.connect(device)
      await client.publishAsync(topicOf(device.record.deviceId as string, 'status'), '{}', { qos: 1 })
    })
  }
})

test('an answer too many is overloaded, and says when to come back', async () => {
  const rig = await startMqttRig({ broker: { maxConcurrent: 0 } })
  try {
    const device = await rig.enrol('crowd')
    const client = await rig.connect(device)
    const inbox = new Inbox(client)
    await granted(client, topicOf('crowd', 'csr/rejected'))
    await client.publishAsync(topicOf('crowd', 'csr'), enrolMessage({ device }), { qos: 1 })
    const [answer] = await inbox.wait(1)
    const body = JSON.parse(answer?.text ?? '') as { code: string; retryAfterSeconds: number }
    assert.equal(body.code, 'overloaded')
    assert.ok(body.retryAfterSeconds >= 7 && body.retryAfterSeconds <= 53)
  } finally {
    await rig.close()
  }
})

test('closing ends every connection, and a closed link publishes nothing', async () => {
  const rig = await startMqttRig()
  try {
    const client = await rig.connect(await rig.enrol('closing'))
    const gone = ended(client)
    await Promise.all([rig.broker.close(), rig.broker.close()])
    await gone
    await assert.rejects(
      rig.broker.link.publish({ topic: topicOf('closing', 'renew'), payload: 'x', retain: true }),
      { code: 'trigger-failed' },
    )
  } finally {
    await rig.close()
  }
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { after, before, suite, test } from 'node:test'
import { ended, startMqttRig, topicOf, type MqttRig } from '../../test/helpers/mqtt-rig.ts'
import { issuingId, testActor, type Enrolled } from '../../test/helpers/app.ts'
import { pemOfKey } from '../../test/helpers/est-rig.ts'
import type { DeviceId } from '../base/id.ts'
import { openCase, openCaseOf } from '../engine/cases/case.ts'
import { closeCase } from '../engine/cases/verdict.ts'
import { revokeIssuer } from '../engine/revocation/revoke-issuer.ts'
import { revokeCertificate, revokeDevice } from '../engine/revocation/revoke.ts'
import { CutWatcher } from '../engine/sessions/watch.ts'
import { encodePem } from '../pki/pem.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const

suite('sessions are cut when a decision was made, in whatever process', () => {
  let rig: MqttRig
  let watcher: CutWatcher
  before(async () => {
    rig = await startMqttRig()
    watcher = new CutWatcher(rig.engine, 'broker test')
    await pass()
  })
  after(() => rig.close())

  const pass = async () => await watcher.pass(rig.clock.now(), (cut) => rig.broker.cut(cut, rig.clock.now()))

  for (const [what, decide] of [
    ['a device is revoked', (id: string) => revokeDevice(rig.engine, id as DeviceId, theft)],
    [
      'a case is opened',
      (id: string) => openCase(rig.engine, { deviceId: id as DeviceId, actor: testActor }),
    ],
    [
      'its certificate is revoked',
      (_id: string, { record }: Enrolled) => revokeCertificate(rig.engine, record, theft),
    ],
  ] as const) {
    test(`at once when ${what}; others stay`, async () => {
      const id = what.replaceAll(' ', '-')
      const [device, other] = [await rig.enrol(id), await rig.enrol(`other-${id}`)]
      const [session, another] = [await rig.connect(device), await rig.connect(other)]
      const gone = ended(session)
      // nothing is published and no time passes: nobody but the watcher looks
      await decide(id, device)
      await pass()
      await gone
      await assert.rejects(rig.connect(device), /Not authorized/)
      await another.publishAsync(topicOf(`other-${id}`, 'status'), '{}', { qos: 1 })
      assert.equal(rig.broker.connected(), 1)
      another.end(true)
      await ended(another)
    })
  }

  test('a device that was cleared comes back with what it had', async () => {
    const device = await rig.enrol('cleared')
    const { id } = await openCase(rig.engine, { deviceId: 'cleared' as DeviceId, actor: testActor })
    await pass()
    await assert.rejects(rig.connect(device), /Not authorized/)
    await closeCase(rig.engine, { id, verdict: 'cleared', actor: testActor })
    await pass()
    const session = await rig.connect(device)
    session.end(true)
    await assert.rejects(openCaseOf(rig.engine, 'cleared' as DeviceId), { code: 'not-found' })
  })

  test('a resumed TLS session is looked at like any other, and not let in', async () => {
    const device = await rig.enrol('resumed')
    const first = await openSocket(rig, device)
    first.socket.write(connectPacket)
    assert.equal((await first.answer).toString('hex'), '20020000')
    const session = await first.session
    first.socket.destroy()
    await revokeDevice(rig.engine, 'resumed' as DeviceId, theft)
    const second = await openSocket(rig, device, session)
    assert.equal(second.socket.isSessionReused(), true)
    second.socket.write(connectPacket)
    assert.equal((await second.answer).toString('hex'), '20020005')
    second.socket.destroy()
  })

  test('everybody under a revoked issuer', async () => {
    const sessions = await Promise.all(
      ['under-1', 'under-2'].map(async (id) => await rig.connect(await rig.enrol(id))),
    )
    const gone = sessions.map(ended)
    await revokeIssuer(rig.engine, { id: issuingId, reason: 'cACompromise', actor: testActor })
    await pass()
    await Promise.all(gone)
    assert.equal(rig.broker.connected(), 0)
  })
})

const connectPacket = Buffer.from('101000044d5154540402003c000461626364', 'hex')

interface Opened {
  readonly socket: TLSSocket
  /** The first bytes of the broker. */
  readonly answer: Promise<Buffer>
  readonly session: Promise<Buffer>
}

async function openSocket(rig: MqttRig, { certificate, key }: Enrolled, session?: Buffer): Promise<Opened> {
  const socket = connectTls({
    port: rig.port,
    host: 'localhost',
    ca: rig.rootPem,
    cert: encodePem('CERTIFICATE', certificate) + rig.issuingPem,
    key: pemOfKey(key.privateKey),
    ...(session ? { session } : {}),
  })
  socket.on('error', () => undefined)
  const given = once(socket, 'session').then(([bytes]) => bytes as Buffer)
  const answer = once(socket, 'data').then(([bytes]) => bytes as Buffer)
  await once(socket, 'secureConnect')
  return { socket, answer, session: given }
}

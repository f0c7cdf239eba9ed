/** Power cuts while messages come in, bundles are taken and keys are made in hardware. */
import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { suite, test } from 'node:test'
import { MqttRig, topic } from '../../test/helpers/agent-mqtt-rig.ts'
import { PowerCut, Rig, work, type Cut } from '../../test/helpers/agent-rig.ts'
import { makeBundle, bundleKey } from '../../test/helpers/agent-bundle.ts'
import { makeCertificate } from '../../test/helpers/certificates.ts'
import { memoryToken } from '../../test/helpers/memory-token.ts'
import { dayMs, hourMs } from '../base/clock.ts'
import { systemRandom } from '../base/random.ts'
import { encodePem } from '../pki/pem.ts'
import type { Agent } from './agent.ts'
import { fileKeys } from './file-keys.ts'
import { openKeystore } from './agent-keystore.ts'
import { readSetup } from './open-agent.ts'
import { SlotKeys } from './slot-keys.ts'

const phases = ['before', 'half', 'after'] as const

/** @returns true when nothing was cut, because there were not so many effects */
async function withCut(rig: Rig, cut: Cut, live: (agent: Agent) => Promise<void>): Promise<boolean> {
  const agent = await rig.boot()
  rig.cut = cut
  const isThrough = await live(agent).then(
    () => rig.effects <= cut.at,
    (error: unknown) => {
      assert.ok(error instanceof PowerCut, String(error))
      return false
    },
  )
  rig.cut = null
  return isThrough
}

/** Each effect in each phase, until there are no more. */
async function everyCut(visit: (cut: Cut) => Promise<boolean>): Promise<number> {
  for (let at = 0; at < 60; at++) {
    let isThrough = false
    for (const phase of phases) isThrough = await visit({ at, phase })
    if (isThrough) return at
  }
  assert.fail('it does not end')
}

suite('power cuts', () => {
  test('at every packet and write from a trigger over MQTT to the new certificate: one renewal, and it is reported', async () => {
    const cuts = await everyCut(async (cut) => {
      const rig = await new MqttRig().enrolled()
      rig.server.renewBeforeMs = 90 * dayMs
      const serial = await rig.activeSerial()
      await rig.broker.publish(topic('renew'), rig.trigger(serial), { retain: true })
      const live = async (agent: Agent): Promise<void> => {
        await rig.contact(agent)
        await work(rig, agent)
      }
      const isThrough = await withCut(rig, cut, live)
      await rig.assertWorking()
      const again = await rig.boot()
      await rig.contact(again)
      await work(rig, again)
      await rig.contact(again)
      assert.notEqual(await rig.activeSerial(), serial)
      assert.equal(rig.server.issued.length, 2, `cut ${cut.at} ${cut.phase}`)
      const { state, certificate } = rig.reports.at(-1) ?? { state: '', certificate: '' }
      assert.deepEqual(
        [state, rig.server.find(certificate)],
        ['confirmed', rig.server.issued[1]?.certificate],
      )
      assert.equal(rig.broker.pending('device-1'), 0)
      return isThrough
    })
    assert.ok(cuts > 15, `${cuts} effects`)
  })

  test('at every write of a trust bundle: the device always has anchors that verify the server', async () => {
    const cuts = await everyCut(async (cut) => {
      const rig = await new Rig({ config: { bundleKeys: [bundleKey] } }).enrolled()
      const other = makeCertificate({ subject: 'CN=Next Root' })
      const pems = [rig.server.root, other].map(({ certificate }) =>
        encodePem('CERTIFICATE', certificate.der),
      )
      const now = rig.clock.now()
      const bundle = { device: '*', version: 3, notBefore: now - hourMs, expiresAt: now + dayMs }
      const text = await makeBundle({ ...bundle, payload: { kind: 'trust', certificates: pems } })
      const live = async (agent: Agent): Promise<void> => {
        await agent.receive({ kind: 'bundle', payload: text })
        await work(rig, agent)
      }
      const isThrough = await withCut(rig, cut, live)
      const between = await readSetup(rig.directory)
      assert.ok([1, 2].includes(between?.anchors.length ?? 0))
      const again = await rig.boot()
      await live(again)
      assert.equal((await readSetup(rig.directory))?.anchors.length, 2)
      assert.deepEqual((await again.state()).inbox.versions, { trust: 3 })
      assert.equal((await again.state()).inbox.bundle, null)
      await rig.toRenewal()
      await work(rig, await rig.boot())
      assert.equal(rig.server.issued.length, 2)
      return isThrough
    })
    assert.ok(cuts >= 4, `${cuts} effects`)
  })

  test('at every effect of keys in hardware: the renewal is finished, and the token holds no key that nobody knows', async () => {
    const cuts = await everyCut(async (cut) => {
      const rig = new Rig()
      const keys = new Map<string, KeyObject>()
      const { directory, write } = rig
      const token = memoryToken(keys, async (happen) => await rig.effect(happen))
      rig.keystore = new SlotKeys({ directory, write, kinds: [token] })
      await rig.enrolled()
      const before = await rig.activeSerial()
      await rig.toRenewal()
      const isThrough = await withCut(rig, cut, async (agent) => await work(rig, agent))
      await rig.assertWorking()
      await work(rig, await rig.boot())
      assert.notEqual(await rig.activeSerial(), before)
      assert.equal(rig.server.issued.length, 2)
      await rig.toRenewal()
      await work(rig, await rig.boot())
      assert.equal(keys.size, 2, `cut ${cut.at} ${cut.phase}: a key for each slot and no other`)
      return isThrough
    })
    assert.ok(cuts > 10, `${cuts} effects`)
  })

  test('a device moves from files into hardware at a renewal, with a cut anywhere', async () => {
    const keys = new Map<string, KeyObject>()
    for (const at of [0, 1, 2, 3]) {
      const rig = await new Rig().enrolled()
      const { directory, write } = rig
      const token = memoryToken(keys, async (happen) => await rig.effect(happen))
      const files = openKeystore(
        { deviceId: 'device-1' as never, keystore: { kind: 'file' } },
        { directory, write, random: systemRandom, pin: null },
      )
      rig.keystore = new SlotKeys({ directory, write, kinds: [token, fileKeys] })
      await rig.toRenewal()
      await withCut(rig, { at, phase: 'after' }, async (agent) => await work(rig, agent))
      await rig.assertWorking()
      await work(rig, await rig.boot())
      assert.equal((await (await rig.boot()).state()).active, 'b')
      assert.equal(await files.find('b'), null, 'its key is no file')
      assert.ok(await files.find('a'))
    }
  })
})

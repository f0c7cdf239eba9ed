/** The conformance suite of trigger channels, for `mqtt`, `twin` and `ota`, over the embedded broker and over Mosquitto. */
import { suite } from 'node:test'
import { dayMs, systemClock } from '../../src/base/clock.ts'
import { everyDevice, type ServerLeaf } from '../../src/base/mqtt-topics.ts'
import type { MqttLink, TriggerChannel } from '../../src/engine/ports.ts'
import { createMqttTrigger, type MqttTriggerOptions } from '../../src/triggers/mqtt.ts'
import { createOtaMqttChannel } from '../../src/triggers/ota.ts'
import { createTwinTrigger } from '../../src/triggers/twin.ts'
import { triggerConformance, type TriggerChannelUnderTest } from '../conformance/trigger.ts'
import { startEstRig } from '../helpers/est-rig.ts'
import { connected, platformLink, startMosquitto } from '../helpers/mosquitto.ts'
import { rigPrefix, startMqttRig, topicOf } from '../helpers/mqtt-rig.ts'
import { missing } from '../helpers/require.ts'
import { testOtaSigner, testTriggerHost } from '../helpers/trigger-host.ts'

interface Kind {
  readonly name: string
  readonly leaf: ServerLeaf
  readonly create: (options: MqttTriggerOptions) => TriggerChannel
}

const signer = testOtaSigner()

const kinds: readonly Kind[] = [
  { name: 'mqtt', leaf: 'renew', create: createMqttTrigger },
  { name: 'twin', leaf: 'twin/desired', create: createTwinTrigger },
  {
    name: 'ota',
    leaf: 'ota',
    create: (options) => createOtaMqttChannel({ ...options, lifetimeMs: dayMs }, testTriggerHost({ signer })),
  },
]

for (const kind of kinds) {
  triggerConformance({
    name: `${kind.name} over the embedded broker`,
    open: () => overEmbedded(kind),
    without: ['stallPeer', 'unreachable'],
  })
}

suite('Mosquitto', { skip: missing('mosquitto') }, () => {
  for (const kind of kinds) {
    triggerConformance({
      name: `${kind.name} over Mosquitto`,
      open: () => overMosquitto(kind),
      without: ['unreachable'],
    })
  }
})

/** Broken means closed, and repaired means started anew: what stood there is gone, as after a restart of the process. */
async function overEmbedded({ leaf, create }: Kind): Promise<TriggerChannelUnderTest> {
  let rig = await startMqttRig()
  const watcher = new Watcher(leaf)
  await watcher.watch(rig.broker.link)
  const link: MqttLink = {
    get isConnected() {
      return rig.broker.link.isConnected
    },
    publish: (message, signal) => rig.broker.link.publish(message, signal),
    subscribe: (filter, handler) => rig.broker.link.subscribe(filter, handler),
    close: () => rig.broker.link.close(),
  }
  return {
    channel: create({ link, prefix: rigPrefix, parallel: 16 }),
    received: (count) => watcher.received(count),
    standing: (id) => watcher.standing(id),
    breakPeer: () => rig.broker.close(),
    repairPeer: async () => {
      await rig.close()
      rig = await startMqttRig()
      await watcher.watch(rig.broker.link)
    },
    close: () => rig.close(),
  }
}

async function overMosquitto({ leaf, create }: Kind): Promise<TriggerChannelUnderTest> {
  const rig = await startEstRig()
  const broker = await startMosquitto(rig, await rig.newIdentity())
  const link = await platformLink(rig, broker.port, { publishTimeoutMs: 20_000 })
  const watcher = new Watcher(leaf)
  await watcher.watch(link)
  let isStalled = false
  return {
    channel: create({ link, prefix: rigPrefix, parallel: 16 }),
    received: (count) => watcher.received(count),
    standing: (id) => watcher.standing(id),
    breakPeer: () => broker.stop(),
    stallPeer: () => {
      isStalled = true
      return broker.stop('SIGSTOP')
    },
    repairPeer: async () => {
      if (isStalled) await broker.stop('SIGCONT')
      else await broker.start()
      isStalled = false
      await connected(link)
    },
    close: async () => {
      if (isStalled) await broker.stop('SIGCONT')
      await link.close()
      await broker.close()
      await rig.close()
    },
  }
}

/** Sees what the broker hands out, over the platform's own link, which may read what it has written. */
class Watcher {
  readonly #leaf: ServerLeaf
  readonly #standing = new Map<string, string>()
  readonly #received: string[] = []
  /** Messages of any kind, so that a wait for one that removes can end too. */
  #seen = 0

  constructor(leaf: ServerLeaf) {
    this.#leaf = leaf
  }

  async watch(link: MqttLink): Promise<void> {
    await link.subscribe(everyDevice(rigPrefix, this.#leaf), async ({ topic, payload, retained }) => {
      const text = Buffer.from(payload).toString('utf8')
      this.#seen++
      if (text === '') {
        this.#standing.delete(topic)
        return
      }
      this.#standing.set(topic, text)
      if (!retained) this.#received.push(text)
    })
  }

  async received(count: number): Promise<readonly string[]> {
    for (let left = 40; left > 0 && this.#received.length < count; left--) await systemClock.sleep(25)
    return this.#received
  }

  async standing(id: string): Promise<string | null> {
    // what was acknowledged to the publisher is still on its way to us
    for (let known = -1; known !== this.#seen;) {
      known = this.#seen
      await systemClock.sleep(100)
    }
    return this.#standing.get(topicOf(id, this.#leaf)) ?? null
  }
}

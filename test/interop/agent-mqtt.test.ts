/** The agent over real brokers: Mosquitto with our access rules, and the embedded one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { agentDefaults, checkAgentConfig } from '../../src/agent/agent-config.ts'
import { activeCredential } from '../../src/agent/agent-state.ts'
import { parseAnchors } from '../../src/agent/agent-trust.ts'
import type { Agent, AgentEvent } from '../../src/agent/agent.ts'
import type { KeystoreConfig } from '../../src/agent/keystore-config.ts'
import { openAgent, setUpAgent } from '../../src/agent/open-agent.ts'
import { hourMs, systemClock } from '../../src/base/clock.ts'
import { deviceLeaves, everyDevice, sharedFilter } from '../../src/base/mqtt-topics.ts'
import { systemRandom } from '../../src/base/random.ts'
import { findLiveByHash } from '../../src/engine/inventory/device-report.ts'
import type { MqttLink, Trigger } from '../../src/engine/ports.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import type { MqttClientLink } from '../../src/protocols/mqtt-client.ts'
import { MqttService } from '../../src/protocols/mqtt-service.ts'
import { takeMessage } from '../../src/serve/mqtt-role.ts'
import { createMqttTrigger } from '../../src/triggers/mqtt.ts'
import { createTwinTrigger } from '../../src/triggers/twin.ts'
import { sampleTrigger } from '../conformance/trigger.ts'
import { startEstRig, type EstRig } from '../helpers/est-rig.ts'
import { makeSoftToken } from '../helpers/hardware.ts'
import { platformLink, startMosquitto, type Mosquitto } from '../helpers/mosquitto.ts'
import { rigPrefix, startMqttRig, type MqttRig } from '../helpers/mqtt-rig.ts'
import { missing, softhsmModule } from '../helpers/require.ts'

const never = new AbortController().signal
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

interface Place {
  readonly rig: Pick<EstRig, 'engine' | 'rootPem' | 'addDevice'>
  readonly est: string
  readonly broker: string
  readonly keystore?: KeystoreConfig
}

/** A device that has enrolled over EST and runs until `stop`. */
class Running {
  readonly events: AgentEvent[] = []
  readonly agent: Agent
  readonly engine: EstRig['engine']
  readonly #stop = new AbortController()
  #ended: Promise<void> | null = null

  constructor(agent: Agent, events: AgentEvent[], engine: EstRig['engine']) {
    this.agent = agent
    this.events = events
    this.engine = engine
  }

  static async start(id: string, { rig, est, broker, keystore = { kind: 'file' } }: Place): Promise<Running> {
    const { username, password } = await rig.addDevice({ id })
    const directory = mkdtempSync(join(tmpdir(), 'perennial-agent-'))
    folders.push(directory)
    const mqtt = { url: broker, topicPrefix: rigPrefix }
    const config = checkAgentConfig({ ...agentDefaults, deviceId: id, server: est, keystore, mqtt })
    await setUpAgent({ directory }, { config, anchors: parseAnchors(rig.rootPem) })
    const events: AgentEvent[] = []
    const agent = await openAgent({
      directory,
      clock: systemClock,
      random: systemRandom,
      bootstrap: { kind: 'secret', username, password },
      onEvent: (event) => void events.push(event),
    })
    const first = await agent.settle('enrol')
    assert.equal(first.isActivated, true, first.detail)
    const running = new Running(agent, events, rig.engine)
    running.#ended = agent.run(running.#stop.signal)
    return running
  }

  async serial(): Promise<string> {
    const active = activeCredential(await this.agent.state())
    assert.ok(active)
    return active.certificate.serialNumber
  }

  async trigger(): Promise<Trigger> {
    const active = activeCredential(await this.agent.state())
    assert.ok(active)
    const now = systemClock.now()
    const { deviceId } = (await this.agent.state()).config
    const certificate = `issuing/${active.certificate.serialNumber}`
    const window = { start: now - hourMs, end: now }
    return { ...sampleTrigger({ deviceId, renewalId: 7 }), certificate, window, issuedAt: now }
  }

  async untilOther(serial: string): Promise<void> {
    for (let tries = 0; tries < 240; tries++) {
      if ((await this.serial()) !== serial) return
      await systemClock.sleep(50)
    }
    assert.fail(`no new certificate:\n${this.events.map(({ message }) => message).join('\n')}`)
  }

  /** The engine has seen the certificate in use. */
  async untilConfirmed(): Promise<void> {
    const { config, slots, active } = await this.agent.state()
    const held = active && slots[active]
    assert.ok(held?.kind === 'stored')
    for (let tries = 0; tries < 100; tries++) {
      await flushSightings(this.engine, this.engine.clock.now())
      const record = await findLiveByHash(this.engine, config.deviceId, held.fingerprint)
      if (record?.status === 'confirmed') return
      await systemClock.sleep(50)
    }
    assert.fail('the certificate was not confirmed')
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }
}

const needsBroker = missing('mosquitto', 'mosquitto_pub', 'mosquitto_sub')
suite('the agent over Mosquitto', { skip: needsBroker }, () => {
  let rig: EstRig
  let broker: Mosquitto
  let link: MqttClientLink
  const results: string[] = []
  const place = (): Place => ({ rig, est: rig.url, broker: `mqtts://localhost:${broker.port}` })
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

  async function renews(id: string, where: Place): Promise<void> {
    const device = await Running.start(id, where)
    try {
      const serial = await device.serial()
      results.length = 0
      const channel = createMqttTrigger({ link, prefix: rigPrefix, parallel: 10 })
      await channel.send(await device.trigger(), never)
      await device.untilOther(serial)
      await device.untilConfirmed()
      assert.ok(results.includes('enroll issued'), String(results))
      const [stored, confirmed] = ['status stored', 'status confirmed'].map((each) =>
        results.lastIndexOf(each),
      )
      assert.ok(stored !== undefined && confirmed !== undefined && stored >= 0 && confirmed > stored)
    } finally {
      await device.stop()
    }
  }

  test('is asked, renews over its topics, and proves that it uses the new certificate', async () => {
    await renews('meter-1', place())
  })

  test(
    'with its key in a token as well: TLS to the broker goes through openssl',
    {
      skip: missing('openssl', 'softhsm', 'pkcs11-tool', 'openssl-pkcs11'),
    },
    async () => {
      const token = await makeSoftToken('meter', 'pin-1')
      Object.assign(process.env, token.env)
      try {
        const { label, pinFile } = token
        const keystore = { kind: 'pkcs11', module: softhsmModule, token: label, pinFile } as const
        await renews('meter-2', { ...place(), keystore })
      } finally {
        token.remove()
      }
    },
  )

  test('a wish in its twin is a trigger too; one that came while the broker was restarted is not lost', async () => {
    const device = await Running.start('meter-3', place())
    try {
      const serial = await device.serial()
      await broker.stop()
      await broker.start()
      for (let tries = 0; tries < 200 && !link.isConnected; tries++) await systemClock.sleep(25)
      const channel = createTwinTrigger({ link, prefix: rigPrefix, parallel: 10 })
      await channel.send(await device.trigger(), never)
      await device.untilOther(serial)
      await device.untilConfirmed()
    } finally {
      await device.stop()
    }
  })
})

suite('the agent over the embedded broker', () => {
  let rig: MqttRig
  before(async () => {
    rig = await startMqttRig()
  })
  after(async () => await rig.close())

  test('is asked, renews and confirms', async () => {
    const link: MqttLink = rig.broker.link
    const place = { rig, est: rig.estUrl, broker: `mqtts://localhost:${rig.port}` }
    const device = await Running.start('meter-9', place)
    try {
      const serial = await device.serial()
      await createMqttTrigger({ link, prefix: rigPrefix, parallel: 10 }).send(await device.trigger(), never)
      await device.untilOther(serial)
      await device.untilConfirmed()
    } finally {
      await device.stop()
    }
  })
})

/**
 * A platform as processes, Mosquitto with the access rules that the platform prints, and a fleet of agents that a
 * manufacturer has given identities: what an end-to-end campaign needs.
 */
import assert from 'node:assert/strict'
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { agentDefaults, checkAgentConfig } from '../../src/agent/agent-config.ts'
import { parseAnchors } from '../../src/agent/agent-trust.ts'
import type { Agent } from '../../src/agent/agent.ts'
import { openAgent, setUpAgent } from '../../src/agent/open-agent.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { createCa, type TestCa } from './ca.ts'
import { freePorts } from './checkout.ts'
import { startMosquitto, type Mosquitto } from './mosquitto.ts'
import { perennial, startPerennial } from './perennial.ts'

const { clock, random } = { clock: systemClock, random: systemRandom }

/** Certificates live for two hours and may be renewed a second after they were issued; silence is long after 40 seconds. */
const configuration = {
  connectivity: "  fleet: { checkIn: 1m, ladder: ['mqtt wait=20s repeats=6', field] }",
  profiles: [
    '  fleet: { extends: short-lived, validity: 7200s, jitter: 0, renewBefore: 7199s, retireAfter: 20s, connectivity: fleet }',
    "  broker: { extends: gateway, extendedKeyUsage: [serverAuth, clientAuth], subjectAltNames: ['dns:localhost'] }",
  ].join('\n'),
}

export class CampaignRig {
  readonly folder: string
  readonly env: Record<string, string> = {}
  readonly #factory: TestCa = createCa('CN=Factory', clock.now())
  server = ''
  #serving: ChildProcess | null = null
  #broker: Mosquitto | null = null

  constructor(folder: string) {
    this.folder = folder
  }

  get broker(): Mosquitto {
    assert.ok(this.#broker, 'the broker runs')
    return this.#broker
  }

  async type(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await perennial(args, { cwd: this.folder, env: this.env })
    assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  async json<Value>(...args: string[]): Promise<Value> {
    return JSON.parse(await this.type(...args, '--json')) as Value
  }

  /** The platform alone first: it makes the certificates with which broker and platform show themselves. */
  async start(): Promise<void> {
    const [est, status, admin] = await freePorts(3)
    Object.assign(this.env, {
      PERENNIAL_DATA: join(this.folder, 'data'),
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__BROKER: 'none',
      PERENNIAL_RENEWAL__TICK_INTERVAL: '1s',
    })
    this.server = `https://localhost:${est}`
    await this.type('init')
    const file = join(this.folder, 'data', 'perennial.yaml')
    const yaml = readFileSync(file, 'utf8')
      .replace(/^connectivity:$/m, `connectivity:\n${configuration.connectivity}`)
      .replace(/^profiles:$/m, `profiles:\n${configuration.profiles}`)
    writeFileSync(file, yaml)
    await this.serve()
    await this.type('ca', 'export', 'root', '--out', 'root.pem')
    await this.type('ca', 'export', 'issuing', '--out', 'issuing.pem')
    writeFileSync(join(this.folder, 'factory.pem'), this.#factory.pem)
    await this.type('trust', 'add', 'factory.pem', '--name', 'factory')
    await this.#startBroker()
    await this.kill()
    Object.assign(this.env, {
      PERENNIAL_MQTT__BROKER: 'external',
      PERENNIAL_MQTT__URL: `mqtts://localhost:${this.broker.port}`,
      PERENNIAL_MQTT__CA_FILE: join(this.folder, 'root.pem'),
      PERENNIAL_MQTT__CERTIFICATE_FILE: join(this.folder, 'platform', 'a.pem'),
      PERENNIAL_MQTT__KEY_FILE: join(this.folder, 'platform', 'a.key'),
    })
    await this.serve()
  }

  async #startBroker(): Promise<void> {
    const show = async (id: string, profile: string): Promise<{ chainPem: string; keyPem: string }> => {
      await this.type('device', 'add', id, '--profile', profile)
      const secret = join(this.folder, `${id}.secret`)
      writeFileSync(secret, await this.type('device', 'secret', id), { mode: 0o600 })
      const line = ['agent', 'enrol', id, '--server', this.server, '--root', 'root.pem']
      await this.type(...line, '--state', id, '--secret-file', secret)
      const read = (name: string) => readFileSync(join(this.folder, id, name), 'utf8')
      return { chainPem: read('a.pem'), keyPem: read('a.key') }
    }
    await show('platform', 'gateway')
    const identity = await show('broker', 'broker')
    const directory = join(this.folder, 'mosquitto')
    mkdirSync(directory)
    const read = (name: string) => readFileSync(join(this.folder, name), 'utf8')
    this.#broker = await startMosquitto(
      { directory, rootPem: read('root.pem'), issuingPem: read('issuing.pem') },
      identity,
    )
  }

  /** Resolves when it listens. */
  async serve(): Promise<void> {
    const serving = startPerennial(['serve', '--json'], { cwd: this.folder, env: this.env })
    this.#serving = serving
    let errors = ''
    serving.stderr?.on('data', (text: Buffer) => void (errors += text.toString()))
    assert.ok(serving.stdout)
    for await (const line of createInterface(serving.stdout)) if (line === '}') return
    assert.fail(`the platform did not start: ${errors}`)
  }

  async kill(): Promise<void> {
    const serving = this.#serving
    if (!serving || serving.exitCode !== null || serving.signalCode !== null) return
    const gone = once(serving, 'exit')
    serving.kill('SIGKILL')
    await gone
  }

  /** Devices in the inventory, from one file. */
  async register(ids: readonly string[]): Promise<void> {
    const sites = ['graz', 'wien', 'linz']
    const lines = ids.map((id, at) => `${id},fleet,e2e,${sites[at % sites.length]},rev-${at % 2}`)
    writeFileSync(
      join(this.folder, 'fleet.csv'),
      ['id,profile,cohort,site,hardware', ...lines, ''].join('\n'),
    )
    await this.type('device', 'import', 'fleet.csv')
  }

  directory(id: string): string {
    return join(this.folder, 'devices', id)
  }

  /** A first certificate, by the identity from the factory. */
  async enrol(id: string): Promise<void> {
    const directory = this.directory(id)
    const config = checkAgentConfig({
      ...agentDefaults,
      deviceId: id,
      server: this.server,
      renewAt: 0.95,
      hints: false,
      mqtt: { url: `mqtts://localhost:${this.broker.port}` },
    })
    const anchors = parseAnchors(readFileSync(join(this.folder, 'root.pem'), 'utf8'))
    await setUpAgent({ directory }, { config, anchors })
    const { pem, privateKey } = this.#factory.issue({ subject: `CN=Device,serialNumber=${id}` })
    const agent = await openAgent({
      directory,
      clock,
      random,
      bootstrap: {
        kind: 'certificate',
        identity: { chainPem: pem, key: privateKey },
        sign: () => assert.fail('a factory identity signs nothing here'),
      },
    })
    const { isActivated, detail } = await agent.settle('enrol')
    assert.ok(isActivated, `${id}: ${detail}`)
  }

  async open(id: string): Promise<Agent> {
    return await openAgent({ directory: this.directory(id), clock, random })
  }

  /** An agent as a process. */
  startAgent(id: string): ChildProcess {
    return startPerennial(['agent', 'run', '--state', this.directory(id)], { cwd: this.folder, env: {} })
  }

  async close(): Promise<void> {
    await this.kill()
    await this.#broker?.close()
  }
}

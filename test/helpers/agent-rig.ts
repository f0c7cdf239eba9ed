/** A device that can be switched off at any effect, and the server of test/helpers/agent-server.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { agentDefaults, checkAgentConfig, type AgentConfig } from '../../src/agent/agent-config.ts'
import { writeFile, type WriteFile } from '../../src/agent/agent-directory.ts'
import { activeCredential } from '../../src/agent/agent-state.ts'
import { renewalInstant } from '../../src/agent/renewal-due.ts'
import type { AgentTransport } from '../../src/agent/agent-transport.ts'
import type { Agent, AgentEvent } from '../../src/agent/agent.ts'
import type { Keystore } from '../../src/agent/keystore.ts'
import { openAgent, setUpAgent } from '../../src/agent/open-agent.ts'
import { type Clock, dayMs, type Instant, minuteMs } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { AgentServer } from './agent-server.ts'
import { testNow } from './certificates.ts'

export class PowerCut extends Error {}

/** Where the power fails: at the how-manieth effect, and whether that effect still happens. */
export interface Cut {
  readonly at: number
  readonly phase: 'before' | 'half' | 'after'
}

/** Sleeping takes no time; the loop ends when `endAt` is passed. */
export class JumpingClock implements Clock {
  at: Instant = testNow
  stop = new AbortController()
  endAt = Infinity
  /** Sees each instant at which somebody wakes. */
  onWake: (() => Promise<void>) | null = null

  now(): Instant {
    return this.at
  }

  async sleep(ms: number): Promise<void> {
    this.at += ms
    await this.onWake?.()
    if (this.at >= this.endAt) this.stop.abort()
  }
}

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

export type RigOptions = ConstructorParameters<typeof AgentServer>[1] & {
  readonly config?: Partial<AgentConfig>
}

/** One device and its server; the device may be switched off and on. */
export class Rig {
  readonly clock = new JumpingClock()
  readonly server: AgentServer
  readonly directory = mkdtempSync(join(tmpdir(), 'perennial-agent-'))
  readonly events: AgentEvent[] = []
  /** Beside the usual. */
  readonly config: Partial<AgentConfig>
  effects = 0
  cut: Cut | null = null

  constructor({ config = {}, ...options }: RigOptions = {}) {
    folders.push(this.directory)
    this.config = config
    this.server = new AgentServer(this.clock, options)
  }

  async setUp(): Promise<this> {
    const config = checkAgentConfig({
      ...agentDefaults,
      deviceId: 'device-1',
      server: 'https://est.example:8443',
      ...this.config,
    })
    await setUpAgent(this, { config, anchors: [this.server.root.certificate] })
    return this
  }

  async enrolled(): Promise<this> {
    await this.setUp()
    const agent = await this.boot()
    assert.equal((await agent.settle('enrol')).isActivated, true)
    return this
  }

  /** As after a power cut: nothing is left but what is in the directory and on the server. */
  async boot(secret = 'secret-1', write = this.write): Promise<Agent> {
    this.effects = 0
    return await openAgent({
      directory: this.directory,
      clock: this.clock,
      random: seededRandom('agent'),
      write,
      transport: this.makeTransport(),
      ...(this.keystore ? { keystore: this.keystore } : {}),
      bootstrap: { kind: 'secret', username: 'device-1', password: secret },
      onEvent: (event) => void this.events.push(event),
    })
  }

  readonly write: WriteFile = async (path, data, mode) =>
    await this.effect(
      async () => await writeFile(path, data, mode),
      () => writeFileSync(`${path}.new`, 'torn'),
    )

  readonly est: AgentTransport = {
    ask: async (request) => await this.effect(async () => await this.server.ask(request)),
  }

  /** Anew at each start. */
  makeTransport(): AgentTransport {
    return this.est
  }

  /** In place of files. */
  keystore: Keystore | null = null

  /** What may be the last thing before the power fails. */
  async effect<Value>(happen: () => Promise<Value>, half: () => void = () => undefined): Promise<Value> {
    const { at, phase } = this.cut ?? { at: -1, phase: 'before' }
    // what still runs of a device that is off has no effect
    if (this.cut && this.effects > at) throw new PowerCut()
    const isCut = this.effects++ === at
    if (isCut && phase === 'half') half()
    if (isCut && phase !== 'after') throw new PowerCut()
    const value = await happen()
    if (isCut) throw new PowerCut()
    return value
  }

  /** Something stored that the server lets in, and an active credential that can be read. */
  async assertWorking(): Promise<void> {
    const state = await (await this.boot()).state()
    assert.ok(activeCredential(state), 'the active credential is whole')
    const held = Object.values(state.slots)
    assert.ok(
      held.some((slot) => slot.kind === 'stored' && this.server.accepts(slot.certificate)),
      'one of the credentials works',
    )
  }

  async activeSerial(): Promise<string> {
    const active = activeCredential(await (await this.boot()).state())
    assert.ok(active)
    assert.ok(this.server.accepts(active.certificate), 'the active certificate is accepted')
    return active.certificate.serialNumber
  }

  /** To the instant at which the active certificate is renewed. */
  async toRenewal(): Promise<void> {
    const state = await (await this.boot()).state()
    const active = activeCredential(state)
    assert.ok(active)
    this.clock.at = renewalInstant(state.config, active.certificate) + minuteMs
  }
}

/** Steps until nothing is left to do, jumping over the waits that are shorter than a day. */
export async function work(rig: Rig, agent: Agent): Promise<void> {
  for (let steps = 0; steps < 200; steps++) {
    const { outcome, retryAt } = await agent.step()
    if (outcome === 'done') continue
    if (retryAt === null || retryAt - rig.clock.at > dayMs) return
    rig.clock.at = Math.max(rig.clock.at, retryAt)
  }
  assert.fail('it does not come to rest')
}

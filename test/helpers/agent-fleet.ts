/** Simulated devices: the agent as it is shipped, storage in memory, and the engine in the same process as its server. */
import { AnchorFile } from '../../src/agent/agent-anchors.ts'
import { agentDefaults, checkAgentConfig } from '../../src/agent/agent-config.ts'
import type { ReadFile, WriteFile } from '../../src/agent/agent-directory.ts'
import { Inbox } from '../../src/agent/agent-inbox.ts'
import { MemoryFile } from '../../src/agent/agent-memory.ts'
import { parseAnchors } from '../../src/agent/agent-trust.ts'
import { Agent } from '../../src/agent/agent.ts'
import { CredentialSlots } from '../../src/agent/credential-slots.ts'
import type { Answer, Exchange } from '../../src/agent/est-exchange.ts'
import { EstTransport } from '../../src/agent/est-transport.ts'
import { fileKeys } from '../../src/agent/file-keys.ts'
import { SlotKeys } from '../../src/agent/slot-keys.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Engine } from '../../src/engine/context.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { createDeviceRoutes } from '../../src/protocols/device-routes.ts'

/** The device port of the platform, without a socket. */
export function engineExchange(engine: Engine): (request: Exchange) => Promise<Answer> {
  const routes = createDeviceRoutes(engine)
  return async ({ url, method, headers, body, identity }) => {
    const [certificate = null, ...chain] =
      identity === null ? [] : decodePem(identity.chainPem).map(({ der }) => der)
    const lower = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    )
    const response = await routes.handle({
      method,
      path: url.pathname,
      headers: lower,
      body: Buffer.from(body ?? ''),
      peer: { address: '192.0.2.7', certificate, chain },
      tlsUnique: null,
    })
    const answered = Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value])
    const date = new Date(engine.clock.now()).toUTCString()
    return {
      status: response.status,
      headers: Object.fromEntries([...answered, ['date', date]]),
      body: Buffer.from(response.body),
    }
  }
}

export interface FleetOptions {
  readonly engine: Engine
  readonly rootPem: string
  /** Whether the device asks when to renew. */
  readonly hints: boolean
}

/** A device that may lose its power between any two steps: what it is, is in its files. */
export class SimulatedDevice {
  readonly id: string
  readonly #files = new Map<string, string>()
  readonly #options: FleetOptions
  readonly #secret: string

  constructor(id: string, secret: string, options: FleetOptions) {
    this.id = id
    this.#secret = secret
    this.#options = options
  }

  boot(): Agent {
    const { engine, rootPem, hints } = this.#options
    const { clock } = engine
    const write: WriteFile = async (path, data) => void this.#files.set(path, Buffer.from(data).toString())
    const read: ReadFile = async (path) => this.#files.get(path) ?? null
    const keystore = new SlotKeys({ directory: '/', write, read, kinds: [fileKeys] })
    const url = 'https://est.example'
    const config = checkAgentConfig({ ...agentDefaults, deviceId: this.id, server: url, hints })
    const exchange = engineExchange(engine)
    return new Agent({
      config,
      anchors: new AnchorFile('/', write, parseAnchors(rootPem)),
      clock,
      random: seededRandom(this.id),
      keystore,
      credentials: new CredentialSlots('/', keystore, write, read),
      memory: new MemoryFile('/', write, read),
      inbox: new Inbox('/', write, read),
      transport: new EstTransport({ url, label: null, trustPem: () => rootPem, clock, exchange }),
      bootstrap: { kind: 'secret', username: this.id, password: this.#secret },
    })
  }
}

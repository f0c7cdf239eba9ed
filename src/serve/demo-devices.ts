/** Simulated devices of the demo: the shipped agent, one for each, over the real EST endpoint and the real broker. */
import { join } from 'node:path'
import { checkAgentConfig, agentDefaults } from '../agent/agent-config.ts'
import { activeCredential } from '../agent/agent-state.ts'
import { parseAnchors } from '../agent/agent-trust.ts'
import type { Agent } from '../agent/agent.ts'
import { openAgent, readSetup, setUpAgent } from '../agent/open-agent.ts'
import type { App } from '../app.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { newSecret } from '../engine/issuing/secret.ts'

export interface DeviceEndpoints {
  readonly est: string
  readonly mqtt: string
  readonly trustPem: string
}

export interface DemoDevice {
  readonly id: DeviceId
  readonly directory: string
}

/** Where the devices of the demo keep what a device keeps; their keys are on no other disk. */
export function demoDevice({ dataDirectory }: App, id: string): DemoDevice {
  return { id: id as DeviceId, directory: join(dataDirectory.path, 'demo', id) }
}

/**
 * A first certificate with a one-time secret, or another one for a device whose own has lapsed: it was switched off.
 * @throws Refusal `server-refused` when the platform did not give it one
 */
export async function enrolDemoDevice(
  app: App,
  { id, directory }: DemoDevice,
  endpoints: DeviceEndpoints,
  actor: string,
): Promise<void> {
  if (await isAlive(app, directory)) return
  const config = checkAgentConfig({
    ...agentDefaults,
    deviceId: id,
    server: endpoints.est,
    // asked by campaigns, long before it would think of it by itself
    renewAt: 0.95,
    mqtt: { url: endpoints.mqtt },
    hints: false,
  })
  await setUpAgent({ directory }, { config, anchors: parseAnchors(endpoints.trustPem) })
  const { secret: password } = await newSecret(app.engine, { deviceId: id, actor })
  const { clock, random } = app.engine
  const agent = await openAgent({
    directory,
    clock,
    random,
    bootstrap: { kind: 'secret', username: id, password },
  })
  const { isActivated, detail } = await agent.settle('enrol')
  if (!isActivated) throw new Refusal('server-refused', `demo device ${id} was not enrolled: ${detail}`)
}

async function isAlive({ engine: { clock, random } }: App, directory: string): Promise<boolean> {
  if ((await readSetup(directory).catch(() => null)) === null) return false
  const current = activeCredential(await (await openAgent({ directory, clock, random })).state())
  return current !== null && clock.now() <= current.certificate.notAfter
}

/** The agent of a device that was enrolled; it listens for triggers while it runs. */
export async function openDemoDevice(app: App, { directory }: DemoDevice): Promise<Agent> {
  const { clock, random } = app.engine
  return await openAgent({ directory, clock, random })
}

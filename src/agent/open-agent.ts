/** An agent over a state directory, files as its keystore, EST as its transport. */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Certificate } from '../pki/certificate.ts'
import { checkAgentConfig, formatAgentConfig, parseAgentConfig, type AgentConfig } from './agent-config.ts'
import {
  checkAgentDirectory,
  makeAgentDirectory,
  readPrivateFile,
  writeFile,
  type WriteFile,
} from './agent-directory.ts'
import { MemoryFile } from './agent-memory.ts'
import type { AgentTransport, Bearer } from './agent-transport.ts'
import { AnchorFile } from './agent-anchors.ts'
import type { AgentEvent } from './agent-core.ts'
import { Inbox } from './agent-inbox.ts'
import { OcspFile } from './agent-ocsp.ts'
import { encodeAnchors, parseAnchors } from './agent-trust.ts'
import { Agent } from './agent.ts'
import { openKeystore } from './agent-keystore.ts'
import { CredentialSlots } from './credential-slots.ts'
import { openTransport } from './open-transport.ts'
import { askSignedTime } from './signed-time.ts'
import type { Keystore } from './keystore.ts'

export interface AgentHost {
  /** Path of the state directory. */
  readonly directory: string
  readonly clock: Clock
  readonly random: Random
  readonly bootstrap?: Bearer
  readonly onEvent?: (event: AgentEvent) => void
  /** In place of what stands in the configuration. */
  readonly mqtt?: AgentConfig['mqtt'] | undefined
  /** PIN of the token, when no file has it. */
  readonly pin?: string | undefined
  /** Each of these instead of files and EST. */
  readonly write?: WriteFile
  readonly keystore?: Keystore
  readonly transport?: AgentTransport
}

export interface AgentSetup {
  readonly config: AgentConfig
  readonly anchors: readonly Certificate[]
}

/**
 * Writes down whom the device belongs to and whom it trusts. Call it with the lock held.
 * @throws Refusal `data-directory-invalid` when others may look into the directory
 */
export async function setUpAgent(
  { directory, write = writeFile }: Pick<AgentHost, 'directory' | 'write'>,
  { config, anchors }: AgentSetup,
): Promise<void> {
  await makeAgentDirectory(directory)
  await write(join(directory, 'trust.pem'), encodeAnchors(anchors), 0o600)
  await write(join(directory, 'agent.json'), formatAgentConfig(config), 0o600)
}

/** @returns null when this directory was never set up. @throws Refusal as `checkAgentDirectory`, `configuration-invalid` */
export async function readSetup(directory: string): Promise<AgentSetup | null> {
  await checkAgentDirectory(directory)
  const config = await readPrivateFile(join(directory, 'agent.json'))
  const trust = await readPrivateFile(join(directory, 'trust.pem'))
  if (config === null || trust === null) return null
  return { config: parseAgentConfig(config), anchors: parseAnchors(trust) }
}

/** @throws Refusal `not-found` when the directory is not that of an agent */
export async function openAgent(host: AgentHost): Promise<Agent> {
  const { directory, clock, random, bootstrap, onEvent, write = writeFile } = host
  const setup = await readSetup(directory)
  if (setup === null) {
    throw new Refusal('not-found', `${directory} is no agent's yet: enrol with \`perennial agent enrol\``)
  }
  const config = host.mqtt ? checkAgentConfig({ ...setup.config, mqtt: host.mqtt }) : setup.config
  const anchors = new AnchorFile(directory, write, setup.anchors)
  const keystore = host.keystore ?? openKeystore(config, { directory, write, random, pin: host.pin ?? null })
  return new Agent({
    config,
    anchors,
    clock,
    random,
    keystore,
    credentials: new CredentialSlots(directory, keystore, write),
    memory: new MemoryFile(directory, write),
    inbox: new Inbox(directory, write),
    ocsp: new OcspFile(directory, write),
    transport: host.transport ?? openTransport(config, { anchors, clock, random }),
    signedTime: askSignedTime({ clock, random }),
    ...(bootstrap ? { bootstrap } : {}),
    ...(onEvent ? { onEvent } : {}),
  })
}

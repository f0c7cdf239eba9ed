/** How an agent reaches its server: EST, and MQTT where the device has a broker. */
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { AgentConfig } from './agent-config.ts'
import type { AnchorFile } from './agent-anchors.ts'
import type { AgentTransport } from './agent-transport.ts'
import { EstTransport } from './est-transport.ts'

export interface TransportHost {
  readonly anchors: AnchorFile
  readonly clock: Clock
  readonly random: Random
}

export function openTransport(config: AgentConfig, { anchors, clock }: TransportHost): AgentTransport {
  const { server: url, label } = config
  return new EstTransport({ url, label, clock, trustPem: () => anchors.pem() })
}

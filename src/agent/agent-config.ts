/** `agent.json`: what the agent was told when it enrolled. */
import { Refusal } from '../base/errors.ts'
import { parseDeviceId, type DeviceId } from '../base/id.ts'
import { keyAlgorithms, type KeyAlgorithm } from '../pki/key.ts'

export interface AgentConfig {
  readonly deviceId: DeviceId
  /** `https://host:port` of the EST server. */
  readonly server: string
  /** EST label: the name of a profile; null = that of the device's record. */
  readonly label: string | null
  readonly keyAlgorithm: KeyAlgorithm
  /** Share of a certificate's life after which it is renewed, 0.1 to 0.95. */
  readonly renewAt: number
  /** Share of its life over which a fleet spreads its renewals, 0 to 0.2; only ever added. */
  readonly jitter: number
}

export const agentDefaults = { keyAlgorithm: 'ec-p256', renewAt: 2 / 3, jitter: 0.05 } as const

/** @throws Refusal `configuration-invalid` naming what is wrong */
export function checkAgentConfig(values: Readonly<Record<string, unknown>>): AgentConfig {
  const { deviceId, server, label = null, keyAlgorithm, renewAt, jitter } = values
  const id = typeof deviceId === 'string' ? parseDeviceId(deviceId) : null
  if (id === null) throw invalid('deviceId is not a device id')
  if (typeof server !== 'string' || !isServerUrl(server)) {
    throw invalid('server must be a URL like https://est.example.com:8443, without a path')
  }
  if (label !== null && (typeof label !== 'string' || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(label))) {
    throw invalid('label must be the name of a profile')
  }
  const algorithm = keyAlgorithms.find((each) => each === keyAlgorithm)
  if (algorithm === undefined) throw invalid(`keyAlgorithm must be one of ${keyAlgorithms.join(', ')}`)
  return {
    deviceId: id,
    server,
    label,
    keyAlgorithm: algorithm,
    renewAt: share(renewAt, 'renewAt', 0.1, 0.95),
    jitter: share(jitter, 'jitter', 0, 0.2),
  }
}

export function parseAgentConfig(text: string): AgentConfig {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is no object')
  return checkAgentConfig(Object.fromEntries(Object.entries(value)))
}

export function formatAgentConfig(config: AgentConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`
}

function isServerUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username } = new URL(text)
  return protocol === 'https:' && pathname === '/' && search === '' && hash === '' && username === ''
}

function share(value: unknown, name: string, minimum: number, maximum: number): number {
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value
  throw invalid(`${name} must be a number from ${minimum} to ${maximum}`)
}

function invalid(what: string): Refusal {
  return new Refusal('configuration-invalid', `configuration of the agent: ${what}`)
}

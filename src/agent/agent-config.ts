/** `agent.json`: what the agent was told when it enrolled. */
import { Refusal } from '../base/errors.ts'
import { parseDeviceId, type DeviceId } from '../base/id.ts'
import { isTopicPrefix, defaultTopicPrefix } from '../base/mqtt-topics.ts'
import { fromBase64, toBase64 } from '../base/bytes.ts'
import { keyAlgorithms, parsePublicKey, type KeyAlgorithm } from '../pki/key.ts'
import { checkKeystoreConfig, type KeystoreConfig } from './keystore-config.ts'

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
  /** Where new keys are made. */
  readonly keystore: KeystoreConfig
  /** The broker; null = nobody can send this device a message. */
  readonly mqtt: MqttConfig | null
  /** Asks the server now and then when to renew, where no broker says it. */
  readonly hints: boolean
  /** Keys that may sign bundles for this device, Ed25519, base64 of DER SubjectPublicKeyInfo. */
  readonly bundleKeys: readonly string[]
}

export interface MqttConfig {
  /** `mqtts://host:8883` */
  readonly url: string
  readonly topicPrefix: string
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
    keystore: keystoreOf(values['keystore']),
    mqtt: mqttOf(values['mqtt'] ?? null),
    hints: values['hints'] !== false,
    bundleKeys: bundleKeysOf(values['bundleKeys'] ?? []),
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

function keystoreOf(value: unknown): KeystoreConfig {
  const checked = checkKeystoreConfig(value)
  if (typeof checked === 'string') throw invalid(checked)
  return checked
}

function mqttOf(value: unknown): MqttConfig | null {
  if (value === null) return null
  const { url, topicPrefix = defaultTopicPrefix }: Record<string, unknown> =
    typeof value === 'object' ? { ...value } : {}
  if (typeof url !== 'string' || !isBrokerUrl(url)) {
    throw invalid('mqtt.url must be like mqtts://broker.example.com:8883, without a path')
  }
  if (typeof topicPrefix !== 'string' || !isTopicPrefix(topicPrefix)) {
    throw invalid(`mqtt.topicPrefix must be like ${defaultTopicPrefix}`)
  }
  return { url, topicPrefix }
}

/** Without TLS a device would not know who sends it messages. */
function isBrokerUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username, hostname } = new URL(text)
  const isBare = ['', '/'].includes(pathname) && search === '' && hash === '' && username === ''
  return protocol === 'mqtts:' && hostname !== '' && isBare
}

function bundleKeysOf(value: unknown): string[] {
  const isKey = (each: unknown): each is string =>
    typeof each === 'string' && isEd25519(fromBase64(each) ?? new Uint8Array())
  if (Array.isArray(value) && value.length <= 4 && value.every(isKey)) return value
  throw invalid('bundleKeys must be a list of at most 4 Ed25519 keys, base64 of SubjectPublicKeyInfo')
}

/** @param text PEM or base64 of an Ed25519 SubjectPublicKeyInfo. @returns base64. @throws Refusal `configuration-invalid` */
export function parseAnyPublicKey(text: string): string {
  const inner = /-----BEGIN PUBLIC KEY-----([^-]+)-----END PUBLIC KEY-----/.exec(text)?.[1] ?? text
  const spki = fromBase64(inner)
  if (spki !== null && isEd25519(spki)) return toBase64(spki)
  throw invalid(
    'the key for bundles must be an Ed25519 public key in PEM, as `perennial trigger key` prints it',
  )
}

function isEd25519(spki: Uint8Array): boolean {
  try {
    return parsePublicKey(spki).algorithm === 'ed25519'
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

function share(value: unknown, name: string, minimum: number, maximum: number): number {
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value
  throw invalid(`${name} must be a number from ${minimum} to ${maximum}`)
}

function invalid(what: string): Refusal {
  return new Refusal('configuration-invalid', `configuration of the agent: ${what}`)
}

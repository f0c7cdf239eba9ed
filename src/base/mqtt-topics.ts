/**
 * The MQTT topics of a device: `<prefix>/devices/<device id>/<leaf>`. A device id has none of `+`, `#` and `/`, so it
 * stands in a topic as it is and no id can reach into another's subtree (MQTT 5 §4.7.1).
 */
import { parseDeviceId, type DeviceId } from './id.ts'

export const defaultTopicPrefix = 'perennial/v1'

/** What the platform publishes and a device reads. All retained but the answers to a request. */
export const serverLeaves = ['renew', 'hint', 'twin/desired', 'ota', 'csr/accepted', 'csr/rejected'] as const
/** What a device publishes and the platform reads. */
export const deviceLeaves = ['csr', 'status', 'twin/reported'] as const

export type ServerLeaf = (typeof serverLeaves)[number]
export type DeviceLeaf = (typeof deviceLeaves)[number]
export type TopicLeaf = ServerLeaf | DeviceLeaf

export interface DeviceTopic {
  readonly deviceId: DeviceId
  readonly leaf: TopicLeaf
}

const leaves: ReadonlySet<string> = new Set([...serverLeaves, ...deviceLeaves])
const written: ReadonlySet<string> = new Set(deviceLeaves)

export function deviceTopic(prefix: string, deviceId: DeviceId, leaf: TopicLeaf): string {
  return `${prefix}/devices/${deviceId}/${leaf}`
}

/** @returns null for a topic that is none of ours, or of no well-formed device id */
export function parseDeviceTopic(prefix: string, topic: string): DeviceTopic | null {
  const start = `${prefix}/devices/`
  if (!topic.startsWith(start)) return null
  const end = topic.indexOf('/', start.length)
  if (end === -1) return null
  const deviceId = parseDeviceId(topic.slice(start.length, end))
  const leaf = topic.slice(end + 1)
  return deviceId !== null && leaves.has(leaf) ? { deviceId, leaf: leaf as TopicLeaf } : null
}

/** True for the topics that a device publishes; the others are the platform's. */
export function isDeviceLeaf(leaf: TopicLeaf): leaf is DeviceLeaf {
  return written.has(leaf)
}

/** The filter that matches one leaf of every device. */
export function everyDevice(prefix: string, leaf: TopicLeaf): string {
  return `${prefix}/devices/+/${leaf}`
}

/** The group in which the processes of one installation share what devices send. */
export const shareGroup = 'perennial'

/** Several subscribers share the messages, each message goes to one of them (MQTT 5 §4.8.2; Mosquitto also in 3.1.1). */
export function sharedFilter(group: string, filter: string): string {
  return `$share/${group}/${filter}`
}

/** Levels of `A-Z a-z 0-9 . _ : -`, at most 128 characters, no slash at either end: nothing that a filter would read. */
export function isTopicPrefix(text: string): boolean {
  return text.length <= 128 && /^[A-Za-z0-9._:-]+(\/[A-Za-z0-9._:-]+)*$/.test(text)
}

/** Whether a topic fits a filter (MQTT 3.1.1 §4.7.1). */
export function topicFits(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false
  }
  return wanted.length === levels.length
}

/** The role of one device in Mosquitto's dynamic security plugin: what it may do stands there. */
export function dynsecRoleOf(deviceId: string): string {
  return `perennial-device-${deviceId}`
}

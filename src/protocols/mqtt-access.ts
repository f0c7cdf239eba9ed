/**
 * Who may do what at the embedded broker: a device writes its own requests and reads its own subtree, and nothing else is
 * there for it. The device is the one of the certificate in the inventory, whatever user name or client id it gives.
 */
import type { DeviceId } from '../base/id.ts'
import { isDeviceLeaf, parseDeviceTopic, type DeviceLeaf } from '../base/mqtt-topics.ts'

/** @returns the leaf that the device may publish on this topic, or null */
export function publishLeaf(prefix: string, deviceId: DeviceId, topic: string): DeviceLeaf | null {
  const parsed = parseDeviceTopic(prefix, topic)
  return parsed !== null && parsed.deviceId === deviceId && isDeviceLeaf(parsed.leaf) ? parsed.leaf : null
}

/** Longest filter that has a use: the prefix, an id and the longest leaf. */
const maxFilter = 256

/** True for filters inside the device's own subtree; wildcards only there. Shared subscriptions are for the platform. */
export function maySubscribe(prefix: string, deviceId: DeviceId, filter: string): boolean {
  return filter.length <= maxFilter && filter.startsWith(`${prefix}/devices/${deviceId}/`)
}

/** True for messages of the platform to this device. What it publishes itself does not come back. */
export function mayReceive(prefix: string, deviceId: DeviceId, topic: string): boolean {
  const parsed = parseDeviceTopic(prefix, topic)
  return parsed !== null && parsed.deviceId === deviceId && !isDeviceLeaf(parsed.leaf)
}

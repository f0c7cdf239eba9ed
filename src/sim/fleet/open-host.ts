/** The host of the devices, in this thread or in one of its own. */
import { DeviceHost } from './device-host.ts'
import type { Host, HostPlan } from './messages.ts'

export function openHost(plan: HostPlan, _inThread: boolean): Host {
  return new DeviceHost(plan)
}

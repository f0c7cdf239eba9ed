/** Facts that a scoped reader may see: those about devices of his part of the fleet, and about their certificates. */
import { parseDeviceId, parseIssuerId, parseSerialNumber } from '../../base/id.ts'
import { isInScope, type DeviceScope } from '../../store/device-scope.ts'
import { findDevice } from '../../store/devices.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import type { Engine } from '../context.ts'

/** In their order. What is not about a device (campaigns, issuers) is for readers of the whole fleet. */
export async function factsInScope<Fact extends { readonly subject: string }>(
  engine: Engine,
  facts: readonly Fact[],
  scope: DeviceScope,
): Promise<readonly Fact[]> {
  if (scope === null) return facts
  const known = new Map<string, boolean>()
  for (const { subject } of facts) {
    if (!known.has(subject)) known.set(subject, await isSubjectInScope(engine, subject, scope))
  }
  return facts.filter(({ subject }) => known.get(subject) === true)
}

async function isSubjectInScope({ store }: Engine, subject: string, scope: DeviceScope): Promise<boolean> {
  const [, kind, name = ''] = /^(device|certificate):(.+)$/.exec(subject) ?? []
  if (kind === 'device') {
    const id = parseDeviceId(name)
    const device = id && (await findDevice(store.db, id))
    return device !== null && isInScope(device, scope)
  }
  if (kind !== 'certificate') return false
  const [issuer = '', serial = ''] = name.split('/')
  const issuerId = parseIssuerId(issuer)
  const serialNumber = parseSerialNumber(serial)
  if (issuerId === null || serialNumber === null) return false
  const certificate = await findByIssuerAndSerial(store.db, issuerId, serialNumber)
  return certificate !== null && isInScope(certificate, scope)
}

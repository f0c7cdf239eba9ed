/** A device of the rig: what it holds, and how it asks. */
import type { ClientIdentity } from '../../src/agent/est-client.ts'
import { parseCertsOnly } from '../../src/pki/cms.ts'
import { encodePem } from '../../src/pki/pem.ts'
import type { NewDevice } from '../../src/engine/inventory/device.ts'
import { renewalCsr } from '../helpers/app.ts'
import { createKey, type TestKey } from '../helpers/ca.ts'
import type { EstRig } from '../helpers/est-rig.ts'
import { ask, post, type RawAnswer } from './raw-client.ts'

export interface RigDevice {
  readonly id: string
  readonly key: TestKey
  /** DER. */
  readonly certificate: Uint8Array
  readonly identity: ClientIdentity
}

/** Registered and enrolled with its secret. */
export async function enrolRigDevice(
  rig: EstRig,
  device: Partial<NewDevice> & { id: string },
): Promise<RigDevice> {
  const credentials = await rig.addDevice(device)
  const key = createKey()
  const certificate = await rig.client({ credentials }).enroll(key.csr())
  return rigDevice(rig, device.id, key, certificate)
}

export function rigDevice(rig: EstRig, id: string, key: TestKey, certificate: Uint8Array): RigDevice {
  const chainPem = encodePem('CERTIFICATE', certificate) + rig.issuingPem
  return { id, key, certificate, identity: { chainPem, key: key.privateKey } }
}

/** A renewal request with a new key and the names of the certificate. */
export function renewal({ certificate }: RigDevice, key = createKey()): Uint8Array {
  return renewalCsr(key, certificate)
}

export async function renewRaw(rig: EstRig, device: RigDevice, key = createKey()): Promise<RawAnswer> {
  return await ask(rig, { ...post('simplereenroll', renewal(device, key)), identity: device.identity })
}

/** Renews and returns the device with what it has now. */
export async function renewRigDevice(rig: EstRig, device: RigDevice): Promise<RigDevice> {
  const key = createKey()
  const certificate = await rig.client({ identity: device.identity }).reenroll(renewal(device, key))
  return rigDevice(rig, device.id, key, certificate)
}

export function basic({ username, password }: { username: string; password: string }): string {
  return `Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** The one certificate of a 200. */
export function certificateIn({ body }: RawAnswer): Uint8Array {
  const [certificate, ...more] = parseCertsOnly(Buffer.from(body, 'base64'))
  if (!certificate || more.length > 0) throw new Error('expected one certificate')
  return certificate
}

/** What a device sends over MQTT, as the agent and others build it. */
import { sha256Hex, toBase64 } from '../../src/base/bytes.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { requestToSign, signProof, statusToSign } from '../../src/pki/mqtt-proof.ts'
import { renewalCsr, type Enrolled } from './app.ts'
import { createKey, type TestKey } from './ca.ts'

export interface RequestParts {
  readonly device: Enrolled
  readonly deviceId?: string
  readonly clientToken?: string
  readonly key?: TestKey
  /** Over a broker that is not ours. */
  readonly signed?: boolean
  readonly change?: Readonly<Record<string, unknown>>
}

/** A renewal of the device with a new key. */
export function enrolMessage({
  device,
  deviceId = device.record.deviceId as string,
  clientToken = 'token-1',
  key = createKey(),
  signed = false,
  change = {},
}: RequestParts): Buffer {
  const csr = renewalCsr(key, device.certificate)
  const toSign = requestToSign({ deviceId: deviceId as DeviceId, clientToken, csr })
  const proof = signed
    ? {
        certificate: toBase64(device.certificate),
        signature: toBase64(signProof(device.key.privateKey, 'ec-p256', toSign)),
      }
    : {}
  return json({ v: 1, clientToken, operation: 'reenroll', csr: toBase64(csr), ...proof, ...change })
}

export interface StatusParts {
  readonly device: Enrolled
  readonly state: string
  /** Signs: the device itself, or another one. */
  readonly signer?: Enrolled
  readonly change?: Readonly<Record<string, unknown>>
}

export function statusMessage({ device, state, signer, change = {} }: StatusParts): Buffer {
  const certificate = sha256Hex(device.certificate)
  const clientToken = 'token-1'
  const deviceId = device.record.deviceId as DeviceId
  const toSign = statusToSign({ deviceId, clientToken, state, certificate })
  const signature = signer && toBase64(signProof(signer.key.privateKey, 'ec-p256', toSign))
  return json({ v: 1, state, clientToken, certificate, signature, ...change })
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

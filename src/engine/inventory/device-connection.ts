/**
 * A connection that stays: an MQTT session outlives the instant at which its certificate was looked at, so the look is
 * repeated while it lasts. Only certificates of ours open one; a factory identity enrols over EST first.
 */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import type { Engine } from '../context.ts'
import { identify } from '../issuing/identify.ts'

export interface DeviceConnection {
  readonly deviceId: DeviceId
  readonly certificate: CertificateRecord
}

export interface ConnectedPeer {
  readonly address: string
  /** DER; TLS has proved possession of its key. */
  readonly certificate: Uint8Array
}

/**
 * Looks at the certificate as any other request does: by its bytes in the inventory, its status, its end, its issuer and
 * the state of its device. Each look that it passes is a sighting, and so confirms a new certificate.
 * @throws Refusal `certificate-…`, `device-…`
 */
export async function admitConnection(
  engine: Engine,
  { address, certificate }: ConnectedPeer,
  now: Instant,
): Promise<DeviceConnection> {
  // `enroll` and not `reenroll`: an expired certificate has its grace for renewing over EST, not for staying connected
  const peer = { address, certificate, chain: [], basic: null }
  const applicant = await identify(engine, { peer, operation: 'enroll', now })
  if (applicant.kind !== 'certificate') {
    throw new Refusal(
      'certificate-unknown',
      'connect with the certificate that was issued here; a factory identity enrols over EST first',
    )
  }
  engine.sightings.note(applicant, now)
  return { deviceId: applicant.device.id, certificate: applicant.certificate }
}

/** OCSP answers for devices that reach no responder: what their own TLS servers staple, in a bundle that a courier carries. */
import { toBase64 } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { encodeOcspRequest } from '../../pki/ocsp-query.ts'
import type { OtaBundle } from '../../pki/ota-bundle.ts'
import { findCurrent } from '../../store/inventory.ts'
import type { Engine } from '../context.ts'
import { defaultSlot } from '../issuing/profile.ts'
import { answerOcsp } from './ocsp.ts'

/**
 * The answer about the device's current certificate; the bundle lapses with it.
 * @throws Refusal `not-found` when the device has no certificate of ours; `issuer-unavailable` when nobody can sign now
 */
export async function ocspBundle(engine: Engine, deviceId: DeviceId, now: Instant): Promise<OtaBundle> {
  const current = await findCurrent(engine.store.db, deviceId, defaultSlot)
  const issuer = current && (await engine.issuers.find(current.issuerId))
  if (!current || !issuer) throw new Refusal('not-found', `device ${deviceId} has no certificate of ours`)
  const request = encodeOcspRequest({ leaf: current, issuer: issuer.certificate, hash: 'sha1' })
  const answer = await answerOcsp(engine, request)
  if (answer.kind === 'error') {
    throw new Refusal('issuer-unavailable', `no OCSP answer about ${current.serialNumber}: ${answer.error}`)
  }
  return {
    device: deviceId,
    version: now,
    notBefore: now - 5 * minuteMs,
    expiresAt: answer.nextUpdate,
    payload: { kind: 'ocsp', responses: [toBase64(answer.der)] },
  }
}

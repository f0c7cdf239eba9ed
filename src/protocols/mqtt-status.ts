/**
 * What a device reports, over MQTT or to the device API, of the certificate that it got: `stored` when it is on persistent storage, `confirmed`
 * when it is in use, `failed` when it is no good. Only a proof of use retires the certificate before it: over the embedded
 * broker that is the TLS connection with the new certificate, over another broker a signature by its key.
 */
import { equalBytes, fromBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import type { ConnectedPeer } from '../engine/inventory/device-connection.ts'
import { deviceFailed } from '../engine/campaigns/campaign-failure.ts'
import {
  findLiveByHash,
  reportStates,
  reportStored,
  type ReportState,
} from '../engine/inventory/device-report.ts'
import { confirmUse } from '../engine/renewals/sighting.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { parsePublicKey } from '../pki/key.ts'
import { isProof, statusToSign } from '../pki/mqtt-proof.ts'
import { readClientToken, readMessage, type JsonMessage } from './mqtt-message.ts'

export interface MqttReport {
  /** Of the topic. */
  readonly deviceId: DeviceId
  readonly payload: Uint8Array
  /** What TLS says of the device at the embedded broker; null over another broker. */
  readonly connection: ConnectedPeer | null
}

/** Never throws. @returns what became of it: `stored`, `confirmed`, `failed`, or the code of a refusal */
export async function handleMqttReport(engine: Engine, report: MqttReport): Promise<string> {
  const device = report.deviceId
  try {
    return await takeReport(engine, report)
  } catch (error) {
    if (!(error instanceof Refusal)) {
      engine.log.error({ err: error, device }, 'a report over MQTT failed inside the server')
      return 'error'
    }
    const { code } = error
    engine.log.info({ code, reason: printable(error.message).slice(0, 500), device }, 'a report was refused')
    return code
  }
}

/** @returns the state. @throws Refusal for what says nothing, or nothing that is true */
export async function takeReport(
  engine: Engine,
  { deviceId, payload, connection }: MqttReport,
): Promise<ReportState> {
  const message = readMessage(payload)
  const clientToken = readClientToken(message)
  const state = readState(message)
  const hash = message['certificate']
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
    throw new Refusal('malformed', 'certificate is the SHA-256 of its DER in 64 lower-case hex digits')
  }
  const certificate = await findLiveByHash(engine, deviceId, hash)
  if (certificate === null) {
    throw new Refusal('certificate-unknown', `device ${deviceId} has no live certificate of this hash`)
  }
  if (state === 'stored') await reportStored(engine, certificate, engine.clock.now())
  if (state === 'failed') {
    engine.log.warn({ device: deviceId }, 'a device says that its new certificate is no good')
    const detail = 'the device says that its new certificate is no good'
    await deviceFailed(engine, { deviceId, slot: certificate.slot, detail }, engine.clock.now())
  }
  if (state === 'confirmed') {
    requireUse(certificate.der, {
      connection,
      message,
      signed: { deviceId, clientToken, state, certificate: hash },
    })
    // once: a report that is sent again, by whomever, is no new sign of life
    if (certificate.status === 'issued') await confirmUse(engine, certificate, engine.clock.now())
  }
  return state
}

interface Proof {
  readonly connection: ConnectedPeer | null
  readonly message: JsonMessage
  readonly signed: Parameters<typeof statusToSign>[0]
}

/** @throws Refusal `unauthenticated` or `bad-signature` */
function requireUse(der: Uint8Array | null, { connection, message, signed }: Proof): void {
  if (der !== null && connection !== null && equalBytes(der, connection.certificate)) return
  const { signature } = message
  if (signature === undefined) {
    throw new Refusal(
      'unauthenticated',
      'that a certificate is in use is shown by connecting with it, or by a signature of its key',
    )
  }
  const bytes = typeof signature === 'string' ? fromBase64(signature) : null
  if (bytes === null) throw new Refusal('malformed', 'signature is base64')
  const key = der && parsePublicKey(parseCertificate(der).spki)
  if (key && isProof(key, statusToSign(signed), bytes)) return
  throw new Refusal('bad-signature', 'the signature is not by the key of the certificate that is reported')
}

function readState({ state }: JsonMessage): ReportState {
  const known = reportStates.find((each) => each === state)
  if (known) return known
  throw new Refusal('malformed', `state is one of ${reportStates.join(', ')}`)
}

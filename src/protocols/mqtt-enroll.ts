/**
 * Enrolment over MQTT, for devices that have a secure channel already: a request with a CSR on the device's own topic, the
 * answer on `csr/accepted` or `csr/rejected`. A function on plain objects that ends in `enroll`, as est.ts does.
 *
 * Over the embedded broker the certificate of the TLS connection says who asks. Over another broker nothing is believed
 * but a signature by the key of the device's certificate, so that neither the broker nor another device can ask in its
 * name. A message that comes again, however late, gets the certificate of the first time (engine/issuing/repeat.ts).
 */
import { fromBase64, toBase64 } from '../base/bytes.ts'
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { token } from '../base/random.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import type { ConnectedPeer } from '../engine/inventory/device-connection.ts'
import { enroll, type EnrollOutcome, type EnrollRequest, type Peer } from '../engine/issuing/enroll.ts'
import { identify } from '../engine/issuing/identify.ts'
import { issuerChain } from '../engine/issuing/issuer.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { parsePublicKey } from '../pki/key.ts'
import { isProof, requestToSign } from '../pki/mqtt-proof.ts'
import { readClientToken, readMessage, type JsonMessage } from './mqtt-message.ts'

export interface MqttEnrollRequest {
  /** Of the topic. */
  readonly deviceId: DeviceId
  readonly payload: Uint8Array
  /** What TLS says of the device at the embedded broker; null over another broker. */
  readonly connection: ConnectedPeer | null
}

export interface MqttAnswer {
  readonly leaf: 'csr/accepted' | 'csr/rejected'
  readonly payload: string
  /** What became of it, for metrics. */
  readonly result: string
  /** The certificate of an accepted request, DER. */
  readonly certificate: Uint8Array | null
  readonly record: Extract<EnrollOutcome, { kind: 'issued' }>['record'] | null
}

/** Never throws: whatever goes wrong is an answer. */
export async function handleMqttEnroll(engine: Engine, request: MqttEnrollRequest): Promise<MqttAnswer> {
  let clientToken: string | null = null
  try {
    const message = readMessage(request.payload)
    clientToken = readClientToken(message)
    return await answer(engine, request, { message, clientToken })
  } catch (error) {
    return rejected(engine, request.deviceId, clientToken, error)
  }
}

/** The answer to a request that is larger than any that we take. */
export function tooLargeAnswer(engine: Engine, deviceId: DeviceId, maxBytes: number): MqttAnswer {
  const refusal = new Refusal('too-large', `a request has at most ${maxBytes} bytes here`)
  return rejected(engine, deviceId, null, refusal)
}

/** The answer to a request that is not looked at now. */
export function overloadedAnswer(
  engine: Engine,
  request: MqttEnrollRequest,
  retryAfterMs: number,
): MqttAnswer {
  const refusal = new Refusal('overloaded', 'too many requests at once: ask again later', { retryAfterMs })
  let clientToken: string | null = null
  try {
    clientToken = readClientToken(readMessage(request.payload))
  } catch {
    // then there is nothing by which the device could tell the answer
  }
  return rejected(engine, request.deviceId, clientToken, refusal)
}

interface Asked {
  readonly message: JsonMessage
  readonly clientToken: string
}

async function answer(
  engine: Engine,
  request: MqttEnrollRequest,
  { message, clientToken }: Asked,
): Promise<MqttAnswer> {
  const { deviceId, connection } = request
  const { operation } = message
  if (operation !== 'enroll' && operation !== 'reenroll') {
    throw new Refusal('malformed', 'operation is enroll or reenroll')
  }
  const csr = readBase64(message, 'csr')
  const peer = connection ? connectionPeer(connection) : provenPeer(message, { deviceId, clientToken, csr })
  await requireDevice(engine, { peer, operation, deviceId })
  const outcome = await enroll(engine, {
    operation,
    csr,
    profile: null,
    protocol: 'mqtt',
    peer,
    tlsUnique: null,
  })
  if (outcome.kind === 'pending') {
    return answerOf('csr/rejected', 'pending', {
      clientToken,
      code: 'pending',
      message: 'a person has to approve: ask again with the same key',
      retryAfterSeconds: Math.ceil(outcome.retryAfterMs / secondMs),
    })
  }
  const chain = await issuerChain(engine, outcome.record.issuerId)
  const body = {
    clientToken,
    certificate: toBase64(outcome.certificate),
    // the root is what a device trusts already
    chain: chain.slice(0, Math.max(1, chain.length - 1)).map(toBase64),
  }
  return {
    ...answerOf('csr/accepted', outcome.repeated ? 'repeated' : 'issued', body),
    certificate: outcome.certificate,
    record: outcome.record,
  }
}

/**
 * The certificate must be of the device whose topic this is: a device that has a certificate of its own may not use it on
 * another's topic, where it would learn nothing but could make noise in its name.
 */
async function requireDevice(
  engine: Engine,
  {
    peer,
    operation,
    deviceId,
  }: {
    readonly peer: Peer
    readonly operation: EnrollRequest['operation']
    readonly deviceId: DeviceId
  },
): Promise<void> {
  const applicant = await identify(engine, { peer, operation, now: engine.clock.now() })
  if (applicant.device.id === deviceId) return
  throw new Refusal(
    'unauthenticated',
    'the certificate belongs to another device than the topic: use the topic of your own device id',
  )
}

function connectionPeer({ address, certificate }: ConnectedPeer): Peer {
  return { address, certificate, chain: [], basic: null }
}

const maxChain = 8

/** @throws Refusal `unauthenticated` without a signature, `bad-signature` when it is not by the key of the certificate */
function provenPeer(
  message: JsonMessage,
  signed: { readonly deviceId: DeviceId; readonly clientToken: string; readonly csr: Uint8Array },
): Peer {
  if (message['signature'] === undefined || message['certificate'] === undefined) {
    throw new Refusal(
      'unauthenticated',
      'over this broker a request carries the current certificate and a signature by its key',
    )
  }
  const certificate = readBase64(message, 'certificate')
  const chain = readChain(message)
  const key = parsePublicKey(parseCertificate(certificate).spki)
  if (!isProof(key, requestToSign(signed), readBase64(message, 'signature'))) {
    throw new Refusal(
      'bad-signature',
      'the signature is not by the key of this certificate over this request',
    )
  }
  return { address: 'mqtt', certificate, chain, basic: null }
}

function readChain({ chain }: JsonMessage): Uint8Array[] {
  if (chain === undefined) return []
  if (!Array.isArray(chain) || chain.length > maxChain) {
    throw new Refusal('malformed', `chain is a list of at most ${maxChain} certificates`)
  }
  return chain.map((each) => readBase64({ chain: each as unknown }, 'chain'))
}

function readBase64(message: JsonMessage, key: string): Uint8Array {
  const text = message[key]
  const bytes = typeof text === 'string' ? fromBase64(text) : null
  if (bytes !== null && bytes.length > 0) return bytes
  throw new Refusal('malformed', `${key} is the base64 of DER bytes`)
}

function rejected(
  engine: Engine,
  deviceId: DeviceId,
  clientToken: string | null,
  error: unknown,
): MqttAnswer {
  if (!(error instanceof Refusal)) {
    const id = token(engine.random, 6)
    engine.log.error(
      { err: error, errorId: id, device: deviceId },
      'a request over MQTT failed inside the server',
    )
    const message = `the server failed; ask its operator to look for error ${id} in the log`
    return answerOf('csr/rejected', 'error', { clientToken, code: 'error', message })
  }
  const { code, message, retryAfterMs } = error
  const reason = printable(message).slice(0, 500)
  engine.log.info({ code, reason, device: deviceId }, 'a request over MQTT was refused')
  return answerOf('csr/rejected', code, {
    clientToken,
    code,
    message: reason,
    retryAfterSeconds: retryAfterMs === null ? undefined : Math.ceil(retryAfterMs / secondMs),
  })
}

function answerOf(leaf: MqttAnswer['leaf'], result: string, body: object): MqttAnswer {
  return { leaf, result, payload: JSON.stringify({ v: 1, ...body }), certificate: null, record: null }
}

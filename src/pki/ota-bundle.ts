/**
 * Bundles for devices that cannot be spoken to: a renewal trigger, new trust anchors, a certificate chain or OCSP answers, as
 * one signed text that any courier may carry (an update service, a retained message, a USB stick). The courier is not trusted: what
 * is signed names its device, its version and its end.
 *
 *     {"bundle":{…},"signature":{"algorithm":"ed25519","keyId":"…","value":"…"}}
 *
 * The signature is over `perennial-ota-bundle-v1`, a zero byte and the canonical JSON of the bundle, so white space and
 * the order of keys in the file do not count, and a signature of the same key over anything else is worth nothing here.
 */
import { canonicalJson, type CanonicalValue } from '../base/canonical-json.ts'
import { iso, type Instant } from '../base/clock.ts'
import { concatBytes, fromBase64, sha256, toBase64, toHex } from '../base/bytes.ts'
import { assert, Refusal } from '../base/errors.ts'
import { parseDeviceId, type DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import { parsePublicKey } from './key.ts'
import { decodePem } from './pem.ts'
import { verifySignature } from './signature.ts'

/** `trigger`: renew now. `trust`: these are the CAs to trust from now on. `certificate`: this is your new chain. `ocsp`:
 * show this to whoever connects to you. */
export type OtaPayload =
  | { readonly kind: 'trigger'; readonly trigger: OtaTrigger }
  /** PEM, one certificate each; the whole set, not an addition. */
  | { readonly kind: 'trust'; readonly certificates: readonly string[] }
  /** PEM, one certificate each, the device's own first. */
  | { readonly kind: 'certificate'; readonly certificates: readonly string[] }
  /** Signed OCSP answers about the device's own certificate, base64 of DER. */
  | { readonly kind: 'ocsp'; readonly responses: readonly string[] }
  /** CAs, and what follows the bundle in its file (status-bundle.ts). */
  | { readonly kind: 'status'; readonly certificates: readonly string[]; readonly parts: readonly OtaPart[] }

export interface OtaPart {
  readonly kind: 'crl' | 'delta' | 'set'
  /** Bytes. */
  readonly size: number
  /** Hex. */
  readonly sha256: string
}

/** The trigger as all channels write it. */
export interface OtaTrigger {
  readonly renewal: number
  /** `issuer id/serial number` of the certificate to be replaced. */
  readonly certificate: string
  readonly notAfter: Instant
  readonly window: { readonly start: Instant; readonly end: Instant }
}

export type OtaKind = OtaPayload['kind']

export interface OtaBundle {
  /** For whom: `meter-17`; for `trust` also `meter-*` (all that begin so) or `*`. */
  readonly device: string
  /** Grows from bundle to bundle of one kind: a device takes no lower one. Never above 2^53 - 1. */
  readonly version: number
  readonly notBefore: Instant
  readonly expiresAt: Instant
  readonly payload: OtaPayload
}

export interface OtaSigner {
  /** SubjectPublicKeyInfo of an Ed25519 key, DER. */
  readonly spki: Uint8Array
  /** @returns the 64 bytes of RFC 8032 */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** A bundle is small: it goes over slow links into small devices. Bytes. */
export const maxOtaBundle = 131_072
/** In one bundle: the trust anchors of a device, or a chain. */
export const maxOtaCertificates = 16
/** One or two for each CA. */
const maxOtaParts = 64
/** Of one device: one for each certificate and hash algorithm. */
export const maxOtaResponses = 8
const signatureContext = Buffer.from('perennial-ota-bundle-v1\0')

/** @returns one line of JSON without a newline at its end; the same bytes for the same bundle */
export async function signOtaBundle(bundle: OtaBundle, signer: OtaSigner): Promise<string> {
  const value = encodeBundle(bundle)
  const signature = await signer.sign(signedBytes(value))
  const text = canonicalJson({
    bundle: value,
    signature: { algorithm: 'ed25519', keyId: otaKeyId(signer.spki), value: toBase64(signature) },
  })
  assert(Buffer.byteLength(text) <= maxOtaBundle, `an OTA bundle has at most ${maxOtaBundle} bytes`)
  return text
}

/** Which key signed it: the first 8 bytes of the SHA-256 of its SubjectPublicKeyInfo, hex. A hint, not a proof. */
export function otaKeyId(spki: Uint8Array): string {
  return toHex(sha256(spki).subarray(0, 8))
}

export interface OtaExpectation {
  /** SubjectPublicKeyInfo (DER) of every key that may sign; more than one while a key is being replaced. */
  readonly keys: readonly Uint8Array[]
  readonly deviceId: DeviceId
  readonly now: Instant
  /** Version of the last bundle of the kind that this device took; null when there was none. */
  lastVersion(kind: OtaKind): number | null
}

export interface OpenedOtaBundle {
  readonly bundle: OtaBundle
  /** It is the one that was taken last, come again: nothing is to be done. */
  readonly isRepeat: boolean
}

/**
 * Reads and judges a bundle. The signature comes before anything that it says is believed.
 * @throws Refusal `too-large`; `malformed` when it is no bundle; `bad-signature` when no known key signed it;
 *   `bundle-refused` when it is for another device, expired, not valid yet, or older than one that was taken
 */
export function openOtaBundle(text: string, expected: OtaExpectation): OpenedOtaBundle {
  if (Buffer.byteLength(text) > maxOtaBundle) {
    throw new Refusal('too-large', `an OTA bundle has at most ${maxOtaBundle} bytes`)
  }
  const envelope = members(parseJson(text), 'the bundle')
  const value = envelope['bundle']
  checkSignature(value, members(envelope['signature'], 'signature'), expected.keys)
  const bundle = decodeBundle(members(value, 'bundle'))

  if (!isForDevice(bundle.device, expected.deviceId)) {
    throw new Refusal('bundle-refused', `the bundle is for ${bundle.device}, not for ${expected.deviceId}`)
  }
  if (expected.now < bundle.notBefore) {
    throw new Refusal('bundle-refused', `the bundle is valid from ${iso(bundle.notBefore)} on`)
  }
  if (expected.now >= bundle.expiresAt) {
    throw new Refusal('bundle-refused', `the bundle expired at ${iso(bundle.expiresAt)}; ask for a new one`)
  }
  const last = expected.lastVersion(bundle.payload.kind)
  if (last !== null && bundle.version < last) {
    throw new Refusal('bundle-refused', `the bundle has version ${bundle.version}, older than ${last}`)
  }
  return { bundle, isRepeat: bundle.version === last }
}

/** Whether a bundle of this kind can be for `device`: only trust anchors are for many. */
export function isOtaDevice(device: string, kind: OtaKind): boolean {
  return (
    parseDeviceId(device) !== null ||
    ((kind === 'trust' || kind === 'status') && /^([A-Za-z0-9][A-Za-z0-9._:-]{0,62})?\*$/.test(device))
  )
}

/** Whether `meter-1`, `meter-*` or `*` means this device. */
export function isForDevice(device: string, deviceId: DeviceId): boolean {
  return device.endsWith('*') ? deviceId.startsWith(device.slice(0, -1)) : device === deviceId
}

function signedBytes(value: CanonicalValue): Uint8Array {
  return concatBytes(signatureContext, Buffer.from(canonicalJson(value)))
}

function checkSignature(value: unknown, signature: Members, keys: readonly Uint8Array[]): void {
  if (!isCanonical(value, 0)) throw malformed('what is signed has a fraction, broken text or too many levels')
  const bytes = fromBase64(textAt(signature, 'value'))
  if (textAt(signature, 'algorithm') !== 'ed25519' || bytes?.byteLength !== 64) {
    throw malformed('the signature is not of 64 bytes of Ed25519 in base64')
  }
  const keyId = textAt(signature, 'keyId')
  const spki = keys.find((key) => otaKeyId(key) === keyId)
  if (!spki) throw new Refusal('bad-signature', `the bundle is signed by the unknown key ${shown(keyId)}`)
  const key = parsePublicKey(spki)
  if (!verifySignature({ key, algorithm: 'ed25519', data: signedBytes(value), signature: bytes })) {
    throw new Refusal('bad-signature', `the signature of key ${keyId} does not fit the bundle`)
  }
}

function encodeBundle({ device, version, notBefore, expiresAt, payload }: OtaBundle) {
  return {
    v: 1,
    kind: payload.kind,
    device,
    version,
    notBefore: iso(notBefore),
    expiresAt: iso(expiresAt),
    ...(payload.kind === 'trigger'
      ? {
          trigger: {
            renewal: payload.trigger.renewal,
            certificate: payload.trigger.certificate,
            notAfter: iso(payload.trigger.notAfter),
            window: { start: iso(payload.trigger.window.start), end: iso(payload.trigger.window.end) },
          },
        }
      : payload.kind === 'ocsp'
        ? { responses: payload.responses }
        : payload.kind === 'status'
          ? { certificates: payload.certificates, parts: payload.parts.map((part) => ({ ...part })) }
          : { certificates: payload.certificates }),
  }
}

/** Keys that are not known are passed over: the signature covers them, and a later version may mean something by them. */
function decodeBundle(value: Members): OtaBundle {
  if (value['v'] !== 1) throw malformed('the bundle is not of version 1 of the format; update the agent')
  const payload = decodePayload(value)
  const device = textAt(value, 'device')
  if (!isOtaDevice(device, payload.kind)) throw malformed(`device is ${shown(device)}`)
  return {
    device,
    version: countAt(value, 'version'),
    notBefore: instantAt(value, 'notBefore'),
    expiresAt: instantAt(value, 'expiresAt'),
    payload,
  }
}

function decodePayload(value: Members): OtaPayload {
  const kind = textAt(value, 'kind')
  if (kind === 'trigger') {
    const trigger = members(value['trigger'], 'trigger')
    const window = members(trigger['window'], 'window')
    return {
      kind,
      trigger: {
        renewal: countAt(trigger, 'renewal'),
        certificate: textAt(trigger, 'certificate'),
        notAfter: instantAt(trigger, 'notAfter'),
        window: { start: instantAt(window, 'start'), end: instantAt(window, 'end') },
      },
    }
  }
  if (kind === 'ocsp') {
    const responses = value['responses']
    if (!Array.isArray(responses) || responses.length === 0 || responses.length > maxOtaResponses) {
      throw malformed(`responses is not a list of 1 to ${maxOtaResponses}`)
    }
    return { kind, responses: responses.map(responseText) }
  }
  if (kind !== 'trust' && kind !== 'certificate' && kind !== 'status')
    throw malformed(`kind is ${shown(kind)}`)
  const list = value['certificates']
  if (!Array.isArray(list) || list.length === 0 || list.length > maxOtaCertificates) {
    throw malformed(`certificates is not a list of 1 to ${maxOtaCertificates}`)
  }
  const certificates = list.map(certificatePem)
  return kind === 'status' ? { kind, certificates, parts: partsAt(value) } : { kind, certificates }
}

function partsAt(value: Members): OtaPart[] {
  const list = value['parts']
  if (!Array.isArray(list) || list.length > maxOtaParts)
    throw malformed(`parts is not a list of up to ${maxOtaParts}`)
  return list.map((each) => {
    const part = members(each, 'a part')
    const kind = textAt(part, 'kind')
    const named = textAt(part, 'sha256')
    if (kind !== 'crl' && kind !== 'delta' && kind !== 'set')
      throw malformed(`a part is of kind ${shown(kind)}`)
    if (!/^[0-9a-f]{64}$/.test(named)) throw malformed('the hash of a part is not SHA-256 in hex')
    return { kind, size: countAt(part, 'size'), sha256: named }
  })
}

function responseText(value: unknown): string {
  if (typeof value !== 'string' || fromBase64(value) === null) throw malformed('a response is not base64')
  return value
}

function certificatePem(value: unknown): string {
  if (typeof value !== 'string') throw malformed('a certificate is not text')
  const blocks = decodePem(value)
  if (blocks.length !== 1 || blocks[0]?.label !== 'CERTIFICATE') {
    throw malformed('each text of certificates holds one PEM certificate')
  }
  return value
}

type Members = Readonly<Record<string, unknown>>

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Refusal('malformed', 'OTA bundle: this is not JSON', { cause: error })
  }
}

function members(value: unknown, what: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`${what} is not a JSON object`)
  }
  return value as Members
}

function textAt(value: Members, key: string): string {
  const text = value[key]
  if (typeof text !== 'string' || text === '' || text.length > 512) throw malformed(`${key} is not a text`)
  return text
}

function countAt(value: Members, key: string): number {
  const count = value[key]
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) {
    throw malformed(`${key} is not a whole number`)
  }
  return count
}

const isoPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

function instantAt(value: Members, key: string): Instant {
  const text = textAt(value, key)
  const at = isoPattern.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw malformed(`${key} is not an instant such as 2026-11-20T12:00:00Z`)
  return at
}

/** What `canonicalJson` takes without stopping the process. */
function isCanonical(value: unknown, depth: number): value is CanonicalValue {
  if (depth > 8) return false
  if (value === null || typeof value === 'boolean') return true
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value !== 'object') return false
  return (
    Object.keys(value).every((key) => key.isWellFormed()) &&
    Object.values(value).every((item) => isCanonical(item, depth + 1))
  )
}

function shown(text: string): string {
  return printable(text).slice(0, 80)
}

function malformed(detail: string): Refusal {
  return new Refusal('malformed', `OTA bundle: ${detail}`)
}

/**
 * Status for verifiers without a link: a signed OTA bundle of kind `status`, and after its line the CRLs or compact sets that it
 * names by their SHA-256. The signature covers the names, so whoever carries the file can change nothing.
 *
 *     {"bundle":{…},"signature":{…}}\n<bytes of the first part><bytes of the second part>…
 */
import { equalBytes, fromHex, sha256, sha256Hex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { openOtaBundle, signOtaBundle, type OtaBundle, type OtaPart, type OtaSigner } from './ota-bundle.ts'

export interface StatusPart {
  /** `crl`: complete; `delta`: what came since the complete one of that number; `set`: a compact set. */
  readonly kind: OtaPart['kind']
  readonly bytes: Uint8Array
}

export interface StatusBundleContent {
  /** For whom: a device, `PREFIX*` or `*`. */
  readonly device: string
  readonly version: number
  readonly notBefore: Instant
  readonly expiresAt: Instant
  /** CAs to trust, PEM, one each. */
  readonly certificates: readonly string[]
  readonly parts: readonly StatusPart[]
}

/** @returns the file */
export async function signStatusBundle(content: StatusBundleContent, signer: OtaSigner): Promise<Uint8Array> {
  const { parts, certificates, ...rest } = content
  const named = parts.map(({ kind, bytes }) => ({ kind, size: bytes.length, sha256: sha256Hex(bytes) }))
  const bundle: OtaBundle = { ...rest, payload: { kind: 'status', certificates, parts: named } }
  const line = await signOtaBundle(bundle, signer)
  return Buffer.concat([Buffer.from(`${line}\n`), ...parts.map(({ bytes }) => bytes)])
}

export interface StatusExpectation {
  /** SubjectPublicKeyInfo (DER) of every key that may sign. */
  readonly keys: readonly Uint8Array[]
  readonly now: Instant
  /** Version of the last one that was taken; null when there was none. */
  readonly lastVersion: number | null
  /** Who reads it; default: somebody whom only bundles for all are for. */
  readonly deviceId?: DeviceId
}

/** The line before the parts: 16 certificates and 64 names of parts. */
const maxLine = 131_072

/**
 * Parts are views on the input.
 * @throws Refusal as `openOtaBundle`; `malformed` when a part lacks, is another, or something follows
 */
export function openStatusBundle(file: Uint8Array, expected: StatusExpectation): StatusBundleContent {
  const end = file.subarray(0, maxLine + 1).indexOf(0x0a)
  if (end === -1) throw new Refusal('malformed', 'status bundle: it does not begin with a line of JSON')
  const text = Buffer.from(file.subarray(0, end)).toString('utf8')
  const { keys, now, lastVersion, deviceId = 'verifier' as DeviceId } = expected
  const { bundle } = openOtaBundle(text, { keys, now, deviceId, lastVersion: () => lastVersion })
  const { payload, ...rest } = bundle
  if (payload.kind !== 'status')
    throw new Refusal('malformed', `the bundle is of kind ${payload.kind}, not status`)
  let at = end + 1
  const parts = payload.parts.map(({ kind, size, sha256: named }) => {
    const bytes = file.subarray(at, at + size)
    at += size
    if (bytes.length !== size || !equalBytes(sha256(bytes), fromHex(named) ?? new Uint8Array())) {
      throw new Refusal(
        'malformed',
        `status bundle: a part (${kind}) is cut off or is not the one that was signed`,
      )
    }
    return { kind, bytes }
  })
  if (at !== file.length) throw new Refusal('malformed', 'status bundle: something follows the last part')
  return { ...rest, certificates: payload.certificates, parts }
}

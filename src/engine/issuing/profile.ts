/** A profile says what a device's certificate looks like, how long it lives, and how it is renewed. */
import { canonicalJson } from '../../base/canonical-json.ts'
import { sha256Hex } from '../../base/bytes.ts'
import { dayMs, minuteMs } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import type { KeyUsageName } from '../../pki/extension-values.ts'
import type { KeyAlgorithm } from '../../pki/key.ts'

/**
 * `short-lived`: they do not, the certificate ends soon enough. `crl`, `ocsp`: they fetch. `crl-ota`: they get bundles when they
 * check in. `stapled`: the device itself shows an answer.
 */
export const revocationMethods = ['short-lived', 'crl-ota', 'crl', 'ocsp', 'stapled'] as const
export type RevocationMethod = (typeof revocationMethods)[number]

export interface Profile {
  /** Lower-case name; also the EST label. */
  readonly name: string
  readonly description: string
  /** Who signs. */
  readonly issuer: IssuerId
  /** Template of the subject, RFC 4514: `CN={device.id},O={organization}`. See profile-template.ts for the variables. */
  readonly subject: string
  /** Templates of the SAN, each `kind:value`: `uri:urn:perennial:device:{device.id}`. */
  readonly subjectAltNames: readonly string[]
  /** What a device may bring. */
  readonly keyAlgorithms: readonly KeyAlgorithm[]
  /** `keyEncipherment` is written only for RSA keys: no other algorithm here can encipher (RFC 5480 §3, RFC 8410 §5). */
  readonly keyUsage: readonly KeyUsageName[]
  /** Names (`clientAuth`) or dotted object identifiers; empty = no extension. */
  readonly extendedKeyUsage: readonly string[]
  /** Longest life, from issue to notAfter; null = no well-defined end, 99991231235959Z (RFC 5280 §4.1.2.5). */
  readonly validityMs: number | null
  /** Up to this much, by device, is taken off the end, so that a production batch cannot lapse in one night. */
  readonly jitterMs: number
  /** The renewal window opens this long before notAfter; null = never renewed. */
  readonly renewBeforeMs: number | null
  /** An expired certificate may still renew for this long; 0 = never. */
  readonly renewExpiredForMs: number
  /**
   * A certificate whose issuer was revoked may still be renewed, and used for nothing else, for this long after the
   * revocation; 0 = never.
   */
  readonly reissueForMs: number
  /** A replaced certificate goes on working this long after the new one was first used, ms: a device may fall back to it. */
  readonly retireAfterMs: number
  /** `required`: each certificate has a new key. */
  readonly rekey: 'required' | 'allowed'
  /** notBefore lies this much before the instant of issue, for devices whose clock is behind. */
  readonly backdateMs: number
  /** `manual`: a person approves each certificate. */
  readonly approval: 'automatic' | 'manual'
  /** RFC 7030 §3.5: `verify` when the request carries it, or `require` it. */
  readonly popLinking: 'verify' | 'require'
  /** Whether the server may make the device's key (RFC 7030 §4.4). Off, unless a device cannot make one. */
  readonly serverKeygen: boolean
  /** Name of the connectivity profile that devices of this profile have unless their record says otherwise. */
  readonly connectivity: string
  /** Object identifiers; empty = no extension. */
  readonly certificatePolicies: readonly string[]
  readonly purpose: 'device' | 'matter-dac'
  /** How those who are shown its certificates learn of a revocation. */
  readonly revocationMethod: RevocationMethod
  /** By when they must know, from the revocation on, ms; null = nothing is promised. Checked in policy-rules.ts. */
  readonly revocationKnownWithinMs: number | null
  /** Whether its certificates may be put on hold (certificateHold), which can be taken back. */
  readonly hold: boolean
  /** Whether a CRL distribution point is written into the certificate, about 70 bytes: where verifiers find what is revoked. */
  readonly crl: boolean
  /** SHA-256 over everything above, hex: which rules a certificate was issued under. */
  readonly contentHash: string
}

/** A profile as it is written down: everything that has a default may be left out. */
export type ProfileInput = Pick<Profile, 'name' | 'issuer' | 'validityMs' | 'renewBeforeMs'> &
  Partial<Omit<Profile, 'contentHash'>>

export const profileDefaults = {
  description: '',
  subject: 'CN={device.id},O={organization}',
  subjectAltNames: ['uri:urn:perennial:device:{device.id}'],
  keyAlgorithms: ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['clientAuth'],
  jitterMs: 0,
  renewExpiredForMs: 0,
  reissueForMs: 0,
  retireAfterMs: 7 * dayMs,
  rekey: 'required',
  backdateMs: 5 * minuteMs,
  approval: 'automatic',
  popLinking: 'verify',
  serverKeygen: false,
  connectivity: 'always-on',
  certificatePolicies: [],
  purpose: 'device',
  revocationMethod: 'crl',
  revocationKnownWithinMs: null,
  hold: false,
  crl: true,
} as const satisfies Omit<Profile, 'name' | 'issuer' | 'validityMs' | 'renewBeforeMs' | 'contentHash'>

/** Fills in the defaults and the content hash. Whether the result makes sense is asked in policy-rules.ts. */
export function defineProfile(input: ProfileInput): Profile {
  const content = { ...profileDefaults, ...input }
  return { ...content, contentHash: sha256Hex(canonicalJson({ ...content })) }
}

/** The one credential slot of a device that the protocols of this version serve. */
export const defaultSlot = 'default'

/** Shortest life a certificate may have, ms: below it, renewal is a load and not a protection. */
export const minValidityMs = dayMs / 24

/** The certificate with which the EST endpoint shows who it is. Issued like any other, into the inventory. */
import { isIP } from 'node:net'
import { dayMs, secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { encodeBasicConstraints, encodeExtendedKeyUsage, encodeKeyUsage } from '../../pki/extension-values.ts'
import { makeExtension } from '../../pki/extensions.ts'
import type { GeneralName } from '../../pki/general-name.ts'
import { parseGeneralNameText } from '../../pki/general-name-text.ts'
import { checkPublicKey } from '../../pki/key-check.ts'
import { parsePublicKey } from '../../pki/key.ts'
import type { Name } from '../../pki/name.ts'
import { oids } from '../../pki/oid.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { actors } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import {
  crlDistributionPoint,
  draft,
  draftIssuer,
  issuerExtensions,
  newSerialNumber,
  shardOf,
} from './issue-content.ts'
import { defaultIssuerId } from './default-profiles.ts'
import { issueCertificate, signerOf } from './issue.ts'
import { defaultSlot } from './profile.ts'

/** What `profile` says in the inventory. It is no device profile: no device can ask for it. */
export const serverProfile = 'server'

/** Browsers take 398 days at most; devices do not care. */
const validityMs = 365 * dayMs
const backdateMs = 300 * secondMs
const renewBeforeMs = 30 * dayMs

export interface ServerCertificateRequest {
  readonly issuerId: IssuerId
  /** DNS names and IP addresses that devices connect to; at least one, the first is also the subject. */
  readonly hostnames: readonly string[]
  /** DER. The private key stays with the caller. */
  readonly spki: Uint8Array
}

/**
 * A TLS server certificate that says by id-kp-cmcRA that it may speak for the CA (RFC 7030 §3.6.1).
 * @throws Refusal `invalid-input`, `malformed` (host names), `weak-key`, `issuer-unavailable`, `lint-failed`
 */
export async function issueServerCertificate(
  engine: Engine,
  { issuerId, hostnames, spki }: ServerCertificateRequest,
): Promise<CertificateRecord & { readonly der: Uint8Array }> {
  const now = engine.clock.now()
  const issuer = await engine.issuers.active(issuerId, now)
  const key = parsePublicKey(spki)
  checkPublicKey(key)
  const start = Math.floor(now / secondMs) * secondMs
  const serialNumber = newSerialNumber(engine.random, now)
  const crlShard = shardOf(serialNumber, issuer.record.crlShards)
  const isRsa = key.details.kind === 'rsa'
  const content = draft({
    issuer: draftIssuer(issuer),
    key,
    serialNumber,
    crlShard,
    notBefore: Math.max(start - backdateMs, issuer.record.notBefore),
    notAfter: Math.min(start + validityMs, issuer.record.notAfter),
    subject: subjectOf(hostnames, engine.settings.organization),
    subjectAltNames: [...new Set(hostnames)].map(hostName),
    extensions: [
      makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: false, pathLength: null })),
      makeExtension(
        oids.keyUsage,
        encodeKeyUsage(['digitalSignature', ...(isRsa ? ['keyEncipherment' as const] : [])]),
      ),
      makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.serverAuth, oids.cmcRA])),
      ...issuerExtensions(issuer, engine.settings.statusUrl),
      crlDistributionPoint(engine.settings.statusUrl, issuerId, crlShard),
    ],
  })
  const issuance = {
    signer: signerOf(issuer),
    certificate: {
      ...content,
      deviceId: null,
      slot: defaultSlot,
      issuerId,
      keyAlgorithm: key.algorithm,
      spkiHash: key.spkiHash,
      profile: serverProfile,
      profileHash: null,
      protocol: 'local',
      predecessorId: null,
      cohort: null,
      batch: null,
      site: null,
      createdAt: now,
    },
    purpose: 'server' as const,
    actor: actors.system,
  }
  const { record, der } = await issueCertificate(engine, issuance, now)
  return { ...record, der }
}

/**
 * Who signs it: the issuing CA that `init` made, or, when that one signs no more, the first that a profile names.
 * @throws Refusal `issuer-unavailable` when there is none
 */
export async function serverIssuer(engine: Engine): Promise<IssuerId> {
  const active = (await engine.issuers.list()).filter(
    ({ kind, status, certificate }) => kind === 'intermediate' && status === 'active' && certificate !== null,
  )
  if (active.some(({ id }) => id === defaultIssuerId)) return defaultIssuerId
  const named = new Set([...engine.settings.profiles.values()].map(({ issuer }) => issuer))
  const found = active.find(({ id }) => named.has(id)) ?? active[0]
  if (found) return found.id
  throw new Refusal('issuer-unavailable', 'no issuing CA is active here: make one with `perennial ca create`')
}

/** True when it is time for the next one: 30 days before the end. */
export function isServerCertificateDue(
  { notAfter }: Pick<CertificateRecord, 'notAfter'>,
  now: Instant,
): boolean {
  return now >= notAfter - renewBeforeMs
}

function hostName(text: string): GeneralName {
  return parseGeneralNameText(isIP(text) === 0 ? `dns:${text}` : `ip:${text}`)
}

function subjectOf([first]: readonly string[], organization: string): Name {
  if (first === undefined) {
    throw new Refusal(
      'invalid-input',
      'a server certificate needs a host name or an IP address that devices connect to',
    )
  }
  const commonName = { type: oids.commonName, value: first.length <= 64 ? first : 'EST server' }
  return [[{ type: oids.organizationName, value: organization }], [commonName]]
}

/**
 * Step 5: from profile, record and key to the bytes that will be signed. Nothing of the request gets in but its key.
 * What is the same for all certificates of one issuer and profile is encoded once.
 */
import { toHex } from '../../base/bytes.ts'
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId, SerialNumber } from '../../base/id.ts'
import type { Random } from '../../base/random.ts'
import { encodeTbsCertificate } from '../../pki/certificate.ts'
import { crlAt, encodeDistributionPoints } from '../../pki/distribution-point.ts'
import {
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeInfoAccess,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from '../../pki/extension-values.ts'
import { makeExtension, type Extension } from '../../pki/extensions.ts'
import { encodeGeneralNames, type GeneralName } from '../../pki/general-name.ts'
import { formatGeneralName } from '../../pki/general-name-text.ts'
import type { PublicKey } from '../../pki/key.ts'
import type { Name } from '../../pki/name.ts'
import { formatName } from '../../pki/name-text.ts'
import { oidFromName, oids } from '../../pki/oid.ts'
import type { SignatureAlgorithm } from '../../pki/signature.ts'
import { encodeCertificatePolicies } from '../../pki/certificate-policies.ts'
import type { DeviceRecord } from '../../store/devices.ts'
import type { EngineSettings } from '../context.ts'
import { completeUrl, shardUrl } from '../revocation/crl-url.ts'
import type { IssuerMaterial } from './issuer-cache.ts'
import type { Profile } from './profile.ts'
import { renderSubject, renderSubjectAltNames } from './profile-template.ts'
import { validityOf } from './validity.ts'

/** A certificate that is complete but for its signature, and the texts that the inventory shows of it. */
export interface CertificateDraft {
  readonly tbs: Uint8Array
  readonly serialNumber: SerialNumber
  readonly subject: string
  readonly subjectAltNames: readonly string[]
  readonly notBefore: Instant
  readonly notAfter: Instant
  /** Which CRL of its issuer would list it: fixed now, for ever. */
  readonly crlShard: number
}

export interface DeviceDraftInput {
  readonly settings: Pick<EngineSettings, 'organization' | 'statusUrl'>
  readonly random: Random
  readonly profile: Profile
  readonly device: DeviceRecord
  readonly key: PublicKey
  readonly issuer: IssuerMaterial
  readonly now: Instant
}

/** @throws Refusal `profile-not-allowed`, `hostile-name` or `malformed` (record does not fit the templates), `issuer-unavailable` */
export function draftDeviceCertificate(input: DeviceDraftInput): CertificateDraft {
  const { settings, random, profile, device, key, issuer, now } = input
  const values = { organization: settings.organization, device, issuer: issuer.certificate.subject }
  const { record } = issuer
  const validity = validityOf({ profile, deviceId: device.id, issuer: record, now })
  const serialNumber = newSerialNumber(random, now)
  const crlShard = shardOf(serialNumber, record.crlShards)
  const constant = constantExtensions(issuer, profile, key, settings)
  return draft({
    issuer: draftIssuer(issuer),
    key,
    serialNumber,
    crlShard,
    ...validity,
    subject: renderSubject(profile, values),
    subjectAltNames: renderSubjectAltNames(profile, values),
    extensions:
      profile.crl && record.crlShards > 1
        ? [...constant, crlDistributionPoint(settings.statusUrl, record.id, crlShard)]
        : constant,
  })
}

/** As much of an issuer as its name on a certificate takes; a root has no more when it signs itself. */
export interface DraftIssuer {
  readonly subject: Name
  /** As its own certificate has it: keeps its string types. */
  readonly subjectDer?: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
}

export interface DraftInput {
  readonly issuer: DraftIssuer
  readonly key: PublicKey
  readonly serialNumber: SerialNumber
  readonly crlShard: number
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly subject: Name
  readonly subjectAltNames: readonly GeneralName[]
  /** All but subjectKeyIdentifier and subjectAltName. */
  readonly extensions: readonly Extension[]
}

export function draft(input: DraftInput): CertificateDraft {
  const { issuer, key, subject, subjectAltNames, serialNumber, notBefore, notAfter, crlShard } = input
  const extensions = [
    ...input.extensions,
    makeExtension(oids.subjectKeyIdentifier, encodeSubjectKeyIdentifier(key.keyIdentifier)),
  ]
  if (subjectAltNames.length > 0) {
    // RFC 5280 §4.2.1.6: critical where the subject is empty
    extensions.push(
      makeExtension(oids.subjectAltName, encodeGeneralNames(subjectAltNames), subject.length === 0),
    )
  }
  const tbs = encodeTbsCertificate({
    serialNumber,
    issuer: issuer.subject,
    ...(issuer.subjectDer ? { issuerDer: issuer.subjectDer } : {}),
    subject,
    notBefore,
    notAfter,
    spki: key.spki,
    extensions,
    signatureAlgorithm: issuer.signatureAlgorithm,
  })
  return {
    tbs,
    serialNumber,
    subject: formatName(subject),
    subjectAltNames: subjectAltNames.map(formatGeneralName),
    notBefore,
    notAfter,
    crlShard,
  }
}

export function draftIssuer({ certificate, signatureAlgorithm }: IssuerMaterial): DraftIssuer {
  const { subject, subjectDer } = certificate
  return { subject, subjectDer, signatureAlgorithm }
}

/**
 * 16 octets, positive: the instant in ms (48 bits), then 80 random bits (RFC 5280 §4.1.2.2: unique, at most 20 octets;
 * 64 unpredictable bits are good practice). They grow with time so that indexes over serial numbers are written at their
 * end: random ones cost a fifth more CPU for each certificate, because each touches pages of its own.
 */
export function newSerialNumber(random: Random, now: Instant): SerialNumber {
  return (now.toString(16).padStart(12, '0') + toHex(random.bytes(10))) as SerialNumber
}

/** By the serial number's last four octets, which are random and which every tool can show. */
export function shardOf(serialNumber: SerialNumber, shards: number): number {
  return shards <= 1 ? 0 : Number.parseInt(serialNumber.slice(-8), 16) % shards
}

/** @returns dotted object identifiers; Refusal `configuration-invalid` for a name that nobody knows */
export function extendedKeyUsageOids(names: readonly string[]): string[] {
  return names.map((name) => {
    if (/^[0-9.]+$/.test(name)) return name
    const known = oidFromName(name)
    if (known === null)
      throw new Refusal('configuration-invalid', `extended key usage "${name}" is not known`)
    return known
  })
}

/** The extensions that point to the issuer: its key, who answers for it (not for a root: ocsp.ts), where its certificate is. */
export function issuerExtensions(issuer: IssuerMaterial, statusUrl: string): Extension[] {
  const { id, kind } = issuer.record
  const at = (path: string): GeneralName => ({ kind: 'uri', value: `${statusUrl}/${path}` })
  const caIssuers = { method: oids.caIssuers, location: at(`ca/${id}.cer`) }
  const access =
    kind === 'root' || kind === 'paa' ? [caIssuers] : [{ method: oids.ocsp, location: at('ocsp') }, caIssuers]
  return [authorityKey(issuer), makeExtension(oids.authorityInfoAccess, encodeInfoAccess(access))]
}

export function authorityKey(issuer: IssuerMaterial): Extension {
  const keyIdentifier = issuer.certificate.extensions.subjectKeyIdentifier ?? issuer.key.keyIdentifier
  return makeExtension(
    oids.authorityKeyIdentifier,
    encodeAuthorityKeyIdentifier({ keyIdentifier, issuer: null, serialNumber: null }),
  )
}

/** @param shard null for CA certificates, which the complete CRL of their issuer lists */
export function crlDistributionPoint(statusUrl: string, issuerId: IssuerId, shard: number | null): Extension {
  const url = shard === null ? completeUrl(statusUrl, issuerId) : shardUrl(statusUrl, issuerId, shard)
  return makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt(url)]))
}

/** By issuer, then by profile and kind of key. */
const constants = new WeakMap<IssuerMaterial, Map<string, readonly Extension[]>>()

function constantExtensions(
  issuer: IssuerMaterial,
  profile: Profile,
  key: PublicKey,
  settings: Pick<EngineSettings, 'statusUrl'>,
): readonly Extension[] {
  let ofIssuer = constants.get(issuer)
  if (!ofIssuer) constants.set(issuer, (ofIssuer = new Map()))
  const id = `${profile.contentHash} ${key.details.kind} ${settings.statusUrl}`
  let extensions = ofIssuer.get(id)
  if (!extensions) ofIssuer.set(id, (extensions = encodeConstantExtensions(issuer, profile, key, settings)))
  return extensions
}

function encodeConstantExtensions(
  issuer: IssuerMaterial,
  profile: Profile,
  key: PublicKey,
  { statusUrl }: Pick<EngineSettings, 'statusUrl'>,
): readonly Extension[] {
  const isRsa = key.details.kind === 'rsa'
  const usages = profile.keyUsage.filter((usage) => isRsa || usage !== 'keyEncipherment')
  const extensions = [
    makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: false, pathLength: null })),
    makeExtension(oids.keyUsage, encodeKeyUsage(usages)),
  ]
  if (profile.extendedKeyUsage.length > 0) {
    const usageOids = extendedKeyUsageOids(profile.extendedKeyUsage)
    extensions.push(makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(usageOids)))
  }
  if (profile.certificatePolicies.length > 0) {
    const policies = profile.certificatePolicies.map((policy) => ({ policy, qualifiers: [] }))
    extensions.push(makeExtension(oids.certificatePolicies, encodeCertificatePolicies(policies)))
  }
  // a DAC has 600 bytes at most, and its verifiers get the PAI from the device
  const pointers =
    profile.purpose === 'matter-dac' ? [authorityKey(issuer)] : issuerExtensions(issuer, statusUrl)
  const { id, crlShards } = issuer.record
  const crl = profile.crl && crlShards <= 1 ? [crlDistributionPoint(statusUrl, id, 0)] : []
  return [...extensions, ...pointers, ...crl]
}

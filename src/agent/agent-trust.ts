/** Whom the agent believes: the trust anchors that were pinned at enrolment, and nothing that arrived over the network. */
import { equalBytes, sha256Hex } from '../base/bytes.ts'
import type { Clock, Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { equalGeneralNameSets } from '../pki/general-name.ts'
import { formatName } from '../pki/name-text.ts'
import { equalNames, sameRdnSet } from '../pki/name.ts'
import { oids } from '../pki/oid.ts'
import { validatePath } from '../pki/path.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { fetchUnverifiedCacerts } from './est-client.ts'

/** @throws Refusal `malformed` when there is no certificate, or one that is not self-signed and so cannot be an anchor */
export function parseAnchors(pem: string): Certificate[] {
  const anchors = decodePem(pem)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => parseCertificate(der))
  if (anchors.length === 0) throw new Refusal('malformed', 'no trust anchor: there is no certificate in PEM')
  for (const { subject, issuer } of anchors) {
    if (equalNames(subject, issuer)) continue
    throw new Refusal(
      'malformed',
      `${formatName(subject)} is not self-signed: pin the root above it, ${formatName(issuer)}`,
    )
  }
  return anchors
}

export function encodeAnchors(anchors: readonly Certificate[]): string {
  return anchors.map(({ der }) => encodePem('CERTIFICATE', der)).join('')
}

export interface FingerprintRequest {
  readonly url: string
  readonly label: string | null
  /** SHA-256 of the root certificate: 64 hex digits, with or without colons. */
  readonly fingerprint: string
  readonly clock: Clock
}

/**
 * The root that the server sends and whose fingerprint somebody has given us. The connection that it comes over proves
 * nothing and is closed before anything of ours is said (RFC 7030 §4.1.1).
 * @throws Refusal `certificate-untrusted` when no self-signed certificate of the server has that fingerprint
 */
export async function fetchAnchor({
  url,
  label,
  fingerprint,
  clock,
}: FingerprintRequest): Promise<Certificate> {
  const wanted = fingerprint.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(wanted)) {
    throw new Refusal('invalid-input', 'a root fingerprint is SHA-256: 64 hex digits, with or without colons')
  }
  const sent = await fetchUnverifiedCacerts({ url, clock, ...(label === null ? {} : { label }) })
  const found = sent.find((der) => sha256Hex(der) === wanted)
  const anchor = found && parseCertificate(found)
  if (anchor && equalNames(anchor.subject, anchor.issuer)) return anchor
  throw new Refusal(
    'certificate-untrusted',
    'the server has no root certificate with that fingerprint: compare it again; somebody may stand between',
  )
}

export interface CredentialCheck {
  /** DER SubjectPublicKeyInfo of the key in the slot. */
  readonly spki: Uint8Array
  readonly leaf: Certificate
  readonly candidates: readonly Certificate[]
  readonly anchors: readonly Certificate[]
  /** The certificate that it replaces, whose names it must have; null for a first one. */
  readonly before: Certificate | null
  readonly at: Instant
}

/**
 * Is this certificate ours and good for use?
 * @returns the intermediate CAs that lead from it to a pinned anchor
 * @throws Refusal `server-answer-invalid` for another key or other names, `path-invalid` for validity, purpose and chain
 */
export function checkCredential(check: CredentialCheck): Certificate[] {
  const { spki, leaf, candidates, anchors, before, at } = check
  if (!equalBytes(leaf.spki, spki)) throw unusable('it is for another key')
  if (before && !isSameSubject(leaf, before)) {
    throw unusable(`its names are not those of the certificate that it replaces: ${formatName(leaf.subject)}`)
  }
  const intermediates = candidates.filter(({ subject, issuer }) => !equalNames(subject, issuer))
  const path = validatePath({ leaf, intermediates, anchors, at, purpose: oids.clientAuth })
  return path.slice(1, -1)
}

function isSameSubject(leaf: Certificate, before: Certificate): boolean {
  const names = leaf.extensions.subjectAltName ?? []
  return (
    sameRdnSet(leaf.subject, before.subject) &&
    equalGeneralNameSets(names, before.extensions.subjectAltName ?? [])
  )
}

function unusable(why: string): Refusal {
  return new Refusal('server-answer-invalid', `the server sent a certificate that is not ours: ${why}`)
}

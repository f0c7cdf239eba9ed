/**
 * Steps 1 and 4: may this request be granted? Ordered lists of small checks that compliance can read. Each is pure:
 * everything it looks at was gathered before (policy-input.ts), and the first Refusal ends the request.
 */
import { equalSecrets, sha256Hex, toBase64 } from '../../base/bytes.ts'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { verifyCsr, type Csr } from '../../pki/csr.ts'
import { equalGeneralNameSets } from '../../pki/general-name.ts'
import { formatGeneralName } from '../../pki/general-name-text.ts'
import { checkPublicKey } from '../../pki/key-check.ts'
import type { PublicKey } from '../../pki/key.ts'
import { sameRdnSet } from '../../pki/name.ts'
import { formatName } from '../../pki/name-text.ts'
import { requireInService } from './identify.ts'
import type { PolicyInput } from './policy-input.ts'
import { renewalDueAt } from '../renewals/renewal-hint.ts'

/** Step 1: what is asked of the request alone, whoever sends it. */
export const requestChecks: readonly RequestCheck[] = [
  keyNotWeak, // known ways to break keys; before the signature, which a broken key might spoil
  csrProofOfPossession, // the requester holds the private key
]

/** @throws Refusal when the request is worth nothing */
export type RequestCheck = (request: { readonly csr: Csr; readonly key: PublicKey }) => void

/** Step 4. @throws Refusal when the request must not be granted */
export type Check = (input: PolicyInput) => void

export const enrollChecks: readonly Check[] = [
  deviceInService, // after a revocation, investigation comes first
  credentialNotBlocked, // whoever has a published key may be anybody
  secretStillGood, // one secret, one request
  profileAllowed, // the label is the profile of the record
  keyTypeAllowed, // profile
  keyNotBlocked, // keys known to be compromised
  keyNotOfAnIssuer, // a CA's own key in a device certificate would be a CA in the field
  keyNotOfAnotherDevice, // one device, one key: else one thief is many devices
  keyNotReused, // each certificate has a new key unless the profile says otherwise
  popLinked, // RFC 7030 §3.5
  renewalAllowed, // some certificates are for life
  insideRenewalWindow, // a device that holds a good certificate renews it when it is due
  notRejected, // what a person has turned down stays down
]

export const reenrollChecks: readonly Check[] = [
  deviceInService,
  credentialNotBlocked,
  profileAllowed,
  subjectUnchanged, // RFC 7030 §4.2.2
  keyTypeAllowed,
  keyNotBlocked,
  keyNotOfAnIssuer,
  keyNotOfAnotherDevice,
  keyNotReused,
  popLinked,
  renewalAllowed,
  insideRenewalWindow,
  notRejected,
]

export function keyNotWeak({ key }: Parameters<RequestCheck>[0]): void {
  checkPublicKey(key)
}

export function csrProofOfPossession({ csr, key }: Parameters<RequestCheck>[0]): void {
  verifyCsr(csr, key)
}

export function deviceInService({ device }: PolicyInput): void {
  requireInService(device)
}

/**
 * A fresh secret is good until it expires. A spent one is good for the request that spent it, as long as that request
 * waits for approval, or was lost with its process before the secret expired.
 */
export function secretStillGood({ applicant, key, keyHolders, approval, now }: PolicyInput): void {
  if (applicant.kind !== 'secret' || applicant.secret.usedAt === null) return
  const { usedFor, expiresAt } = applicant.secret
  const isSameRequest = usedFor === key.spkiHash
  const isAnswered = keyHolders.some((holder) => holder.deviceId === applicant.device.id)
  // a rejection is told by its own check, below
  const isWithPeople = approval !== null && approval.status !== 'used'
  if (isSameRequest && (isWithPeople || (!isAnswered && now < expiresAt))) return
  throw new Refusal(
    'secret-invalid',
    `the enrolment secret of device ${applicant.device.id} is spent: make a new one with \`perennial device secret ${applicant.device.id}\``,
  )
}

export function profileAllowed({ device, profile, request }: PolicyInput): void {
  if (request.profile === null || request.profile === device.profile) return
  throw new Refusal(
    'profile-not-allowed',
    `device ${device.id} is registered with profile ${profile.name}, not ${request.profile}: use its own label or none`,
  )
}

/** Subject and SAN as in the certificate being renewed; compared as sets, because clients re-encode. */
export function subjectUnchanged({ applicant, csr }: PolicyInput): void {
  if (applicant.kind !== 'certificate') return
  if (csr.changeSubjectName !== null) {
    throw new Refusal('subject-changed', 'ChangeSubjectName is not granted: names come from the inventory')
  }
  const { subject, extensions } = applicant.presented
  if (!keepsSubject(csr, applicant.presented)) {
    throw new Refusal(
      'subject-changed',
      `a renewal keeps its subject (RFC 7030 §4.2.2): ask for "${formatName(subject)}"`,
    )
  }
  if (!keepsAltNames(csr, applicant.presented)) {
    const names = (extensions.subjectAltName ?? []).map(formatGeneralName).join(', ') || 'none'
    throw new Refusal(
      'subject-changed',
      `a renewal keeps its SubjectAltName (RFC 7030 §4.2.2): ask for ${names}`,
    )
  }
}

export function keepsSubject(csr: Csr, { subject }: Certificate): boolean {
  return sameRdnSet(csr.subject, subject)
}

/** An absent SubjectAltName equals an absent one and no other. */
export function keepsAltNames(csr: Csr, { extensions }: Certificate): boolean {
  const asked = csr.extensionRequest?.subjectAltName ?? []
  return equalGeneralNameSets(asked, extensions.subjectAltName ?? [])
}

export function keyTypeAllowed({ key, profile }: PolicyInput): void {
  if (profile.keyAlgorithms.includes(key.algorithm)) return
  throw new Refusal(
    'key-type-not-allowed',
    `profile ${profile.name} does not take ${key.algorithm} keys: make one of ${profile.keyAlgorithms.join(', ')}`,
  )
}

export function keyNotBlocked({ blockedKey }: PolicyInput): void {
  if (blockedKey === null) return
  throw new Refusal('key-blocked', `this key is on the block list (${blockedKey.reason}): make a new key`)
}

export function credentialNotBlocked({ blockedCredential }: PolicyInput): void {
  if (blockedCredential === null) return
  throw new Refusal(
    'key-blocked',
    `the key of the certificate presented is on the block list (${blockedCredential.reason}): it proves nothing any more`,
  )
}

export function keyNotOfAnIssuer({ isIssuerKey }: PolicyInput): void {
  if (!isIssuerKey) return
  throw new Refusal('key-blocked', 'this is the key of a certificate authority: make a new key on the device')
}

export function keyNotOfAnotherDevice({ keyHolders, device }: PolicyInput): void {
  if (keyHolders.every((holder) => holder.deviceId === device.id)) return
  throw new Refusal(
    'key-reused',
    'this key is in a certificate of another holder: make a new key on the device',
  )
}

export function keyNotReused({ applicant, keyHolders, key, profile }: PolicyInput): void {
  if (keyHolders.some(({ status }) => status === 'revoked')) {
    throw new Refusal('key-reused', 'a certificate with this key was revoked: make a new key')
  }
  if (profile.rekey === 'allowed') return
  const isFactoryKey = applicant.kind === 'idevid' && sha256Hex(applicant.presented.spki) === key.spkiHash
  if (keyHolders.length === 0 && !isFactoryKey) return
  throw new Refusal(
    'key-reused',
    `profile ${profile.name} wants a new key for each certificate: make one and ask again`,
  )
}

/** The request was made by whoever made the TLS connection: nobody in between passed it on. */
export function popLinked({ csr, profile, request }: PolicyInput): void {
  const { challengePassword } = csr
  if (challengePassword !== null && request.tlsUnique !== null) {
    const wanted = Buffer.from(toBase64(request.tlsUnique), 'utf8')
    if (equalSecrets(Buffer.from(challengePassword, 'utf8'), wanted)) return
    throw new Refusal(
      'pop-linking-failed',
      'challengePassword is not the tls-unique of this connection (RFC 7030 §3.5): make the request for each connection anew',
    )
  }
  if (profile.popLinking !== 'require') return
  throw new Refusal(
    'pop-linking-required',
    request.tlsUnique === null
      ? 'this profile binds requests to their connection (RFC 7030 §3.5), which needs a full TLS 1.2 handshake'
      : 'this profile binds requests to their connection: put base64(tls-unique) into challengePassword (RFC 7030 §3.5)',
  )
}

/** A certificate for life is issued once. An operator who makes a new secret for the device says otherwise. */
export function renewalAllowed({ applicant, predecessor, profile }: PolicyInput): void {
  if (profile.renewBeforeMs !== null || predecessor === null || applicant.kind === 'secret') return
  throw new Refusal(
    'renewal-not-allowed',
    `certificates of profile ${profile.name} are for life and are not renewed`,
  )
}

/**
 * Only for an applicant that holds its certificate. One that comes with its factory identity or a new secret may have
 * lost it, and one that is late is always welcome here.
 */
export function insideRenewalWindow({ applicant, profile, renewalSpread, now }: PolicyInput): void {
  if (applicant.kind !== 'certificate' || profile.renewBeforeMs === null) return
  // it is worth nothing any more, whatever its age
  if (applicant.isIssuerRevoked) return
  const opensAt = applicant.certificate.notAfter - profile.renewBeforeMs
  if (now >= opensAt) return
  // where the renewal hint sends this device, not when the door opens: or all of a batch would stand before it
  const { renewBeforeMs } = profile
  const dueAt = renewalDueAt(applicant.certificate, { renewBeforeMs, spread: renewalSpread })
  throw new Refusal('too-early', `renewal opens on ${iso(opensAt)}: keep the certificate until then`, {
    retryAfterMs: dueAt - now,
  })
}

export function notRejected({ approval, profile }: PolicyInput): void {
  if (profile.approval === 'automatic' || approval?.status !== 'rejected') return
  throw new Refusal('approval-rejected', 'an operator has rejected this request: make a new key to ask again')
}

/** Why something is revoked: the reasons of RFC 5280 §5.3.1, and the words that people who run fleets have for them. */
import { Refusal } from '../../base/errors.ts'
import { isRevocationReason, type RevocationReason } from '../../pki/revocation-reason.ts'

/** In the order in which help texts show them. */
export const fleetWords: Readonly<Record<string, RevocationReason>> = {
  theft: 'keyCompromise',
  'key-extracted': 'keyCompromise',
  decommissioned: 'cessationOfOperation',
  'end-of-life': 'cessationOfOperation',
  hold: 'certificateHold',
  replaced: 'superseded',
}

/** What a device certificate may be revoked for. CA and attribute authority compromise are not about devices. */
export const deviceReasons: readonly RevocationReason[] = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
]

/** What an issuer may be revoked for. The words of the fleet that mean its key mean the CA's key here. */
export const issuerReasons: readonly RevocationReason[] = [
  'unspecified',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
]

/** @throws Refusal `invalid-input` */
export function parseIssuerReason(text: string): RevocationReason {
  const word = fleetWords[text] ?? (isRevocationReason(text) ? text : null)
  const reason = word === 'keyCompromise' ? 'cACompromise' : word
  if (reason !== null && issuerReasons.includes(reason)) return reason
  const known = [...Object.keys(fleetWords), ...issuerReasons].join(', ')
  throw new Refusal('invalid-input', `"${text}" is no reason to revoke an issuer: use one of ${known}`)
}

/**
 * A word of the fleet, or a reason by its name in the RFC.
 * @throws Refusal `invalid-input` for anything else
 */
export function parseReason(text: string): RevocationReason {
  const reason = fleetWords[text] ?? (isRevocationReason(text) ? text : null)
  if (reason !== null && deviceReasons.includes(reason)) return reason
  const known = [...Object.keys(fleetWords), ...deviceReasons].join(', ')
  throw new Refusal('invalid-input', `"${text}" is no reason to revoke a device: use one of ${known}`)
}

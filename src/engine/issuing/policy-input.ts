/** What the policy checks look at, gathered with as few queries as the request needs. */
import { sha256Hex } from '../../base/bytes.ts'
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Csr } from '../../pki/csr.ts'
import type { PublicKey } from '../../pki/key.ts'
import { findLatestApproval, type ApprovalRecord } from '../../store/approvals.ts'
import { findBlockedKey, type BlockedKeyRecord } from '../../store/blocked-keys.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import type { DeviceRecord } from '../../store/devices.ts'
import type { Engine } from '../context.ts'
import type { EnrollRequest } from './enroll.ts'
import type { Applicant } from './identify.ts'
import type { Profile } from './profile.ts'

export interface PolicyInput {
  readonly request: Pick<EnrollRequest, 'operation' | 'profile' | 'tlsUnique'>
  readonly csr: Csr
  readonly key: PublicKey
  readonly applicant: Applicant
  readonly device: DeviceRecord
  /** Of the device's record. */
  readonly profile: Profile
  /** What the new certificate would replace. */
  readonly predecessor: CertificateRecord | null
  /** Every certificate with this key that was not abandoned, whoever holds it; newest first. */
  readonly keyHolders: readonly CertificateRecord[]
  /** The key asked for, when it is on the block list. */
  readonly blockedKey: BlockedKeyRecord | null
  /** The key of the certificate that the applicant came with, when it is on the block list. */
  readonly blockedCredential: BlockedKeyRecord | null
  readonly isIssuerKey: boolean
  /** The newest approval of this request; always null for profiles that need none. */
  readonly approval: ApprovalRecord | null
  /** Share of the renewal window over which devices are spread. */
  readonly renewalSpread: number
  readonly now: Instant
}

export type Gathered = Omit<
  PolicyInput,
  'blockedKey' | 'blockedCredential' | 'isIssuerKey' | 'approval' | 'renewalSpread'
> & {
  readonly slot: string
}

export async function gatherPolicyInput(engine: Engine, gathered: Gathered): Promise<PolicyInput> {
  const { db } = engine.store
  const { applicant, key, device, profile, predecessor, slot } = gathered
  const { spkiHash } = key
  const approvalKey = { deviceId: device.id, slot, spkiHash, predecessorId: predecessor?.id ?? null }
  return {
    ...gathered,
    blockedKey: await findBlockedKey(db, spkiHash),
    blockedCredential: await findBlockedCredential(engine, applicant),
    renewalSpread: engine.settings.renewal.spread,
    isIssuerKey: await engine.issuers.isIssuerKey(spkiHash),
    approval: profile.approval === 'manual' ? await findLatestApproval(db, approvalKey) : null,
  }
}

async function findBlockedCredential(
  { store }: Engine,
  applicant: Applicant,
): Promise<BlockedKeyRecord | null> {
  switch (applicant.kind) {
    case 'certificate':
      return await findBlockedKey(store.db, applicant.certificate.spkiHash)
    case 'idevid':
      return await findBlockedKey(store.db, sha256Hex(applicant.presented.spki))
    case 'secret':
      return null
  }
}

/** @throws Refusal `profile-unknown` when the device has, or the request names, a profile that is not configured */
export function requireProfile(engine: Engine, device: DeviceRecord, asked: string | null): Profile {
  const { profiles } = engine.settings
  if (asked !== null && !profiles.has(asked)) {
    throw new Refusal('profile-unknown', `there is no profile ${asked}: use the device's own label or none`)
  }
  const profile = profiles.get(device.profile)
  if (profile) return profile
  throw new Refusal(
    'profile-unknown',
    `device ${device.id} has profile ${device.profile}, which is not configured: an operator must add it or change the device`,
  )
}

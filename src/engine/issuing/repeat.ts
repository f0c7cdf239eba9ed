/**
 * Step 3: has this request been answered before? Clients repeat themselves when an answer is lost, and sign the request
 * anew each time, so it is known by who asks and for which key, not by its bytes.
 */
import type { Instant } from '../../base/clock.ts'
import type { Csr } from '../../pki/csr.ts'
import type { PublicKey } from '../../pki/key.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findByKey, findCurrent } from '../../store/inventory.ts'
import type { Engine } from '../context.ts'
import type { EnrollRequest } from './enroll.ts'
import type { Applicant } from './identify.ts'
import { waitForWinner } from './issue.ts'
import { keepsAltNames, keepsSubject } from './policy.ts'
import { defaultSlot, type Profile } from './profile.ts'

export interface RepeatInput {
  readonly operation: EnrollRequest['operation']
  readonly applicant: Applicant
  readonly csr: Csr
  readonly key: PublicKey
  readonly profile: Profile
  readonly now: Instant
}

export interface RepeatOutcome {
  /** The certificate that this request was given before; it is live. */
  readonly repeat: CertificateRecord | null
  /** What a new certificate would replace. */
  readonly predecessor: CertificateRecord | null
  /** Every certificate with this key, newest first. */
  readonly keyHolders: readonly CertificateRecord[]
}

/**
 * For a request that certificate C identifies, a repeat is a live certificate whose predecessor is C, with the same key.
 * For one identified by a factory identity or a secret it is the newest certificate of the slot, when that has the same
 * key, is not expired and not due for renewal. A reservation of the same kind is waited for.
 */
export async function findRepeat(engine: Engine, input: RepeatInput): Promise<RepeatOutcome> {
  const { applicant, key } = input
  const { db } = engine.store
  const { device } = applicant
  const predecessor =
    applicant.kind === 'certificate' ? applicant.certificate : await findCurrent(db, device.id, defaultSlot)
  const keyHolders = await findByKey(db, key.spkiHash)
  const ofDevice = keyHolders.filter(({ deviceId, slot }) => deviceId === device.id && slot === defaultSlot)
  const sibling = ofDevice.find(({ predecessorId }) => predecessorId === (predecessor?.id ?? null))

  if (sibling?.status === 'reserved') {
    const winner = await waitForWinner(engine, sibling)
    if (winner === null) return { repeat: null, predecessor, keyHolders: without(keyHolders, sibling) }
    return { repeat: isRepeat(winner, input) ? winner : null, predecessor, keyHolders }
  }
  const candidate =
    applicant.kind === 'certificate'
      ? sibling
      : (ofDevice.find(({ id }) => id === predecessor?.id) ?? sibling)
  return { repeat: candidate && isRepeat(candidate, input) ? candidate : null, predecessor, keyHolders }
}

function isRepeat({ status, notAfter }: CertificateRecord, input: RepeatInput): boolean {
  const { applicant, csr, operation, profile, now } = input
  if (status !== 'issued' && status !== 'confirmed') return false
  if (applicant.kind !== 'certificate') return now < notAfter - (profile.renewBeforeMs ?? 0)
  // a renewal that asks for other names than before is another request, and policy says what is wrong with it
  const keepsNames = keepsSubject(csr, applicant.presented) && keepsAltNames(csr, applicant.presented)
  return now <= notAfter && (operation === 'enroll' || keepsNames)
}

function without(holders: readonly CertificateRecord[], gone: CertificateRecord): CertificateRecord[] {
  return holders.filter(({ id }) => id !== gone.id)
}

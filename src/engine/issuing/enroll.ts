/**
 * Steps 1 to 5 of issuing: who asks, for what, and whether we say yes. Steps 6 to 10 are issue.ts. Every protocol ends
 * in the functions of this file.
 */
import type { Instant } from '../../base/clock.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { traced } from '../../base/trace.ts'
import { parseCsr, type Csr } from '../../pki/csr.ts'
import { parsePublicKey, type PublicKey } from '../../pki/key.ts'
import { markApprovalUsed } from '../../store/approvals.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, setDeviceState, setLastRenewal, type DeviceRecord } from '../../store/devices.ts'
import { useSecret } from '../../store/secrets.ts'
import type { Tx } from '../../store/schema.ts'
import { askForApproval } from './approval.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import { enrollRejected } from '../campaigns/campaign-failure.ts'
import type { Engine } from '../context.ts'
import { identify, requireInService, type Applicant } from './identify.ts'
import { draftDeviceCertificate } from './issue-content.ts'
import { issueCertificate, issuedBefore, signerOf, type Issuance } from './issue.ts'
import { enrollChecks, reenrollChecks, requestChecks } from './policy.ts'
import { gatherPolicyInput, requireProfile, type PolicyInput } from './policy-input.ts'
import { defaultSlot } from './profile.ts'
import { renewalIssued } from '../renewals/renewal-events.ts'
import { findRepeat } from './repeat.ts'

/** The other end of the connection. Nothing here is believed except that TLS proved possession of the certificate's key. */
export interface Peer {
  /** For the log only. */
  readonly address: string
  /** The client certificate, DER, whatever its validity and issuer: the engine checks both at every request. */
  readonly certificate: Uint8Array | null
  /** The other certificates that the client sent, DER, in any order. */
  readonly chain: readonly Uint8Array[]
  readonly basic: { readonly username: string; readonly password: string } | null
}

export interface EnrollRequest {
  /** `reenroll` renews the certificate that the peer presents (RFC 7030 §4.2.2); `enroll` is everything else. */
  readonly operation: 'enroll' | 'reenroll'
  /** PKCS #10, DER. */
  readonly csr: Uint8Array
  /** The profile asked for by name (EST label); null = the profile of the device's record. */
  readonly profile: string | null
  /** For the inventory: how the certificate was asked for. */
  readonly protocol: 'est' | 'scep' | 'cmp' | 'mqtt' | 'local'
  readonly peer: Peer
  /** RFC 5929 tls-unique of the connection, from the first handshake; null where TLS has none (1.3) or it is not known. */
  readonly tlsUnique: Uint8Array | null
}

export type EnrollOutcome =
  | {
      readonly kind: 'issued'
      /** DER. */
      readonly certificate: Uint8Array
      readonly record: CertificateRecord
      /** True when this certificate had been issued before, to the same request. */
      readonly repeated: boolean
    }
  | { readonly kind: 'pending'; readonly retryAfterMs: number }

/**
 * Answers one enrolment or renewal. Safe to repeat, also in parallel and on other nodes: the same applicant with the
 * same key gets the same bytes.
 * @throws Refusal for everything that we expect to go wrong; nothing of a refused request is kept
 */
export async function enroll(engine: Engine, request: EnrollRequest): Promise<EnrollOutcome> {
  const { operation, protocol } = request
  const attributes = { 'perennial.operation': operation, 'perennial.protocol': protocol }
  return await traced('enroll', attributes, async (span) => {
    const outcome = await answerRequest(engine, request)
    span.setAttribute('perennial.outcome', outcome.kind)
    return outcome
  })
}

async function answerRequest(engine: Engine, request: EnrollRequest): Promise<EnrollOutcome> {
  const { observer, faults } = engine
  const now = engine.clock.now()
  let known: Applicant | null = null
  try {
    // 1 parse: structure, a sound key, proof of possession
    await faults?.at('parse')
    const { csr, key } = readRequest(request.csr)

    // 2 identify: validity, trust and status are looked at now
    await faults?.at('identify')
    const applicant = await traced('enroll.identify', {}, () => identify(engine, { ...request, now }))
    known = applicant

    const outcome = await shareAnswer(engine, { applicant, key, operation: request.operation }, async () =>
      answer(engine, { request, csr, key, applicant, now }),
    )
    if (outcome.kind === 'issued') observer.issued?.(outcome.record, outcome)
    else observer.pending?.(applicant.device.profile)
    return outcome
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    observer.refused?.(request.operation, error.code)
    if (known?.kind === 'certificate')
      await enrollRejected(engine, { deviceId: known.device.id, slot: defaultSlot, refusal: error }, now)
    throw error
  }
}

/** @throws Refusal `malformed`, `hostile-name`, `bad-algorithm`, `weak-key`, `bad-signature` */
function readRequest(der: Uint8Array): { csr: Csr; key: PublicKey } {
  const csr = parseCsr(der)
  const key = parsePublicKey(csr.spki)
  for (const check of requestChecks) check({ csr, key })
  return { csr, key }
}

interface Asked {
  readonly request: EnrollRequest
  readonly csr: Csr
  readonly key: PublicKey
  readonly applicant: Applicant
  readonly now: Instant
}

async function answer(engine: Engine, asked: Asked): Promise<EnrollOutcome> {
  const { request, key, csr, applicant, now } = asked
  const { faults } = engine
  const { device } = applicant
  engine.sightings.note(applicant, now)

  // 3 repeat? asked before policy, or a retry after a lost answer would be too early
  await faults?.at('repeat')
  const profile = requireProfile(engine, device, request.profile)
  const { repeat, predecessor, keyHolders } = await findRepeat(engine, {
    operation: request.operation,
    applicant,
    csr,
    key,
    profile,
    now,
  })
  if (repeat && !(await isOfRevokedIssuer(engine, repeat))) {
    const { der, record } = issuedBefore(repeat)
    return { kind: 'issued', certificate: der, record, repeated: true }
  }

  // 4 decide: the first Refusal ends it
  await faults?.at('decide')
  const input = await gatherPolicyInput(engine, {
    request,
    csr,
    key,
    applicant,
    device,
    profile,
    predecessor,
    keyHolders,
    slot: defaultSlot,
    now,
  })
  const checks = request.operation === 'reenroll' ? reenrollChecks : enrollChecks
  for (const check of checks) check(input)

  // 5 shape: subject and names from the record, never from the request
  await faults?.at('shape')
  const issuance = await shape(engine, input, request.protocol)
  if (profile.approval === 'manual' && input.approval?.status !== 'approved') {
    return await askForApproval(engine, input, {
      csr: request.csr,
      subject: issuance.certificate.subject,
      protocol: request.protocol,
      spend: async (tx) => spendSecret(tx, input),
    })
  }

  const { der, record, repeated } = await issueCertificate(engine, issuance, now)
  return { kind: 'issued', certificate: der, record, repeated }
}

/** Such a certificate is handed out to nobody any more, also where it is the answer that was lost. */
async function isOfRevokedIssuer(
  { issuers }: Engine,
  { issuerId }: Pick<CertificateRecord, 'issuerId'>,
): Promise<boolean> {
  return (await issuers.find(issuerId))?.record.status === 'revoked'
}

/** Everything that steps 6 to 10 need. */
export async function shape(
  engine: Engine,
  input: PolicyInput,
  protocol: EnrollRequest['protocol'],
): Promise<Issuance> {
  const { settings, random } = engine
  const { profile, device, key, predecessor, applicant, approval, now } = input
  const issuer = await engine.issuers.active(profile.issuer, now)
  const content = draftDeviceCertificate({ settings, random, profile, device, key, issuer, now })
  const isLate = applicant.kind === 'certificate' && applicant.expiredForMs > 0
  return {
    signer: signerOf(issuer),
    certificate: {
      ...content,
      deviceId: device.id,
      slot: defaultSlot,
      issuerId: issuer.record.id,
      keyAlgorithm: key.algorithm,
      spkiHash: key.spkiHash,
      profile: profile.name,
      profileHash: profile.contentHash,
      protocol,
      predecessorId: predecessor?.id ?? null,
      cohort: device.cohort,
      batch: device.batch,
      site: device.site,
      createdAt: now,
    },
    purpose: profile.purpose,
    keyEnciphermentExpected: profile.keyUsage.includes('keyEncipherment'),
    actor: actors.device(device.id),
    details: {
      applicant: applicant.kind,
      approval: approval?.id,
      expiredForMs: isLate ? applicant.expiredForMs : undefined,
      predecessor: predecessor?.serialNumber,
      protocol,
    },
    onReserve: async (tx) => {
      await spendSecret(tx, input)
    },
    onCommit: async (tx, record) => {
      await renewDevice(tx, device, now)
      if (approval) await useApproval(tx, approval.id)
      await renewalIssued(engine, tx, record, now)
    },
  }
}

/** One secret, one key: of two parallel requests with the same secret, one stops here. */
async function spendSecret(tx: Tx, { applicant, key, now }: PolicyInput): Promise<void> {
  if (applicant.kind !== 'secret') return
  const { id } = applicant.device
  const { hash, usedAt } = applicant.secret
  const isOurs = await useSecret(tx, { deviceId: id, hash, spkiHash: key.spkiHash, at: now })
  if (!isOurs) {
    throw new Refusal(
      'secret-invalid',
      `the enrolment secret of device ${id} was spent by another request just now`,
    )
  }
  if (usedAt !== null) return
  await recordFacts(
    tx,
    fact(now, {
      actor: actors.device(id),
      action: 'secret.used',
      subject: subjects.device(id),
      details: { spkiSha256: key.spkiHash },
    }),
  )
}

/** The device may have been quarantined since step 2: the row's lock decides who was first. */
async function renewDevice(tx: Tx, device: DeviceRecord, now: Instant): Promise<void> {
  if (!(await setLastRenewal(tx, device.id, now))) {
    const current = await findDevice(tx, device.id)
    assert(current, 'devices are never deleted')
    requireInService(current)
  }
  if (device.state !== 'registered') return
  const before = await setDeviceState(tx, device.id, 'active')
  if (before !== 'registered') return
  await recordFacts(
    tx,
    fact(now, {
      actor: actors.device(device.id),
      action: 'device.activated',
      subject: subjects.device(device.id),
    }),
  )
}

async function useApproval(tx: Tx, id: NonNullable<PolicyInput['approval']>['id']): Promise<void> {
  if (await markApprovalUsed(tx, id)) return
  throw new Refusal('overloaded', 'this approval was used by another request just now: ask again')
}

interface Sharing {
  readonly applicant: Applicant
  readonly key: PublicKey
  readonly operation: EnrollRequest['operation']
}

/** Requests of one applicant with one key that arrive while one of them is at work all get its answer. */
async function shareAnswer(
  { running }: Engine,
  { applicant, key, operation }: Sharing,
  work: () => Promise<EnrollOutcome>,
): Promise<EnrollOutcome> {
  const by = applicant.kind === 'certificate' ? applicant.certificate.id : applicant.kind
  const id = `${operation} ${applicant.device.id} ${by} ${key.spkiHash}`
  const atWork = running.get(id)
  if (atWork) {
    const outcome = await atWork
    return outcome.kind === 'issued' ? { ...outcome, repeated: true } : outcome
  }
  const mine = work()
  running.set(id, mine)
  try {
    return await mine
  } finally {
    running.delete(id)
  }
}

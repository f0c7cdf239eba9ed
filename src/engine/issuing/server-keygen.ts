/** The server makes a device's key (RFC 7030 §4.4): off unless a profile allows it, because keys belong into devices. */
import { Refusal } from '../../base/errors.ts'
import { parseCsr } from '../../pki/csr.ts'
import { generateKeyPairAsync, parsePublicKey, type KeyAlgorithm } from '../../pki/key.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { shape, type EnrollRequest } from './enroll.ts'
import { identify, type Applicant } from './identify.ts'
import { issueCertificate } from './issue.ts'
import { enrollChecks } from './policy.ts'
import { gatherPolicyInput, requireProfile } from './policy-input.ts'
import { defaultSlot, type Profile } from './profile.ts'
import { findRepeat } from './repeat.ts'

export interface ServerKeygenOutcome {
  readonly kind: 'issued'
  /** DER. */
  readonly certificate: Uint8Array
  readonly record: CertificateRecord
  /** PKCS #8 PrivateKeyInfo, DER, in the clear and kept nowhere: the protocol encrypts it when the client asked for that. */
  readonly privateKey: Uint8Array
  /** Who gets it: the protocol may encrypt to the certificate presented. */
  readonly applicant: Applicant
}

/**
 * Makes a key and its certificate. The CSR's key and signature are ignored (§4.4.1), its kind of key is a wish. Not
 * repeatable: the private key is not kept, so each request makes a new one, and a one-time secret is spent by the first.
 * @throws Refusal `server-keygen-not-allowed` unless the profile allows it, and what `enroll` throws
 */
export async function serverKeygen(engine: Engine, request: EnrollRequest): Promise<ServerKeygenOutcome> {
  const { observer } = engine
  try {
    const outcome = await generate(engine, request)
    observer.issued?.(outcome.record, { repeated: false })
    return outcome
  } catch (error) {
    if (error instanceof Refusal) observer.refused?.('serverkeygen', error.code)
    throw error
  }
}

async function generate(engine: Engine, request: EnrollRequest): Promise<ServerKeygenOutcome> {
  const now = engine.clock.now()
  // 1 parse, 2 identify: there is no proof of possession of a key that does not exist yet
  const csr = parseCsr(request.csr)
  const applicant = await identify(engine, { ...request, now })
  const { device } = applicant
  engine.sightings.note(applicant, now)
  const profile = requireProfile(engine, device, request.profile)
  if (!profile.serverKeygen) {
    throw new Refusal(
      'server-keygen-not-allowed',
      `profile ${profile.name} does not let the server make keys: make the key on the device and use simpleenroll`,
    )
  }
  const { privateKey, spki } = await generateKeyPairAsync(algorithmFor(profile, csr.spki))
  const key = parsePublicKey(spki)
  // 3 repeat? never: the key is new
  const { predecessor, keyHolders } = await findRepeat(engine, {
    ...request,
    applicant,
    csr,
    key,
    profile,
    now,
  })
  // 4 decide
  const gathered = { request, csr, key, applicant, device, profile, predecessor, keyHolders, now }
  const input = await gatherPolicyInput(engine, { ...gathered, slot: defaultSlot })
  for (const check of enrollChecks) check(input)
  // 5 shape; 6 to 10 in issue.ts
  const issuance = await shape(engine, input, request.protocol)
  const generated = fact(now, {
    actor: actors.system,
    action: 'device-key.generated',
    subject: subjects.device(device.id),
    details: { keyAlgorithm: key.algorithm, spkiSha256: key.spkiHash },
  })
  const { record, der } = await issueCertificate(
    engine,
    {
      ...issuance,
      onReserve: async (tx) => {
        await issuance.onReserve?.(tx)
        await recordFacts(tx, generated)
      },
    },
    now,
  )
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  return { kind: 'issued', certificate: der, record, privateKey: pkcs8, applicant }
}

/** The kind of key that the request carries when the profile takes it, else the profile's first. */
function algorithmFor(profile: Profile, wished: Uint8Array): KeyAlgorithm {
  const [first] = profile.keyAlgorithms
  if (first === undefined)
    throw new Refusal('configuration-invalid', `profile ${profile.name} allows no key algorithm`)
  try {
    const { algorithm } = parsePublicKey(wished)
    return profile.keyAlgorithms.includes(algorithm) ? algorithm : first
  } catch (error) {
    // a placeholder key, as clients without a key of their own send it
    if (error instanceof Refusal) return first
    throw error
  }
}

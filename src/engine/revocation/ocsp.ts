/**
 * OCSP (RFC 6960, RFC 9919): a certificate is known as soon as it is issued and revoked as soon as it is revoked. Signed answers
 * are kept and given again while nothing has changed; only a nonce takes a signature of its own, and what takes one is
 * bounded. Nothing is signed about issuers that are not ours.
 */
import { hash } from 'node:crypto'
import { secondMs, type Instant } from '../../base/clock.ts'
import { sha256 } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { readDer } from '../../pki/der.ts'
import { readBitStringBytes } from '../../pki/der-values.ts'
import { parseOcspRequest, type OcspCertId, type OcspHash, type OcspRequest } from '../../pki/ocsp-request.ts'
import {
  assembleOcspResponse,
  encodeOcspError,
  encodeOcspResponseData,
  type OcspCertStatus,
  type OcspError,
  type OcspSingle,
} from '../../pki/ocsp-response.ts'
import { isRevocationReason } from '../../pki/revocation-reason.ts'
import { findStanding } from '../../store/revocations.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import {
  isFreshAnswer,
  keepAnswer,
  keptAnswer,
  storedAnswer,
  storeLater,
  type SignedOcsp,
} from './ocsp-answers.ts'
import { ocspBackdateMs, ocspLifetimeMs, ocspSettings } from './ocsp-settings.ts'
import { ocspSigner, type OcspSigner } from './ocsp-signer.ts'
import { revocationMark } from './revocation-mark.ts'

export type OcspAnswer =
  | SignedOcsp
  | { readonly kind: 'error'; readonly error: OcspError; readonly der: Uint8Array }

/**
 * What was answered to the same question, when it still says the truth: the quick way, without looking into the request.
 * @param question as `answerOcsp` was given it
 */
export async function answerAgain(engine: Engine, question: string): Promise<SignedOcsp | null> {
  const kept = keptAnswer(engine, question)
  if (!kept || !isFreshAnswer(kept.answer, engine.clock.now())) return null
  if (await isRevokedIssuer(engine, kept.issuerId)) return null
  return kept.mark === (await revocationMark(engine, kept.issuerId)) ? kept.answer : null
}

/**
 * Never throws a Refusal: what is wrong with a request is an answer as well (RFC 6960 §2.3).
 * @param question a text that stands for these bytes and no others; default: the bytes, one character each
 */
export async function answerOcsp(
  engine: Engine,
  request: Uint8Array,
  question = textOf(request),
): Promise<OcspAnswer> {
  const again = await answerAgain(engine, question)
  if (again) return again
  const now = engine.clock.now()
  let asked: OcspRequest
  try {
    asked = parseOcspRequest(request)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return failed(error.code === 'bad-algorithm' ? 'unauthorized' : 'malformedRequest')
  }
  const issuer = await issuerOf(engine, asked.certIds)
  if (!issuer) return failed('unauthorized')
  const mark = await revocationMark(engine, issuer.record.id)
  const singles = await Promise.all(asked.certIds.map((certId) => singleOf(engine, issuer, certId)))
  const about = { issuer, singles, now }
  const [first, ...more] = singles as [OcspSingle, ...OcspSingle[]]
  const isOfOne = more.length > 0 || first.status.kind === 'unknown'
  if (isOfOne || asked.nonce) {
    const isAllowed = takeLiveSignature(engine, now)
    if (isAllowed) return await signedOnce(engine, about, asked.nonce)
    if (isOfOne) return failed('tryLater')
  }
  return await keptOrSigned(engine, { ...about, question, mark, single: first })
}

/** Bytes as text, one character each. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

/** Its revocation changes no certificate, and so no mark. */
async function isRevokedIssuer({ issuers }: Engine, id: IssuerId): Promise<boolean> {
  return (await issuers.find(id))?.record.status === 'revoked'
}

function failed(error: OcspError): OcspAnswer {
  return { kind: 'error', error, der: encodeOcspError(error) }
}

interface Budget {
  left: number
  at: Instant
}

const budgets = new WeakMap<Engine, Budget>()

/** One signature that anybody can ask for, if there is one left in this second. */
function takeLiveSignature(engine: Engine, now: Instant): boolean {
  const { liveSignaturesPerSecond: most } = ocspSettings(engine.settings)
  let budget = budgets.get(engine)
  if (!budget) budgets.set(engine, (budget = { left: most, at: now }))
  const earned = (Math.max(0, now - budget.at) / secondMs) * most
  budget.left = Math.min(most, budget.left + earned)
  budget.at = now
  if (budget.left < 1) return false
  budget.left -= 1
  return true
}

/** By issuer: hashes of its name and key. */
const identities = new WeakMap<IssuerMaterial, Readonly<Record<OcspHash, string>>>()

function identityOf(issuer: IssuerMaterial): Readonly<Record<OcspHash, string>> {
  let known = identities.get(issuer)
  if (!known) {
    const { subjectDer, spki } = issuer.certificate
    // §4.1.1: the value of the BIT STRING, without tag, length and count of unused bits
    const bits = readDer(spki).children[1]
    const value = bits ? readBitStringBytes(bits, 'subjectPublicKey') : new Uint8Array()
    const of = (name: OcspHash): string => `${hash(name, subjectDer, 'hex')}.${hash(name, value, 'hex')}`
    known = { sha1: of('sha1'), sha256: of('sha256') }
    identities.set(issuer, known)
  }
  return known
}

/**
 * The one issuer that all are about: one signer speaks for one CA. Null when it is not ours, when they are about several, and for
 * roots, whose keys sign too seldom to make signers.
 */
async function issuerOf(engine: Engine, certIds: readonly OcspCertId[]): Promise<IssuerMaterial | null> {
  const wanted = certIds.map(({ hash: name, issuerNameHash, issuerKeyHash }) => ({
    name,
    identity: `${issuerNameHash}.${issuerKeyHash}`,
  }))
  for (const record of await engine.issuers.list()) {
    if (record.kind !== 'intermediate' && record.kind !== 'pai') continue
    const issuer = await engine.issuers.find(record.id)
    if (!issuer) continue
    const own = identityOf(issuer)
    if (wanted.every(({ name, identity }) => own[name] === identity)) return issuer
  }
  return null
}

async function singleOf(
  { store }: Engine,
  { record }: IssuerMaterial,
  { der, serialNumber }: OcspCertId,
): Promise<OcspSingle> {
  const standing = await findStanding(store.db, record.id, serialNumber)
  return { certId: der, status: underIssuer(record, statusOf(standing)) }
}

/** What a revoked issuer has signed is revoked with it, unless it was before. */
function underIssuer(
  { revokedAt, revocationReason }: IssuerMaterial['record'],
  status: OcspCertStatus,
): OcspCertStatus {
  if (status.kind !== 'good' || revokedAt === null) return status
  const reason = revocationReason !== null && isRevocationReason(revocationReason) ? revocationReason : null
  return { kind: 'revoked', revokedAt, reason: reason ?? 'cACompromise' }
}

/** What was reserved and never handed out does not exist for anybody else. */
function statusOf(standing: Awaited<ReturnType<typeof findStanding>>): OcspCertStatus {
  switch (standing?.status) {
    case 'issued':
    case 'confirmed':
    case 'superseded':
      return { kind: 'good' }
    case 'revoked': {
      const { reason, revokedAt } = standing
      const named = reason !== null && isRevocationReason(reason) ? reason : 'unspecified'
      return { kind: 'revoked', revokedAt: revokedAt ?? 0, reason: named }
    }
    default:
      return { kind: 'unknown' }
  }
}

interface Question {
  readonly issuer: IssuerMaterial
  readonly singles: readonly OcspSingle[]
  readonly now: Instant
}

/** For one client: what it says is nobody else's. */
async function signedOnce(
  engine: Engine,
  { issuer, singles, now }: Question,
  nonce: Uint8Array | null,
): Promise<OcspAnswer> {
  const signer = await ocspSigner(engine, issuer, now)
  return signer ? signed(signer, singles, nonce, now) : failed('tryLater')
}

interface KeptQuestion extends Question {
  /** The text under which the answer is kept. */
  readonly question: string
  readonly single: OcspSingle
  readonly mark: number
}

/** When nobody can sign, what was signed holds until its nextUpdate, as long as it still says the truth. */
async function keptOrSigned(
  engine: Engine,
  { issuer, singles, single, now, question, mark }: KeptQuestion,
): Promise<OcspAnswer> {
  const standing = JSON.stringify(single.status)
  const keep = (answer: SignedOcsp): SignedOcsp => {
    keepAnswer(engine, question, { issuerId: issuer.record.id, standing, answer, mark })
    return answer
  }
  const kept = keptAnswer(engine, question)
  const known = kept?.standing === standing ? kept.answer : null
  if (known && isFreshAnswer(known, now)) return keep(known)
  // the CertID is repeated byte for byte: one with other hash parameters is another question
  const certIdHash = sha256(single.certId)
  const stored = await storedAnswer(engine, certIdHash, { standing, says: single.status.kind })
  if (stored && isFreshAnswer(stored, now)) return keep(stored)
  const signer = await ocspSigner(engine, issuer, now)
  if (!signer) {
    const last = [known, stored].find((answer) => answer && now < answer.nextUpdate)
    return last ?? failed('tryLater')
  }
  const answer = signed(signer, singles, null, now)
  const { der, producedAt, nextUpdate } = answer
  storeLater(engine, { question: certIdHash, standing, producedAt, nextUpdate, der })
  return keep(answer)
}

function signed(
  signer: OcspSigner,
  singles: readonly OcspSingle[],
  nonce: Uint8Array | null,
  now: Instant,
): SignedOcsp {
  const producedAt = Math.floor(now / 1000) * 1000
  const nextUpdate = Math.min(producedAt + ocspLifetimeMs, signer.notAfter)
  const responseData = encodeOcspResponseData({
    responderKeyHash: signer.key.keyIdentifier,
    producedAt,
    thisUpdate: producedAt - ocspBackdateMs,
    nextUpdate,
    singles,
    nonce,
  })
  const { signatureAlgorithm, certificate } = signer
  const signature = signer.sign(responseData)
  const der = assembleOcspResponse({ responseData, signatureAlgorithm, signature, signer: certificate })
  const [first, ...others] = singles
  const says = first && others.length === 0 ? first.status.kind : 'several'
  return { kind: 'signed', der, producedAt, nextUpdate, says, hasNonce: nonce !== null }
}

/**
 * OCSP (RFC 6960, RFC 9919): what is asked is looked up in the inventory at each request, so a certificate is known as soon as
 * it is issued and revoked as soon as it is revoked. Signed answers are kept and given again while nothing has changed; only
 * a nonce takes a signature of its own. Nothing is signed about issuers that are not ours.
 */
import { hash } from 'node:crypto'
import { hourMs, minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
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
import { ocspSigner, type OcspSigner } from './ocsp-signer.ts'

export type OcspAnswer =
  | {
      readonly kind: 'signed'
      readonly der: Uint8Array
      readonly producedAt: Instant
      readonly nextUpdate: Instant
      /** True when the answer is for one client only: it repeats a nonce. */
      readonly hasNonce: boolean
    }
  | { readonly kind: 'error'; readonly error: OcspError; readonly der: Uint8Array }

/** From thisUpdate to nextUpdate. Whoever keeps an answer learns of a revocation this much later at the latest. */
export const ocspLifetimeMs = 12 * hourMs
/** An answer from the cache has at least this much left. */
const freshMs = 6 * hourMs
/** thisUpdate lies this much in the past, for verifiers whose clock is behind. */
const backdateMs = 5 * minuteMs

/** Answers of one process, about 1 kB each. */
const maxKept = 20_000

interface Kept {
  /** Who signed, and what was said: any change makes the answer worthless. */
  readonly signer: OcspSigner
  readonly standing: string
  readonly answer: OcspAnswer & { kind: 'signed' }
}

const keptAnswers = new WeakMap<Engine, Map<string, Kept>>()

/** Never throws a Refusal: what is wrong with a request is an answer as well (RFC 6960 §2.3). */
export async function answerOcsp(engine: Engine, request: Uint8Array): Promise<OcspAnswer> {
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
  const singles = await Promise.all(asked.certIds.map((certId) => singleOf(engine, issuer, certId)))
  const signer = await ocspSigner(engine, issuer, now)
  if (!signer) return failed('tryLater')
  if (asked.nonce || singles.length > 1) return signed(signer, singles, asked.nonce, now)
  return keptOrSigned(engine, { issuer, signer, certId: asked.certIds[0] as OcspCertId, singles, now })
}

function failed(error: OcspError): OcspAnswer {
  return { kind: 'error', error, der: encodeOcspError(error) }
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
  return { certId: der, status: statusOf(standing) }
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
  readonly signer: OcspSigner
  readonly certId: OcspCertId
  readonly singles: readonly OcspSingle[]
  readonly now: Instant
}

function keptOrSigned(engine: Engine, { issuer, signer, certId, singles, now }: Question): OcspAnswer {
  let kept = keptAnswers.get(engine)
  if (!kept) keptAnswers.set(engine, (kept = new Map()))
  // the CertID is repeated byte for byte, and its hash parameters may be absent or NULL
  const key = `${issuer.record.id} ${certId.hash} ${certId.der.length} ${certId.serialNumber}`
  const standing = JSON.stringify(singles[0]?.status)
  const known = kept.get(key)
  const isSame = known?.signer === signer && known.standing === standing
  if (isSame && known.answer.nextUpdate - now >= freshMs && known.answer.producedAt <= now)
    return known.answer
  const answer = signed(signer, singles, null, now)
  // what is unknown costs a signature each time, and no memory: anybody can make up serial numbers
  if (singles[0]?.status.kind === 'unknown') return answer
  if (kept.size >= maxKept) kept.delete(kept.keys().next().value as string)
  kept.delete(key)
  kept.set(key, { signer, standing, answer })
  return answer
}

function signed(
  signer: OcspSigner,
  singles: readonly OcspSingle[],
  nonce: Uint8Array | null,
  now: Instant,
): OcspAnswer & { kind: 'signed' } {
  const producedAt = Math.floor(now / 1000) * 1000
  const nextUpdate = Math.min(producedAt + ocspLifetimeMs, signer.notAfter)
  const responseData = encodeOcspResponseData({
    responderKeyHash: signer.key.keyIdentifier,
    producedAt,
    thisUpdate: producedAt - backdateMs,
    nextUpdate,
    singles,
    nonce,
  })
  const { signatureAlgorithm, certificate } = signer
  const signature = signer.sign(responseData)
  const der = assembleOcspResponse({ responseData, signatureAlgorithm, signature, signer: certificate })
  return { kind: 'signed', der, producedAt, nextUpdate, hasNonce: nonce !== null }
}

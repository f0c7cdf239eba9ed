/**
 * Who signs OCSP answers: a key of this process alone, with a short-lived certificate directly from the CA whose
 * certificates it speaks about (RFC 6960 §4.2.2.2). The key is never written anywhere and the CA's own key signs no answers; a
 * process that starts anew makes a new one. The certificate is issued through the same recorded steps as any other.
 */
import type { KeyObject } from 'node:crypto'
import { dayMs, minuteMs, type Instant } from '../../base/clock.ts'
import { nullValue } from '../../pki/der-writer.ts'
import { encodeBasicConstraints, encodeExtendedKeyUsage, encodeKeyUsage } from '../../pki/extension-values.ts'
import { makeExtension } from '../../pki/extensions.ts'
import { generateKeyPair, parsePublicKey, type PublicKey } from '../../pki/key.ts'
import { oids } from '../../pki/oid.ts'
import { defaultSignatureAlgorithm, signData, type SignatureAlgorithm } from '../../pki/signature.ts'
import { actors } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { authorityKey, draft, draftIssuer, newSerialNumber, shardOf } from '../issuing/issue-content.ts'
import { issueCertificate, signerOf } from '../issuing/issue.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import { defaultSlot } from '../issuing/profile.ts'

/** What `profile` says in the inventory. It is no device profile: no device can ask for it. */
export const ocspProfile = 'ocsp'

/** Nobody can revoke it (id-pkix-ocsp-nocheck), so it lives shortly. */
const validityMs = 14 * dayMs
const backdateMs = 10 * minuteMs
/** The next one is made this long before its end: longer than any answer that it signed is in force. */
const renewBeforeMs = 7 * dayMs
/** After a failure it is not tried again for this long: a request must not be able to keep the CA key busy. */
const retryAfterMs = minuteMs / 2

export interface OcspSigner {
  /** DER. */
  readonly certificate: Uint8Array
  readonly notAfter: Instant
  readonly key: PublicKey
  readonly signatureAlgorithm: SignatureAlgorithm
  sign(data: Uint8Array): Uint8Array
}

interface Slot {
  current: OcspSigner | null
  making: Promise<void> | null
  failedAt: Instant
}

const signers = new WeakMap<Engine, Map<string, Slot>>()

/**
 * The signer for an issuer, made at first use. While its successor is being made the old one signs on.
 * @returns null when there is none and none can be made now
 */
export async function ocspSigner(
  engine: Engine,
  issuer: IssuerMaterial,
  now: Instant,
): Promise<OcspSigner | null> {
  const slot = slotOf(engine, issuer)
  const { current } = slot
  if (current && now < current.notAfter - renewBeforeMs) return current
  if (!slot.making && now - slot.failedAt >= retryAfterMs) slot.making = renew(engine, issuer, slot, now)
  if (current && now < current.notAfter) return current
  await slot.making
  return slot.current && now < slot.current.notAfter ? slot.current : null
}

/**
 * The signers of this process: until when each can sign, and whether the last attempt at its successor failed. What was
 * signed holds until its nextUpdate, so there is time to bring the CA key back.
 */
export function ocspSignerStates(engine: Engine): OcspSignerState[] {
  return [...(signers.get(engine) ?? [])].map(([issuer, { current, failedAt }]) => ({
    issuer,
    notAfter: current?.notAfter ?? null,
    isFailing: failedAt > Number.NEGATIVE_INFINITY,
  }))
}

export interface OcspSignerState {
  readonly issuer: string
  /** Null: there is none. */
  readonly notAfter: Instant | null
  readonly isFailing: boolean
}

function slotOf(engine: Engine, { record }: IssuerMaterial): Slot {
  let ofEngine = signers.get(engine)
  if (!ofEngine) signers.set(engine, (ofEngine = new Map()))
  let slot = ofEngine.get(record.id)
  if (!slot) {
    slot = { current: null, making: null, failedAt: Number.NEGATIVE_INFINITY }
    ofEngine.set(record.id, slot)
  }
  return slot
}

async function renew(engine: Engine, issuer: IssuerMaterial, slot: Slot, now: Instant): Promise<void> {
  try {
    slot.current = await makeSigner(engine, issuer, now)
    slot.failedAt = Number.NEGATIVE_INFINITY
  } catch (err) {
    // the old signer goes on as long as it lives; without one the answer is tryLater, and the next request tries again
    slot.failedAt = now
    engine.log.error({ issuer: issuer.record.id, err }, 'no new OCSP signer could be made')
  } finally {
    slot.making = null
  }
}

async function makeSigner(engine: Engine, issuer: IssuerMaterial, now: Instant): Promise<OcspSigner> {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const key = parsePublicKey(spki)
  const serialNumber = newSerialNumber(engine.random, now)
  const start = Math.floor(now / 1000) * 1000
  const { record } = issuer
  const content = draft({
    issuer: draftIssuer(issuer),
    key,
    serialNumber,
    crlShard: shardOf(serialNumber, record.crlShards),
    notBefore: Math.max(start - backdateMs, record.notBefore),
    notAfter: Math.min(start + validityMs, record.notAfter),
    subject: [
      [{ type: oids.organizationName, value: engine.settings.organization }],
      [{ type: oids.commonName, value: `OCSP ${record.id}`.slice(0, 64) }],
    ],
    subjectAltNames: [],
    extensions: [
      makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: false, pathLength: null })),
      makeExtension(oids.keyUsage, encodeKeyUsage(['digitalSignature'])),
      makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.OCSPSigning])),
      makeExtension(oids.ocspNoCheck, nullValue()),
      // no AIA and no CRL distribution point: whoever reads it has the issuer, and does not check it (RFC 6960 §4.2.2.2.1)
      authorityKey(issuer),
    ],
  })
  const certificate = {
    ...content,
    deviceId: null,
    slot: defaultSlot,
    issuerId: record.id,
    keyAlgorithm: key.algorithm,
    spkiHash: key.spkiHash,
    profile: ocspProfile,
    profileHash: null,
    protocol: 'local',
    predecessorId: null,
    cohort: null,
    batch: null,
    site: null,
    createdAt: now,
  }
  const issuance = { signer: signerOf(issuer), certificate, purpose: 'ocsp' as const, actor: actors.system }
  const { der } = await issueCertificate(engine, issuance, now)
  return signerOfKey(der, content.notAfter, key, privateKey)
}

function signerOfKey(
  certificate: Uint8Array,
  notAfter: Instant,
  key: PublicKey,
  privateKey: KeyObject,
): OcspSigner {
  const signatureAlgorithm = defaultSignatureAlgorithm(key.algorithm)
  const sign = (data: Uint8Array): Uint8Array => signData(privateKey, signatureAlgorithm, data)
  return { certificate, notAfter, key, signatureAlgorithm, sign }
}

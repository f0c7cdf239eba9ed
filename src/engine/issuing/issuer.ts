/** Issuers: root, intermediate, and Matter's PAA and PAI. Each is made through the same recorded, linted steps as a leaf. */
import type { Instant } from '../../base/clock.ts'
import { toHex } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { encodeBasicConstraints, encodeKeyUsage } from '../../pki/extension-values.ts'
import { makeExtension, type Extension } from '../../pki/extensions.ts'
import { parsePublicKey, type PublicKey } from '../../pki/key.ts'
import { equalNames } from '../../pki/name.ts'
import { formatName, parseNameText } from '../../pki/name-text.ts'
import { oids } from '../../pki/oid.ts'
import { defaultSignatureAlgorithm } from '../../pki/signature.ts'
import { findIssuer, insertIssuer, updateIssuer, type IssuerRecord } from '../../store/issuers.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import {
  crlDistributionPoint,
  draft,
  draftIssuer,
  issuerExtensions,
  newSerialNumber,
  shardOf,
} from './issue-content.ts'
import { issueCertificate, signerOf } from './issue.ts'
import type { IssuerMaterial } from './issuer-cache.ts'
import {
  issuerKinds,
  planIssuer,
  requireParent,
  type IssuerKind,
  type IssuerPlan,
  type NewIssuer,
} from './issuer-plan.ts'
import type { Authority } from '../ports.ts'
import { defaultSlot } from './profile.ts'

export type { IssuerRecord }

/**
 * Makes an issuer, or finishes one that a crash left half made. An issuer of that name and kind that is there already is
 * returned as it is.
 * @throws Refusal `already-exists` (other kind), `not-found` (parent), `invalid-input`, `issuer-unavailable`, `lint-failed`
 */
export async function createIssuer(engine: Engine, input: NewIssuer): Promise<IssuerRecord> {
  const now = engine.clock.now()
  const known = await findIssuer(engine.store.db, input.id)
  if (known && known.kind !== input.kind) {
    throw new Refusal(
      'already-exists',
      `there is an issuer ${input.id} of kind ${known.kind}: choose another name`,
    )
  }
  if (known?.certificate) return known
  const parent = await requireParent(engine, input, now)
  const plan = planIssuer(engine, input, parent, now)
  const unfinished = known ?? (await makeKey(engine, input, plan, now))
  const key = parsePublicKey(
    await authorityOf(engine, unfinished.authority).publicKey(unfinished.keyReference),
  )
  assert(key.spkiHash === unfinished.spkiHash, 'the key of an issuer is the one on its record')
  await certify(engine, { input, plan, parent, key, unfinished, now })
  engine.issuers.forget()
  const record = await findIssuer(engine.store.db, input.id)
  assert(record?.certificate, 'an issuer that was created has its certificate')
  return record
}

/** CA certificates from this issuer up to its root, DER. @throws Refusal `not-found` */
export async function issuerChain(engine: Engine, id: IssuerId): Promise<Uint8Array[]> {
  const chain: Uint8Array[] = []
  for (let at: IssuerId | null = id; at !== null;) {
    const found: IssuerMaterial | null = await engine.issuers.find(at)
    if (!found) throw new Refusal('not-found', `there is no issuer ${at}, or it has no certificate yet`)
    chain.push(found.certificate.der)
    at = found.record.parentId
  }
  return chain
}

/**
 * What an EST client gets as CA certificates (RFC 7030 §4.1.3): every active root and intermediate, and for a Matter
 * profile its PAI and PAA as well. Roots last.
 * @param label name of a profile; null for all device profiles
 * @throws Refusal `profile-unknown`, `issuer-unavailable` when the profile's issuer does not exist yet
 */
export async function caCertificates(engine: Engine, label: string | null): Promise<Uint8Array[]> {
  const profile = label === null ? null : engine.settings.profiles.get(label)
  if (profile === undefined) throw new Refusal('profile-unknown', `there is no profile ${label}`)
  const wanted = new Map<string, Uint8Array>()
  if (profile) {
    const issuer = await engine.issuers.active(profile.issuer, engine.clock.now())
    for (const der of await issuerChain(engine, issuer.record.id)) wanted.set(toHex(der), der)
  }
  const records = await engine.issuers.list()
  for (const kind of ['intermediate', 'root'] as const) {
    for (const { kind: its, status, certificate } of records) {
      if (its !== kind || status !== 'active' || certificate === null) continue
      // a root that the chain brought in moves to the end
      wanted.delete(toHex(certificate))
      wanted.set(toHex(certificate), certificate)
    }
  }
  return [...wanted.values()]
}

/** The key first, then the record that names it: a crash in between leaves a key that nothing ever refers to. */
async function makeKey(
  engine: Engine,
  input: NewIssuer,
  plan: IssuerPlan,
  now: Instant,
): Promise<IssuerRecord> {
  const { id, kind, parentId, actor } = input
  const keyReference = `${id}-${toHex(engine.random.bytes(6))}`
  const { spki } = await authorityOf(engine, plan.authority).createKey(keyReference, plan.keyAlgorithm)
  const key = parsePublicKey(spki)
  const record: IssuerRecord = {
    id,
    kind,
    subject: formatName(plan.subject),
    certificate: null,
    parentId,
    keyAlgorithm: key.algorithm,
    authority: plan.authority,
    keyReference,
    status: 'active',
    subjectKeyIdentifier: toHex(key.keyIdentifier),
    spkiHash: key.spkiHash,
    notBefore: plan.notBefore,
    notAfter: plan.notAfter,
    crlShards: plan.crlShards,
    createdAt: now,
    revokedAt: null,
    revocationReason: null,
    reissueCampaign: null,
    cutAfter: null,
  }
  await engine.store.transaction(async (tx) => {
    await insertIssuer(tx, record)
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'issuer.intended',
        subject: subjects.issuer(id),
        details: {
          kind,
          subject: record.subject,
          parentId,
          keyAlgorithm: key.algorithm,
          spkiSha256: key.spkiHash,
        },
      }),
    )
  })
  return record
}

function authorityOf({ authorities }: Engine, kind: string): Authority {
  const authority = authorities.get(kind)
  if (authority) return authority
  throw new Refusal(
    'invalid-input',
    `nothing here holds keys of kind "${kind}": use one of ${[...authorities.keys()].join(', ')}`,
  )
}

interface Certification {
  readonly input: NewIssuer
  readonly plan: IssuerPlan
  readonly parent: IssuerMaterial | null
  readonly key: PublicKey
  readonly unfinished: IssuerRecord
  readonly now: Instant
}

async function certify(engine: Engine, certification: Certification): Promise<void> {
  const { input, plan, parent, key, unfinished, now } = certification
  const { id, kind, actor } = input
  // a record from before a crash keeps its name: the key and the facts are about that one
  const subject = equalNames(parseNameText(unfinished.subject), plan.subject)
    ? plan.subject
    : parseNameText(unfinished.subject)
  const signatureAlgorithm = parent?.signatureAlgorithm ?? defaultSignatureAlgorithm(key.algorithm)
  const serialNumber = newSerialNumber(engine.random, now)
  const content = draft({
    issuer: parent ? draftIssuer(parent) : { subject, signatureAlgorithm },
    key,
    serialNumber,
    crlShard: shardOf(serialNumber, parent?.record.crlShards ?? unfinished.crlShards),
    notBefore: plan.notBefore,
    notAfter: plan.notAfter,
    subject,
    subjectAltNames: [],
    extensions: extensionsOf(engine, kind, parent),
  })
  const { authority, keyReference } = unfinished
  const signer = parent
    ? signerOf(parent)
    : { authority, keyReference, key, signatureAlgorithm, certificate: null }
  const issuance = {
    signer,
    certificate: {
      ...content,
      deviceId: null,
      slot: defaultSlot,
      issuerId: parent?.record.id ?? id,
      keyAlgorithm: key.algorithm,
      spkiHash: key.spkiHash,
      profile: kind,
      profileHash: null,
      protocol: 'local',
      predecessorId: null,
      cohort: null,
      batch: null,
      site: null,
      createdAt: now,
    },
    purpose: 'ca' as const,
    actor,
  }
  await issueCertificate(
    engine,
    {
      ...issuance,
      onCommit: async (tx, { der }) => {
        const { notBefore, notAfter } = plan
        const current = await findIssuer(tx, id)
        if (current?.certificate)
          throw new Refusal('already-exists', `issuer ${id} was finished by another process just now`)
        await updateIssuer(tx, id, { certificate: der, notBefore, notAfter })
        await recordFacts(
          tx,
          fact(now, {
            actor,
            action: 'issuer.created',
            subject: subjects.issuer(id),
            details: { kind, serialNumber },
          }),
        )
      },
    },
    now,
  )
}

function extensionsOf({ settings }: Engine, kind: IssuerKind, parent: IssuerMaterial | null): Extension[] {
  const own = [
    makeExtension(
      oids.basicConstraints,
      encodeBasicConstraints({ ca: true, pathLength: issuerKinds[kind].pathLength }),
    ),
    makeExtension(oids.keyUsage, encodeKeyUsage(['keyCertSign', 'cRLSign'])),
  ]
  if (parent === null) return own
  // Matter's verifiers get the PAA from the ledger, not from a URL
  const { statusUrl } = settings
  const pointers = [
    ...issuerExtensions(parent, statusUrl),
    crlDistributionPoint(statusUrl, parent.record.id, null),
  ]
  return [
    ...own,
    ...(kind === 'pai' ? pointers.filter(({ oid }) => oid === oids.authorityKeyIdentifier) : pointers),
  ]
}

/** Manufacturer CAs whose factory identities may enrol, and the rule by which each certificate names its device. */
import { equalBytes, sha256Hex } from '../../base/bytes.ts'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { isUnsafeText } from '../../base/text.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { formatName } from '../../pki/name-text.ts'
import {
  deleteTrustAnchor,
  findTrustAnchor,
  insertTrustAnchor,
  listTrustAnchors,
  type TrustAnchorRecord,
} from '../../store/trust-anchors.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { parseDeviceIdRule } from './device-id-rule.ts'

export type { TrustAnchorRecord }

export interface NewTrustAnchor {
  /** For people. */
  readonly name: string
  /** DER. */
  readonly certificate: Uint8Array
  /** See device-id-rule.ts. */
  readonly deviceIdRule: string
  /** The only profile that its devices may have; null = any. */
  readonly profile: string | null
  readonly actor: string
}

/** @throws Refusal `invalid-input` when it cannot be an anchor, `already-exists` */
export async function addTrustAnchor(engine: Engine, anchor: NewTrustAnchor): Promise<TrustAnchorRecord> {
  const { name, actor, profile } = anchor
  const now = engine.clock.now()
  const certificate = parseCertificate(anchor.certificate)
  requireAnchor(certificate, now)
  await requireForeign(engine, certificate)
  if (name.trim() === '' || name.length > 64 || isUnsafeText(name)) {
    throw new Refusal('invalid-input', 'the name of a trust anchor is 1 to 64 printable characters')
  }
  if (profile !== null && !engine.settings.profiles.has(profile)) {
    throw new Refusal('invalid-input', `there is no profile ${profile}`)
  }
  const fingerprint = sha256Hex(certificate.der)
  const record: TrustAnchorRecord = {
    id: fingerprint.slice(0, 16),
    name: name.trim(),
    certificate: certificate.der,
    subject: formatName(certificate.subject),
    deviceIdRule: parseDeviceIdRule(anchor.deviceIdRule).text,
    profile,
    createdAt: now,
  }
  await engine.store.transaction(async (tx) => {
    await insertTrustAnchor(tx, record)
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'trust-anchor.added',
        subject: subjects.trustAnchor(record.id),
        details: { name: record.name, deviceIdRule: record.deviceIdRule, profile, sha256: fingerprint },
      }),
    )
  })
  return record
}

export async function trustAnchors(engine: Engine): Promise<TrustAnchorRecord[]> {
  return await listTrustAnchors(engine.store.db)
}

/** Devices that it let in keep their certificates. @throws Refusal `not-found` */
export async function removeTrustAnchor(
  engine: Engine,
  id: string,
  actor: string,
): Promise<TrustAnchorRecord> {
  const now = engine.clock.now()
  return await engine.store.transaction(async (tx) => {
    const record = await findTrustAnchor(tx, id)
    if (!record || !(await deleteTrustAnchor(tx, id))) {
      throw new Refusal('not-found', `there is no trust anchor ${id}: see \`perennial trust list\``)
    }
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'trust-anchor.removed',
        subject: subjects.trustAnchor(id),
        details: { name: record.name },
      }),
    )
    return record
  })
}

function requireAnchor({ extensions, notAfter, version }: Certificate, now: number): void {
  // a version 1 root has no extensions: it is one because an operator says so
  if (version !== 1 && extensions.basicConstraints?.ca !== true) {
    throw new Refusal(
      'invalid-input',
      'this is not the certificate of a CA (basicConstraints): give the CA that signed the factory identities',
    )
  }
  if (extensions.keyUsage && !extensions.keyUsage.includes('keyCertSign')) {
    throw new Refusal('invalid-input', 'this CA may not sign certificates (keyUsage has no keyCertSign)')
  }
  if (now > notAfter) throw new Refusal('invalid-input', `this CA expired on ${iso(notAfter)}`)
}

/** Our own CA as an anchor would turn every certificate of ours into a factory identity, whatever its status. */
async function requireForeign(engine: Engine, certificate: Certificate): Promise<void> {
  for (const { id, kind, certificate: der } of await engine.issuers.list()) {
    if (kind === 'external' || der === null || !equalBytes(parseCertificate(der).spki, certificate.spki))
      continue
    throw new Refusal(
      'invalid-input',
      `this is our own issuer ${id}: only CAs of manufacturers are trust anchors`,
    )
  }
}

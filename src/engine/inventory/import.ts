/**
 * Certificates issued elsewhere come into the inventory (brownfield), so that what expires next is known for the whole
 * fleet from the first day. They keep their issuer, which is recorded as `external`; they cannot authenticate anybody.
 */
import { sha256Hex, toHex } from '../../base/bytes.ts'
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { parseDeviceId, parseIssuerId, type IssuerId } from '../../base/id.ts'
import { printable } from '../../base/text.ts'
import { noExpiry, parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { formatGeneralName } from '../../pki/general-name-text.ts'
import { parsePublicKey } from '../../pki/key.ts'
import { formatName } from '../../pki/name-text.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { insertCertificates } from '../../store/certificates.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import { findIssuer, insertIssuer, type IssuerRecord } from '../../store/issuers.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { deviceIdOf, parseDeviceIdRule, type DeviceIdRule } from '../issuing/device-id-rule.ts'
import type { ImportLine, ImportOptions, ImportResult } from './device.ts'
import { defaultSlot } from '../issuing/profile.ts'

export interface ForeignCertificate {
  /** DER. */
  readonly certificate: Uint8Array
  /** Whose it is; null = unknown, or found by the rule. */
  readonly deviceId: string | null
}

export interface CertificateImportOptions extends ImportOptions {
  /** How a certificate names its device, for those lines that do not. */
  readonly deviceIdRule?: string | null
}

/**
 * One batch, in one transaction: a bad certificate is reported and loses none of the good ones; one that is there
 * already is left alone. Signatures are not checked, because the issuer's key need not be here.
 * @returns one result for each line, in their order; `id` is the serial number
 */
export async function importCertificates(
  engine: Engine,
  lines: readonly ImportLine<ForeignCertificate>[],
  { actor, dryRun = false, deviceIdRule }: CertificateImportOptions,
): Promise<ImportResult[]> {
  const now = engine.clock.now()
  const rule = deviceIdRule ? parseDeviceIdRule(deviceIdRule) : null
  const invalid = new Map<number, string>()
  const good: Good[] = []
  for (const { line, item } of lines) {
    try {
      good.push({ line, ...(await readForeign(engine, item, rule, now)) })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      invalid.set(line, error.message)
    }
  }
  const known = dryRun ? await findKnown(engine, good) : await store(engine, good, { actor, now })
  const byLine = new Map(good.map((one) => [one.line, one]))
  return lines.map(({ line }): ImportResult => {
    const one = byLine.get(line)
    if (!one) return { line, outcome: 'invalid', reason: invalid.get(line) ?? 'not read' }
    const id = one.record.serialNumber
    if (!known.has(one)) return { line, outcome: 'added', id }
    return { line, outcome: 'known', id, reason: `certificate ${id} is in the inventory already` }
  })
}

interface Foreign {
  readonly record: Omit<CertificateRecord, 'id'>
  readonly issuer: IssuerRecord
  /** SHA-256 of the DER, hex. */
  readonly sha256: string
}

interface Good extends Foreign {
  readonly line: number
}

async function readForeign(
  engine: Engine,
  item: ForeignCertificate,
  rule: DeviceIdRule | null,
  now: Instant,
): Promise<Foreign> {
  const parsed = parseCertificate(item.certificate)
  const device = await deviceOf(engine, item, parsed, rule)
  const issuer = await issuerOf(engine, parsed, now)
  return {
    record: recordOf(parsed, { device, issuerId: issuer.id, now }),
    issuer,
    sha256: sha256Hex(parsed.der),
  }
}

async function findKnown(engine: Engine, good: readonly Good[]): Promise<Set<Good>> {
  const known = new Set<Good>()
  const seen = new Set<string>()
  for (const one of good) {
    const { issuerId, serialNumber } = one.record
    const id = `${issuerId} ${serialNumber}`
    if (seen.has(id) || (await findByIssuerAndSerial(engine.store.db, issuerId, serialNumber))) known.add(one)
    seen.add(id)
  }
  return known
}

/** @returns those that were there before */
async function store(
  engine: Engine,
  good: readonly Good[],
  { actor, now }: { readonly actor: string; readonly now: Instant },
): Promise<Set<Good>> {
  const stored = await engine.store.transaction(async (tx) => {
    for (const issuer of new Map(good.map((one) => [one.issuer.id, one.issuer])).values()) {
      if (!(await findIssuer(tx, issuer.id))) await insertIssuer(tx, issuer)
    }
    const records = good.map(({ record }) => record)
    const known = new Set(await insertCertificates(tx, records))
    const added = good.filter(({ record }) => !known.has(record))
    await recordFacts(tx, ...added.map((one) => importedFact(one, actor, now)))
    return new Set(good.filter(({ record }) => known.has(record)))
  })
  engine.issuers.forget()
  return stored
}

function importedFact({ record, sha256 }: Good, actor: string, now: Instant): ReturnType<typeof fact> {
  const { deviceId, issuerId, serialNumber } = record
  return fact(now, {
    actor,
    action: 'certificate.imported',
    subject: subjects.certificate(issuerId, serialNumber),
    details: { deviceId, sha256 },
  })
}

async function deviceOf(
  engine: Engine,
  { deviceId }: ForeignCertificate,
  parsed: Certificate,
  rule: DeviceIdRule | null,
): Promise<DeviceRecord | null> {
  const id = deviceId === null ? rule && deviceIdOf(rule, parsed) : parseDeviceId(deviceId)
  if (id === null) {
    if (deviceId === null) return null
    throw new Refusal('invalid-input', `"${printable(deviceId.slice(0, 80))}" is no device id`)
  }
  const device = await findDevice(engine.store.db, id)
  if (device) return device
  throw new Refusal('invalid-input', `device ${id} is not in the inventory: import the devices first`)
}

/** The record of the CA that issued it: by name and key identifier, one of ours excepted. */
async function issuerOf(engine: Engine, parsed: Certificate, now: Instant): Promise<IssuerRecord> {
  const subject = formatName(parsed.issuer)
  const keyIdentifier = parsed.extensions.authorityKeyIdentifier?.keyIdentifier ?? null
  const keyText = keyIdentifier === null ? '' : toHex(keyIdentifier)
  for (const record of await engine.issuers.list()) {
    if (record.subject !== subject) continue
    if (record.kind !== 'external' && (keyText === '' || record.subjectKeyIdentifier === keyText)) {
      throw new Refusal(
        'invalid-input',
        `certificate ${parsed.serialNumber} claims to be of our own issuer ${record.id}, which never issued it or has it on record already`,
      )
    }
    if (record.kind === 'external' && record.subjectKeyIdentifier === keyText) return record
  }
  const id = parseIssuerId(`external-${sha256Hex(`${subject}\n${keyText}`).slice(0, 16)}`) as IssuerId
  return {
    id,
    kind: 'external',
    subject,
    certificate: null,
    parentId: null,
    keyAlgorithm: 'unknown',
    authority: 'none',
    keyReference: '',
    status: 'active',
    subjectKeyIdentifier: keyText,
    // nobody knows its key: a hash that no key has
    spkiHash: '',
    notBefore: 0,
    notAfter: noExpiry,
    crlShards: 1,
    createdAt: now,
    revokedAt: null,
    revocationReason: null,
    reissueCampaign: null,
    cutAfter: null,
  }
}

interface Placement {
  readonly device: DeviceRecord | null
  readonly issuerId: IssuerId
  readonly now: Instant
}

function recordOf(parsed: Certificate, { device, issuerId, now }: Placement): Omit<CertificateRecord, 'id'> {
  const { serialNumber, subject, extensions, spki, notBefore, notAfter, der } = parsed
  return {
    deviceId: device?.id ?? null,
    slot: defaultSlot,
    issuerId,
    serialNumber,
    subject: formatName(subject),
    subjectAltNames: (extensions.subjectAltName ?? []).map(formatGeneralName),
    keyAlgorithm: keyAlgorithmOf(spki),
    spkiHash: sha256Hex(spki),
    notBefore,
    notAfter,
    status: 'issued',
    reason: null,
    revokedAt: null,
    profile: null,
    profileHash: null,
    protocol: 'import',
    predecessorId: null,
    cohort: device?.cohort ?? null,
    batch: device?.batch ?? null,
    site: device?.site ?? null,
    createdAt: now,
    issuedAt: notBefore,
    confirmedAt: null,
    crlShard: 0,
    tbs: null,
    der,
  }
}

/** Fleets have keys that we would not issue for; that is a reason to list them, not to leave them out. */
function keyAlgorithmOf(spki: Uint8Array): string {
  try {
    return parsePublicKey(spki).algorithm
  } catch (error) {
    if (error instanceof Refusal) return 'other'
    throw error
  }
}

/**
 * Sightings that others tell us of: a proxy, a broker or a cloud that authenticated a device with a certificate of ours.
 * They end where our own do, in the buffer that confirms certificates; so whoever may send them is trusted as our own
 * endpoints are.
 */
import { fromHex, toHex } from '../../base/bytes.ts'
import { iso, minuteMs, secondMs, type Instant } from '../../base/clock.ts'
import { parseSerialNumber, type SerialNumber } from '../../base/id.ts'
import { isUnsafeText } from '../../base/text.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findBySerials } from '../../store/fingerprints.ts'
import type { Engine } from '../context.ts'
import type { FingerprintIndex } from '../inventory/fingerprints.ts'

/** What became of one of them. */
export type SightingResult =
  | { readonly result: 'noted' }
  /** No certificate of ours has this name: it is counted, because a proxy sees certificates of others too. */
  | { readonly result: 'unknown' }
  /** Ours, but revoked, replaced or never handed out: its use is no sign of life. */
  | { readonly result: 'not-live'; readonly detail: string }
  | { readonly result: 'refused'; readonly detail: string }

/** How far the clock of whoever tells us may be ahead of ours. */
const aheadMs = minuteMs
const maxSourceLength = 64

interface Named {
  readonly hash: Uint8Array | null
  readonly issuer: string | null
  readonly serialNumber: SerialNumber | null
  readonly at: Instant
}

/**
 * Never throws for what was sent: each sighting has its own result, in the order in which they came.
 * @param sightings parsed JSON, unchecked
 */
export async function importSightings(
  { engine, fingerprints }: { readonly engine: Engine; readonly fingerprints: FingerprintIndex },
  sightings: readonly unknown[],
): Promise<SightingResult[]> {
  const now = engine.clock.now()
  const named = sightings.map((sighting) => readSighting(sighting, now))
  const asked = named.filter((each): each is Named => typeof each !== 'string')
  const byHash = await hashesOf(fingerprints, asked)
  const bySerial = await serialsOf(engine, asked)
  return named.map((each) => {
    if (typeof each === 'string') return { result: 'refused', detail: each }
    const record =
      each.hash === null
        ? (bySerial.get(`${each.issuer}/${each.serialNumber}`) ?? null)
        : (byHash.get(toHex(each.hash)) ?? null)
    return record === null ? { result: 'unknown' } : note(engine, record, Math.min(each.at, now))
  })
}

function note(engine: Engine, record: CertificateRecord, at: Instant): SightingResult {
  const { status, notBefore, notAfter, issuedAt, deviceId } = record
  if (status !== 'issued' && status !== 'confirmed') return { result: 'not-live', detail: `it is ${status}` }
  if (deviceId === null) return { result: 'not-live', detail: 'it belongs to no device' }
  if (at < notBefore)
    return { result: 'refused', detail: `that is before the certificate began, on ${iso(notBefore)}` }
  if (at > notAfter + secondMs - 1)
    return { result: 'refused', detail: `that is after the certificate ended, on ${iso(notAfter)}` }
  // notBefore lies a little before the issue, and so may a clock: nothing is used before it is there
  engine.sightings.noteCertificate(record, Math.max(at, issuedAt ?? at))
  return { result: 'noted' }
}

/** @returns what is wrong with it, as a text */
function readSighting(value: unknown, now: Instant): Named | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'a sighting is a JSON object'
  const { certificate, issuer, serialNumber, at, source } = value as Readonly<Record<string, unknown>>
  const name = readName({ certificate, issuer, serialNumber })
  if (typeof name === 'string') return name
  const instant = readInstant(at, now)
  if (typeof instant === 'string') return instant
  const isSource = typeof source === 'string' && source.length <= maxSourceLength && !isUnsafeText(source)
  if (source !== undefined && !isSource) return `source is a text of at most ${maxSourceLength} characters`
  return { ...name, at: instant }
}

const nameHelp =
  'certificate is the SHA-256 of its DER in 64 hex digits, or "issuer/serial number"; or give issuer and serialNumber'

function readName(named: {
  readonly certificate: unknown
  readonly issuer: unknown
  readonly serialNumber: unknown
}): Omit<Named, 'at'> | string {
  const { certificate } = named
  if (certificate === undefined) return readIssuerAndSerial(named.issuer, named.serialNumber)
  if (typeof certificate !== 'string') return nameHelp
  if (/^[0-9A-Fa-f]{64}$/.test(certificate)) {
    return { hash: fromHex(certificate), issuer: null, serialNumber: null }
  }
  const slash = certificate.lastIndexOf('/')
  if (slash < 1) return nameHelp
  return readIssuerAndSerial(certificate.slice(0, slash), certificate.slice(slash + 1))
}

function readIssuerAndSerial(issuer: unknown, serial: unknown): Omit<Named, 'at'> | string {
  if (typeof issuer !== 'string' || typeof serial !== 'string' || issuer.length > 512) return nameHelp
  const serialNumber = parseSerialNumber(serial)
  if (serialNumber === null) return 'the serial number is hex'
  return { hash: null, issuer, serialNumber }
}

/** ISO 8601 with its offset, or seconds since 1970, as `$msec` of nginx; missing: now. */
function readInstant(at: unknown, now: Instant): Instant | string {
  if (at === undefined) return now
  const ms =
    typeof at === 'number' ? Math.round(at * secondMs) : typeof at === 'string' ? isoInstant(at) : NaN
  if (!Number.isSafeInteger(ms))
    return 'at is ISO 8601 with an offset (2026-11-20T12:00:00Z), or seconds since 1970'
  if (ms > now + aheadMs) return `at lies in the future: here it is ${iso(now)}`
  return ms
}

function isoInstant(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN
}

async function hashesOf(
  fingerprints: FingerprintIndex,
  asked: readonly Named[],
): Promise<Map<string, CertificateRecord>> {
  const hashes = asked.flatMap(({ hash }) => (hash === null ? [] : [hash]))
  return hashes.length === 0 ? new Map() : await fingerprints.find(hashes)
}

/** By every name that the sightings used: the issuer's id or its subject, as proxies write it (RFC 4514). */
async function serialsOf(engine: Engine, asked: readonly Named[]): Promise<Map<string, CertificateRecord>> {
  const serials = new Set(asked.flatMap(({ serialNumber }) => (serialNumber === null ? [] : [serialNumber])))
  if (serials.size === 0) return new Map()
  const records = await findBySerials(
    engine.store.db,
    [...serials].map((serial) => fromHex(serial) as Uint8Array),
  )
  const subjects = new Map((await engine.issuers.list()).map(({ id, subject }) => [id as string, subject]))
  return new Map(
    records.flatMap((record) =>
      [record.issuerId, subjects.get(record.issuerId)].map((issuer) => [
        `${issuer}/${record.serialNumber}`,
        record,
      ]),
    ),
  )
}

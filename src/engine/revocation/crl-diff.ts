/** What changed from one CRL to the next, and whether it should have: entries that went too early, and entries that lack. */
import { Refusal } from '../../base/errors.ts'
import type { IssuerId, SerialNumber } from '../../base/id.ts'
import { type Crl, type CrlEntry, parseCrl } from '../../pki/crl-read.ts'
import { equalNames } from '../../pki/name.ts'
import { hold } from '../../store/holds.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import { revokedEntries } from '../../store/revocations.ts'
import { toHex } from '../../base/bytes.ts'
import type { Engine } from '../context.ts'
import { publishedAt } from './crl-settings.ts'

export interface CrlDifference {
  readonly added: readonly CrlEntry[]
  readonly removed: readonly CrlEntry[]
  readonly changed: readonly { readonly before: CrlEntry; readonly after: CrlEntry }[]
}

/** @throws Refusal `invalid-input` when the two are not of one issuer, or the second is the older one */
export function compareCrls(before: Crl, after: Crl): CrlDifference {
  if (!equalNames(before.issuer, after.issuer)) {
    throw new Refusal('invalid-input', 'the two CRLs are of different issuers')
  }
  if (before.thisUpdate > after.thisUpdate && !isNumberHigher(before, after)) {
    throw new Refusal(
      'invalid-input',
      'the second CRL is older than the first: give them the other way round',
    )
  }
  const old = new Map<SerialNumber, CrlEntry>()
  for (const entry of before.entries()) old.set(entry.serialNumber, entry)
  const added: CrlEntry[] = []
  const changed: { before: CrlEntry; after: CrlEntry }[] = []
  for (const entry of after.entries()) {
    const was = old.get(entry.serialNumber)
    if (!was) added.push(entry)
    else if (was.revocationDate !== entry.revocationDate || was.reason !== entry.reason) {
      changed.push({ before: was, after: entry })
    }
    old.delete(entry.serialNumber)
  }
  return { added, removed: [...old.values()], changed }
}

/** The number decides where there is one: two nodes with clocks apart publish in the order of numbers, not of times. */
function isNumberHigher(before: Crl, after: Crl): boolean {
  return before.crlNumber !== null && after.crlNumber !== null && after.crlNumber > before.crlNumber
}

export interface CrlFinding {
  readonly kind: 'removed-early' | 'missing' | 'changed' | 'number-not-higher'
  readonly serialNumber: SerialNumber | null
  readonly detail: string
}

/**
 * The rules of RFC 5280 §3.3 and §5.2.3 for two CRLs of one scope of an issuer of ours: an entry stays until one CRL after
 * the end of its certificate, never changes, everything that the inventory has as revoked is there, numbers grow.
 */
export async function checkCrls(
  engine: Engine,
  issuerId: IssuerId,
  beforeDer: Uint8Array,
  afterDer: Uint8Array,
): Promise<{ readonly difference: CrlDifference; readonly findings: readonly CrlFinding[] }> {
  const [before, after] = [parseCrl(beforeDer), parseCrl(afterDer)]
  const difference = compareCrls(before, after)
  const findings: CrlFinding[] = []
  if (before.crlNumber !== null && after.crlNumber !== null && after.crlNumber <= before.crlNumber) {
    findings.push({ kind: 'number-not-higher', serialNumber: null, detail: `${after.crlNumber}` })
  }
  for (const { serialNumber, reason } of difference.removed) {
    const record = await findByIssuerAndSerial(engine.store.db, issuerId, serialNumber)
    // a hold that was released; nothing else leaves before its certificate has ended
    if (record && reason === hold && record.status !== 'revoked') continue
    if (record && record.notAfter < before.thisUpdate) continue
    findings.push({
      kind: 'removed-early',
      serialNumber,
      detail: record ? 'its certificate had not ended one CRL before' : 'the inventory does not know it',
    })
  }
  for (const { before: was, after: is } of difference.changed) {
    if (was.reason === hold) continue
    const detail = `${was.reason} became ${is.reason}, or its date changed`
    findings.push({ kind: 'changed', serialNumber: was.serialNumber, detail })
  }
  findings.push(...(await missingEntries(engine, issuerId, after)))
  return { difference, findings }
}

/** Revoked more than a minute before the CRL, still valid, and not in it. A shard is compared with its own shard only. */
async function missingEntries(engine: Engine, issuerId: IssuerId, crl: Crl): Promise<CrlFinding[]> {
  if (crl.baseCrlNumber !== null) return []
  const issuer = await engine.issuers.find(issuerId)
  if (!issuer) throw new Refusal('not-found', `there is no CA ${issuerId}`)
  const listed = new Set<string>()
  for (const { serialNumber } of crl.entries()) listed.add(serialNumber)
  const shard = shardOfCrl(crl)
  const shards = shard === null ? Array.from({ length: issuer.record.crlShards }, (_, each) => each) : [shard]
  const findings: CrlFinding[] = []
  for (const each of shards) {
    const scope = { issuerId, shard: each, notAfterFrom: crl.thisUpdate }
    for await (const page of revokedEntries(engine.store.db, scope)) {
      for (const { serial_number: serial, revoked_at: revokedAt } of page) {
        const serialNumber = toHex(serial) as SerialNumber
        if (revokedAt > publishedAt(crl) - graceMs || listed.has(serialNumber)) continue
        findings.push({ kind: 'missing', serialNumber, detail: 'revoked in the inventory, not in the CRL' })
      }
    }
  }
  return findings
}

const graceMs = 60_000

function shardOfCrl({ issuingDistributionPoint }: Crl): number | null {
  const uri = issuingDistributionPoint?.fullName?.find(({ kind }) => kind === 'uri')
  const digits = uri && 'value' in uri ? /\/([0-9]+)\.crl$/.exec(String(uri.value))?.[1] : undefined
  return digits === undefined ? null : Number(digits)
}

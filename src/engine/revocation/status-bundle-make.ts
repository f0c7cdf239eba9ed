/** Bundles for verifiers without a link: trust bundle with CRLs, deltas or compact sets. */
import { sha256 } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { CompactSetKeys, encodeCompactSet } from '../../pki/compact-set.ts'
import { encodePem } from '../../pki/pem.ts'
import type { OtaSigner } from '../../pki/ota-bundle.ts'
import { signStatusBundle, type StatusPart } from '../../pki/status-bundle.ts'
import { issuedSerials } from '../../store/revocations.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import { currentCrl } from './crl.ts'

export const statusMethods = ['set', 'crl', 'delta'] as const
export type StatusMethod = (typeof statusMethods)[number]

export interface StatusBundleOrder {
  readonly method: StatusMethod
  /** A device, `PREFIX*` or `*`. */
  readonly device: string
  readonly lifetimeMs: number
  readonly signer: OtaSigner
  readonly actor: string
  readonly now: Instant
}

/**
 * The whole file. Sets are made anew from the inventory, CRLs are those that are published; a bundle does not outlive them.
 * @throws Refusal `not-found` when a CA has published no CRL
 */
export async function makeStatusBundle(engine: Engine, order: StatusBundleOrder): Promise<Uint8Array> {
  const { method, device, lifetimeMs, signer, actor, now } = order
  const certificates: string[] = []
  const parts: StatusPart[] = []
  let expiresAt = now + lifetimeMs
  for (const { id, kind, certificate } of await engine.issuers.list()) {
    if ((kind !== 'root' && kind !== 'intermediate') || certificate === null) continue
    const issuer = await engine.issuers.find(id)
    if (!issuer) continue
    certificates.push(encodePem('CERTIFICATE', certificate))
    // what roots have issued is few: their CRL is smaller than a set
    if (method === 'set' && kind === 'intermediate') {
      parts.push({ kind: 'set', bytes: await makeCompactSet(engine, issuer, { now, expiresAt }) })
      continue
    }
    const isDelta = method === 'delta' && kind === 'intermediate'
    const crl = await currentCrl(engine, { issuerId: id, kind: isDelta ? 'delta' : 'complete', shard: 0 })
    if (!crl) throw new Refusal('not-found', `${id} has published no CRL; run: perennial crl publish`)
    expiresAt = Math.min(expiresAt, crl.record.nextUpdate)
    parts.push({ kind: isDelta ? 'delta' : 'crl', bytes: crl.der })
  }
  const content = { device, version: now, notBefore: now - 5 * minuteMs, expiresAt, certificates, parts }
  const file = await signStatusBundle(content, signer)
  await engine.store.transaction(async (tx) => {
    const details = { kind: 'status', method, version: now, size: file.length }
    await recordFacts(
      tx,
      fact(now, { actor, action: 'bundle.signed', subject: subjects.bundle(device), details }),
    )
  })
  return file
}

/** Of every certificate of the issuer that has not ended. */
export async function makeCompactSet(
  engine: Engine,
  { record, certificate }: IssuerMaterial,
  { now, expiresAt }: { readonly now: Instant; readonly expiresAt: Instant },
): Promise<Uint8Array> {
  const salt = new Uint8Array(engine.random.bytes(16))
  const [revoked, good] = [new CompactSetKeys(salt), new CompactSetKeys(salt)]
  for await (const page of issuedSerials(engine.store.db, { issuerId: record.id, notAfterFrom: now })) {
    for (const { serial_number: serial, status } of page) (status === 'revoked' ? revoked : good).add(serial)
  }
  const content = { issuerKeyHash: sha256(certificate.spki), number: now, builtAt: now, expiresAt, salt }
  return encodeCompactSet(content, revoked, good)
}

/**
 * Builds, signs and checks one CRL. A CRL that was signed and could not be stored never leaves the process, so its number
 * may be used again: unlike a certificate it needs no reservation.
 */
import { createHash } from 'node:crypto'
import { nextTurn, type Instant } from '../../base/clock.ts'
import { toHex } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { assembleCrl, encodeTbsCertList, sizeOf, type CrlContent } from '../../pki/crl.ts'
import { CrlEntries } from '../../pki/crl-entries.ts'
import { isRevocationReason } from '../../pki/revocation-reason.ts'
import { verifyParts } from '../../pki/signature-parts.ts'
import { releasedSince } from '../../store/holds.ts'
import { revokedEntries, type RevokedRequest } from '../../store/revocations.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import { crlBackdateMs } from './crl-settings.ts'

/** All entries that the requests name, in their order. Lets others work between two pages. */
export async function collectEntries(
  { store }: Engine,
  requests: readonly RevokedRequest[],
): Promise<CrlEntries> {
  const entries = new CrlEntries()
  for (const request of requests) {
    for await (const page of revokedEntries(store.db, request)) {
      for (const { serial_number: serialNumber, revoked_at: revokedAt, reason } of page) {
        entries.add({ serialNumber, revokedAt, reason: reasonOf(reason) })
      }
      await nextTurn()
    }
  }
  return entries
}

/** What a delta CRL takes out of its base: holds that were released (RFC 5280 §5.3.1, removeFromCRL). */
export async function addReleased(
  { store }: Engine,
  entries: CrlEntries,
  since: { readonly issuerId: IssuerId; readonly from: Instant },
): Promise<void> {
  for (const { serialNumber, releasedAt } of await releasedSince(store.db, since)) {
    entries.add({ serialNumber, revokedAt: releasedAt, reason: 'removeFromCRL' })
  }
}

/** Only the fields that the caller decides. */
export type CrlPlan = Omit<CrlContent, 'issuerDer' | 'signatureAlgorithm' | 'authorityKeyIdentifier'>

export interface SignedCrl {
  /** DER, in pieces of about a megabyte. */
  readonly parts: readonly Uint8Array[]
  readonly size: number
  /** Hex. */
  readonly sha256: string
}

/** @throws Refusal `issuer-unavailable` when the key cannot be reached */
export async function signCrl(
  engine: Engine,
  issuer: IssuerMaterial,
  plan: CrlPlan,
  entries: CrlEntries,
): Promise<SignedCrl> {
  const { certificate, key, signatureAlgorithm, record } = issuer
  const tbs = encodeTbsCertList(
    {
      ...plan,
      issuerDer: certificate.subjectDer,
      signatureAlgorithm,
      authorityKeyIdentifier: certificate.extensions.subjectKeyIdentifier ?? key.keyIdentifier,
    },
    entries,
  )
  const authority = engine.authorities.get(record.authority)
  if (!authority) {
    throw new Refusal(
      'issuer-unavailable',
      `nothing here holds keys of kind "${record.authority}", which issuer ${record.id} needs for its CRL`,
    )
  }
  const signature = await (authority.signParts?.(record.keyReference, signatureAlgorithm, tbs) ??
    authority.sign(record.keyReference, signatureAlgorithm, Buffer.concat(tbs)))
  assert(
    verifyParts({ key, algorithm: signatureAlgorithm, parts: tbs, signature }),
    `the authority "${record.authority}" answered with a signature that does not verify`,
  )
  const parts = pieces(assembleCrl({ tbs, signatureAlgorithm, signature }))
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return { parts, size: sizeOf(parts), sha256: toHex(hash.digest()) }
}

/** Whole seconds; nextUpdate is that long after the publication. */
export function validity(now: Instant, lifetimeMs: number): Pick<CrlContent, 'thisUpdate' | 'nextUpdate'> {
  const published = Math.floor(now / 1000) * 1000
  return {
    thisUpdate: published - crlBackdateMs,
    nextUpdate: published + Math.floor(lifetimeMs / 1000) * 1000,
  }
}

const pieceBytes = 1_048_576

function pieces(parts: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = []
  let open: Uint8Array[] = []
  let size = 0
  for (const part of parts) {
    open.push(part)
    size += part.length
    if (size < pieceBytes) continue
    joined.push(Buffer.concat(open))
    open = []
    size = 0
  }
  if (open.length > 0) joined.push(Buffer.concat(open))
  return joined
}

/** Imports may have brought reasons in other words. */
function reasonOf(text: string | null): Parameters<CrlEntries['add']>[0]['reason'] {
  return text !== null && isRevocationReason(text) && text !== 'removeFromCRL' ? text : 'unspecified'
}

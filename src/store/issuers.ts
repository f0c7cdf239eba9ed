/** Issuers: a name and a key that signs. Never deleted. */
import { toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Instant } from '../base/clock.ts'
import type { IssuerId } from '../base/id.ts'
import { hexToBytes } from './columns.ts'
import { prepared } from './prepared.ts'
import type { IssuerTable, Queries, Tx } from './schema.ts'

export interface IssuerRecord {
  readonly id: IssuerId
  readonly kind: 'root' | 'intermediate' | 'paa' | 'pai' | 'external'
  /** RFC 4514 text. */
  readonly subject: string
  /** DER; null until it is issued. */
  readonly certificate: Uint8Array | null
  /** Who signed it; null for a self-signed one. */
  readonly parentId: IssuerId | null
  readonly keyAlgorithm: string
  /** Kind of authority that holds the key: `software`, … */
  readonly authority: string
  readonly keyReference: string
  /** `revoked`: nothing that it has signed counts any more. `retired`: it signs no more. */
  readonly status: 'active' | 'retired' | 'revoked'
  /** Hex. */
  readonly subjectKeyIdentifier: string
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  readonly spkiHash: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly crlShards: number
  readonly createdAt: Instant
  readonly revokedAt: Instant | null
  /** A name of RFC 5280 §5.3.1; null unless it is revoked. */
  readonly revocationReason: string | null
  /** The campaign by which its devices enrol again: null before there is one, '' when none was needed. */
  readonly reissueCampaign: string | null
  /** How far the sessions of its devices are cut (`''`: from the first); null when there is nothing to do. */
  readonly cutAfter: string | null
}

const columns = [
  'id',
  'kind',
  'subject',
  'certificate',
  'parent_id',
  'key_algorithm',
  'authority',
  'key_reference',
  'status',
  'subject_key_identifier',
  'spki_hash',
  'not_before',
  'not_after',
  'crl_shards',
  'created_at',
  'revoked_at',
  'revocation_reason',
  'reissue_campaign',
  'cut_after',
] as const

function toRecord(row: IssuerTable): IssuerRecord {
  return {
    id: row.id as IssuerId,
    kind: row.kind as IssuerRecord['kind'],
    subject: row.subject,
    certificate: row.certificate,
    parentId: row.parent_id as IssuerId | null,
    keyAlgorithm: row.key_algorithm,
    authority: row.authority,
    keyReference: row.key_reference,
    status: row.revoked_at === null ? (row.status as IssuerRecord['status']) : 'revoked',
    subjectKeyIdentifier: row.subject_key_identifier,
    spkiHash: toHex(row.spki_hash),
    notBefore: row.not_before,
    notAfter: row.not_after,
    crlShards: row.crl_shards,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
    revocationReason: row.revocation_reason,
    reissueCampaign: row.reissue_campaign,
    cutAfter: row.cut_after,
  }
}

/** Refuses with `already-exists`. */
export async function insertIssuer(tx: Tx, issuer: IssuerRecord): Promise<void> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('issuers')
    .values({
      id: issuer.id,
      kind: issuer.kind,
      subject: issuer.subject,
      certificate: issuer.certificate,
      parent_id: issuer.parentId,
      key_algorithm: issuer.keyAlgorithm,
      authority: issuer.authority,
      key_reference: issuer.keyReference,
      status: issuer.status,
      subject_key_identifier: issuer.subjectKeyIdentifier,
      spki_hash: hexToBytes(issuer.spkiHash),
      not_before: issuer.notBefore,
      not_after: issuer.notAfter,
      crl_shards: issuer.crlShards,
      created_at: issuer.createdAt,
      revoked_at: null,
      revocation_reason: null,
      reissue_campaign: null,
      cut_after: null,
    })
    .onConflict((on) => on.column('id').doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows !== 1n) {
    throw new Refusal('already-exists', `there is an issuer named ${issuer.id}: choose another name`)
  }
}

const selectIssuer = prepared((db, p: { id: string }) =>
  db.selectFrom('issuers').select(columns).where('id', '=', p.id),
)

export async function findIssuer(q: Queries, id: IssuerId): Promise<IssuerRecord | null> {
  const row = (await selectIssuer(q, { id })).rows[0]
  return row ? toRecord(row) : null
}

/** All of them, by id: an installation has a handful. */
export async function listIssuers(q: Queries): Promise<IssuerRecord[]> {
  const rows = await q.selectFrom('issuers').select(columns).orderBy('id').execute()
  return rows.map(toRecord)
}

export type IssuerChange = Partial<
  Pick<IssuerRecord, 'certificate' | 'notBefore' | 'notAfter' | 'reissueCampaign' | 'cutAfter'> & {
    readonly status: 'active' | 'retired'
  }
>

/** @returns false when there is no such issuer */
export async function updateIssuer(tx: Tx, id: IssuerId, change: IssuerChange): Promise<boolean> {
  const values = {
    ...(change.certificate === undefined ? {} : { certificate: change.certificate }),
    ...(change.status === undefined ? {} : { status: change.status }),
    ...(change.notBefore === undefined ? {} : { not_before: change.notBefore }),
    ...(change.notAfter === undefined ? {} : { not_after: change.notAfter }),
    ...(change.reissueCampaign === undefined ? {} : { reissue_campaign: change.reissueCampaign }),
    ...(change.cutAfter === undefined ? {} : { cut_after: change.cutAfter }),
  }
  if (Object.keys(values).length === 0) return (await findIssuer(tx, id)) !== null
  const { numUpdatedRows } = await tx
    .updateTable('issuers')
    .set(values)
    .where('id', '=', id)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** For good. @returns false when there is no such issuer or it is revoked already */
export async function markIssuerRevoked(
  tx: Tx,
  id: IssuerId,
  { reason, revokedAt }: { readonly reason: string; readonly revokedAt: Instant },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('issuers')
    .set({ status: 'retired', revoked_at: revokedAt, revocation_reason: reason, cut_after: '' })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

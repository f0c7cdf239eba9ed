/**
 * Revocation of an issuer. No certificate under it is touched: from the commit on, whoever looks at one looks at its issuer
 * too, and its own entry goes into the CRL of its parent, which is published within a second. The devices enrol again under a
 * successor; a campaign asks them as soon as there is one.
 */
import { assert, Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import { findBySerial } from '../../store/inventory.ts'
import { findIssuer, markIssuerRevoked, type IssuerRecord } from '../../store/issuers.ts'
import { countLiveOf } from '../../store/revocation-impact.ts'
import { revokeCertificates } from '../../store/revocations.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from '../issuing/issuer-cache.ts'
import { requireApproval, type ApprovedProposal } from '../proposals/approval-rule.ts'
import { cutUnderIssuer } from '../sessions/cut.ts'
import { reissueCampaignId } from './reissue.ts'

export interface IssuerRevocation {
  readonly id: IssuerId
  readonly reason: RevocationReason
  readonly note?: string | null
  readonly actor: string
  readonly approved?: ApprovedProposal
}

export type IssuerImpact = {
  /** Live certificates that it has signed: all of them stop being accepted. */
  readonly certificates: number
  /** Who lists it. */
  readonly parentId: IssuerId
  readonly profiles: readonly ProfileUnder[]
  /** Null when every profile above has its successor. */
  readonly needsSuccessor: boolean
  /** What asks the devices. */
  readonly campaign: string
}

/** A profile whose new certificates this issuer signs. A type alias, so that it can be printed as JSON as it is. */
export type ProfileUnder = {
  readonly name: string
  /** How long its devices may renew with what they have; 0: they need a secret or their factory identity. */
  readonly reissueForMs: number
  readonly isRenewed: boolean
}

/** What it would do. @throws Refusal `not-found`, `invalid-input` */
export async function previewIssuerRevocation(engine: Engine, id: IssuerId): Promise<IssuerImpact> {
  const { record } = await requireRevocableIssuer(engine, id)
  assert(record.parentId !== null, 'an issuer that can be revoked has a parent')
  const profiles = profilesUnder(engine, id)
  return {
    certificates: await countLiveOf(engine.store.db, id, engine.clock.now()),
    parentId: record.parentId,
    profiles,
    needsSuccessor: profiles.length > 0,
    campaign: reissueCampaignId(id),
  }
}

/**
 * @throws Refusal `not-found`, `invalid-input` (a root, another's CA), `already-exists` when it is revoked,
 *   `proposal-needed`
 */
export async function revokeIssuer(
  engine: Engine,
  { id, reason, note = null, actor, approved }: IssuerRevocation,
): Promise<IssuerRecord> {
  requireApproval(engine, 'revoke-issuer', { approved })
  const now = engine.clock.now()
  const { record, certificate } = await requireRevocableIssuer(engine, id)
  const { parentId } = record
  assert(parentId !== null, 'an issuer that can be revoked has a parent')
  await engine.store.transaction(async (tx) => {
    if (!(await markIssuerRevoked(tx, id, { reason, revokedAt: now }))) throw isRevoked(id)
    const rows = await findBySerial(tx, certificate.serialNumber)
    const own = rows.filter((row) => row.issuerId === parentId)
    const revoked = await revokeCertificates(tx, own, { reason, revokedAt: now })
    const words = note === null ? {} : { reason: note }
    const by = approved === undefined ? {} : { proposal: approved.id, approvedBy: approved.approvedBy }
    const details = { reason, parent: parentId, ...by }
    await recordFacts(
      tx,
      fact(now, { actor, action: 'issuer.revoked', subject: subjects.issuer(id), ...words, details }),
      ...revoked.map(({ issuerId, serialNumber }) =>
        fact(now, {
          actor,
          action: 'certificate.revoked',
          subject: subjects.certificate(issuerId, serialNumber),
          ...words,
          details: { deviceId: null, reason },
        }),
      ),
    )
    await cutUnderIssuer(tx, id, now)
    await approved?.settle(tx, `issuer ${id} is revoked`)
  })
  engine.issuers.forget()
  const after = await findIssuer(engine.store.db, id)
  assert(after?.status === 'revoked', 'an issuer that was revoked is revoked')
  return after
}

/** Profiles that would still have it sign. */
function profilesUnder({ settings }: Engine, id: IssuerId): ProfileUnder[] {
  return [...settings.profiles.values()]
    .filter(({ issuer }) => issuer === id)
    .map(({ name, reissueForMs, renewBeforeMs }) => ({
      name,
      reissueForMs,
      isRenewed: renewBeforeMs !== null,
    }))
}

async function requireRevocableIssuer(engine: Engine, id: IssuerId): Promise<IssuerMaterial> {
  const material = await engine.issuers.find(id)
  if (!material) throw new Refusal('not-found', `there is no issuer ${id}, or it has no certificate yet`)
  const { kind, status } = material.record
  if (status === 'revoked') throw isRevoked(id)
  if (kind === 'intermediate' || kind === 'pai') return material
  throw new Refusal(
    'invalid-input',
    kind === 'external'
      ? `${id} is another's CA, which must revoke it`
      : `${id} is a ${kind}: no CRL can say that it is revoked, it must leave the trust stores; revoke what is under it`,
  )
}

function isRevoked(id: IssuerId): Refusal {
  return new Refusal('already-exists', `issuer ${id} is revoked already`)
}

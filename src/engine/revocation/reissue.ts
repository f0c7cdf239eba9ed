/**
 * The fleet under a revoked issuer enrols again: a campaign over everybody whose certificate it has signed, made within a
 * minute, and started as soon as no profile names the revoked issuer any more. Whether a device can renew by itself is
 * its profile's word (`reissueFor`); the others climb their ladder to the field list, where a person gives them a secret.
 */
import { secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { findCampaign } from '../../store/campaigns.ts'
import { updateIssuer, type IssuerRecord } from '../../store/issuers.ts'
import { actors } from '../audit/audit.ts'
import { continueCampaign, createCampaign } from '../campaigns/campaign-create.ts'
import { parseCampaignDefinition } from '../campaigns/campaign-read.ts'
import { toCampaign } from '../campaigns/campaign-record.ts'
import { defaultCampaignSettings } from '../campaigns/campaign-settings.ts'
import { startCampaign } from '../campaigns/campaign-state.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'

export function reissueCampaignId(id: IssuerId): string {
  return `reissue-${id}`.slice(0, 64).replace(/-+$/, '')
}

const jobName = 'reissue'
const actor = actors.job(jobName)

export const reissueJob: Job = {
  name: jobName,
  intervalMs: 10 * secondMs,
  async run(engine, now, signal) {
    let worked = 0
    for (const issuer of await engine.issuers.list()) {
      if (signal.aborted) break
      if (issuer.status === 'revoked' && (await reissueStep(engine, issuer, now))) worked += 1
    }
    return { worked }
  },
}

/** @returns whether anything was done */
async function reissueStep(engine: Engine, issuer: IssuerRecord, now: Instant): Promise<boolean> {
  const { id, reissueCampaign } = issuer
  if (reissueCampaign === '') return false
  if (reissueCampaign !== null) return await startWhenReady(engine, issuer, reissueCampaign, now)
  const name = await drawCampaign(engine, id, now)
  await engine.store.transaction((tx) => updateIssuer(tx, id, { reissueCampaign: name }))
  engine.issuers.forget()
  return true
}

/** Finishes what a crash has cut off. @returns its id; '' when nobody needs it */
async function drawCampaign(engine: Engine, issuer: IssuerId, now: Instant): Promise<string> {
  const id = reissueCampaignId(issuer)
  const known = await findCampaign(engine.store.db, id)
  if (known !== null) {
    const { status, snapshot } = toCampaign(known)
    if (status === 'draft' && !snapshot.isDrawn) await continueCampaign(engine, { id, actor, now })
    return id
  }
  const { capacityPerMinute } = engine.settings.campaigns ?? defaultCampaignSettings
  const definition = parseCampaignDefinition(
    {
      description: `${issuer} is revoked: its devices get new certificates`,
      selection: { issuer },
      // what they have is worth nothing: there is nothing that a canary could save
      canary: 'off',
      rollout: { maximumPerMinute: capacityPerMinute },
    },
    now,
  )
  try {
    await createCampaign(engine, { id, name: `${issuer} is revoked`, definition, actor, now })
    return id
  } catch (error) {
    if (error instanceof Refusal && error.code === 'campaign-state') return ''
    throw error
  }
}

/** A person may have started, aborted or deleted it: then it is his. */
async function startWhenReady(
  engine: Engine,
  { id: issuer }: IssuerRecord,
  id: string,
  now: Instant,
): Promise<boolean> {
  const known = await findCampaign(engine.store.db, id)
  if (known?.status !== 'draft') return false
  for (const profile of engine.settings.profiles.values()) {
    if (profile.issuer === issuer) return false
  }
  await startCampaign(engine, { id, actor, now, reason: `no profile names ${issuer} any more` })
  return true
}

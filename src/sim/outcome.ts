/** What a world has come to at its end. */
import { findCampaign } from '../store/campaigns.ts'
import { listRenewals } from '../store/renewal-lists.ts'
import { measuredPercent, type FunnelStep, type Outcome, type RunResult, type Verdict } from './result.ts'
import type { ScenarioTarget } from './scenario.ts'
import { campaignId } from './setup.ts'
import type { World } from './world.ts'

interface Census {
  readonly targets: number
  readonly asked: number
  readonly issued: number
  readonly confirmed: number
  readonly retired: number
}

const censuses = new WeakMap<World, Promise<Census>>()

/** Every target of the campaign once, a page at a time. */
function censusOf(world: World): Promise<Census> {
  let census = censuses.get(world)
  if (!census) censuses.set(world, (census = countTargets(world)))
  return census
}

async function countTargets({ store }: World): Promise<Census> {
  const census = { targets: 0, asked: 0, issued: 0, confirmed: 0, retired: 0 }
  for (let after: string | null = null; ;) {
    const page = await listRenewals(store.db, { campaignId, after, limit: 10_000 })
    for (const { triggeredAt, issuedAt, confirmedAt, status } of page.rows) {
      census.targets += 1
      if (triggeredAt !== null) census.asked += 1
      if (issuedAt !== null) census.issued += 1
      if (confirmedAt !== null) census.confirmed += 1
      if (status === 'retired') census.retired += 1
    }
    after = page.next
    if (after === null) return census
  }
}

export async function funnelOf(world: World): Promise<FunnelStep[]> {
  const { ledger } = world
  const steps: FunnelStep[] = [{ step: 'devices', count: ledger.devices }]
  const census = await censusOf(world)
  if (census.targets > 0) {
    steps.push(
      { step: 'targets of the campaign', count: census.targets },
      { step: 'asked', count: census.asked },
      { step: 'new certificate issued', count: census.issued },
      { step: 'new certificate in use', count: census.confirmed },
      { step: 'old certificate retired', count: census.retired },
    )
  }
  steps.push({ step: 'renewed', count: ledger.total('renewed') })
  return steps
}

export async function outcomeOf(world: World, day99: number | null): Promise<Outcome> {
  const { ledger, channels, server, certificates, store } = world
  const record = await findCampaign(store.db, campaignId)
  const { renewedBy } = ledger
  return {
    renewed: ledger.total('renewed'),
    renewedByMessage: renewedBy.message,
    renewedBySms: renewedBy.sms,
    renewedUnasked: renewedBy.unasked,
    renewedByVisit: renewedBy.visit,
    listed: world.listed,
    visits: ledger.total('visited'),
    visitsWithRepair: ledger.total('repaired'),
    lapsed: ledger.total('lapsed'),
    broken: ledger.total('broken'),
    certificates,
    messages: channels.messages,
    sms: channels.sms,
    requests: server.requests,
    refused: server.refused,
    campaign: record?.status ?? null,
    campaignReason: record?.reason ?? null,
    day99,
  }
}

const words: Readonly<Record<ScenarioTarget['what'], string>> = {
  visits: 'devices that need a visit because of their certificate, and would not have had one anyway',
  lapsed: 'devices whose certificate ended before they had another',
  broken: 'devices that a bad firmware took along',
  'old-issuer': 'devices that still have a certificate of the old issuer',
}

export function verdictOf({ what: kind, atMost }: ScenarioTarget, run: RunResult): Verdict {
  const measured = measuredPercent(kind, run)
  return {
    kind,
    what: words[kind],
    measured,
    limit: atMost,
    unit: '% of the devices',
    isMet: measured <= atMost,
  }
}

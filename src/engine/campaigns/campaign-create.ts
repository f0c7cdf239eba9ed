/**
 * A campaign is created as a draft: its targets are drawn once, into waves that stay. Insertion goes in chunks and may be
 * interrupted: what is missing is drawn in the same order when creation is called again.
 */
import { Refusal } from '../../base/errors.ts'
import type { Instant } from '../../base/clock.ts'
import {
  findCampaign,
  insertCampaign,
  putWaves,
  updateCampaign,
  type WaveRecord,
} from '../../store/campaigns.ts'
import { candidatePage, tallySelection, type Candidate } from '../../store/campaign-selection.ts'
import { adoptTarget } from '../../store/campaign-targets.ts'
import { countersOfCampaign, type RenewalCounts } from '../../store/renewal-lists.ts'
import { insertPlannedRenewals } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { CampaignDefinition } from './campaign-definition.ts'
import { drawWaves, waveSizes } from './campaign-order.ts'
import { measure, selectionRequest } from './campaign-plan.ts'
import {
  checkCampaignId,
  emptySnapshot,
  requireLocked,
  toCampaign,
  writtenDefinition,
  type Campaign,
  type Snapshot,
} from './campaign-record.ts'
import type { Engine } from '../context.ts'
import { defaultSlot } from '../issuing/profile.ts'

/** Devices in one page of the selection. */
const pageSize = 10_000
/** Targets in one transaction: others write between them. */
const chunkSize = 2_000

export interface CreateRequest {
  /** 1 to 64 of a-z, 0-9 and -. */
  readonly id: string
  /** For people; default: the id. */
  readonly name?: string
  readonly definition: CampaignDefinition
  readonly actor: string
  readonly now: Instant
  /** Told of each chunk. */
  readonly onProgress?: (step: 'selecting' | 'drawing' | 'inserting', done: number, total: number) => void
}

/**
 * Creates a campaign with its targets; nothing is asked before it is started.
 * @throws Refusal `campaign-invalid`; `already-exists`; `campaign-state` when no device can be a target
 */
export async function createCampaign(engine: Engine, request: CreateRequest): Promise<Campaign> {
  const { id, name = id, definition, actor, now } = request
  checkCampaignId(id)
  if (await findCampaign(engine.store.db, id)) {
    throw new Refusal(
      'already-exists',
      `there is a campaign ${id}: choose another name, or continue its draft`,
    )
  }
  const selection = await selectionRequest(engine, definition, now)
  const tallies = await tallySelection(engine.store.db, selection)
  const { targets, left, normalDarknessPercent } = measure(tallies)
  if (targets === 0) {
    const reasons = left.map(({ reason, count }) => `${count} ${reason}`).join(', ')
    throw new Refusal(
      'campaign-state',
      `no selected device can be a target${reasons === '' ? ': nothing matches' : `: ${reasons}`}`,
    )
  }
  const snapshot: Snapshot = {
    ...emptySnapshot,
    sizes: waveSizes(definition.waves, targets),
    normalDarknessPercent,
    left: Object.fromEntries(left.map(({ reason, count }) => [reason, count])),
  }
  const campaign = newCampaign({ id, name, definition, snapshot, createdAt: now, createdBy: actor })
  const isNew = await engine.store.transaction((tx) =>
    insertCampaign(tx, { ...campaign, definition: writtenDefinition(campaign) }),
  )
  if (!isNew) throw new Refusal('already-exists', `there is a campaign ${id} by now`)
  return await drawTargets(engine, campaign, request)
}

/**
 * Completes a draft whose creation was cut off. Its devices that are there stay where they are.
 * @throws Refusal `not-found`; `campaign-state` when it is complete
 */
export async function continueCampaign(
  engine: Engine,
  request: Pick<CreateRequest, 'id' | 'actor' | 'now' | 'onProgress'>,
): Promise<Campaign> {
  const record = await findCampaign(engine.store.db, request.id)
  if (!record) throw new Refusal('not-found', `there is no campaign ${request.id}`)
  const campaign = toCampaign(record)
  if (campaign.status !== 'draft' || campaign.snapshot.isDrawn)
    throw new Refusal('campaign-state', `the targets of ${request.id} are complete: it is ${campaign.status}`)
  return await drawTargets(engine, campaign, request)
}

function newCampaign(
  parts: Pick<Campaign, 'id' | 'name' | 'definition' | 'snapshot' | 'createdAt' | 'createdBy'>,
): Campaign {
  return {
    ...parts,
    status: 'draft',
    revision: 1,
    reason: null,
    startedAt: null,
    pausedAt: null,
    endedAt: null,
    tickedAt: null,
    admitted: 0,
  }
}

type Progress = Pick<CreateRequest, 'actor' | 'now' | 'onProgress'>

async function drawTargets(engine: Engine, campaign: Campaign, progress: Progress): Promise<Campaign> {
  const { id, definition, snapshot } = campaign
  const { onProgress } = progress
  const expected = snapshot.sizes.reduce((sum, each) => sum + each, 0)
  const inserted = await insertedByWave(engine, id, snapshot.sizes.length)
  const before = inserted.reduce((sum, each) => sum + each, 0)
  const candidates = await readCandidates(engine, campaign, (done) =>
    onProgress?.('selecting', done, expected - before),
  )
  onProgress?.('drawing', 0, candidates.length)
  const missing = missingSizes({ sizes: snapshot.sizes, inserted, left: candidates.length, definition })
  const waves = drawWaves(id, candidates, missing)
  let done = before
  for (const [wave, positions] of waves.entries()) {
    for (let from = 0; from < positions.length; from += chunkSize) {
      const chunk = [...positions.subarray(from, from + chunkSize)].flatMap((at) => candidates[at] ?? [])
      await engine.store.transaction((tx) => insertChunk(tx, campaign, wave, chunk))
      done += chunk.length
      onProgress?.('inserting', done, before + candidates.length)
    }
  }
  return await engine.store.transaction((tx) => finishDraft(tx, campaign, progress))
}

async function insertedByWave(engine: Engine, id: string, waves: number): Promise<number[]> {
  const counts = await countersOfCampaign(engine.store.db, id)
  return Array.from({ length: waves }, (_, wave) => total(counts.get(wave)))
}

/** What each wave lacks; devices that came to the selection meanwhile go to the last one. */
function missingSizes(parts: {
  readonly sizes: readonly number[]
  readonly inserted: readonly number[]
  readonly left: number
  readonly definition: CampaignDefinition
}): number[] {
  let { left } = parts
  return parts.sizes.map((size, wave) => {
    const isLast = wave === parts.sizes.length - 1
    const missing = isLast ? left : Math.min(left, Math.max(0, size - (parts.inserted[wave] ?? 0)))
    left -= missing
    return missing
  })
}

/** As the selection was when the campaign was created: durations were resolved then. */
async function readCandidates(
  engine: Engine,
  { definition, createdAt }: Campaign,
  onPage: (done: number) => void,
): Promise<Candidate[]> {
  const request = await selectionRequest(engine, definition, createdAt)
  const candidates: Candidate[] = []
  const texts = new Map<string, string>()
  // each row brings its own copy of the same few names, and millions of them stay in memory
  const interned = <Text extends string | null>(text: Text): Text => {
    if (text === null) return text
    const known = texts.get(text)
    if (known !== undefined) return known as Text
    texts.set(text, text)
    return text
  }
  let after: string | null = null
  do {
    const page: Awaited<ReturnType<typeof candidatePage>> = await candidatePage(engine.store.db, {
      ...request,
      after,
      limit: pageSize,
    })
    for (const row of page.rows) {
      candidates.push({
        ...row,
        connectivity: interned(row.connectivity),
        site: interned(row.site),
        hardware: interned(row.hardware),
        firmware: interned(row.firmware),
      })
    }
    onPage(candidates.length)
    after = page.next
  } while (after !== null)
  return candidates
}

/** A device that another campaign took since it was read is left out: renewals_open decides. */
async function insertChunk(
  tx: Tx,
  campaign: Campaign,
  wave: number,
  chunk: readonly Candidate[],
): Promise<void> {
  const { status, snapshot } = await requireLocked(tx, campaign.id)
  if (status !== 'draft' || snapshot.isDrawn)
    throw new Refusal('campaign-state', `the draft ${campaign.id} was completed or deleted by somebody else`)
  const left = await insertPlannedRenewals(
    tx,
    chunk.map((candidate) => ({
      campaignId: campaign.id,
      wave,
      deviceId: candidate.deviceId,
      slot: defaultSlot,
      certificateId: candidate.certificateId,
      notAfter: candidate.notAfter,
      connectivity: candidate.connectivity,
      site: candidate.site,
      // not before its wave and its rate let it in
      nextAt: null,
      createdAt: campaign.createdAt,
    })),
  )
  for (const target of left) await adoptTarget(tx, target)
}

async function finishDraft(tx: Tx, { id }: Campaign, { actor, now }: Progress): Promise<Campaign> {
  const campaign = await requireLocked(tx, id)
  if (campaign.status !== 'draft' || campaign.snapshot.isDrawn)
    throw new Refusal('campaign-state', `the draft ${id} was completed or deleted by somebody else`)
  const { definition } = campaign
  const counts = await countersOfCampaign(tx, id)
  const waves = definition.waves.map((_, wave): WaveRecord => {
    const size = total(counts.get(wave))
    return {
      campaignId: id,
      wave,
      size,
      // a wave that got nobody is over before it begins
      status: size === 0 ? 'done' : 'waiting',
      openedAt: null,
      soakUntil: null,
      closedAt: null,
      approvedBy: null,
      approvedAt: null,
    }
  })
  const sizes = waves.map(({ size }) => size)
  const drawn = { ...campaign, snapshot: { ...campaign.snapshot, isDrawn: true, sizes } }
  await putWaves(tx, waves)
  await updateCampaign(tx, id, { definition: writtenDefinition(drawn) })
  const details = {
    definition: JSON.stringify(definition),
    targets: sizes.reduce((sum, each) => sum + each, 0),
  }
  await recordFacts(
    tx,
    fact(now, {
      actor,
      action: 'campaign.created',
      subject: subjects.campaign(id),
      details: { ...details, waves: sizes },
    }),
  )
  return drawn
}

function total(counts: RenewalCounts | undefined): number {
  return Object.values(counts ?? {}).reduce((sum, each) => sum + each, 0)
}

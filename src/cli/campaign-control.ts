/** What people do to a campaign that is there: start, pause, resume, abort, edit, approve, retry, skip. */
import type { DeviceId } from '../base/id.ts'
import type { Campaign } from '../engine/campaigns/campaign-record.ts'
import {
  abortCampaign,
  approveWave,
  editCampaign,
  pauseCampaign,
  resumeCampaign,
  startCampaign,
  type CampaignOrder,
} from '../engine/campaigns/campaign-state.ts'
import { viewCampaign } from '../engine/campaigns/campaign-status.ts'
import { retryTargets, skipTarget } from '../engine/campaigns/campaign-target.ts'
import { requireCampaign } from '../engine/campaigns/campaign-record.ts'
import { Refusal } from '../base/errors.ts'
import { iso } from '../base/clock.ts'
import { commandLineActor } from './account.ts'
import { grouped } from './bars.ts'
import { writtenEdit, type EditOptions } from './campaign-written.ts'
import type { CliContext } from './context.ts'
import { given } from './options.ts'
import type { Json } from './output.ts'

export interface OrderOptions {
  readonly reason?: string
  readonly dryRun?: boolean
}

function orderOf(cli: CliContext, id: string, { reason }: OrderOptions): CampaignOrder {
  return { id, actor: commandLineActor(), now: cli.clock.now(), ...given({ reason }) }
}

export async function start(cli: CliContext, id: string, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const campaign = await startCampaign(engine, orderOf(cli, id, options))
  told(cli, campaign, `Started ${id}: the first wave opens with the next pass of \`perennial serve\`.`)
}

export async function pause(cli: CliContext, id: string, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const campaign = await pauseCampaign(engine, orderOf(cli, id, options))
  told(cli, campaign, `Paused ${id}: no trigger leaves from now on. Answers to those that left still count.`)
}

export async function resume(cli: CliContext, id: string, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const campaign = await resumeCampaign(engine, orderOf(cli, id, options))
  told(cli, campaign, `Resumed ${id}. The brakes count anew from here.`)
}

export async function abort(cli: CliContext, id: string, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  const { campaign: before, counts, targets } = await viewCampaign(engine, id, now)
  const free = counts.planned + counts.triggered + counts.issued + counts.escalated
  if (options.dryRun === true) {
    const what =
      before.status === 'draft'
        ? `The draft ${id} and its ${grouped(targets)} targets would be deleted.`
        : `${grouped(free)} devices that use no new certificate would be let go; nothing would be revoked.`
    cli.output.answer({
      json: { id, dryRun: true, letGo: before.status === 'draft' ? targets : free },
      text: () => what,
    })
    return
  }
  const progress = cli.progress('Deleting targets', before.status === 'draft' ? targets : null)
  try {
    const onProgress = (deleted: number): void => progress.update(deleted)
    const campaign = await abortCampaign(engine, { ...orderOf(cli, id, options), onProgress })
    progress.end()
    const text =
      before.status === 'draft'
        ? `Deleted the draft ${id}.`
        : `Aborted ${id}: ${grouped(free)} devices that use no new certificate are let go by the next passes. Nothing was revoked.`
    told(cli, campaign, text)
  } finally {
    progress.end()
  }
}

export async function edit(cli: CliContext, id: string, options: EditOptions & OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const before = await requireCampaign(engine.store.db, id)
  const { startTime, endTime, ...windows } = before.definition.schedulingConfig
  const scheduling = {
    ...windows,
    ...(startTime === null ? {} : { startTime: iso(startTime) }),
    ...(endTime === null ? {} : { endTime: iso(endTime) }),
  }
  const written = await writtenEdit(cli, options, { waves: before.definition.waves, scheduling })
  const isDryRun = options.dryRun === true
  const campaign = await editCampaign(engine, { ...orderOf(cli, id, options), edit: written, isDryRun })
  const keys = Object.keys(written).join(', ')
  told(
    cli,
    campaign,
    isDryRun
      ? `${id} would have revision ${campaign.revision}: ${keys}.`
      : `${id} has revision ${campaign.revision}: ${keys}. The next pass goes by it.`,
  )
}

export interface ApproveOptions extends OrderOptions {
  readonly override?: boolean
}

export async function approve(
  cli: CliContext,
  id: string,
  wave: string | undefined,
  options: ApproveOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const { definition } = await requireCampaign(engine.store.db, id)
  const number = wave === undefined ? undefined : waveNumber(wave, definition.waves)
  const approved = await approveWave(engine, {
    ...orderOf(cli, id, options),
    isOverride: options.override === true,
    ...given({ wave: number }),
  })
  const name = definition.waves[approved.wave]?.name ?? String(approved.wave)
  cli.output.answer({
    json: { id, wave: approved.wave, name, approvedBy: approved.approvedBy },
    text: () => `Approved ${name} of ${id}, ${grouped(approved.size)} devices: it opens with the next pass.`,
  })
}

/** By its number from 0, or by its name. */
function waveNumber(text: string, waves: Campaign['definition']['waves']): number {
  const named = waves.findIndex(({ name }) => name === text)
  const number = named >= 0 ? named : /^[0-9]{1,2}$/.test(text) ? Number(text) : -1
  if (waves[number]) return number
  throw new Refusal(
    'not-found',
    `there is no wave ${text}; there are ${waves.map(({ name }) => name).join(', ')}`,
  )
}

export interface RetryOptions extends OrderOptions {
  readonly status?: 'abandoned' | 'escalated'
}

export async function retry(
  cli: CliContext,
  id: string,
  deviceId: DeviceId | undefined,
  options: RetryOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const progress = cli.progress('Asking again', null)
  const isDryRun = options.dryRun === true
  try {
    const outcome = await retryTargets(engine, {
      ...orderOf(cli, id, options),
      isDryRun,
      onProgress: (done) => progress.update(done),
      ...given({ deviceId }),
      ...(options.status === undefined ? {} : { statuses: [options.status] }),
    })
    progress.end()
    const { retried, left, leftCount } = outcome
    cli.output.answer({
      json: { id, dryRun: isDryRun, retried, leftCount, left: left.map((each) => ({ ...each })) },
      text: () => {
        const verb = isDryRun ? 'would be asked again' : 'are asked again, at the rate of the campaign'
        const lines = [`${grouped(retried)} targets of ${id} ${verb}.`]
        for (const { deviceId: device, reason } of left.slice(0, 20))
          lines.push(`  ${device} is left as it is: ${reason}`)
        if (leftCount > 20) lines.push(`  … and ${grouped(leftCount - 20)} others`)
        return lines.join('\n')
      },
    })
  } finally {
    progress.end()
  }
}

export async function skip(
  cli: CliContext,
  id: string,
  deviceId: DeviceId,
  options: OrderOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const { status } = await skipTarget(engine, { ...orderOf(cli, id, options), deviceId })
  cli.output.answer({
    json: { id, deviceId, status },
    text: () => `${deviceId} is out of ${id}; it may be asked without a campaign once it is due.`,
  })
}

function told(cli: CliContext, campaign: Campaign, text: string): void {
  cli.output.answer({ json: campaignJson(campaign), text: () => text })
}

export function campaignJson(campaign: Campaign): Record<string, Json> {
  const { id, name, status, revision, reason, createdBy, admitted } = campaign
  const at = (value: number | null) => (value === null ? null : iso(value))
  return {
    id,
    name,
    status,
    revision,
    reason,
    createdBy,
    admitted,
    createdAt: at(campaign.createdAt),
    startedAt: at(campaign.startedAt),
    pausedAt: at(campaign.pausedAt),
    endedAt: at(campaign.endedAt),
  }
}

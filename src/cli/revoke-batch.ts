/** `perennial revoke batch|list|cancel`: everything that fits a selection, as a job that survives its process. */
import { Argument, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { needsApproval } from '../engine/proposals/approval-rule.ts'
import {
  cancelRevocation,
  countForApproval,
  orderRevocation,
  previewRevocation,
  revocationBatches,
  stepRevocation,
  type RevocationBatch,
  type RevocationSelection,
} from '../engine/revocation/revoke-batch.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { durationOption, given, wholeNumber } from './options.ts'
import type { Json } from './output.ts'
import { fileProposal } from './proposal.ts'
import { showImpact } from './revoke-impact.ts'
import { addOrderOptions, counted, deviceReasonOption, orderOf, type OrderOptions } from './revoke-order.ts'
import { instant } from './time.ts'

interface BatchOptions extends OrderOptions, RevocationSelection {
  readonly delay?: number
}

export function registerBatch(revoke: Command, cli: CliContext): void {
  const batch = revoke
    .command('batch')
    .description('revoke every device that fits: a manufacturing run, a site, a cohort')
    .option('--batch <name>', 'of this manufacturing run')
    .option('--cohort <name>', 'of this cohort')
    .option('--site <name>', 'at this site')
    .option('--profile <name>', 'of this profile')
    .option('--connectivity <name>', 'connected in this way')
    .addOption(
      new Option(
        '--delay <duration>',
        'begin this much later, and until then `revoke cancel` undoes it',
      ).argParser(durationOption),
    )
  addExamples(
    addOrderOptions(batch, deviceReasonOption()).action(async (options: BatchOptions) =>
      runBatch(cli, options),
    ),
    [
      {
        say: 'What a lost shipment would cost',
        run: 'perennial revoke batch --batch 2026-07 --reason theft --dry-run',
      },
      {
        say: 'A site that is shut, with an hour to think again',
        run: 'perennial revoke batch --site "Plant 9" --reason end-of-life --delay 1h --yes',
      },
    ],
  )
  addExamples(
    revoke
      .command('list')
      .description('list batches of revocations and how far they are')
      .action(async () => list(cli)),
    [{ say: 'All of them, newest first', run: 'perennial revoke list' }],
  )
  addExamples(
    revoke
      .command('cancel')
      .description('stop a batch; what it has revoked stays revoked')
      .addArgument(new Argument('<number>', 'as `revoke list` shows it').argParser(wholeNumber(1, 2 ** 40)))
      .option('--note <text>', 'why; goes on record')
      .action(async (id: number, options: { note?: string }) => cancel(cli, id, options)),
    [{ say: 'Think again', run: 'perennial revoke cancel 1 --note "it was the wrong site"' }],
  )
}

async function runBatch(cli: CliContext, options: BatchOptions): Promise<void> {
  const { engine } = await cli.app()
  const { batch, cohort, site, profile, connectivity, delay = 0, dryRun = false, yes = false } = options
  const selection = given({ batch, cohort, site, profile, connectivity })
  const looked = cli.progress('Looking at devices', null)
  const impact = await previewRevocation(engine, selection, {
    reason: options.reason,
    onProgress: (devices) => looked.update(devices),
  }).finally(() => looked.end())
  if (dryRun || !yes) {
    showImpact(cli, impact, { reason: options.reason, what: 'what fits' })
    if (!dryRun) throw new Refusal('invalid-input', 'nothing was revoked: add --yes to do it')
    return
  }
  if (needsApproval(engine, 'revoke-batch', await countForApproval(engine, selection))) {
    const { reason, note = null } = options
    const payload = { selection, reason, note, delayMs: delay }
    await fileProposal(cli, { kind: 'revoke-batch', payload, why: note })
    return
  }
  let state = await orderRevocation(engine, { ...orderOf(options), selection, delayMs: delay })
  if (delay === 0) {
    const progress = cli.progress('Revoking devices', impact.devices)
    try {
      while (state.endedAt === null) {
        state = await stepRevocation(engine, state.id)
        progress.update(state.devices)
      }
    } finally {
      progress.end()
    }
  }
  cli.output.answer({ json: batchJson(state), text: () => batchText(state) })
}

async function list(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await cli.output.list<RevocationBatch>({
    columns: [
      { title: 'NUMBER', value: ({ id }) => id },
      { title: 'STATUS', value: ({ status }) => status },
      { title: 'REASON', value: ({ reason }) => reason },
      { title: 'DEVICES', value: ({ devices }) => devices },
      { title: 'CERTIFICATES', value: ({ certificates }) => certificates },
      { title: 'BEGINS', value: ({ startsAt }) => instant(startsAt) },
      { title: 'SELECTION', value: ({ selection }) => selection, shrink: true },
    ],
    rows: await revocationBatches(engine),
    json: batchJson,
    empty: 'No batch was ever revoked.',
  })
}

async function cancel(cli: CliContext, id: number, { note }: { readonly note?: string }): Promise<void> {
  const { engine } = await cli.app()
  const state = await cancelRevocation(engine, id, { actor: commandLineActor(), ...given({ note }) })
  cli.output.answer({ json: batchJson(state), text: () => batchText(state) })
}

function batchText({ id, status, devices, certificates, startsAt }: RevocationBatch): string {
  const done = `${counted(certificates, 'certificate')} of ${counted(devices, 'device')}`
  switch (status) {
    case 'waiting':
      return `Revocation ${id} begins at ${instant(startsAt)}; until then: perennial revoke cancel ${id}`
    case 'running':
      return `Revocation ${id} has revoked ${done} and goes on.`
    case 'done':
      return `Revocation ${id} has revoked ${done}.`
    case 'cancelled':
      return `Revocation ${id} is cancelled; it had revoked ${done}.`
  }
}

function batchJson({ startsAt, createdAt, endedAt, selection, ...rest }: RevocationBatch): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    selection: JSON.parse(selection) as Json,
    createdAt: iso(createdAt),
    startsAt: iso(startsAt),
    endedAt: endedAt === null ? null : iso(endedAt),
  }
}

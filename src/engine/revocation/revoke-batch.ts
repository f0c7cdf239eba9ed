/**
 * Revocation of everything that fits a selection: a manufacturing run, a site, a cohort. The order is on record first; the
 * devices follow in chunks, each one transaction that also says how far it is, so that a process that dies leaves no gap and
 * no device twice. Whoever runs a step next goes on where the last one ended.
 */
import { canonicalJson } from '../../base/canonical-json.ts'
import { secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import { listDevices, type DeviceFilter, type DeviceRecord } from '../../store/devices.ts'
import {
  findDueRevocationBatch,
  findRevocationBatch,
  insertRevocationBatch,
  listRevocationBatches,
  lockRevocationBatch,
  updateRevocationBatch,
  type RevocationBatch,
} from '../../store/revocation-batches.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import { connectorNames } from '../sessions/cut.ts'
import { approvalSettings, requireApproval, type ApprovedProposal } from '../proposals/approval-rule.ts'
import { impactOf, type ImpactOptions, type RevocationImpact } from './impact.ts'
import { ownIssuers, revokeDeviceIn, type RevocationOrder } from './revoke.ts'

export type { RevocationBatch }

export type RevocationSelection = Pick<DeviceFilter, 'batch' | 'cohort' | 'site' | 'profile' | 'connectivity'>

/** What the order would do, without doing it. Reads every device that fits. @throws Refusal `invalid-input` for an empty selection */
export async function previewRevocation(
  engine: Engine,
  selection: RevocationSelection,
  options: ImpactOptions,
): Promise<RevocationImpact> {
  requireSelection(selection)
  return await impactOf(engine, devicePages(engine, selection), options)
}

/** Devices in one page of a preview: as many as the database takes in one list of ids. */
const previewPage = 500

async function* devicePages({ store }: Engine, filter: RevocationSelection): AsyncGenerator<DeviceRecord[]> {
  for (let after: string | null = null; ;) {
    const page = await listDevices(store.db, { filter, after, limit: previewPage })
    yield page.rows
    if (page.next === null) return
    after = page.next
  }
}

export interface BatchOrder extends RevocationOrder {
  readonly selection: RevocationSelection
  /** It begins this long from now, and until then it can be cancelled without a trace on any device; default 0. */
  readonly delayMs?: number
  /** Where the policy asks for a second person. */
  readonly approved?: ApprovedProposal
}

/** Puts the order on record. @throws Refusal `invalid-input` for an empty selection, `proposal-needed` */
export async function orderRevocation(engine: Engine, order: BatchOrder): Promise<RevocationBatch> {
  const { selection, reason, note = null, actor, delayMs = 0, approved } = order
  requireSelection(selection)
  if (reason === 'certificateHold') {
    throw new Refusal('invalid-input', 'a hold is for one certificate or one device, not for a batch')
  }
  requireApproval(engine, 'revoke-batch', { devices: await countForApproval(engine, selection), approved })
  const now = engine.clock.now()
  const id = await engine.store.transaction(async (tx) => {
    const number = await insertRevocationBatch(tx, {
      selection: canonicalJson({ ...selection }),
      reason,
      note,
      actor,
      createdAt: now,
      startsAt: now + delayMs,
    })
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'revocation.ordered',
        subject: subjects.revocation(number),
        ...(note === null ? {} : { reason: note }),
        details: {
          selection: { ...selection },
          reason,
          ...(approved === undefined ? {} : { proposal: approved.id, approvedBy: approved.approvedBy }),
        },
      }),
    )
    await approved?.settle(tx, `revocation ${number}`)
    return number
  })
  return await requireBatch(engine, id)
}

/** Devices that fit, but no more than the policy asks for. */
export async function countForApproval(
  { store, settings }: Engine,
  selection: RevocationSelection,
): Promise<number> {
  const { fromDevices } = approvalSettings(settings)
  let counted = 0
  for (let after: string | null = null; counted < fromDevices;) {
    const page = await listDevices(store.db, { filter: selection, after, limit: 1_000 })
    counted += page.rows.length
    if (page.next === null) break
    after = page.next
  }
  return counted
}

/** Stops a batch. What it has revoked stays revoked. @throws Refusal `not-found`, `invalid-input` when it has ended */
export async function cancelRevocation(
  engine: Engine,
  id: number,
  { actor, note }: { readonly actor: string; readonly note?: string },
): Promise<RevocationBatch> {
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    const batch = await lockRevocationBatch(tx, id)
    if (!batch) throw new Refusal('not-found', `there is no revocation ${id}`)
    if (batch.endedAt !== null) {
      throw new Refusal('invalid-input', `revocation ${id} has ended (${batch.status})`)
    }
    await updateRevocationBatch(tx, id, { status: 'cancelled', endedAt: now })
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'revocation.cancelled',
        subject: subjects.revocation(id),
        ...(note === undefined ? {} : { reason: note }),
        details: { devices: batch.devices, certificates: batch.certificates },
      }),
    )
  })
  return await requireBatch(engine, id)
}

/** Newest first. */
export async function revocationBatches({ store }: Engine, limit = 100): Promise<RevocationBatch[]> {
  return await listRevocationBatches(store.db, limit)
}

/** Devices in one transaction. */
const chunk = 100

/**
 * The next chunk of a batch.
 * @returns how it stands after it; the same again when it has ended or is not due
 */
export async function stepRevocation(engine: Engine, id: number): Promise<RevocationBatch> {
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  const seen = await requireBatch(engine, id)
  if (seen.endedAt !== null || seen.startsAt > now) return seen
  const filter = JSON.parse(seen.selection) as RevocationSelection
  const page = await listDevices(engine.store.db, { filter, after: seen.position, limit: chunk })
  await engine.store.transaction(async (tx) => {
    const batch = await lockRevocationBatch(tx, id)
    // somebody else did this chunk, or cancelled
    if (batch?.position !== seen.position || batch.endedAt !== null) return
    const order = { reason: batch.reason as RevocationReason, note: batch.note, actor: batch.actor }
    const unit = { ...order, now, ours, connectors: connectorNames(engine), revocationId: id }
    let certificates = 0
    for (const device of page.rows) {
      certificates += (await revokeDeviceIn(tx, device.id, unit)).certificates.length
    }
    const sums = {
      devices: batch.devices + page.rows.length,
      certificates: batch.certificates + certificates,
    }
    await updateRevocationBatch(tx, id, {
      ...sums,
      position: page.rows.at(-1)?.id ?? batch.position,
      status: page.next === null ? 'done' : 'running',
      ...(page.next === null ? { endedAt: now } : {}),
    })
    if (page.next !== null) return
    await recordFacts(
      tx,
      fact(now, {
        actor: batch.actor,
        action: 'revocation.finished',
        subject: subjects.revocation(id),
        details: sums,
      }),
    )
  })
  return await requireBatch(engine, id)
}

/** Chunks in one pass of the job. */
const stepsOfPass = 20

export const revocationJob: Job = {
  name: 'revoke-batches',
  intervalMs: 2 * secondMs,
  async run(engine: Engine, now: Instant, signal) {
    let worked = 0
    for (let step = 0; step < stepsOfPass && !signal.aborted; step++) {
      const due = await findDueRevocationBatch(engine.store.db, now)
      if (!due) return { worked }
      const after = await stepRevocation(engine, due.id)
      worked += after.devices - due.devices
    }
    return { worked, isBehind: true }
  },
}

async function requireBatch({ store }: Engine, id: number): Promise<RevocationBatch> {
  const batch = await findRevocationBatch(store.db, id)
  if (!batch) throw new Refusal('not-found', `there is no revocation ${id}`)
  return batch
}

function requireSelection(selection: RevocationSelection): void {
  const values = Object.values(selection).filter((value) => value !== undefined)
  if (values.length > 0) return
  throw new Refusal(
    'invalid-input',
    'a batch needs a selection (batch, cohort, site, profile or connectivity): the whole fleet is never revoked by leaving it out',
  )
}

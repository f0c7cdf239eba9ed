/** Requests that wait for a person. The device asks again until it is told yes or no; nothing is pushed to it. */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { decideApproval, listApprovals, requestApproval, type ApprovalRecord } from '../../store/approvals.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { EnrollOutcome } from './enroll.ts'
import type { PolicyInput } from './policy-input.ts'
import { defaultSlot } from './profile.ts'

export type { ApprovalRecord }

export interface ApprovalRequest {
  readonly csr: Uint8Array
  /** What the certificate would say. */
  readonly subject: string
  readonly protocol: string
  /** Ties a one-time secret to this request, in the same transaction. */
  readonly spend: (tx: Tx) => Promise<void>
}

/** Files the request once, however often it is repeated. */
export async function askForApproval(
  engine: Engine,
  { device, key, profile, predecessor, now }: PolicyInput,
  { csr, subject, protocol, spend }: ApprovalRequest,
): Promise<EnrollOutcome> {
  await engine.store.transaction(async (tx) => {
    const { approval, isNew } = await requestApproval(tx, {
      deviceId: device.id,
      slot: defaultSlot,
      spkiHash: key.spkiHash,
      subject,
      profile: profile.name,
      protocol,
      csr,
      predecessorId: predecessor?.id ?? null,
      createdAt: now,
    })
    await spend(tx)
    if (!isNew) return
    await recordFacts(
      tx,
      fact(now, {
        actor: actors.device(device.id),
        action: 'approval.requested',
        subject: subjects.approval(approval.id),
        details: { deviceId: device.id, profile: profile.name, spkiSha256: key.spkiHash, subject },
      }),
    )
  })
  return { kind: 'pending', retryAfterMs: engine.settings.pendingRetryAfterMs }
}

export interface Decision {
  readonly deviceId: DeviceId
  readonly decision: 'approved' | 'rejected'
  /** `actors.commandLine(account)`. */
  readonly actor: string
  readonly reason?: string
}

/**
 * Decides every request of the device that waits.
 * @returns them as they were; the device learns of it when it asks again
 * @throws Refusal `not-found` when none waits
 */
export async function decideRequests(engine: Engine, decision: Decision): Promise<ApprovalRecord[]> {
  const now = engine.clock.now()
  const decided = await engine.store.transaction(async (tx) => await decideAll(tx, decision, now))
  if (decided.length > 0) return decided
  throw new Refusal('not-found', `no request of device ${decision.deviceId} waits for approval`)
}

async function decideAll(
  tx: Tx,
  { deviceId, decision, actor, reason }: Decision,
  now: Instant,
): Promise<ApprovalRecord[]> {
  const { rows } = await listApprovals(tx, { filter: { deviceId, status: 'pending' }, limit: 100 })
  const decided: ApprovalRecord[] = []
  for (const approval of rows) {
    if (!(await decideApproval(tx, { id: approval.id, status: decision, at: now, by: actor }))) continue
    decided.push(approval)
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: decision === 'approved' ? 'approval.granted' : 'approval.rejected',
        subject: subjects.approval(approval.id),
        ...(reason === undefined ? {} : { reason }),
        details: { deviceId, spkiSha256: approval.spkiHash },
      }),
    )
  }
  return decided
}

/** Which acts need a second person. Asked by the acts themselves, so that no edge can forget it. */
import { dayMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Tx } from '../../store/schema.ts'
import type { Engine, EngineSettings } from '../context.ts'

/** What the configuration can name; each is a kind of proposal (proposal-kinds.ts). */
export const approvalActs = ['revoke-batch', 'revoke-issuer', 'issuer-create'] as const
export type ApprovalAct = (typeof approvalActs)[number]

export interface ApprovalSettings {
  /** Empty: an installation of one operator. */
  readonly require: readonly ApprovalAct[]
  /** Revocations of fewer devices than this need no second person. */
  readonly fromDevices: number
  /** How long a proposal waits. */
  readonly lifetimeMs: number
}

export const defaultApprovalSettings: ApprovalSettings = {
  require: [],
  fromDevices: 1,
  lifetimeMs: 3 * dayMs,
}

export function approvalSettings({ approval }: Pick<EngineSettings, 'approval'>): ApprovalSettings {
  return approval ?? defaultApprovalSettings
}

/** A proposal that somebody else has allowed: what an executor hands to the act. */
export interface ApprovedProposal {
  readonly id: number
  readonly requestedBy: string
  readonly approvedBy: string
  /**
   * Ends the proposal in the transaction of the act, so that it is done once even when the process dies in between. An act
   * that is safe to repeat may leave it out. @throws Refusal `proposal-state` when it was done meanwhile
   */
  settle(tx: Tx, outcome: string): Promise<void>
}

/** @param devices how many it is about; left out for what is not about a number of devices */
export function needsApproval(
  { settings }: Pick<Engine, 'settings'>,
  act: ApprovalAct,
  devices?: number,
): boolean {
  const { require: acts, fromDevices } = approvalSettings(settings)
  return acts.includes(act) && (devices === undefined || devices >= fromDevices)
}

/** @throws Refusal `proposal-needed` unless the act is allowed to one person, or two have agreed */
export function requireApproval(
  engine: Pick<Engine, 'settings'>,
  act: ApprovalAct,
  { devices, approved }: { readonly devices?: number; readonly approved?: ApprovedProposal | undefined },
): void {
  if (approved !== undefined || !needsApproval(engine, act, devices)) return
  throw new Refusal(
    'proposal-needed',
    `${act} needs a second person here (approval.require): propose it, and somebody else approves`,
  )
}

/** Name, password and code: what opens a session, and what a dangerous act asks for again. */
import { hourMs, iso, secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { findOperator, lockOperator, updateOperator, type OperatorRecord } from '../../store/operators.ts'
import { actors } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { recordStep } from './operator.ts'
import { isPassword } from './password.ts'
import { totpStepOf } from './totp.ts'

export interface LoginRequest {
  readonly name: string
  readonly password: string
  /** Of the authenticator app; needed when the account has one. */
  readonly code?: string
}

/** Wrong ones in a row after which an account waits. */
const freeFailures = 5
const firstWaitMs = 30 * secondMs
const longestWaitMs = hourMs

/**
 * Checks who it is. Wrong ones count, and after some the account waits, longer each time; while it waits nothing is
 * tried. Which of them it was is not told, nor whether there is such an account.
 * @throws Refusal `login-failed`; `overloaded`
 */
export async function checkLogin(
  engine: Engine,
  { name, password, code }: LoginRequest,
): Promise<OperatorRecord> {
  const known = await findOperator(engine.store.db, name)
  const isRight = await isPassword(password, known?.password ?? null)
  const now = engine.clock.now()
  const checked = await engine.store.transaction(async (tx) => {
    const record = await lockOperator(tx, name)
    if (!record || record.status !== 'active' || record.password === null) return null
    if (record.lockedUntil !== null && now < record.lockedUntil) return null
    const totpStep = secondFactor(record, code, now)
    if (isRight && record.password === known?.password && totpStep !== null) {
      const after = { ...record, totpStep, failures: 0, lockedUntil: null, lastLoginAt: now }
      await updateOperator(tx, after)
      return after
    }
    const failures = record.failures + 1
    const lockedUntil = failures < freeFailures ? null : now + waitMs(failures)
    await updateOperator(tx, { ...record, failures, lockedUntil })
    const details = { failures, ...(lockedUntil === null ? {} : { lockedUntil: iso(lockedUntil) }) }
    const actor = actors.operator(name)
    await recordStep(tx, { action: 'operator.login-failed', name, actor, now, details })
    return null
  })
  if (checked) return checked
  throw new Refusal(
    'login-failed',
    'wrong name, password or code, or the account waits after wrong ones: try again, later after five of them',
  )
}

/** @returns the step to remember; null when the code is wrong, was used, or is missing */
function secondFactor(
  { totpKey, totpStep }: OperatorRecord,
  code: string | undefined,
  now: Instant,
): number | null {
  if (totpKey === null) return totpStep
  return code === undefined ? null : totpStepOf(totpKey, code, { now, lastStep: totpStep })
}

function waitMs(failures: number): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - freeFailures))
}

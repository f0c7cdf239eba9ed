/** What stops a campaign by itself. Pure: counts in, verdict out. */
import type { Brakes, CampaignDefinition, FailureType, StopCriterion } from './campaign-definition.ts'

/** Targets of a campaign, each counted for what it is now, and what was reported of them. */
export interface CampaignSums {
  /** A new certificate in use: confirmed or retired. */
  readonly succeeded: number
  /** A new certificate was issued, in use or not. */
  readonly answered: number
  /** Reported a failure, or could not be asked at all. */
  readonly failed: number
  /** Enrolment was refused. */
  readonly rejected: number
  /** Asked, and no new certificate in time; those on the field list included. */
  readonly timedOut: number
  /** Has a new certificate and was not heard from with it. */
  readonly silent: number
  /** Signatures that the issuer failed to give. */
  readonly signerErrors: number
}

export const noSums: CampaignSums = {
  succeeded: 0,
  answered: 0,
  failed: 0,
  rejected: 0,
  timedOut: 0,
  silent: 0,
  signerErrors: 0,
}

export interface Verdict {
  readonly action: 'PAUSE' | 'CANCEL'
  /** Which brake, in a word: `failed`, `silent`, `timedOut`, `signerErrors`, or the failure type of a criterion. */
  readonly brake: string
  /** For people, with the figures. */
  readonly reason: string
}

export interface BrakeInput {
  readonly definition: CampaignDefinition
  /** Since the campaign was started. */
  readonly total: CampaignSums
  /** Since it was started or last resumed: who resumes has seen what was before. */
  readonly since: CampaignSums
  /** Share of the selection that was dark already when the targets were drawn, percent. */
  readonly normalDarknessPercent: number
}

/** A criterion that cancels comes before the brakes, which pause. @returns null when the campaign may go on */
export function brakeVerdict(input: BrakeInput): Verdict | null {
  const { definition, total, since, normalDarknessPercent } = input
  const { criteriaList } = definition.abortConfig
  const verdicts = [
    ...criteriaList.filter(({ action }) => action === 'CANCEL').map((each) => criterionVerdict(each, total)),
    ...criteriaList.filter(({ action }) => action === 'PAUSE').map((each) => criterionVerdict(each, since)),
    failedVerdict(definition.brakes, since),
    silentVerdict(definition.brakes, since),
    timedOutVerdict(definition.brakes, since, normalDarknessPercent),
    signerVerdict(definition.brakes, since),
  ]
  return verdicts.find((verdict) => verdict !== null) ?? null
}

function criterionVerdict(criterion: StopCriterion, sums: CampaignSums): Verdict | null {
  const { failureType, action, thresholdPercentage, minNumberOfExecutedThings } = criterion
  const bad = countOf(failureType, sums)
  const executed = sums.succeeded + sums.failed + sums.rejected + sums.timedOut
  if (executed < minNumberOfExecutedThings || percent(bad, executed) < thresholdPercentage) return null
  const reason = `${failureType}: ${share(bad, executed)} of ${count(executed)} that have ended; the limit is ${thresholdPercentage} %`
  return { action, brake: failureType, reason }
}

function countOf(type: FailureType, { failed, rejected, timedOut }: CampaignSums): number {
  switch (type) {
    case 'FAILED':
      return failed
    case 'REJECTED':
      return rejected
    case 'TIMED_OUT':
      return timedOut
    case 'ALL':
      return failed + rejected + timedOut
  }
}

function failedVerdict({ failed: brake }: Brakes, sums: CampaignSums): Verdict | null {
  if (brake === null) return null
  const bad = sums.failed + sums.rejected
  const finished = sums.succeeded + bad
  if (finished < brake.minNumberOfExecutedThings || percent(bad, finished) < brake.thresholdPercentage)
    return null
  const reason = `failed: ${share(bad, finished)} of ${count(finished)} that finished; the limit is ${brake.thresholdPercentage} %`
  return { action: 'PAUSE', brake: 'failed', reason }
}

function silentVerdict({ silent: brake }: Brakes, { silent, answered }: CampaignSums): Verdict | null {
  if (brake === null || answered < brake.minNumberOfExecutedThings) return null
  if (silent === 0 || percent(silent, answered) < brake.thresholdPercentage) return null
  const reason = `silent after renewal: ${share(silent, answered)} of ${count(answered)} with a new certificate; the limit is ${brake.thresholdPercentage} %`
  return { action: 'PAUSE', brake: 'silent', reason }
}

function timedOutVerdict(
  { timedOut: brake }: Brakes,
  { timedOut, answered }: CampaignSums,
  normalPercent: number,
): Verdict | null {
  if (brake === null) return null
  const executed = answered + timedOut
  const limit = normalPercent + brake.pointsAboveNormal
  if (executed < brake.minNumberOfExecutedThings || percent(timedOut, executed) < limit) return null
  const reason = `timed out: ${share(timedOut, executed)} of ${count(executed)}; ${round(normalPercent)} % is this selection's normal darkness, and ${brake.pointsAboveNormal} points above it the limit`
  return { action: 'PAUSE', brake: 'timedOut', reason }
}

function signerVerdict({ signerErrors: brake }: Brakes, { signerErrors }: CampaignSums): Verdict | null {
  if (brake === null || signerErrors < brake.count) return null
  const reason = `signer errors: ${count(signerErrors)} certificates could not be signed; the limit is ${brake.count}`
  return { action: 'PAUSE', brake: 'signerErrors', reason }
}

/** Sums now without those of a moment before; never below 0. */
export function sumsSince(now: CampaignSums, before: CampaignSums): CampaignSums {
  const names = Object.keys(noSums) as (keyof CampaignSums)[]
  const entries = names.map((name) => [name, Math.max(0, now[name] - before[name])] as const)
  return { ...noSums, ...Object.fromEntries(entries) }
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole
}

function share(part: number, whole: number): string {
  return `${count(part)} (${round(percent(part, whole))} %)`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

/**
 * What a campaign is to do: whom it selects, in which waves, how fast, when, and what stops it. The names and limits of
 * rate, abort, timeout and schedule are those of AWS IoT Jobs. campaign-read.ts reads one from YAML or JSON and checks it;
 * here is what it reads, complete, as the database keeps it.
 */
import type { Instant } from '../../base/clock.ts'

/** All that is given must hold. Nothing given is refused, unless `all` says that every device is meant. */
export interface CampaignSelection {
  readonly all: boolean
  readonly profile: string | null
  readonly cohort: string | null
  readonly batch: string | null
  readonly site: string | null
  readonly tags: Readonly<Record<string, string>>
  /** Who signed the certificate that the device has now. */
  readonly issuer: string | null
  readonly keyAlgorithm: string | null
  /** The certificate ends before this instant. */
  readonly expiringBefore: Instant | null
  /** The device was not seen since this instant, or never. */
  readonly lastSeenBefore: Instant | null
}

export interface WaveDefinition {
  readonly name: string
  /** Share of the selection, percent; null = whatever the waves before it leave. The last wave always has null. */
  readonly percentage: number | null
  /** At least so many devices, as far as there are any. */
  readonly minimum: number
  /** After its last device was let in, this long until the next wave may open, ms. */
  readonly soakMs: number
  /** The next wave opens when at least this share of those that answered has a new certificate in use, percent. */
  readonly successPercentage: number
  /** … and at least this share of the wave has answered, failed, been escalated or left, percent. */
  readonly finishedPercentage: number
  /** `manual`: a person must approve before this wave opens. */
  readonly approval: 'manual' | 'automatic'
}

export interface ExponentialRate {
  readonly baseRatePerMinute: number
  /** The rate is multiplied by this each time the criterion is met. */
  readonly incrementFactor: number
  /** Exactly one of the two is given. */
  readonly rateIncreaseCriteria: {
    readonly numberOfNotifiedThings: number | null
    readonly numberOfSucceededThings: number | null
  }
}

export interface RolloutRate {
  /** Devices let in per minute at most. */
  readonly maximumPerMinute: number
  readonly exponentialRate: ExponentialRate | null
}

/** `FAILED`: the device or a channel reports a failure. `REJECTED`: enrolment is refused. `TIMED_OUT`: it did not answer. */
export const failureTypes = ['FAILED', 'REJECTED', 'TIMED_OUT', 'ALL'] as const
export type FailureType = (typeof failureTypes)[number]

export interface StopCriterion {
  readonly failureType: FailureType
  /** `CANCEL` aborts the campaign; `PAUSE` waits for a person. */
  readonly action: 'CANCEL' | 'PAUSE'
  readonly thresholdPercentage: number
  readonly minNumberOfExecutedThings: number
}

/** Each pauses the campaign; null = off. */
export interface Brakes {
  /** Failed or rejected, of those that finished. */
  readonly failed: { readonly thresholdPercentage: number; readonly minNumberOfExecutedThings: number } | null
  /** Got a certificate and was not heard from with it for `afterMs` (null: twice the check-in of its connectivity). */
  readonly silent: {
    readonly thresholdPercentage: number
    readonly minNumberOfExecutedThings: number
    readonly afterMs: number | null
  } | null
  /** Did not answer in time, in points above the share that was dark already when the campaign was made. */
  readonly timedOut: {
    readonly pointsAboveNormal: number
    readonly minNumberOfExecutedThings: number
  } | null
  /** Signatures that the issuer failed to give since the campaign was started or resumed, anywhere in the fleet. */
  readonly signerErrors: { readonly count: number } | null
}

export interface MaintenanceWindow {
  /** `cron(minutes hours day-of-month month day-of-week year)`, in the time zone of the device's site. */
  readonly startTime: string
  /** 1 to 1410, as AWS has it. */
  readonly durationInMinutes: number
}

export interface Scheduling {
  /** Nothing is let in before. */
  readonly startTime: Instant | null
  /** Nothing is let in from here on. */
  readonly endTime: Instant | null
  /** At endTime: `STOP_ROLLOUT` lets go of those not asked yet; `CANCEL` aborts the campaign. */
  readonly endBehavior: 'STOP_ROLLOUT' | 'CANCEL'
  /** Empty: at any time. */
  readonly maintenanceWindows: readonly MaintenanceWindow[]
}

export interface CampaignDefinition {
  readonly description: string
  readonly selection: CampaignSelection
  /** At least one; the canary is the first, unless it was switched off. */
  readonly waves: readonly WaveDefinition[]
  readonly rollout: RolloutRate
  readonly brakes: Brakes
  readonly abortConfig: { readonly criteriaList: readonly StopCriterion[] }
  /** A device that was asked and has no new certificate after this long counts as timed out; null: by its connectivity. */
  readonly timeoutConfig: { readonly inProgressTimeoutInMinutes: number | null }
  readonly schedulingConfig: Scheduling
}

export const campaignDefaults = {
  canary: { percentage: 0.1, minimum: 50 },
  wave: {
    soakMs: 86_400_000,
    successPercentage: 95,
    finishedPercentage: 80,
    approval: 'automatic',
  },
  maximumPerMinute: 100,
  brakes: {
    failed: { thresholdPercentage: 2, minNumberOfExecutedThings: 500 },
    silent: { thresholdPercentage: 0.2, minNumberOfExecutedThings: 500, afterMs: null },
    timedOut: { pointsAboveNormal: 10, minNumberOfExecutedThings: 100 },
    signerErrors: { count: 10 },
  },
} as const

/** What of a definition may change while the campaign runs, besides the approvals of its waves. */
export const editableKeys = ['rollout', 'brakes', 'abortConfig', 'timeoutConfig', 'schedulingConfig'] as const

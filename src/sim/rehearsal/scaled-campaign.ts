/** A campaign for a sample of its devices, on a clock that moves by long ticks. */
import type {
  CampaignDefinition,
  ExponentialRate,
  StopCriterion,
  WaveDefinition,
} from '../../engine/campaigns/campaign-definition.ts'

export interface Scale {
  /** The sample, as a fraction of all targets. */
  readonly share: number
  /** A tick lets in no more than the rate of one minute, so that rate has to be that of the whole tick. */
  readonly minutesPerTick: number
}

/** Engine and definition take no higher rate. */
const highestRate = 1_000_000

/**
 * Shares stay as they are; what counts devices is scaled, and stays at least 1. Approvals are taken to be given at once. Every
 * device of the copy is selected: it was chosen already.
 */
export function scaledCampaign(definition: CampaignDefinition, scale: Scale): CampaignDefinition {
  const devices = (count: number): number => Math.max(1, Math.round(count * scale.share))
  const perTick = (rate: number): number => Math.min(highestRate, devices(rate * scale.minutesPerTick))
  const { selection, waves, rollout, brakes, abortConfig } = definition
  const criterion = (each: StopCriterion): StopCriterion => ({
    ...each,
    minNumberOfExecutedThings: devices(each.minNumberOfExecutedThings),
  })
  const brake = <Brake extends { readonly minNumberOfExecutedThings: number }>(
    each: Brake | null,
  ): Brake | null => each && { ...each, minNumberOfExecutedThings: devices(each.minNumberOfExecutedThings) }
  return {
    ...definition,
    selection: {
      ...selection,
      all: true,
      profile: null,
      cohort: null,
      batch: null,
      site: null,
      tags: {},
      issuer: null,
      keyAlgorithm: null,
      expiringBefore: null,
      lastSeenBefore: null,
    },
    waves: waves.map((wave): WaveDefinition => {
      const { minimum, approval: _approval, ...rest } = wave
      return Object.assign(rest, { minimum: devices(minimum), approval: 'automatic' as const })
    }),
    rollout: {
      maximumPerMinute: perTick(rollout.maximumPerMinute),
      exponentialRate: rollout.exponentialRate && exponential(rollout.exponentialRate, { devices, perTick }),
    },
    brakes: {
      ...brakes,
      failed: brake(brakes.failed),
      silent: brake(brakes.silent),
      timedOut: brake(brakes.timedOut),
    },
    abortConfig: { criteriaList: abortConfig.criteriaList.map(criterion) },
  }
}

function exponential(
  { baseRatePerMinute, incrementFactor, rateIncreaseCriteria }: ExponentialRate,
  { devices, perTick }: Record<'devices' | 'perTick', (count: number) => number>,
): ExponentialRate {
  const { numberOfNotifiedThings: notified, numberOfSucceededThings: succeeded } = rateIncreaseCriteria
  return {
    baseRatePerMinute: perTick(baseRatePerMinute),
    incrementFactor,
    rateIncreaseCriteria: {
      numberOfNotifiedThings: notified === null ? null : devices(notified),
      numberOfSucceededThings: succeeded === null ? null : devices(succeeded),
    },
  }
}

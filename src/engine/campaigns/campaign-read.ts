/** Reads the definition of a campaign from what YAML, JSON or the command line say, and refuses what makes no sense. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { keyAlgorithms } from '../../pki/key.ts'
import { parseCron } from './campaign-cron.ts'
import {
  campaignDefaults,
  editableKeys,
  failureTypes,
  type Brakes,
  type CampaignDefinition,
  type CampaignSelection,
  type ExponentialRate,
  type MaintenanceWindow,
  type RolloutRate,
  type Scheduling,
  type StopCriterion,
} from './campaign-definition.ts'
import { child, Given, invalid } from './campaign-given.ts'
import { readApprovals, readWaves } from './campaign-read-waves.ts'

const topKeys = ['description', 'selection', 'canary', 'waves', ...editableKeys]
const selectionKeys = [
  'all',
  'profile',
  'cohort',
  'batch',
  'site',
  'tags',
  'issuer',
  'keyAlgorithm',
  'expiringBefore',
  'lastSeenBefore',
]

/**
 * @param written what a YAML or JSON file says, parsed
 * @param now     what durations such as `expiringBefore: 90d` are counted from, epoch ms
 * @throws Refusal `campaign-invalid` with the key and the reason
 */
export function parseCampaignDefinition(written: unknown, now: Instant): CampaignDefinition {
  const given = new Given(written, 'the definition', '', topKeys)
  return {
    description: given.text('description', 200) ?? '',
    selection: readSelection(given.object('selection', selectionKeys), now),
    waves: readWaves(given),
    rollout: readRollout(given),
    brakes: readBrakes(given),
    abortConfig: readAbortConfig(given),
    timeoutConfig: readTimeout(given),
    schedulingConfig: readScheduling(given),
  }
}

/**
 * A definition with changed parts; a part that is given replaces the whole part. Of the waves only the approvals may
 * change: `approvals: { '2': manual }`.
 * @throws Refusal `campaign-invalid`; `campaign-state` for what is fixed once the campaign was created
 */
export function editedDefinition(
  before: CampaignDefinition,
  change: unknown,
  now: Instant,
): CampaignDefinition {
  const fixed = ['selection', 'canary', 'waves'].find(
    (key) => typeof change === 'object' && change !== null && Object.hasOwn(change, key),
  )
  if (fixed !== undefined) {
    throw new Refusal(
      'campaign-state',
      `${fixed} was fixed when the targets were drawn: abort this campaign and create another; rate, brakes, windows and approvals may be edited`,
    )
  }
  const given = new Given(change, 'the change', '', ['description', 'approvals', ...editableKeys])
  if (given.isEmpty)
    throw invalid(`the change is empty; it may hold ${[...editableKeys, 'approvals'].join(', ')}`)
  const after = {
    ...before,
    description: given.text('description', 200) ?? before.description,
    waves: given.has('approvals') ? readApprovals(before.waves, given) : before.waves,
    rollout: given.has('rollout') ? readRollout(given) : before.rollout,
    brakes: given.has('brakes') ? readBrakes(given, before.brakes) : before.brakes,
    abortConfig: given.has('abortConfig') ? readAbortConfig(given) : before.abortConfig,
    timeoutConfig: given.has('timeoutConfig') ? readTimeout(given) : before.timeoutConfig,
    schedulingConfig: given.has('schedulingConfig') ? readScheduling(given) : before.schedulingConfig,
  }
  const { startTime, endTime } = after.schedulingConfig
  if (endTime !== null && endTime <= now && endTime !== before.schedulingConfig.endTime)
    throw invalid('schedulingConfig.endTime has passed already: abort the campaign instead')
  if (startTime !== null && endTime !== null && startTime >= endTime)
    throw invalid('schedulingConfig.endTime must be later than its startTime')
  return after
}

function readSelection(given: Given, now: Instant): CampaignSelection {
  const selection = {
    all: given.flag('all') ?? false,
    profile: given.text('profile', 64),
    cohort: given.text('cohort', 200),
    batch: given.text('batch', 200),
    site: given.text('site', 200),
    tags: readTags(given),
    issuer: given.text('issuer', 64),
    keyAlgorithm: given.choice('keyAlgorithm', keyAlgorithms),
    expiringBefore: given.instant('expiringBefore', now, 1),
    lastSeenBefore: given.instant('lastSeenBefore', now, -1),
  }
  const { all, tags, ...others } = selection
  const isNarrowed = Object.keys(tags).length > 0 || Object.values(others).some((value) => value !== null)
  if (!all && !isNarrowed) {
    throw invalid(
      `selection says nothing: give at least one of ${selectionKeys.slice(1).join(', ')}, or all: true for every device`,
    )
  }
  if (all && isNarrowed) throw invalid('selection.all is every device: it stands alone')
  return selection
}

function readTags(given: Given): Record<string, string> {
  const tags = given.map('tags')
  for (const [name, value] of Object.entries(tags)) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name))
      throw invalid(`selection.tags: the name ${JSON.stringify(name)} is not made of A-Z a-z 0-9 _ and -`)
    if (typeof value !== 'string') throw invalid(`selection.tags.${name} must be a text`)
  }
  return tags as Record<string, string>
}

function readRollout(top: Given): RolloutRate {
  const given = top.object('rollout', ['maximumPerMinute', 'exponentialRate'])
  const maximumPerMinute =
    given.integer('maximumPerMinute', 1, 1_000_000) ?? campaignDefaults.maximumPerMinute
  return { maximumPerMinute, exponentialRate: readExponential(given, maximumPerMinute) }
}

function readExponential(rollout: Given, maximumPerMinute: number): ExponentialRate | null {
  if (!rollout.has('exponentialRate')) return null
  const given = rollout.object('exponentialRate', [
    'baseRatePerMinute',
    'incrementFactor',
    'rateIncreaseCriteria',
  ])
  const baseRatePerMinute = given.required(
    'baseRatePerMinute',
    given.integer('baseRatePerMinute', 1, 1_000_000),
  )
  // 1.1 to 5 with one decimal, as AWS has it
  const incrementFactor = given.required('incrementFactor', given.number('incrementFactor', 1.1, 5))
  const criteria = given.object('rateIncreaseCriteria', ['numberOfNotifiedThings', 'numberOfSucceededThings'])
  const numberOfNotifiedThings = criteria.integer('numberOfNotifiedThings', 1, 100_000_000)
  const numberOfSucceededThings = criteria.integer('numberOfSucceededThings', 1, 100_000_000)
  if ((numberOfNotifiedThings === null) === (numberOfSucceededThings === null)) {
    throw invalid(
      'rollout.exponentialRate.rateIncreaseCriteria needs one of numberOfNotifiedThings and numberOfSucceededThings',
    )
  }
  if (baseRatePerMinute > maximumPerMinute) {
    throw invalid(
      `rollout.exponentialRate.baseRatePerMinute (${baseRatePerMinute}) is above rollout.maximumPerMinute (${maximumPerMinute})`,
    )
  }
  return {
    baseRatePerMinute,
    incrementFactor,
    rateIncreaseCriteria: { numberOfNotifiedThings, numberOfSucceededThings },
  }
}

/** A brake that is left out keeps its value; `off` switches one off. */
function readBrakes(top: Given, before: Brakes = campaignDefaults.brakes): Brakes {
  const given = top.object('brakes', ['failed', 'silent', 'timedOut', 'signerErrors'])
  const share = ['thresholdPercentage', 'minNumberOfExecutedThings']
  const failed = given.brake('failed', share)
  const silent = given.brake('silent', [...share, 'after'])
  const timedOut = given.brake('timedOut', ['pointsAboveNormal', 'minNumberOfExecutedThings'])
  const signerErrors = given.brake('signerErrors', ['count'])
  return {
    failed: choose(failed, before.failed, (brake) =>
      threshold(brake, before.failed ?? campaignDefaults.brakes.failed),
    ),
    silent: choose(silent, before.silent, (brake) => ({
      ...threshold(brake, before.silent ?? campaignDefaults.brakes.silent),
      afterMs: brake.has('after')
        ? brake.duration('after', 60_000, 365 * dayMs)
        : (before.silent?.afterMs ?? null),
    })),
    timedOut: choose(timedOut, before.timedOut, (brake) => {
      const defaults = before.timedOut ?? campaignDefaults.brakes.timedOut
      return {
        pointsAboveNormal: brake.number('pointsAboveNormal', 0.1, 100) ?? defaults.pointsAboveNormal,
        minNumberOfExecutedThings:
          brake.integer('minNumberOfExecutedThings', 1, 100_000_000) ?? defaults.minNumberOfExecutedThings,
      }
    }),
    signerErrors: choose(signerErrors, before.signerErrors, (brake) => ({
      count:
        brake.integer('count', 1, 1_000_000) ??
        (before.signerErrors ?? campaignDefaults.brakes.signerErrors).count,
    })),
  }
}

function choose<Brake>(
  given: Given | 'off' | null,
  before: Brake | null,
  read: (given: Given) => Brake,
): Brake | null {
  if (given === null) return before
  return given === 'off' ? null : read(given)
}

interface Threshold {
  readonly thresholdPercentage: number
  readonly minNumberOfExecutedThings: number
}

function threshold(given: Given, defaults: Threshold): Threshold {
  return {
    thresholdPercentage: given.number('thresholdPercentage', 0.001, 100) ?? defaults.thresholdPercentage,
    minNumberOfExecutedThings:
      given.integer('minNumberOfExecutedThings', 1, 100_000_000) ?? defaults.minNumberOfExecutedThings,
  }
}

function readAbortConfig(top: Given): { criteriaList: StopCriterion[] } {
  const given = top.object('abortConfig', ['criteriaList'])
  const keys = ['failureType', 'action', 'thresholdPercentage', 'minNumberOfExecutedThings']
  const criteriaList = given.list('criteriaList').map((value, at) => {
    const one = child(value, `abortConfig.criteriaList[${at}]`, keys)
    return {
      failureType: one.required('failureType', one.choice('failureType', failureTypes)),
      action: one.choice('action', ['CANCEL', 'PAUSE']) ?? 'CANCEL',
      thresholdPercentage: one.required('thresholdPercentage', one.number('thresholdPercentage', 0.001, 100)),
      minNumberOfExecutedThings: one.required(
        'minNumberOfExecutedThings',
        one.integer('minNumberOfExecutedThings', 1, 100_000_000),
      ),
    }
  })
  if (criteriaList.length > 20) throw invalid('abortConfig.criteriaList has at most 20 entries')
  return { criteriaList }
}

function readTimeout(top: Given): { inProgressTimeoutInMinutes: number | null } {
  const given = top.object('timeoutConfig', ['inProgressTimeoutInMinutes'])
  // AWS ends at 7 days; a device that sleeps for weeks needs longer
  return { inProgressTimeoutInMinutes: given.integer('inProgressTimeoutInMinutes', 1, 525_600) }
}

function readScheduling(top: Given): Scheduling {
  const given = top.object('schedulingConfig', ['startTime', 'endTime', 'endBehavior', 'maintenanceWindows'])
  const startTime = given.fixedInstant('startTime')
  const endTime = given.fixedInstant('endTime')
  if (startTime !== null && endTime !== null && startTime >= endTime)
    throw invalid('schedulingConfig.endTime must be later than its startTime')
  const maintenanceWindows = given.list('maintenanceWindows').map(readWindow)
  if (maintenanceWindows.length > 20)
    throw invalid('schedulingConfig.maintenanceWindows has at most 20 entries')
  return {
    startTime,
    endTime,
    endBehavior: given.choice('endBehavior', ['STOP_ROLLOUT', 'CANCEL']) ?? 'STOP_ROLLOUT',
    maintenanceWindows,
  }
}

function readWindow(value: unknown, at: number): MaintenanceWindow {
  const path = `schedulingConfig.maintenanceWindows[${at}]`
  const given = child(value, path, ['startTime', 'durationInMinutes'])
  const startTime = given.required('startTime', given.text('startTime', 100))
  const cron = parseCron(startTime)
  if (typeof cron === 'string') throw invalid(`${path}.startTime ${startTime}: ${cron}`)
  const durationInMinutes = given.required('durationInMinutes', given.integer('durationInMinutes', 1, 1_410))
  return { startTime, durationInMinutes }
}

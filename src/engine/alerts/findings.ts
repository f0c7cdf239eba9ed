/** The rules over what was read. Pure: the same input gives the same findings. */
import { dayMs, hourMs, iso, minuteMs, type Instant } from '../../base/clock.ts'
import { printable } from '../../base/text.ts'
import type { EngineSettings } from '../context.ts'
import { crlSettings } from '../revocation/crl-settings.ts'
import type { AlertInput } from './alert-input.ts'
import { ruleNames, type Finding, type Findings, type RuleName } from './alert-rule.ts'
import { weeklyCapacityOf } from './alert-settings.ts'
import { findDarkness, findEnded, findEnding } from './fleet-findings.ts'
import { findClocksOff, findRevokedCalls } from './oddity-findings.ts'

type Settings = Pick<EngineSettings, 'alerts' | 'campaigns' | 'crl'>
type Rule = (input: AlertInput, settings: Settings) => readonly Finding[] | null

const rules: Readonly<Record<RuleName, Rule>> = {
  'certificates-ending': findEnding,
  'certificates-ended': findEnded,
  'expiry-wave': findWave,
  'devices-dark': findDarkness,
  'issuer-ending': findIssuers,
  'server-certificate-ending': findOwn,
  'crl-old': findCrls,
  'revoked-devices-calling': findRevokedCalls,
  'campaign-paused': findPaused,
  'campaign-behind': findBehind,
  'audit-unsealed': findUnsealed,
  'signer-errors': findSignerErrors,
  'clock-implausible': findClock,
  'device-clocks-off': findClocksOff,
  'tasks-dead': findDeadTasks,
}

/** With a clock that nobody believes, only that is known. */
export function findingsOf(input: AlertInput, settings: Settings): Findings {
  if (input.clockProblem !== null) return new Map([['clock-implausible', findClock(input)]])
  return new Map(ruleNames.map((name) => [name, rules[name](input, settings)]))
}

function findWave({ weeks, now }: AlertInput, settings: Settings): Finding[] {
  const capacity = weeklyCapacityOf(settings)
  return weeks.flatMap((count, week): Finding[] => {
    if (count <= capacity) return []
    const from = (Math.floor(now / dayMs) + week * 7) * dayMs
    // by the Monday of the week, so that a wave keeps its name while it comes nearer
    const key = day(from - ((new Date(from).getUTCDay() + 6) % 7) * dayMs)
    return [
      {
        rule: 'expiry-wave',
        key,
        severity: week < 4 ? 'critical' : week < 13 ? 'warning' : 'notice',
        count,
        summary: `${amount(count)} certificates end in the week from ${day(from)}; ${amount(capacity)} can be renewed in one`,
        details: { from: day(from), capacity },
      },
    ]
  })
}

function findIssuers({ issuers, now }: AlertInput): Finding[] {
  return issuers.flatMap(({ id, notAfter, longestValidityMs }): Finding[] => {
    const leftMs = notAfter - now
    // what is signed for life ends with its issuer anyway: a year is time to get another
    const horizonMs = longestValidityMs ?? 365 * dayMs
    if (leftMs > horizonMs + 90 * dayMs) return []
    const severity = leftMs < horizonMs / 4 ? 'critical' : leftMs < horizonMs ? 'warning' : 'notice'
    const left = leftMs < 0 ? 'has ended' : `ends in ${daysOf(leftMs)}`
    return [
      {
        rule: 'issuer-ending',
        key: id,
        severity,
        count: 1,
        summary: `issuer ${id} ${left}: certificates that it signs now ${leftMs < horizonMs ? 'are' : 'will soon be'} cut short; make its successor`,
        details: { notAfter: iso(notAfter), longestValidity: daysOf(horizonMs) },
      },
    ]
  })
}

/** Renewed 30 days before their end: a week later something is in the way. */
function findOwn({ ownCertificates, now }: AlertInput): Finding[] {
  return ownCertificates.flatMap(({ name, notAfter }): Finding[] => {
    const leftMs = notAfter - now
    if (leftMs > 23 * dayMs) return []
    return [
      {
        rule: 'server-certificate-ending',
        key: name,
        severity: leftMs > 7 * dayMs ? 'warning' : 'critical',
        count: 1,
        summary: `the certificate of ${name} ${leftMs < 0 ? 'has ended' : `ends in ${daysOf(leftMs)}`} and was not renewed`,
        details: { notAfter: iso(notAfter) },
      },
    ]
  })
}

function findCrls({ crls, now }: AlertInput, settings: Settings): Finding[] {
  const { periodMs } = crlSettings(settings)
  return crls.flatMap(({ issuerId, kind, shard, number, thisUpdate, nextUpdate }): Finding[] => {
    const lateMs = now - thisUpdate - periodMs
    const leftMs = nextUpdate - now
    // a publisher that runs is late by seconds
    if (lateMs < Math.max(10 * minuteMs, periodMs / 4)) return []
    const name = kind === 'shard' ? `shard ${shard}` : kind
    const end = leftMs < 0 ? 'verifiers refuse it' : `verifiers refuse it in ${daysOf(leftMs)}`
    return [
      {
        rule: 'crl-old',
        key: `${issuerId} ${name}`,
        severity: leftMs < Math.max(periodMs, dayMs) ? 'critical' : 'warning',
        count: 1,
        summary: `the ${name} CRL of ${issuerId} is ${daysOf(now - thisUpdate)} old; ${end}`,
        details: { number, thisUpdate: iso(thisUpdate), nextUpdate: iso(nextUpdate) },
      },
    ]
  })
}

function findPaused({ campaigns }: AlertInput): Finding[] {
  return campaigns.flatMap(({ id, brake }): Finding[] =>
    brake === null
      ? []
      : [
          {
            rule: 'campaign-paused',
            key: id,
            severity: 'critical',
            count: 1,
            summary: `campaign ${id} was paused by its brake: ${printable(brake)}`,
            details: {},
          },
        ],
  )
}

function findBehind({ campaigns }: AlertInput): Finding[] {
  return campaigns.flatMap(({ id, behindMs, wave }): Finding[] =>
    behindMs === null || wave === null
      ? []
      : [
          {
            rule: 'campaign-behind',
            key: id,
            severity: 'warning',
            count: 1,
            summary: `campaign ${id} is behind its plan: all of ${printable(wave)} were to be let in ${daysOf(behindMs)} ago`,
            details: { wave },
          },
        ],
  )
}

/** Facts are sealed every few seconds. */
const sealLateMs = 15 * minuteMs

function findUnsealed({ unsealedSince, now }: AlertInput): Finding[] {
  if (unsealedSince === null || now - unsealedSince < sealLateMs) return []
  const ageMs = now - unsealedSince
  return [
    {
      rule: 'audit-unsealed',
      key: 'audit',
      severity: ageMs > 6 * hourMs ? 'critical' : 'warning',
      count: 1,
      summary: `facts have waited to be sealed since ${iso(unsealedSince)}: no checkpoint covers them`,
      details: {},
    },
  ]
}

const signerErrorLimits = { warning: 5, critical: 50 }

function findSignerErrors({ signerErrors }: AlertInput): Finding[] | null {
  if (signerErrors === null) return null
  if (signerErrors < signerErrorLimits.warning) return []
  return [
    {
      rule: 'signer-errors',
      key: 'signer',
      severity: signerErrors < signerErrorLimits.critical ? 'warning' : 'critical',
      count: signerErrors,
      summary: `${amount(signerErrors)} certificates were reserved and never signed within the last hour`,
      details: {},
    },
  ]
}

function findClock({ clockProblem }: Pick<AlertInput, 'clockProblem'>): Finding[] {
  if (clockProblem === null) return []
  return [
    {
      rule: 'clock-implausible',
      key: 'clock',
      severity: 'critical',
      count: 1,
      summary: clockProblem,
      details: {},
    },
  ]
}

function findDeadTasks({ deadTasks }: AlertInput): Finding[] {
  return deadTasks.map(({ kind, count }): Finding => ({
    rule: 'tasks-dead',
    key: kind,
    severity: 'warning',
    count,
    summary: `${amount(count)} ${count === 1 ? 'task' : 'tasks'} of kind ${kind} failed for good and ${count === 1 ? 'waits' : 'wait'} for a person`,
    details: {},
  }))
}

export function amount(value: number): string {
  return value.toLocaleString('en-US')
}

export function day(at: Instant): string {
  return iso(at).slice(0, 10)
}

/** `12 days`, `5 hours`. */
export function daysOf(ms: number): string {
  const size = Math.abs(ms)
  if (size < hourMs) return 'less than an hour'
  const [unit, word] = size < 2 * dayMs ? [hourMs, 'hour'] : [dayMs, 'day']
  const value = Math.floor(size / (unit as number))
  return `${amount(value)} ${word as string}${value === 1 ? '' : 's'}`
}

/**
 * What a simulation comes to: plain data, from which the report on the terminal, the JSON and the HTML file are made. All
 * counts are of devices unless they say otherwise; lists by day have one entry for each virtual day, the first for the
 * state before anything has happened.
 */
import type { Instant } from '../base/clock.ts'

export const resultVersion = 1

export interface SimResult {
  readonly version: typeof resultVersion
  readonly scenario: { readonly name: string; readonly title: string; readonly story: string }
  readonly seed: string
  /** Why it stopped before its end; null when it is complete. */
  readonly partial: string | null
  readonly parameters: readonly ReportedParameter[]
  /** The scenario itself first, then the variants that it is compared with. */
  readonly runs: readonly RunResult[]
  /** Null when the scenario has no target. */
  readonly verdict: Verdict | null
}

/** Where a number comes from. */
export type ParameterSource = 'story' | 'assumption' | 'default' | 'command line'

export interface ReportedParameter {
  readonly name: string
  /** With its unit, as a scenario writes it. */
  readonly value: string
  readonly source: ParameterSource
  readonly what: string
  /** Why an assumption was made so. */
  readonly why: string | null
}

/** What a scenario may set itself a target for. */
export const targetKinds = ['visits', 'lapsed', 'broken', 'old-issuer'] as const
export type TargetKind = (typeof targetKinds)[number]

export interface Verdict {
  readonly kind: TargetKind
  readonly what: string
  readonly measured: number
  readonly limit: number
  readonly unit: string
  readonly isMet: boolean
}

export interface RunResult {
  readonly name: string
  /** How it differs from the scenario: parameter and value. */
  readonly changes: Readonly<Record<string, string>>
  readonly startedAt: Instant
  readonly devices: number
  /** Virtual days that were simulated. */
  readonly days: number
  readonly series: Series
  readonly funnel: readonly FunnelStep[]
  readonly outcome: Outcome
  readonly events: readonly SimEvent[]
  readonly invariants: InvariantReport
  /** The same for the same scenario and seed, whatever machine and how many threads. */
  readonly historyHash: string
  readonly cost: Cost
}

/** One number for each virtual day. */
export interface Series {
  /** Burndown: devices that still have the certificate with which they began. */
  readonly open: readonly number[]
  /** Survival: devices that hold a certificate that is valid. */
  readonly alive: readonly number[]
  /** Targets of the campaign, or renewals, by state. */
  readonly planned: readonly number[]
  readonly triggered: readonly number[]
  readonly issued: readonly number[]
  readonly confirmed: readonly number[]
  readonly retired: readonly number[]
  readonly escalated: readonly number[]
  readonly abandoned: readonly number[]
  /** On the field list. */
  readonly fieldList: readonly number[]
  /** Devices that nobody can reach, scaled up from a sample of at most 20,000. */
  readonly dark: readonly number[]
  /** On that day. */
  readonly requests: readonly number[]
  readonly certificates: readonly number[]
  readonly messages: readonly number[]
  readonly sms: readonly number[]
  readonly visits: readonly number[]
  /** Certificates in use that end on that day. */
  readonly ends: readonly number[]
  /** Requests in the busiest tick of that day. */
  readonly peakRequests: readonly number[]
}

export interface FunnelStep {
  readonly step: string
  readonly count: number
}

export interface Outcome {
  /** Devices in use with a certificate that they got in the run. */
  readonly renewed: number
  readonly renewedByMessage: number
  readonly renewedBySms: number
  readonly renewedUnasked: number
  readonly renewedByVisit: number
  /** Ever on the field list. */
  readonly listed: number
  readonly visits: number
  /** Of these, to a device that is out of order and waits for a repair anyway. */
  readonly visitsWithRepair: number
  /** Devices whose certificate had ended at some time before they had another. */
  readonly lapsed: number
  /** Devices that a bad firmware has put out of service. */
  readonly broken: number
  /** Certificates signed. */
  readonly certificates: number
  readonly messages: number
  readonly sms: number
  readonly requests: number
  readonly refused: number
  readonly campaign: string | null
  readonly campaignReason: string | null
  /** Virtual day on which 99 % of the devices were renewed; null = never. */
  readonly day99: number | null
}

export interface SimEvent {
  readonly at: Instant
  readonly day: number
  readonly what: string
}

export interface InvariantReport {
  readonly checks: number
  /** `every device` or `sums and a sample`. */
  readonly depth: string
  readonly violations: readonly string[]
}

export interface Cost {
  readonly wallMs: number
  /** User and system, all threads. */
  readonly cpuMs: number
  readonly wallMicrosPerDevice: number
  readonly cpuMicrosPerDevice: number
  readonly peakMemoryMb: number
  readonly databaseMb: number
  /** Where the wall time of the main thread went. */
  readonly phases: readonly { readonly name: string; readonly ms: number }[]
}

/** What a target is about, in percent of the devices. */
export function measuredPercent(
  kind: TargetKind,
  { outcome, devices }: Pick<RunResult, 'outcome' | 'devices'>,
): number {
  const counts = {
    visits: outcome.visits - outcome.visitsWithRepair,
    lapsed: outcome.lapsed,
    broken: outcome.broken,
    'old-issuer': devices - outcome.renewed,
  }
  return (100 * counts[kind]) / devices
}

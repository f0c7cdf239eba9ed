/** What every operation of the engine is given. Built once per process by app.ts, and by test/helpers/app.ts. */
import type { Clock } from '../base/clock.ts'
import type { RefusalCode } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { CertificateRecord } from '../store/certificates.ts'
import type { Store } from '../store/open.ts'
import type { CheckpointFile } from './audit/checkpoint.ts'
import type { CrlSettings } from './revocation/crl-settings.ts'
import type { OcspSettings } from './revocation/ocsp-settings.ts'
import type { NoteSigner } from './audit/signed-note.ts'
import type { CampaignSettings, Site } from './campaigns/campaign-settings.ts'
import type { EnrollOutcome } from './issuing/enroll.ts'
import type { Ladder } from './renewals/ladder.ts'
import type { OperatorSettings } from './operators/operator.ts'
import type { ApprovalSettings } from './proposals/approval-rule.ts'
import { createIssuerCache, type IssuerCache } from './issuing/issuer-cache.ts'
import type { AlertSettings, Thresholds } from './alerts/alert-settings.ts'
import { createOddityBuffer, type OddityBuffer } from './alerts/oddities.ts'
import type { Authority, FaultInjector, Notifier, TriggerChannel, TriggerKind } from './ports.ts'
import type { Profile } from './issuing/profile.ts'
import type { RenewalSettings } from './renewals/renewal-settings.ts'
import { createSendRates, type SendRates } from './triggers/send-rate.ts'
import { createSightingBuffer, type SightingBuffer } from './renewals/sighting.ts'
import type { TriggerCost } from './triggers/trigger-budget.ts'

export interface Connectivity {
  /** The longest a healthy device of this kind stays silent, ms. */
  readonly checkInMs: number
  /** How it is asked to renew. */
  readonly ladder: Ladder
  /** Lead times of expiry alerts, where they are not those of its name. */
  readonly alertBeforeMs?: Thresholds
}

export interface EngineSettings {
  /** `{organization}` in subjects. */
  readonly organization: string
  readonly profiles: ReadonlyMap<string, Profile>
  readonly connectivity: ReadonlyMap<string, Connectivity>
  /** Public base URL of the status endpoint, no slash at the end: it is written into certificates (AIA). */
  readonly statusUrl: string
  /** How long a new one-time enrolment secret may be used. */
  readonly secretLifetimeMs: number
  /** Retry-After of a request that waits for a person. */
  readonly pendingRetryAfterMs: number
  /** A reservation of this age was lost with its process and is abandoned. */
  readonly abandonAfterMs: number
  /** How long a repeat waits for the request that it repeats, when that one is at work in another process. */
  readonly repeatWaitMs: number
  readonly renewal: RenewalSettings
  /** Names of the brokers and services that are told whose sessions to end. Absent: none. */
  readonly connectors?: readonly string[]
  /** Absent: nothing needs a second person. */
  readonly approval?: ApprovalSettings
  /** Absent: `defaultOperatorSettings`. */
  readonly operators?: OperatorSettings
  /** Absent: `defaultCrlSettings`. */
  readonly crl?: CrlSettings
  /** Absent: `defaultOcspSettings`. */
  readonly ocsp?: OcspSettings
  /**
   * The channels that the configuration names, whether or not their link is up: a rung of any other is passed over.
   * Absent: those that there are.
   */
  readonly triggerKinds?: ReadonlySet<TriggerKind>
  /** Absent: the defaults of campaign-settings.ts. */
  readonly campaigns?: CampaignSettings
  /** By name; maintenance windows are meant in their time zones. Absent: no site is known. */
  readonly sites?: ReadonlyMap<string, Site>
  /** Cost caps of the channels whose messages are paid for. Absent: every channel is free. */
  readonly triggerCosts?: ReadonlyMap<TriggerKind, TriggerCost>
  /** Absent: `defaultAlertSettings`, which tell nobody. */
  readonly alerts?: AlertSettings
}

/** What seals the audit log: the key that signs its checkpoints, and the file that outlives the database. */
export interface AuditKeeper {
  readonly signer: NoteSigner
  readonly checkpointFile: CheckpointFile
}

/** What the outside may watch, for metrics. Called after the commit; must not throw and must not wait. */
export interface EngineObserver {
  readonly issued?: (record: CertificateRecord, how: { readonly repeated: boolean }) => void
  readonly refused?: (operation: 'enroll' | 'reenroll' | 'serverkeygen', code: RefusalCode) => void
  readonly pending?: (profile: string) => void
  /** A key of a CA was asked for a signature. */
  readonly signed?: (how: { readonly key: string; readonly isGood: boolean; readonly ms: number }) => void
  /** The rule that a certificate would have broken. */
  readonly lintFailed?: (rule: string) => void
}

export interface EngineParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly store: Store
  /** By kind: `software`. An issuer record names the kind that holds its key. */
  readonly authorities: ReadonlyMap<string, Authority>
  readonly settings: EngineSettings
  readonly audit: AuditKeeper
  readonly observer?: EngineObserver
  /**
   * The channels that are set up, by kind. It may grow while the process runs: those that need a link to a broker come
   * when the link is made. A rung whose channel is missing is passed over. Default: none.
   */
  readonly triggers?: ReadonlyMap<TriggerKind, TriggerChannel>
  /** Who is told of alerts, by name. Default: nobody. */
  readonly notifiers?: ReadonlyMap<string, Notifier>
  /** Tests only. */
  readonly faults?: FaultInjector
}

export interface Engine extends EngineParts {
  readonly observer: EngineObserver
  readonly triggers: ReadonlyMap<TriggerKind, TriggerChannel>
  readonly notifiers: ReadonlyMap<string, Notifier>
  /** What is constant about each issuer; read from the store once and looked at again every second. */
  readonly issuers: IssuerCache
  /** Last-seen marks that wait for their batch. */
  readonly sightings: SightingBuffer
  /** What devices show that is not right, until its batch. */
  readonly oddities: OddityBuffer
  /** How many devices may be asked to renew now, by campaign. */
  readonly sendRates: SendRates
  /** Requests at work in this process by applicant and key, so that repeats share one answer. */
  readonly running: Map<string, Promise<EnrollOutcome>>
}

export function createEngine(parts: EngineParts): Engine {
  return {
    ...parts,
    observer: parts.observer ?? {},
    triggers: parts.triggers ?? new Map(),
    notifiers: parts.notifiers ?? new Map(),
    issuers: createIssuerCache(parts),
    sightings: createSightingBuffer(),
    oddities: createOddityBuffer(),
    sendRates: createSendRates(),
    running: new Map(),
  }
}

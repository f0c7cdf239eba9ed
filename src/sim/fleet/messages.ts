/** What passes between the world, which has the engine, and the host of the devices, which may be another thread. */
import type { Instant } from '../../base/clock.ts'
import type { AgentConfig } from '../../agent/agent-config.ts'
import type { FactoryPlan, Produced } from './factory.ts'
import type { PowerFault } from './flash.ts'

export interface HostPlan {
  readonly factory: FactoryPlan
  readonly agent: AgentConfig
  /** PEM. */
  readonly rootPem: string
  /** DER: what leads from a device certificate to the root. */
  readonly intermediates: readonly Uint8Array[]
  /** Where the storages lie; null = in memory. */
  readonly shelfFile: string | null
  /** Whether the end of a time awake says what the device holds. */
  readonly isExact: boolean
}

/** A device is awake from this instant on. */
export interface Wake {
  readonly device: number
  readonly at: Instant
  /** Payloads that were found on its topic. */
  readonly messages: readonly string[]
  readonly power: PowerFault | null
}

/** A request of the device, as far as a server sees it. */
export interface WireRequest {
  /** Place of its device among those that are awake together. */
  readonly wake: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly contentType: string | null
  /** Base64. */
  readonly body: string | null
  /** DER; null when it shows none. */
  readonly certificate: Uint8Array | null
}

/** Null: none came. */
export type WireAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
} | null

/** A device goes back to sleep. */
export interface WakeEnd {
  readonly wake: number
  readonly outcome: 'waiting' | 'done' | 'refused' | 'failed' | 'stuck' | 'power-cut'
  readonly step: string
  /** When its agent wants to be awake again, by the world's clock. */
  readonly retryAt: Instant | null
  /** It uses another certificate than before. */
  readonly isActivated: boolean
  /** End of the certificate in use; null = it has none. */
  readonly notAfter: Instant | null
  /** Serial numbers of what it holds, the one in use first; only in an exact run. */
  readonly held: readonly string[]
}

/** All who are awake together wait for an answer, or have gone to sleep. */
export interface Round {
  readonly requests: readonly WireRequest[]
  readonly ended: readonly WakeEnd[]
}

export interface Host {
  /** Makes devices and keeps them; blocks until they are there. */
  produce(from: number, to: number): Produced[]
  begin(group: number, wakes: readonly Wake[]): Promise<Round>
  answer(group: number, answers: readonly WireAnswer[]): Promise<Round>
  close(): Promise<void>
}

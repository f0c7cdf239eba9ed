/** What the engine needs from the outside world. Implementations live at the edge and are handed in by app.ts. */
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import type { SignatureAlgorithm } from '../pki/signature.ts'

/**
 * Who holds CA keys: files, a token, a remote signer. A key is known by its reference, a text chosen by the engine
 * (`issuer id` plus a random part) and never used for a second key.
 *
 * Calls may run in parallel. Nothing is retried here: the engine's caller asks again, and a signature that was made but
 * lost does no harm, because what is signed is on record before. Every method throws Refusal `issuer-unavailable` when
 * the key cannot be reached now and `passphrase-wrong` when it cannot be unlocked.
 */
export interface Authority {
  readonly kind: string
  /**
   * Makes a key and keeps it durably before answering.
   * @throws Refusal `already-exists` when the reference is taken, `bad-algorithm` when it cannot make such a key
   */
  createKey(reference: string, algorithm: KeyAlgorithm): Promise<{ spki: Uint8Array }>
  /** SubjectPublicKeyInfo, DER. @throws Refusal `not-found` when there is no such key */
  publicKey(reference: string): Promise<Uint8Array>
  /**
   * Signs the bytes as they are. The only use of a CA key in the system.
   * @param tbs the to-be-signed bytes; hashing is part of the algorithm
   * @returns the signature as X.509 carries it (ECDSA: DER SEQUENCE of r and s)
   */
  sign(reference: string, algorithm: SignatureAlgorithm, tbs: Uint8Array): Promise<Uint8Array>
  /**
   * The same for bytes that lie in parts, in their order: a CRL may have 50 MB, which a holder that hashes as it reads need
   * not join. Without it the engine joins them.
   */
  readonly signParts?: (
    reference: string,
    algorithm: SignatureAlgorithm,
    parts: readonly Uint8Array[],
  ) => Promise<Uint8Array>
  hasKey(reference: string): Promise<boolean>
  /**
   * Gets ready to sign, so that what would stop it is found at the start and not by the first device. Without it there is
   * nothing to get ready. @throws Refusal `passphrase-wrong`, `issuer-unavailable`
   */
  readonly unlock?: () => Promise<void>
}

/**
 * Named points of the issuing path at which a test stops, kills or fails the process. Production has none.
 * The names are those of the steps in ARCHITECTURE.md, `before` the step's effect and `after` it where the difference matters.
 */
export const faultPoints = [
  'parse',
  'identify',
  'repeat',
  'decide',
  'shape',
  'lint',
  'reserve',
  'reserved',
  'sign',
  'check',
  'commit',
  'committed',
] as const

/** The same for renewals: a batch is stepped; a trigger leaves, has left, and what became of it is on record. */
export const tickFaultPoints = ['step', 'stepped', 'send', 'sent', 'settled'] as const

export type FaultPoint = (typeof faultPoints)[number] | (typeof tickFaultPoints)[number]

export interface FaultInjector {
  at(point: FaultPoint): Promise<void>
}

/** The ways of asking a device to renew. `field` is the list that people work from. */
export const triggerKinds = ['mqtt', 'twin', 'ota', 'webhook', 'sms', 'field'] as const
export type TriggerKind = (typeof triggerKinds)[number]

/** One request to one device to renew its certificate. */
export interface Trigger {
  readonly renewalId: number
  /** The same for every repeat of one attempt, and for no other: what a provider may use to send a message only once. */
  readonly idempotencyKey: string
  readonly campaignId: string | null
  readonly deviceId: DeviceId
  readonly slot: string
  /** The certificate to be replaced: `issuer id/serial number`, and its end. */
  readonly certificate: string
  readonly notAfter: Instant
  /** When the device should do it (RFC 9773 suggests a window); devices draw an instant inside. */
  readonly window: { readonly start: Instant; readonly end: Instant }
  readonly issuedAt: Instant
  readonly tags: Readonly<Record<string, string>>
  readonly site: string | null
}

/** What a provider says later about a message for which it had taken responsibility. */
export interface DeliveryReceipt {
  /** The message's name, as `send` answered it. */
  readonly reference: string
  /** `pending`: still on its way, nothing is decided. `failed`: it will never arrive. */
  readonly outcome: 'delivered' | 'failed' | 'pending'
  /** The provider's words for it: one line, no secrets. */
  readonly detail: string
}

/**
 * A way of asking devices to renew. At least once: the same trigger may come again after a crash, and must then do no
 * harm. Ordering is not needed: a device acts on its certificate, not on the number of messages.
 */
export interface TriggerChannel {
  readonly kind: TriggerKind
  /** Sends that may be under way at one time. */
  readonly parallel: number
  /**
   * Resolves when the next hop (broker, provider, web server) has taken responsibility for the message.
   * @returns the message's name there, for its delivery receipt; null when there will be none
   * @throws Refusal `trigger-failed` to be asked again later (with `retryAfterMs` where it is known), `trigger-impossible`
   *   when this device cannot be reached this way (no number, no topic), `trigger-over-budget` when the cost cap is reached
   */
  send(trigger: Trigger, signal: AbortSignal): Promise<{ readonly reference: string | null }>
  /** Takes back what still stands, such as a retained message, when the renewal is over. Idempotent. */
  readonly retract?: (deviceId: DeviceId, signal: AbortSignal) => Promise<void>
  /** Ends connections; what was taken responsibility for stays sent. Idempotent. */
  close(): Promise<void>
}

/** What is published over MQTT; always at QoS 1. */
export interface MqttMessage {
  readonly topic: string
  /** Text is sent as UTF-8; an empty one with `retain` takes the retained message of the topic away. */
  readonly payload: Uint8Array | string
  /** The broker keeps it for whoever subscribes later. */
  readonly retain: boolean
}

/** What came over a broker. `retained`: it had been lying there when we subscribed. */
export interface MqttReceived {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retained: boolean
}

/**
 * A link to a broker: the one in this process, or another over the network, which is connected again by itself. The
 * number of messages that it has not acknowledged is bounded; beyond it `publish` waits.
 */
export interface MqttLink {
  readonly isConnected: boolean
  /**
   * Resolves when the broker has taken responsibility (PUBACK). At least once: after a lost acknowledgement the message
   * may be there although this threw. @throws Refusal `trigger-failed` when there is no connection, or no answer in time
   */
  publish(message: MqttMessage, signal?: AbortSignal): Promise<void>
  /**
   * Calls `handler` for each message whose topic fits the filter, again after each reconnection. What the handler throws
   * is a bug and is logged. An acknowledgement is sent when it resolves.
   */
  subscribe(filter: string, handler: (message: MqttReceived) => Promise<void>): Promise<void>
  /** Ends the connection; what was acknowledged stays sent. Idempotent. */
  close(): Promise<void>
}

/** Whose sessions are to end. */
export interface SessionTarget {
  readonly deviceId: DeviceId
  readonly why: 'revoked' | 'quarantined' | 'expired' | 'released'
  /** The same for every repeat of one cut, and for no other. */
  readonly cutId: number
  readonly requestedAt: Instant
}

/**
 * A broker or service that has sessions of our devices. At least once and in any order: the engine says what is true of the
 * device now. Nothing is retried here: the engine's tasks do.
 */
export interface Disconnector {
  /** As the configuration names it: `mosquitto`. One of each. */
  readonly name: string
  /** Calls that may be under way at one time. */
  readonly parallel: number
  /**
   * Ends every session of the device. `isBarred`: and lets none begin until `admit`. Idempotent; a device that is not known
   * there is no failure. @returns how many sessions were ended; null when the other side does not say
   * @throws Refusal `connector-failed` to be asked again (with `retryAfterMs` where it is known)
   */
  cut(target: SessionTarget & { readonly isBarred: boolean }, signal: AbortSignal): Promise<number | null>
  /** Takes back what `cut` barred. Idempotent. @returns null, or the sessions that it ended on its way */
  admit(target: SessionTarget, signal: AbortSignal): Promise<number | null>
  /** Ends connections. Idempotent. */
  close(): Promise<void>
}

/** What a notifier tells of one alert. Text is printable: it may be shown as it is. */
export interface NotifiedAlert {
  readonly id: number
  readonly rule: string
  readonly key: string
  readonly severity: 'notice' | 'warning' | 'critical'
  readonly summary: string
  readonly count: number
  readonly openedAt: Instant
  readonly details: Readonly<Record<string, unknown>>
  /** Where it is written what to do; null when no address was configured. */
  readonly runbookUrl: string | null
}

export interface NotifierMessage {
  /** The same for every repeat, and for no other message. */
  readonly id: string
  /** `test`: a person wants to see whether messages arrive. */
  readonly event: 'opened' | 'raised' | 'escalated' | 'acknowledged' | 'resolved' | 'test'
  /** Which installation: the name of the organisation. */
  readonly source: string
  readonly at: Instant
  /** At least one; several where `isPerAlert` is false. */
  readonly alerts: readonly [NotifiedAlert, ...NotifiedAlert[]]
}

/**
 * A way of telling people or their programs. At least once: the same message may come again after a crash, with the same
 * id. Ordering is not kept: a receiver that cares looks at `at`.
 */
export interface Notifier {
  readonly kind: string
  /** One message for each alert, acknowledgements included: an incident tool. Others get what came at one time in one. */
  readonly isPerAlert: boolean
  /**
   * Resolves when the next hop has taken responsibility.
   * @returns its name for the message, if it gave one: no secrets
   * @throws Refusal `notify-failed` to be asked again later (with `retryAfterMs` where it is known), `notify-impossible` when
   *   repeating is useless: the receiver does not take such a message, its address is not allowed
   */
  notify(message: NotifierMessage, signal: AbortSignal): Promise<{ readonly reference: string | null }>
  /** Ends connections. Idempotent. */
  close(): Promise<void>
}

/**
 * Facts: what was decided, by whom, about what, why and when. A fact is written in the transaction of the change that
 * it describes; seal.ts afterwards moves it into the Merkle log. The bytes made here are the bytes that are hashed.
 */
import type { Instant } from '../../base/clock.ts'
import { canonicalJson, type CanonicalValue } from '../../base/canonical-json.ts'
import { assert, InvariantError, Refusal } from '../../base/errors.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../../base/id.ts'
import { appendFacts, type NewFact } from '../../store/facts.ts'
import type { Tx } from '../../store/schema.ts'

export type { FactRecord } from '../../store/facts.ts'

/** Everything that can be on record; docs/audit.md says what each one means and carries. */
export const factActions = [
  'instance.initialised',
  'audit-log.restarted',
  'configuration.changed',
  'clock.accepted',
  'issuer.intended',
  'issuer.created',
  'issuer.retired',
  'issuer.revoked',
  'trust-anchor.added',
  'trust-anchor.removed',
  'profile.changed',
  'device.added',
  'device.imported',
  'device.updated',
  'device.activated',
  'device.quarantined',
  'device.released',
  'device.decommissioned',
  'secret.created',
  'secret.used',
  'approval.requested',
  'approval.granted',
  'approval.rejected',
  'issuance.intended',
  'issuance.abandoned',
  'certificate.issued',
  'certificate.imported',
  'certificate.confirmed',
  'certificate.superseded',
  'certificate.forgotten',
  'certificate.revoked',
  'certificate.released',
  'case.opened',
  'case.noted',
  'case.evidence-added',
  'case.closed',
  'revocation.ordered',
  'revocation.finished',
  'revocation.cancelled',
  'crl.published',
  'proposal.opened',
  'proposal.approved',
  'proposal.rejected',
  'proposal.expired',
  'proposal.done',
  'proposal.failed',
  'device-key.generated',
  'key.blocked',
  'key.unblocked',
  'campaign.created',
  'campaign.deleted',
  'campaign.started',
  'campaign.paused',
  'campaign.resumed',
  'campaign.aborted',
  'campaign.completed',
  'campaign.edited',
  'campaign.rehearsed',
  'campaign.wave-opened',
  'campaign.wave-approved',
  'campaign.retried',
  'campaign.target-skipped',
  'renewal.escalated',
  'renewal.abandoned',
  'renewal.resolved',
  'renewal.assigned',
  'bundle.signed',
  'alert.opened',
  'alert.raised',
  'alert.resolved',
  'alert.acknowledged',
  'silence.created',
  'silence.ended',
  'notification.replayed',
  'operator.added',
  'operator.set-up',
  'operator.changed',
  'operator.disabled',
  'operator.enabled',
  'operator.reset',
  'operator.link-created',
  'operator.logged-in',
  'operator.login-failed',
  'operator.proved',
  'operator.logged-out',
  'token.created',
  'token.revoked',
  'task.abandoned',
  'task.retried',
] as const

export type FactAction = (typeof factActions)[number]

/** Who did it. Names are short and printable; a person's name never goes in here, only an account's. */
export const actors = {
  system: 'system',
  commandLine: (account: string) => `cli:${account}`,
  job: (name: string) => `job:${name}`,
  device: (id: DeviceId) => `device:${id}`,
  operator: (name: string) => `operator:${name}`,
} as const

/** What it was about. The text is what `audit tail --subject` looks for. */
export const subjects = {
  instance: 'instance',
  device: (id: DeviceId) => `device:${id}`,
  certificate: (issuerId: IssuerId, serialNumber: SerialNumber) => `certificate:${issuerId}/${serialNumber}`,
  issuer: (id: IssuerId) => `issuer:${id}`,
  trustAnchor: (id: string) => `trust-anchor:${id}`,
  profile: (name: string) => `profile:${name}`,
  approval: (id: number) => `approval:${id}`,
  key: (spkiHash: string) => `key:${spkiHash}`,
  task: (id: number) => `task:${id}`,
  campaign: (id: string) => `campaign:${id}`,
  renewal: (id: number) => `renewal:${id}`,
  /** For whom: a device, or many (`meter-*`). */
  bundle: (device: string) => `bundle:${device}`,
  revocation: (id: number) => `revocation:${id}`,
  operator: (name: string) => `operator:${name}`,
  token: (id: string) => `token:${id}`,
  proposal: (id: number) => `proposal:${id}`,
  case: (id: number) => `case:${id}`,
  alert: (id: number) => `alert:${id}`,
  silence: (id: number) => `silence:${id}`,
  notification: (id: number) => `notification:${id}`,
} as const

export type FactDetails = Readonly<Record<string, CanonicalValue | undefined>>

export interface FactInput {
  readonly actor: string
  readonly action: FactAction
  readonly subject: string
  /** Why, in words for a human; left out where the action says it all. */
  readonly reason?: string
  /** What an auditor needs besides: identifiers, hashes, instants as text. Never secrets, never personal data. */
  readonly details?: FactDetails
}

/** C2SP tlog-tiles: an entry's length is written in 16 bits. */
export const maxEntryBytes = 65_535

// A last line of defence for "secrets never enter facts"; the rule itself is kept by whoever writes the fact.
const forbiddenDetails: ReadonlySet<string> = new Set([
  'secret',
  'password',
  'passphrase',
  'privatekey',
  'challengepassword',
  'authorization',
  'tlsunique',
])

/**
 * One fact with the canonical bytes that will be hashed.
 * @param at the instant of the decision, epoch ms
 * @throws Refusal `too-large` when the bytes exceed 65,535; InvariantError when a detail is named like a secret
 */
export function fact(at: Instant, input: FactInput): NewFact {
  const { actor, action, subject, reason, details } = input
  assert(actor !== '' && subject !== '', 'a fact names its actor and its subject')
  for (const name in details) {
    if (forbiddenDetails.has(name.toLowerCase()))
      throw new InvariantError(`a fact carries no secret: ${name}`)
  }
  const members = { actor, action, at: isoMs(at), details, format: 1, reason, subject }
  const entry = Buffer.from(canonicalJson(members), 'utf8')
  if (entry.byteLength > maxEntryBytes) {
    throw new Refusal(
      'too-large',
      `the audit fact ${action} has ${entry.byteLength} bytes, the most is ${maxEntryBytes}`,
    )
  }
  return { at, action, subject, entry }
}

/** Writes the facts in the transaction of the change that they describe, in the order given. */
export async function recordFacts(tx: Tx, ...facts: readonly NewFact[]): Promise<void> {
  if (facts.length > 0) await appendFacts(tx, facts)
}

/** A fact as an auditor reads it: the log's bytes taken apart again. */
export interface ReadableFact {
  readonly actor: string
  readonly action: string
  readonly at: string
  readonly subject: string
  readonly reason: string | null
  readonly details: Readonly<Record<string, unknown>>
}

/** @throws Refusal `audit-invalid` when the bytes are not those of a fact */
export function readFact(entry: Uint8Array): ReadableFact {
  const value = parseEntry(entry)
  const { actor, action, at, subject, reason, details } = value
  if (
    typeof actor !== 'string' ||
    typeof action !== 'string' ||
    typeof at !== 'string' ||
    typeof subject !== 'string'
  ) {
    throw new Refusal('audit-invalid', 'the entry is not a fact: actor, action, at or subject is missing')
  }
  return {
    actor,
    action,
    at,
    subject,
    reason: typeof reason === 'string' ? reason : null,
    details: isObject(details) ? details : {},
  }
}

function parseEntry(entry: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(entry).toString('utf8'))
  } catch (cause) {
    throw new Refusal('audit-invalid', 'the entry is not a fact: it is not JSON', { cause })
  }
  if (!isObject(value)) throw new Refusal('audit-invalid', 'the entry is not a fact: it is not a JSON object')
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// Many facts of one operation carry the same instant, and formatting it costs as much as hashing the fact.
let lastInstant = { at: 0, text: '1970-01-01T00:00:00.000Z' }

/** An instant as facts write it: ISO 8601 with milliseconds, UTC. */
export function isoMs(at: Instant): string {
  if (at === lastInstant.at) return lastInstant.text
  assert(Number.isSafeInteger(at), 'an instant is whole milliseconds')
  lastInstant = { at, text: new Date(at).toISOString() }
  return lastInstant.text
}

/** Messages that reach a device unasked: what they mean, and what of them is written down. Garbage is passed over. */
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseSerialNumber } from '../base/id.ts'
import { openOtaBundle, type OtaBundle } from '../pki/ota-bundle.ts'
import { isObject, type InboxState, type Summons, type Window } from './agent-inbox.ts'
import type { AgentConfig } from './agent-config.ts'

/** By the topic that it came over. `bundle` may come any way: it is signed. */
export interface AgentMessage {
  readonly kind: 'renew' | 'hint' | 'desired' | 'bundle'
  /** Empty: what stood there before has been taken back. */
  readonly payload: Uint8Array
}

export interface Reading {
  readonly config: Pick<AgentConfig, 'deviceId' | 'bundleKeys'>
  /** Serial number of the certificate in use; null when there is none. */
  readonly serialNumber: string | null
  /** Our clock, corrected by the server's. */
  readonly now: Instant
}

/** A trigger or a hint is a few hundred bytes. */
const longestMessage = 16_384

/**
 * @returns the inbox as it is now: the same object when the message says nothing (garbage, a repeat, another certificate)
 * @throws Refusal of `openOtaBundle` for a bundle that is not taken
 */
export function receiveMessage(state: InboxState, message: AgentMessage, reading: Reading): InboxState {
  if (message.kind === 'bundle') return receiveBundle(state, message.payload, reading)
  const slot = message.kind === 'hint' ? 'hint' : 'trigger'
  if (message.payload.length === 0) return state[slot] === null ? state : { ...state, [slot]: null }
  if (message.payload.length > longestMessage) return state
  const summons = parseSummons(message)
  return summons === null ? state : summoned(state, slot, { ...reading, summons })
}

function summoned(
  state: InboxState,
  slot: 'trigger' | 'hint',
  { summons, serialNumber }: Pick<Reading, 'serialNumber'> & { readonly summons: Summons },
): InboxState {
  if (summons.serialNumber !== serialNumber) return state
  const before = state[slot]
  const isLate =
    before?.serialNumber === serialNumber && (summons.issuedAt ?? Infinity) < (before.issuedAt ?? -Infinity)
  return isLate ? state : { ...state, [slot]: summons }
}

/** True for a wish about a certificate that is not in use any more: the server does not know that it was replaced. */
export function isAboutAnother(
  message: AgentMessage,
  { serialNumber }: Pick<Reading, 'serialNumber'>,
): boolean {
  const { kind, payload } = message
  if (kind !== 'renew' && kind !== 'desired') return false
  if (payload.length === 0 || payload.length > longestMessage) return false
  const summons = parseSummons(message)
  return summons !== null && serialNumber !== null && summons.serialNumber !== serialNumber
}

/** Also what an answer of the server said beside its matter. */
export function receiveHint(state: InboxState, serialNumber: string, window: Window): InboxState {
  return { ...state, hint: { serialNumber, window, issuedAt: null } }
}

function receiveBundle(
  state: InboxState,
  payload: Uint8Array,
  { config, now, ...rest }: Reading,
): InboxState {
  if (payload.length === 0) return state
  if (config.bundleKeys.length === 0) {
    throw new Refusal('bad-signature', 'no key is pinned that may sign bundles for this device')
  }
  const { bundle, isRepeat } = openOtaBundle(Buffer.from(payload).toString('utf8'), {
    keys: config.bundleKeys.map((key) => Buffer.from(key, 'base64')),
    deviceId: config.deviceId,
    now,
    lastVersion: (kind) => state.versions[kind] ?? null,
  })
  return isRepeat ? state : taken(state, bundle, rest.serialNumber)
}

function taken(
  state: InboxState,
  { version, expiresAt, notBefore, payload }: OtaBundle,
  serialNumber: string | null,
): InboxState {
  const versions = { ...state.versions, [payload.kind]: version }
  if (payload.kind === 'status')
    throw new Refusal('bundle-refused', 'it is for verifiers: perennial verifier check')
  if (payload.kind !== 'trigger') {
    const { kind } = payload
    const certificates = payload.kind === 'ocsp' ? payload.responses : payload.certificates
    return { ...state, versions, bundle: { kind, version, expiresAt, certificates, retryAt: null } }
  }
  const { certificate, window } = payload.trigger
  const summons = { serialNumber: serialOf(certificate) ?? '', window, issuedAt: notBefore }
  return summoned({ ...state, versions }, 'trigger', { summons, serialNumber })
}

/** `{"v":1,"kind":"renew",…}`; a hint has the window alone, of the certificate that it names; a twin wraps the trigger. */
function parseSummons({ kind, payload }: AgentMessage): Summons | null {
  const value = parseJson(payload)
  const inner = kind === 'desired' ? desiredRenewal(value) : value
  if (!isObject(inner) || inner['v'] !== 1) return null
  const isOfKind = kind === 'hint' ? (inner['kind'] ?? 'hint') === 'hint' : inner['kind'] === 'renew'
  if (!isOfKind) return null
  const serialNumber = serialOf(inner['certificate'])
  const window = parseWindow(inner['window'] ?? inner['suggestedWindow'])
  if (serialNumber === null || window === null) return null
  return { serialNumber, window, issuedAt: parseInstant(inner['issuedAt']) }
}

function desiredRenewal(value: unknown): unknown {
  const desired = isObject(value) ? value['desired'] : null
  const ours = isObject(desired) ? desired['perennial'] : null
  return isObject(ours) ? ours['renewal'] : null
}

/** @returns null for what is no window: not two instants, or the end before the start */
export function parseWindow(value: unknown): Window | null {
  if (!isObject(value)) return null
  const start = parseInstant(value['start'])
  const end = parseInstant(value['end'])
  return start === null || end === null || end < start ? null : { start, end }
}

/** Of the dictionary that goes with answers over HTTP: `start=@1798761600, end=@1799971200` (RFC 9651 §3.2, §3.3.7). */
export function parseWindowHeader(text: string | undefined): Window | null {
  const match = /^start=@(\d{1,12}), ?end=@(\d{1,12})$/.exec(text ?? '')
  if (match === null) return null
  const [start, end] = [Number(match[1]) * 1000, Number(match[2]) * 1000] as const
  return end < start ? null : { start, end }
}

/** RFC 3339 in UTC, as RFC 9773 has it. */
function parseInstant(value: unknown): Instant | null {
  const isText = typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(value)
  const at = isText ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? null : at
}

/** `issuer id/serial number`: the issuer id is a word of the server's that a device does not know. */
function serialOf(certificate: unknown): string | null {
  if (typeof certificate !== 'string' || certificate.length > 128) return null
  return parseSerialNumber(certificate.slice(certificate.lastIndexOf('/') + 1))
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return null
  }
}

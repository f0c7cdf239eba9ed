/**
 * What the server has told the device without being asked: triggers, hints and signed bundles, as they are kept between
 * steps. `inbox.json` is written by whoever receives and read by the step; nothing in it is needed to go on, but for the
 * versions, which keep an old bundle from being taken again.
 */
import { join } from 'node:path'
import type { Instant } from '../base/clock.ts'
import type { OtaKind } from '../pki/ota-bundle.ts'
import { readPrivateFile, type ReadFile, type WriteFile } from './agent-directory.ts'

export interface Window {
  readonly start: Instant
  readonly end: Instant
}

/** A wish of the server that one certificate be renewed inside a window. */
export interface Summons {
  /** Serial number of the certificate: about any other one it says nothing. */
  readonly serialNumber: string
  readonly window: Window
  /** By the server's clock; null when it does not say. A later one replaces an earlier one. */
  readonly issuedAt: Instant | null
}

/** A bundle that has been verified, and waits for the step that acts on it. */
export interface PendingBundle {
  readonly kind: 'trust' | 'certificate' | 'ocsp'
  readonly version: number
  readonly expiresAt: Instant
  /** PEM, one each; of `ocsp` the answers, base64 of DER. */
  readonly certificates: readonly string[]
  /** Not before that instant, local clock: the last try has failed. */
  readonly retryAt: Instant | null
}

export interface InboxState {
  /** Asks for a renewal: a campaign, an operator. */
  readonly trigger: Summons | null
  /** Says when it would suit the server. */
  readonly hint: Summons | null
  /** Of the last bundle of each kind: lower ones are not taken. */
  readonly versions: Readonly<Partial<Record<OtaKind, number>>>
  readonly bundle: PendingBundle | null
}

export const emptyInbox: InboxState = { trigger: null, hint: null, versions: {}, bundle: null }

export class Inbox {
  readonly #path: string
  readonly #write: WriteFile
  readonly #read: ReadFile
  #last: Promise<unknown> = Promise.resolve()

  constructor(directory: string, write: WriteFile, read: ReadFile = readPrivateFile) {
    this.#read = read
    this.#path = join(directory, 'inbox.json')
    this.#write = write
  }

  async read(): Promise<InboxState> {
    const text = await this.#read(this.#path)
    return text === null ? emptyInbox : (parseInbox(text) ?? emptyInbox)
  }

  /**
   * One change after the other. It has reached the storage when the promise resolves.
   * @param change returns what it was given when nothing is to be changed; may throw
   */
  async update(change: (state: InboxState) => InboxState): Promise<void> {
    const turn = this.#change(this.#last, change)
    this.#last = turn.catch(() => undefined)
    await turn
  }

  async #change(earlier: Promise<unknown>, change: (state: InboxState) => InboxState): Promise<void> {
    await earlier
    const before = await this.read()
    const after = change(before)
    if (JSON.stringify(after) === JSON.stringify(before)) return
    await this.#write(this.#path, `${JSON.stringify(after, null, 1)}\n`, 0o600)
  }
}

function parseInbox(text: string): InboxState | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(value)) return null
  const { trigger, hint, versions, bundle } = value
  const known = isObject(versions) ? versions : {}
  return {
    trigger: summonsOf(trigger),
    hint: summonsOf(hint),
    versions: Object.fromEntries(
      (['trigger', 'trust', 'certificate', 'ocsp'] as const).flatMap((kind) => {
        const version = known[kind]
        return Number.isSafeInteger(version) ? [[kind, version as number]] : []
      }),
    ),
    bundle: bundleOf(bundle),
  }
}

function summonsOf(value: unknown): Summons | null {
  if (!isObject(value) || !isObject(value['window'])) return null
  const { serialNumber, issuedAt } = value
  const { start, end } = value['window']
  if (typeof serialNumber !== 'string' || !isInstant(start) || !isInstant(end)) return null
  return { serialNumber, window: { start, end }, issuedAt: isInstant(issuedAt) ? issuedAt : null }
}

function bundleOf(value: unknown): PendingBundle | null {
  if (!isObject(value)) return null
  const { kind, version, expiresAt, certificates, retryAt } = value
  if (kind !== 'trust' && kind !== 'certificate' && kind !== 'ocsp') return null
  if (!Number.isSafeInteger(version) || !isInstant(expiresAt) || !Array.isArray(certificates)) return null
  const texts = certificates.filter((each) => typeof each === 'string')
  const retry = isInstant(retryAt) ? retryAt : null
  return { kind, version: version as number, expiresAt, certificates: texts, retryAt: retry }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a Date can hold. */
export function isInstant(value: unknown): value is Instant {
  return Number.isSafeInteger(value) && Math.abs(value as number) < 8.64e15
}

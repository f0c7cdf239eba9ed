/** Revocations as proposals. What is stored is what was asked: the selection, not the devices that fit it today. */
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { parseIssuerId, type IssuerId } from '../../base/id.ts'
import { isRevocationReason, type RevocationReason } from '../../pki/revocation-reason.ts'
import { proposalKind } from '../proposals/proposal.ts'
import { parseIssuerReason } from './revocation-words.ts'
import { orderRevocation, previewRevocation, type RevocationSelection } from './revoke-batch.ts'
import { previewIssuerRevocation, revokeIssuer } from './revoke-issuer.ts'

export interface BatchPayload {
  readonly selection: RevocationSelection
  readonly reason: RevocationReason
  readonly note: string | null
  readonly delayMs: number
}

export const batchRevocation = proposalKind<BatchPayload>({
  kind: 'revoke-batch',
  parse: parseBatch,
  async summary(engine, { selection, reason, delayMs }) {
    const { devices, certificates } = await previewRevocation(engine, selection, { reason })
    const words = Object.entries(selection).map(([name, value]) => `${name} ${value}`)
    const when = delayMs === 0 ? '' : `, ${formatDuration(delayMs)} after the approval`
    const what = `${counted(certificates, 'certificate')} of ${counted(devices, 'device')}`
    return `revoke ${what} (${words.join(', ')}; ${reason})${when}`
  },
  async run(engine, payload, approved) {
    const { id } = await orderRevocation(engine, { ...payload, actor: approved.requestedBy, approved })
    return `revocation ${id}`
  },
})

export interface IssuerRevocationPayload {
  readonly id: IssuerId
  readonly reason: RevocationReason
  readonly note: string | null
}

export const issuerRevocation = proposalKind<IssuerRevocationPayload>({
  kind: 'revoke-issuer',
  parse(payload) {
    const { id, reason, note } = membersOf(payload)
    const issuer = typeof id === 'string' ? parseIssuerId(id) : null
    if (issuer === null) throw new Refusal('invalid-input', 'id is the name of an issuer')
    return {
      id: issuer,
      reason: parseIssuerReason(textOf(reason, 'reason')),
      note: note === null || note === undefined ? null : textOf(note, 'note'),
    }
  },
  async summary(engine, { id, reason }) {
    const { certificates } = await previewIssuerRevocation(engine, id)
    return `revoke the issuer ${id} and with it ${counted(certificates, 'live certificate')} (${reason})`
  },
  async run(engine, payload, approved) {
    const { id } = await revokeIssuer(engine, { ...payload, actor: approved.requestedBy, approved })
    return `issuer ${id} is revoked`
  },
})

const selectionKeys = ['batch', 'cohort', 'site', 'profile', 'connectivity'] as const

function parseBatch(payload: unknown): BatchPayload {
  const { selection, reason, note, delayMs } = membersOf(payload)
  const given = membersOf(selection)
  const unknown = Object.keys(given).find((key) => !selectionKeys.some((known) => known === key))
  if (unknown !== undefined) throw new Refusal('invalid-input', `a selection has no "${unknown}"`)
  const texts = Object.entries(given).map(([key, value]) => [key, textOf(value, `selection.${key}`)])
  return {
    selection: Object.fromEntries(texts) as RevocationSelection,
    reason: reasonOf(reason),
    note: note === null || note === undefined ? null : textOf(note, 'note'),
    delayMs: delayOf(delayMs),
  }
}

export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new Refusal('invalid-input', 'a proposal to revoke is an object with selection and reason')
}

export function reasonOf(value: unknown): RevocationReason {
  if (typeof value === 'string' && isRevocationReason(value) && value !== 'removeFromCRL') return value
  throw new Refusal('invalid-input', 'reason is a name of RFC 5280 §5.3.1, such as keyCompromise')
}

export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= 1_000) return value
  throw new Refusal('invalid-input', `${name} is a text of 1 to 1,000 characters`)
}

function delayOf(value: unknown): number {
  if (value === undefined) return 0
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new Refusal('invalid-input', 'delayMs is a whole number of milliseconds')
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

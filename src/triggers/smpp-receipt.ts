/** SMSC delivery receipts: deliver_sm with esm_class 0x04 (SMPP 3.4 §5.2.12, appendix B). */
import { printable } from '../base/text.ts'
import type { DeliveryReceipt } from '../engine/ports.ts'

type Outcome = DeliveryReceipt['outcome']

/** message_state, §5.2.28. */
const byState: Readonly<Record<number, Outcome>> = {
  1: 'pending',
  2: 'delivered',
  3: 'failed',
  4: 'failed',
  5: 'failed',
  6: 'pending',
  7: 'pending',
  8: 'failed',
}

/** `stat:` of the receipt's text, appendix B. What is not listed decides nothing. */
const byStat: Readonly<Record<string, Outcome>> = {
  DELIVRD: 'delivered',
  EXPIRED: 'failed',
  DELETED: 'failed',
  UNDELIV: 'failed',
  REJECTD: 'failed',
}

export interface DeliverSm {
  readonly [field: string]: unknown
}

/** @returns null when the PDU is no receipt, or one that names no message */
export function smppReceipt(pdu: DeliverSm): DeliveryReceipt | null {
  const esmClass = pdu['esm_class']
  if (typeof esmClass !== 'number' || (esmClass & 0x3c) !== 0x04) return null
  const text = textOf(pdu['short_message'])
  const stat = /\bstat:([A-Z]{1,10})/i.exec(text)?.[1]?.toUpperCase() ?? null
  const error = /\berr:(\w{1,10})/i.exec(text)?.[1] ?? null
  const state = pdu['message_state']
  // The optional parameters are exact; the text is what every vendor writes a little differently.
  const reference = textOf(pdu['receipted_message_id']).trim() || /\bid:([\x21-\x7e]{1,65})/i.exec(text)?.[1]
  if (reference === undefined || reference.length > 65) return null
  const outcome =
    (typeof state === 'number' ? byState[state] : stat === null ? null : byStat[stat]) ?? 'pending'
  const words = [stat ?? (typeof state === 'number' ? `state ${state}` : 'no state')]
  if (error !== null && !/^0+$/.test(error)) words.push(`error ${error}`)
  return { reference: printable(reference), outcome, detail: words.join(', ') }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  // the package gives short_message as { udh, message }
  if (typeof value === 'object' && value !== null && 'message' in value) return textOf(value.message)
  return ''
}

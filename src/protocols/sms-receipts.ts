/**
 * Delivery receipts of SMS providers, on plain objects: `/perennial/v1/sms-receipts/PROVIDER`.
 *
 *     POST …/twilio                           a form, as Twilio's StatusCallback sends it, with X-Twilio-Signature
 *     GET  …/kannel/REFERENCE/TOKEN/STATE     the dlr-url that we gave to Kannel, which has no other way to prove itself
 *
 * On the device port (device-routes.ts) every request whose path begins with `smsReceiptsPrefix`, whatever its method (Kannel
 * knows GET only), goes to `refuse` before and to `handle` after its body, of at most `smsReceiptMaxBytes`; no client
 * certificate. Made by `createSmsReceipts(smsReceiptKeys(config), (receipt) => recordReceipt(engine, 'sms', receipt))`,
 * with `smsReceiptKeys` of src/trigger-channels.ts and `recordReceipt` of src/engine/triggers/trigger-receipts.ts.
 */
import { createHmac } from 'node:crypto'
import { equalSecrets } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { smsReceiptToken } from '../base/sms-receipt-token.ts'
import { printable } from '../base/text.ts'
import type { DeliveryReceipt } from '../engine/ports.ts'
import {
  mediaType,
  textResponse,
  type HttpRequest,
  type HttpRequestHead,
  type HttpResponse,
} from './http-message.ts'

export const smsReceiptsPrefix = '/perennial/v1/sms-receipts/'
export const smsReceiptMaxBytes = 16_384

/** What proves that a receipt comes from the provider; null: this provider is not set up. */
export interface SmsReceiptKeys {
  readonly twilio: {
    readonly authToken: string
    /** The URL that Twilio was given, exactly: it is part of what is signed. */
    readonly url: string
  } | null
  readonly kannel: { readonly password: string } | null
}

export interface SmsReceipts {
  /** What can be refused before the body is read. @returns null when the body is wanted */
  refuse(head: HttpRequestHead): HttpResponse | null
  /** @throws whatever recording the receipt throws: then the provider is to ask again */
  handle(request: HttpRequest): Promise<HttpResponse>
}

/** @param record puts a receipt on record; called again for a receipt that comes again */
export function createSmsReceipts(
  keys: SmsReceiptKeys,
  record: (receipt: DeliveryReceipt) => Promise<void>,
): SmsReceipts {
  function refuse({ path, method }: HttpRequestHead): HttpResponse | null {
    const [provider, ...rest] = path.slice(smsReceiptsPrefix.length).split('/')
    if (provider === 'twilio' && rest.length === 0 && keys.twilio)
      return method === 'POST' ? null : notAllowed('POST')
    if (provider === 'kannel' && rest.length === 3 && keys.kannel)
      return method === 'GET' ? null : notAllowed('GET')
    return textResponse(404, 'no SMS provider of this name is set up')
  }
  return {
    refuse,
    async handle(request) {
      const refused = refuse(request)
      if (refused) return refused
      const [provider] = request.path.slice(smsReceiptsPrefix.length).split('/')
      const receipt =
        provider === 'twilio' && keys.twilio
          ? twilioReceipt(request, keys.twilio)
          : kannelReceipt(request, keys.kannel?.password ?? '')
      if (receipt === null) return textResponse(403, 'this receipt does not come from the provider')
      await record(receipt)
      return { status: 204, headers: {}, body: '' }
    },
  }
}

/** https://www.twilio.com/docs/messaging/api/message-resource#message-status-values */
const twilioOutcomes: Readonly<Record<string, DeliveryReceipt['outcome']>> = {
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
}

/** @throws Refusal `malformed`, `unsupported-media-type`. @returns null when it is not Twilio's */
function twilioReceipt(
  { headers, body }: HttpRequest,
  { authToken, url }: NonNullable<SmsReceiptKeys['twilio']>,
): DeliveryReceipt | null {
  if (mediaType(headers['content-type']) !== 'application/x-www-form-urlencoded') {
    throw new Refusal('unsupported-media-type', 'a receipt is application/x-www-form-urlencoded')
  }
  const form = new URLSearchParams(Buffer.from(body).toString('utf8'))
  const signature = headers['x-twilio-signature']
  const expected = twilioSignature(url, form, authToken)
  if (typeof signature !== 'string' || !equalSecrets(Buffer.from(signature), Buffer.from(expected)))
    return null
  const reference = form.get('MessageSid') ?? ''
  const status = form.get('MessageStatus') ?? ''
  if (!/^[A-Za-z0-9]{1,64}$/.test(reference) || status === '') {
    throw new Refusal('malformed', 'the receipt has no MessageSid or no MessageStatus')
  }
  const code = form.get('ErrorCode')
  const words = [printable(status).slice(0, 20), ...(code ? [`error ${printable(code).slice(0, 10)}`] : [])]
  return {
    reference,
    outcome: Object.hasOwn(twilioOutcomes, status) ? (twilioOutcomes[status] ?? 'pending') : 'pending',
    detail: words.join(', '),
  }
}

/**
 * HMAC-SHA1, base64, over the URL and every parameter sorted by its name, name and value without anything between
 * (https://www.twilio.com/docs/usage/webhooks/webhooks-security).
 */
export function twilioSignature(url: string, form: URLSearchParams, authToken: string): string {
  const sorted = [...form].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const text = url + sorted.map(([name, value]) => name + value).join('')
  return createHmac('sha1', authToken).update(text).digest('base64')
}

/** Kannel User Guide, chapter 6, "Delivery reports": 1 delivered, 2 failed, 4 queued, 8 taken by the SMSC, 16 refused by it. */
const kannelOutcomes: Readonly<Record<string, DeliveryReceipt>> = {
  '1': { reference: '', outcome: 'delivered', detail: 'delivered' },
  '2': { reference: '', outcome: 'failed', detail: 'not delivered' },
  '4': { reference: '', outcome: 'pending', detail: 'queued' },
  '8': { reference: '', outcome: 'pending', detail: 'taken by the SMSC' },
  '16': { reference: '', outcome: 'failed', detail: 'refused by the SMSC' },
}

/** @throws Refusal `malformed`. @returns null when it is not about a message of ours */
function kannelReceipt({ path }: HttpRequest, password: string): DeliveryReceipt | null {
  const [, encoded = '', token = '', state = ''] = path.slice(smsReceiptsPrefix.length).split('/')
  const reference = decoded(encoded)
  if (reference === null) throw new Refusal('malformed', 'the name of the message is not readable')
  const expected = smsReceiptToken(reference, password)
  if (!equalSecrets(Buffer.from(token), Buffer.from(expected))) return null
  const outcome = Object.hasOwn(kannelOutcomes, state) ? kannelOutcomes[state] : undefined
  if (!outcome) throw new Refusal('malformed', 'the state is none of 1, 2, 4, 8, 16')
  return { ...outcome, reference }
}

function decoded(text: string): string | null {
  try {
    const reference = decodeURIComponent(text)
    return reference.length > 0 && reference.length <= 128 ? reference : null
  } catch {
    return null
  }
}

function notAllowed(method: string): HttpResponse {
  return textResponse(405, `a receipt comes by ${method}`, { Allow: method })
}

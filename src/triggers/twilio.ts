/** SMS through the Twilio API (2010-04-01) or a provider that speaks it. */
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'
import type { SmsGateway } from './sms-gateway.ts'
import type { TriggerHost } from './trigger-host.ts'

export interface TwilioOptions {
  /** `https://api.twilio.com` */
  readonly baseUrl: string
  readonly accountSid: string
  /** Name of the secret. */
  readonly authToken: string
  /** E.164, or the SID of a messaging service (`MG…`). */
  readonly from: string
  /** Where Twilio reports what became of a message; null: nowhere. */
  readonly statusCallback: string | null
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

/** @throws Refusal `configuration-invalid` */
export async function createTwilioGateway(options: TwilioOptions, host: TriggerHost): Promise<SmsGateway> {
  const { baseUrl, accountSid, from, statusCallback, timeoutMs, insecureHttp } = options
  refuseBadUrl('triggers.sms.twilio.baseUrl', baseUrl, 'triggers.sms.insecureHttp', insecureHttp)
  const password = await host.secret(options.authToken)
  const authorization = `Basic ${Buffer.from(`${accountSid}:${password}`).toString('base64')}`
  const path = `/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Messages.json`
  const url = `${baseUrl.replace(/\/+$/, '')}${path}`
  const sender = from.startsWith('MG') ? 'MessagingServiceSid' : 'From'
  return {
    parallel: 8,
    async send({ to, text }, signal) {
      const body = new URLSearchParams({ To: to, [sender]: from, Body: text })
      if (statusCallback !== null) body.set('StatusCallback', statusCallback)
      const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
      const call = { who: 'the SMS provider', url, method: 'POST', headers, timeoutMs } as const
      return sidOf(await callHttp(host, { ...call, body: body.toString() }, signal))
    },
    close: async () => {},
  }
}

/** The provider has taken the message, so an answer that makes no sense is not a failure: only receipts will be missed. */
function sidOf(answer: string): string | null {
  const message = parseJson(answer)
  const { sid, status } = message
  if (status === 'failed' || status === 'undelivered') {
    throw new Refusal('trigger-failed', `the SMS provider answered: ${status} ${errorOf(message)}`.trim())
  }
  return typeof sid === 'string' && /^[A-Za-z0-9]{1,64}$/.test(sid) ? sid : null
}

function errorOf({ error_code: code }: Readonly<Record<string, unknown>>): string {
  return typeof code === 'number' || typeof code === 'string' ? printable(String(code)).slice(0, 20) : ''
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

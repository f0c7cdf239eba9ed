/**
 * SMS through the HTTP interface of Kannel's smsbox (User Guide, chapter 6), which operators run who have modems or an
 * SMSC of their own. Kannel names no message in its answer; the name goes with the URL of its delivery report.
 */
import { Refusal } from '../base/errors.ts'
import { smsReceiptToken } from '../base/sms-receipt-token.ts'
import { printable } from '../base/text.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'
import type { SmsGateway } from './sms-gateway.ts'
import type { TriggerHost } from './trigger-host.ts'

export interface KannelOptions {
  /** Of smsbox: `http://127.0.0.1:13013/cgi-bin/sendsms`. */
  readonly url: string
  readonly username: string
  /** Name of the secret. */
  readonly password: string
  /** Sender number or name. */
  readonly from: string
  /** `smsc-id` to send through; null: as Kannel routes. */
  readonly smsc: string | null
  /** Where Kannel reports what became of a message; null: nowhere. */
  readonly reportUrl: string | null
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

/** Delivered (1), failed for good (2), refused by the SMSC (16); what lies between does not move anything. */
const reportMask = 1 + 2 + 16

/** @throws Refusal `configuration-invalid` */
export async function createKannelGateway(options: KannelOptions, host: TriggerHost): Promise<SmsGateway> {
  const { url, username, from, smsc, reportUrl, timeoutMs, insecureHttp } = options
  refuseBadUrl('triggers.sms.kannel.url', url, 'triggers.sms.insecureHttp', insecureHttp)
  const password = await host.secret(options.password)
  return {
    parallel: 8,
    async send({ to, text, idempotencyKey }, signal) {
      const query = new URLSearchParams({ username, password, from, to, text, charset: 'UTF-8' })
      if (smsc !== null) query.set('smsc', smsc)
      if (reportUrl !== null) {
        query.set('dlr-mask', String(reportMask))
        query.set('dlr-url', kannelReportUrl(reportUrl, idempotencyKey, password))
      }
      const call = { who: 'Kannel', url: `${url}?${query}`, method: 'GET', headers: {}, timeoutMs } as const
      const answer = await callHttp(host, call, signal)
      // `0: Accepted for delivery` and `3: Queued for later delivery`; anything else is a no under status 200
      if (!/^[03]:/.test(answer)) {
        throw new Refusal('trigger-failed', `Kannel answered: ${printable(answer).slice(0, 80)}`)
      }
      return reportUrl === null ? null : idempotencyKey
    },
    close: async () => {},
  }
}

/** The URL that Kannel gets when something is known; it puts the state in place of `%d`. All in the path: see sms-receipts.ts. */
export function kannelReportUrl(base: string, reference: string, password: string): string {
  return `${base}/${encodeURIComponent(reference)}/${smsReceiptToken(reference, password)}/%d`
}

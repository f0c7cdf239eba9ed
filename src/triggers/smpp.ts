/** SMS through an SMSC or an aggregator that speaks SMPP 3.4. */
import { smppReceipt } from './smpp-receipt.ts'
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { jitteredMs } from '../base/retry.ts'
import { SmppLink, smppStatus } from './smpp-link.ts'
import type { SmsGateway } from './sms-gateway.ts'
import type { TriggerHost } from './trigger-host.ts'

export interface SmppOptions {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly systemId: string
  /** Name of the secret. */
  readonly password: string
  readonly systemType: string
  /** A number with its plus, a short code, or a name of up to 11 characters. */
  readonly from: string
  /** Messages at most; what our contract with the provider allows. */
  readonly maximumPerSecond: number
  readonly enquireMs: number
  readonly timeoutMs: number
}

/** SMPP 3.4 §5.1.3 */
const status = { ok: 0x00, invalidDestination: 0x0b, queueFull: 0x14, throttled: 0x58 } as const
/** After "too fast" nothing is sent for about this long: going on would be refused too, and counted against us. */
const throttlePauseMs = 10 * secondMs

export async function createSmppGateway(options: SmppOptions, host: TriggerHost): Promise<SmsGateway> {
  const { clock, random, log } = host
  const link = new SmppLink(
    { ...options, password: await host.secret(options.password) },
    {
      clock,
      random,
      log,
      onDeliver: async (pdu) => {
        const receipt = smppReceipt(pdu)
        // A message from a device: nobody reads it, and the SMSC need not keep it.
        if (receipt) await host.onReceipt(receipt)
      },
    },
  )
  const spacingMs = secondMs / options.maximumPerSecond
  let nextAt = 0
  let pausedUntil = 0
  return {
    parallel: Math.min(16, options.maximumPerSecond),
    async send({ to, text }, signal) {
      if (clock.now() < pausedUntil) throw tooFast(pausedUntil - clock.now())
      const at = Math.max(clock.now(), nextAt)
      nextAt = at + spacingMs
      if (at > clock.now()) await clock.sleep(at - clock.now(), signal)
      const answer = await link.request('submit_sm', submitFields(options.from, to, text), signal)
      switch (answer.command_status) {
        case status.ok:
          return messageId(answer['message_id'])
        case status.throttled:
        case status.queueFull:
          pausedUntil = clock.now() + jitteredMs(throttlePauseMs, 0.2, random)
          throw tooFast(pausedUntil - clock.now())
        case status.invalidDestination:
          throw new Refusal('trigger-impossible', 'the SMSC says that the number of this device is none')
        default:
          throw new Refusal('trigger-failed', `the SMSC answered ${smppStatus(answer.command_status)}`)
      }
    },
    close: () => link.close(),
  }
}

function tooFast(retryAfterMs: number): Refusal {
  return new Refusal('trigger-failed', 'the SMSC takes no more messages just now', { retryAfterMs })
}

/** SMPP 3.4 §4.4.1. Numbers go without their plus, as type 1 (international), plan 1 (E.164). */
function submitFields(from: string, to: string, text: string) {
  const isNumber = /^\+\d+$/.test(from)
  const isShortCode = /^\d{3,8}$/.test(from)
  return {
    source_addr_ton: isNumber ? 1 : isShortCode ? 3 : 5,
    source_addr_npi: isNumber ? 1 : 0,
    source_addr: isNumber ? from.slice(1) : from,
    dest_addr_ton: 1,
    dest_addr_npi: 1,
    destination_addr: to.slice(1),
    // §5.2.17: a receipt when the message has arrived, and when it never will
    registered_delivery: 1,
    short_message: text,
  }
}

function messageId(value: unknown): string | null {
  return typeof value === 'string' && /^[\x21-\x7e]{1,65}$/.test(value) ? value : null
}

/** Alerts by SMS, through the gateway of the triggers: the composition root hands it in. */
import type { Extension, ExtensionHost } from '../base/extension.ts'
import { Refusal } from '../base/errors.ts'
import type { Notifier } from '../engine/ports.ts'
import { cut, titleOf } from './message-text.ts'

/** A way into the mobile network, as far as a notifier needs it. */
export interface SmsSender {
  /** @throws Refusal of the gateway */
  send(
    message: { to: string; text: string; idempotencyKey: string },
    signal: AbortSignal,
  ): Promise<string | null>
}

export interface SmsNotifierOptions {
  /** `notifiers.NAME`. */
  readonly name: string
  /** E.164, with their plus. */
  readonly to: readonly string[]
}

export interface SmsHost extends ExtensionHost {
  readonly sms: SmsSender
}

export const smsNotifier: Extension<SmsNotifierOptions, Notifier> = {
  kind: 'sms',
  optionSchema: { type: 'object', required: ['name', 'to'] },
  create: createSmsNotifier,
}

/** One short message. */
const mostText = 160

/** @throws Refusal `configuration-invalid` */
export async function createSmsNotifier({ name, to }: SmsNotifierOptions, host: SmsHost): Promise<Notifier> {
  const wrong = to.find((number) => !/^\+[1-9]\d{6,14}$/.test(number))
  if (wrong !== undefined)
    throw new Refusal('configuration-invalid', `${name}.to: ${wrong} is no number of the form +491701234567`)
  return {
    kind: 'sms',
    isPerAlert: false,
    async notify(message, signal) {
      const text = gsm(titleOf(message))
      let reference: string | null = null
      for (const number of to) {
        try {
          const idempotencyKey = `${message.id}-${number}`
          reference = (await host.sms.send({ to: number, text, idempotencyKey }, signal)) ?? reference
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          const isForGood = error.code === 'trigger-impossible'
          throw new Refusal(isForGood ? 'notify-impossible' : 'notify-failed', `${name}: ${error.message}`)
        }
      }
      return { reference }
    },
    close: async () => {},
  }
}

/** Only what is in the GSM alphabet and costs one septet. */
function gsm(text: string): string {
  return cut(text.replaceAll(/[^A-Za-z0-9 !"#%&'()*+,./:;<=>?@_$-]/g, ' '), mostText).replace('…', '.')
}

/**
 * Triggers by SMS, to the modem of a device that no network reaches. The message is a hint and nothing more: it is not
 * signed, and a forged one makes a device do no more than renew its certificate inside its window, which it may do anyway.
 */
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Extension } from '../base/extension.ts'
import type { Trigger, TriggerChannel } from '../engine/ports.ts'
import { closable } from './closable.ts'
import { createKannelGateway, type KannelOptions } from './kannel.ts'
import { createSmppGateway, type SmppOptions } from './smpp.ts'
import type { SmsGateway } from './sms-gateway.ts'
import type { TriggerHost } from './trigger-host.ts'
import { createTwilioGateway, type TwilioOptions } from './twilio.ts'

export type SmsProvider =
  | ({ readonly provider: 'twilio' } & TwilioOptions)
  | ({ readonly provider: 'smpp' } & SmppOptions)
  | ({ readonly provider: 'kannel' } & KannelOptions)

export interface SmsOptions {
  /** The tag of a device that holds its number. */
  readonly numberTag: string
  /** See `renderSms`. */
  readonly template: string
  readonly gateway: SmsProvider
}

export const sms: Extension<SmsOptions, TriggerChannel> = {
  kind: 'sms',
  optionSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['numberTag', 'template', 'gateway'],
    properties: {
      numberTag: { type: 'string' },
      template: { type: 'string' },
      gateway: { type: 'object', required: ['provider'] },
    },
  },
  create: createSmsChannel,
}

/** @throws Refusal `configuration-invalid` */
export async function createSmsChannel(options: SmsOptions, host: TriggerHost): Promise<TriggerChannel> {
  const { numberTag, template, gateway: provider } = options
  const problem = smsTemplateProblem(template)
  if (problem !== null) throw new Refusal('configuration-invalid', `triggers.sms.template: ${problem}`)
  const gateway = await openSmsGateway(provider, host)
  const send: TriggerChannel['send'] = async (trigger, signal) => {
    signal.throwIfAborted()
    const to = numberOf(trigger, numberTag)
    const text = renderSms(template, trigger)
    return { reference: await gateway.send({ to, text, idempotencyKey: trigger.idempotencyKey }, signal) }
  }
  return closable({ kind: 'sms', parallel: gateway.parallel, send }, () => gateway.close())
}

/** For whoever else sends short messages. @throws Refusal `configuration-invalid` */
export async function openSmsGateway(provider: SmsProvider, host: TriggerHost): Promise<SmsGateway> {
  switch (provider.provider) {
    case 'twilio':
      return await createTwilioGateway(provider, host)
    case 'smpp':
      return await createSmppGateway(provider, host)
    case 'kannel':
      return await createKannelGateway(provider, host)
  }
}

/** E.164: a plus, a country code that does not begin with 0, 15 digits at most; we know of no number under 7. */
const e164 = /^\+[1-9]\d{6,14}$/

function numberOf({ tags, deviceId }: Trigger, numberTag: string): string {
  // people write +49 170 123-4567
  const number = Object.hasOwn(tags, numberTag) ? tags[numberTag]?.replace(/[ ().-]/g, '') : undefined
  if (number === undefined || number === '') {
    throw new Refusal('trigger-impossible', `${deviceId} has no tag ${numberTag} with its number`)
  }
  if (!e164.test(number)) {
    throw new Refusal(
      'trigger-impossible',
      `the tag ${numberTag} of ${deviceId} is no number of the form +491701234567`,
    )
  }
  return number
}

const placeholders = {
  renewal: ({ renewalId }: Trigger) => String(renewalId),
  device: ({ deviceId }: Trigger) => deviceId,
  certificate: ({ certificate }: Trigger) => certificate,
  notAfter: ({ notAfter }: Trigger) => iso(notAfter),
} as const satisfies Readonly<Record<string, (trigger: Trigger) => string>>

/** The GSM 7-bit alphabet as far as it is ASCII, one septet each: one message holds 160 of them. */
const gsmText = /^[A-Za-z0-9 !"#%&'()*+,./:;<=>?@_$-]*$/
export const maxSmsLength = 160

/**
 * Fills in `{renewal}`, `{device}`, `{certificate}`, `{notAfter}`.
 * @throws Refusal `trigger-impossible` when the text does not fit into one message: a modem would see two
 */
export function renderSms(template: string, trigger: Trigger): string {
  const text = template.replace(/\{(\w+)\}/g, (all, name: string) =>
    Object.hasOwn(placeholders, name) ? placeholders[name as keyof typeof placeholders](trigger) : all,
  )
  if (text.length > maxSmsLength) {
    throw new Refusal(
      'trigger-impossible',
      `the SMS to ${trigger.deviceId} would be longer than 160 characters`,
    )
  }
  return text
}

/** @returns what makes the template unusable, or null */
export function smsTemplateProblem(template: string): string | null {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const unknown = names.find((name) => !Object.hasOwn(placeholders, name))
  if (unknown !== undefined) {
    return `{${unknown}} is none of ${Object.keys(placeholders)
      .map((name) => `{${name}}`)
      .join(', ')}`
  }
  const rest = template.replace(/\{\w+\}/g, '')
  if (!gsmText.test(rest))
    return 'only letters, digits and signs of the GSM alphabet fit into one short message'
  return template.trim() === '' ? 'it is empty' : null
}

/** Trigger channels as the configuration asks for them. Those that need a link to a broker are added by whoever serves. */
import { readFile } from 'node:fs/promises'
import { Refusal } from './base/errors.ts'
import { createFileAtomically } from './base/file.ts'
import { token, type Random } from './base/random.ts'
import type { Config } from './config.ts'
import type { DataDirectory } from './data-directory.ts'
import type { Authority, DeliveryReceipt, MqttLink, TriggerChannel, TriggerKind } from './engine/ports.ts'
import type { TriggerCost } from './engine/triggers/trigger-budget.ts'
import type { OtaSigner } from './pki/ota-bundle.ts'
import { decodePem, encodePem } from './pki/pem.ts'
import { smsReceiptsPrefix, type SmsReceiptKeys } from './protocols/sms-receipts.ts'
import { createFieldChannel } from './triggers/field.ts'
import { createOtaHttpChannel, createOtaMqttChannel } from './triggers/ota.ts'
import { createSmsChannel, openSmsGateway, type SmsProvider } from './triggers/sms.ts'
import type { SmsGateway } from './triggers/sms-gateway.ts'
import type { TriggerHost } from './triggers/trigger-host.ts'
import { createWebhookChannel } from './triggers/webhook.ts'

/** Name of the key that signs OTA bundles, with the authority. */
export const otaKeyReference = 'ota-bundles'

/** The kinds that the configuration sets up, whether or not their link is up now. */
export function configuredTriggers({ triggers, mqtt }: Config): ReadonlySet<TriggerKind> {
  const kinds = new Set<TriggerKind>(['field'])
  if (mqtt.broker !== 'none') for (const kind of ['mqtt', 'twin', 'ota'] as const) kinds.add(kind)
  if (triggers.webhook.url !== null) kinds.add('webhook')
  if (triggers.sms.provider !== 'none') kinds.add('sms')
  if (triggers.ota.url !== null) kinds.add('ota')
  return kinds
}

export function triggerCosts({ triggers: { sms } }: Config): ReadonlyMap<TriggerKind, TriggerCost> {
  const { costPerMessage, dailyBudget, campaignBudget } = sms
  return new Map([['sms', { perMessage: costPerMessage, dailyBudget, campaignBudget }]])
}

export interface TriggerChannelParts extends Pick<TriggerHost, 'clock' | 'random' | 'log' | 'otaSigner'> {
  readonly config: Config
  readonly onSmsReceipt: (receipt: DeliveryReceipt) => Promise<void>
}

/**
 * Opens no connection: that is left to the first send.
 * @throws Refusal `configuration-invalid`
 */
export async function createTriggerChannels(
  parts: TriggerChannelParts,
): Promise<Map<TriggerKind, TriggerChannel>> {
  const { config, onSmsReceipt, ...rest } = parts
  const { webhook, sms, ota } = config.triggers
  const host: TriggerHost = { ...rest, fetch, onReceipt: onSmsReceipt, secret: secretsOf(config) }
  const channels: TriggerChannel[] = [createFieldChannel()]
  if (webhook.url !== null) {
    const options = { ...webhook, url: webhook.url, secret: 'webhook.secret' }
    channels.push(await createWebhookChannel(options, host))
  }
  const gateway = smsProvider(config)
  if (gateway) {
    const { numberTag, template } = sms
    channels.push(await createSmsChannel({ numberTag, template, gateway }, host))
  }
  if (ota.url !== null) {
    const authorization = ota.authorization === null ? null : 'ota.authorization'
    channels.push(await createOtaHttpChannel({ ...ota, url: ota.url, authorization }, host))
  }
  return new Map(channels.map((channel) => [channel.kind, channel]))
}

/** Short messages to people, by the provider of the triggers; null when none is configured. Opens no connection. */
export async function createSmsGateway(
  parts: Omit<TriggerChannelParts, 'onSmsReceipt' | 'otaSigner'>,
): Promise<SmsGateway | null> {
  const { config, ...rest } = parts
  const provider = smsProvider(config)
  if (!provider) return null
  const noOta = () => Promise.reject(new Refusal('configuration-invalid', 'short messages need no bundles'))
  return await openSmsGateway(provider, {
    ...rest,
    fetch,
    otaSigner: noOta,
    // what becomes of a message to a person is seen by its answer: an acknowledgement
    onReceipt: async () => {},
    secret: secretsOf(config),
  })
}

/** Bundles over the broker; null when they go to a URL. `link` stays the caller's to close. */
export function createOtaOverMqtt(
  { triggers, mqtt }: Config,
  { link, parallel, otaSigner }: { link: MqttLink; parallel: number } & Pick<TriggerHost, 'otaSigner'>,
): TriggerChannel | null {
  if (triggers.ota.url !== null) return null
  const { lifetimeMs } = triggers.ota
  return createOtaMqttChannel({ link, prefix: mqtt.topicPrefix, lifetimeMs, parallel }, { otaSigner })
}

/** What proves receipts: for `createSmsReceipts`. Only the provider that is configured can report. */
export function smsReceiptKeys({ triggers: { sms } }: Config): SmsReceiptKeys {
  const url = sms.receiptsUrl === null ? null : `${sms.receiptsUrl}${smsReceiptsPrefix}twilio`
  const { authToken } = sms.twilio
  const { password } = sms.kannel
  return {
    twilio: sms.provider === 'twilio' && url !== null && authToken !== null ? { authToken, url } : null,
    kannel: sms.provider === 'kannel' && url !== null && password !== null ? { password } : null,
  }
}

function smsProvider({ triggers: { sms } }: Config): SmsProvider | null {
  const { provider, from, timeoutMs, insecureHttp, twilio, smpp, kannel, receiptsUrl } = sms
  const receipts = (name: string) =>
    receiptsUrl === null ? null : `${receiptsUrl}${smsReceiptsPrefix}${name}`
  switch (provider) {
    case 'none':
      return null
    case 'twilio':
      return {
        provider,
        from,
        timeoutMs,
        insecureHttp,
        baseUrl: twilio.baseUrl,
        accountSid: twilio.accountSid ?? lacking('sms.twilio.accountSid'),
        authToken: 'sms.twilio.authToken',
        statusCallback: receipts('twilio'),
      }
    case 'smpp':
      return {
        provider,
        ...smpp,
        from,
        timeoutMs,
        tls: !smpp.insecurePlaintext,
        host: smpp.host ?? lacking('sms.smpp.host'),
        password: 'sms.smpp.password',
        enquireMs: smpp.enquireIntervalMs,
      }
    case 'kannel':
      return {
        provider,
        ...kannel,
        from,
        timeoutMs,
        insecureHttp,
        url: kannel.url ?? lacking('sms.kannel.url'),
        password: 'sms.kannel.password',
        reportUrl: receipts('kannel'),
      }
  }
}

function secretsOf({ triggers: { webhook, sms, ota } }: Config): TriggerHost['secret'] {
  const secrets: Readonly<Record<string, string | null>> = {
    'webhook.secret': webhook.secret,
    'ota.authorization': ota.authorization,
    'sms.twilio.authToken': sms.twilio.authToken,
    'sms.smpp.password': sms.smpp.password,
    'sms.kannel.password': sms.kannel.password,
  }
  return async (name) => secrets[name] ?? lacking(name)
}

/** The rules of the configuration have asked for it already. */
function lacking(key: string): never {
  throw new Refusal('configuration-invalid', `triggers.${key} is not set`)
}

/**
 * The signer of OTA bundles. Its key lives with the authority, which makes it with the first bundle; the public half lies in
 * a file that is given to devices.
 * @throws Refusal of the authority: `passphrase-wrong`, `issuer-unavailable`
 */
export async function openOtaSigner(
  { otaKeyFile }: Pick<DataDirectory, 'otaKeyFile'>,
  authority: Authority,
  random: Random,
): Promise<OtaSigner> {
  const spki = (await readPublicKey(otaKeyFile)) ?? (await makeKey(otaKeyFile, authority, random))
  return { spki, sign: async (bytes) => await authority.sign(otaKeyReference, 'ed25519', bytes) }
}

async function makeKey(otaKeyFile: string, authority: Authority, random: Random): Promise<Uint8Array> {
  if (!(await authority.hasKey(otaKeyReference))) {
    await authority.createKey(otaKeyReference, 'ed25519').catch((error: unknown) => {
      // another process was faster; its key is ours
      if (!(error instanceof Refusal && error.code === 'already-exists')) throw error
    })
  }
  const spki = await authority.publicKey(otaKeyReference)
  // two first bundles at one time write the same
  await createFileAtomically(otaKeyFile, encodePem('PUBLIC KEY', spki), 0o644, token(random, 6))
  return spki
}

async function readPublicKey(file: string): Promise<Uint8Array | null> {
  try {
    const [block] = decodePem(await readFile(file, 'utf8'))
    return block?.label === 'PUBLIC KEY' ? block.der : null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

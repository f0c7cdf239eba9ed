/** Connectors as the configuration asks for them. The one that needs a link to a broker is made by whoever serves. */
import { Refusal } from './base/errors.ts'
import type { ExtensionHost } from './base/extension.ts'
import type { Config } from './config.ts'
import { createEmqxDisconnector } from './connectors/emqx.ts'
import { createHiveMqDisconnector } from './connectors/hivemq.ts'
import { createWebhookDisconnector } from './connectors/webhook.ts'
import type { Disconnector } from './engine/ports.ts'

/** Names of those that are configured, whether or not this process runs them: what a decision writes tasks for. */
export function configuredConnectors({ connectors }: Config): string[] {
  const { mosquitto, emqx, hivemq, webhook } = connectors
  return [
    ...(mosquitto.dynsec ? ['mosquitto'] : []),
    ...(emqx.url === null ? [] : ['emqx']),
    ...(hivemq.url === null ? [] : ['hivemq']),
    ...(webhook.url === null ? [] : ['webhook']),
  ]
}

/** Those that need no broker. Opens no connection. @throws Refusal `configuration-invalid` */
export async function createConnectors(
  config: Config,
  parts: Pick<ExtensionHost, 'clock' | 'random' | 'log'>,
): Promise<Disconnector[]> {
  const { emqx, hivemq, webhook } = config.connectors
  const secrets: Readonly<Record<string, string | null>> = {
    'emqx.apiSecret': emqx.apiSecret,
    'hivemq.authorization': hivemq.authorization,
    'webhook.secret': webhook.secret,
  }
  const secret = async (name: string) => secrets[name] ?? lacking(name)
  const host: ExtensionHost = { ...parts, fetch, secret }
  const connectors: Disconnector[] = []
  if (emqx.url !== null) {
    const options = { ...emqx, url: emqx.url, apiKey: emqx.apiKey ?? lacking('emqx.apiKey') }
    connectors.push(await createEmqxDisconnector({ ...options, apiSecret: 'emqx.apiSecret' }, host))
  }
  if (hivemq.url !== null) {
    const authorization = hivemq.authorization === null ? null : 'hivemq.authorization'
    connectors.push(await createHiveMqDisconnector({ ...hivemq, url: hivemq.url, authorization }, host))
  }
  if (webhook.url !== null) {
    const options = { ...webhook, url: webhook.url, secret: 'webhook.secret' }
    connectors.push(await createWebhookDisconnector(options, host))
  }
  return connectors
}

/** The rules of the configuration have asked for it already. */
function lacking(key: string): never {
  throw new Refusal('configuration-invalid', `connectors.${key} is not set`)
}

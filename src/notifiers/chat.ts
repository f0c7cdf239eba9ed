/** Chats: one message for many alerts, posted to an address that is a secret. What a chat looks like is its own file. */
import type { Extension, ExtensionHost } from '../base/extension.ts'
import type { NotifiedAlert, Notifier, NotifierMessage } from '../engine/ports.ts'
import { checkUrl, openReceiver, type HttpOptions } from './post.ts'

export interface ChatOptions extends HttpOptions {
  /** `notifiers.NAME`: `NAME.url` is its secret. */
  readonly name: string
}

export interface Chat {
  readonly kind: string
  /** Alerts that one message may show; the rest is a line. */
  readonly mostAlerts: number
  /** @param more what to say of those that are not shown; null when all are. @returns the body, to be JSON */
  render(message: NotifierMessage, shown: readonly NotifiedAlert[], more: string | null): object
}

export function chatExtension(chat: Chat): Extension<ChatOptions, Notifier> {
  return {
    kind: chat.kind,
    optionSchema: { type: 'object', required: ['name', 'timeoutMs', 'allow', 'insecureHttp'] },
    create: async (options, host) => await createChat(chat, options, host),
  }
}

/** @throws Refusal `configuration-invalid` */
async function createChat(chat: Chat, options: ChatOptions, host: ExtensionHost): Promise<Notifier> {
  const { name } = options
  const url = await host.secret(`${name}.url`)
  checkUrl(name, url, options)
  const receiver = openReceiver(name, options, host)
  return {
    kind: chat.kind,
    isPerAlert: false,
    async notify(message, signal) {
      const shown = message.alerts.slice(0, chat.mostAlerts)
      const left = message.alerts.length - shown.length
      const more = left === 0 ? null : `and ${left} more: perennial alert list`
      await receiver.post({ url, body: JSON.stringify(chat.render(message, shown, more)) }, signal)
      return { reference: null }
    },
    close: async () => {},
  }
}

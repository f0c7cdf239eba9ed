/** Alerts by e-mail, over a mail server of the operator's own. */
import { createTransport } from 'nodemailer'
import { isLoopbackHost } from '../base/secure-url.ts'
import { Refusal } from '../base/errors.ts'
import type { Extension, ExtensionHost } from '../base/extension.ts'
import { printable } from '../base/text.ts'
import type { Notifier, NotifierMessage } from '../engine/ports.ts'
import { cut, linesOf, titleOf } from './message-text.ts'

export interface EmailOptions {
  /** `notifiers.NAME`: `NAME.url` and, with an account, `NAME.secret` are its secrets. */
  readonly name: string
  readonly from: string
  readonly to: readonly string[]
  /** Account at the mail server; null: none. */
  readonly user: string | null
  readonly timeoutMs: number
  /** Allow a server that offers no TLS. */
  readonly insecureHttp: boolean
}

export const email: Extension<EmailOptions, Notifier> = {
  kind: 'email',
  optionSchema: { type: 'object', required: ['name', 'from', 'to', 'user', 'timeoutMs', 'insecureHttp'] },
  create: createEmail,
}

/** @throws Refusal `configuration-invalid` */
export async function createEmail(options: EmailOptions, host: ExtensionHost): Promise<Notifier> {
  const { name, from, to, user, timeoutMs, insecureHttp } = options
  const { protocol, hostname, port } = readUrl(name, await host.secret(`${name}.url`))
  const isPlainAllowed = insecureHttp || isLoopbackHost(hostname)
  const transport = createTransport({
    host: hostname,
    port: port === '' ? (protocol === 'smtps:' ? 465 : 587) : Number(port),
    secure: protocol === 'smtps:',
    // STARTTLS or nothing, so that nobody on the way turns it off
    requireTLS: protocol === 'smtp:' && !isPlainAllowed,
    ignoreTLS: protocol === 'smtp:' && isPlainAllowed && isLoopbackHost(hostname),
    ...(user === null ? {} : { auth: { user, pass: await host.secret(`${name}.secret`) } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    kind: 'email',
    isPerAlert: false,
    async notify(message, signal) {
      signal.throwIfAborted()
      try {
        const { messageId } = await transport.sendMail({ from, to: [...to], ...mailOf(message, from) })
        return { reference: messageId }
      } catch (error) {
        throw failed(name, error)
      }
    },
    close: async () => transport.close(),
  }
}

function readUrl(name: string, text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'smtp:' && url.protocol !== 'smtps:'))
    throw new Refusal('configuration-invalid', `${name}.url: it is not smtp://host:port or smtps://host:port`)
  return url
}

/** The message's id makes repeats one message to whoever looks at it (RFC 5322 §3.6.4). */
function mailOf(message: NotifierMessage, from: string) {
  const domain = from.slice(from.indexOf('@') + 1)
  const parts = message.alerts.map((alert) => linesOf(alert).join('\n'))
  return {
    messageId: `<${message.id}.${message.at}@${domain}>`,
    date: new Date(message.at),
    subject: cut(titleOf(message), 200),
    text: `${parts.join('\n\n')}\n`,
    headers: {
      // RFC 3834 §5: no out-of-office answers to us
      'auto-submitted': 'auto-generated',
      'x-perennial-event': message.event,
    },
  }
}

function failed(name: string, error: unknown): Refusal {
  const status = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : null
  const code = error instanceof Error && 'code' in error ? printable(String(error.code)) : 'no connection'
  if (status === null || Number.isNaN(status))
    return new Refusal('notify-failed', `${name}: the mail server could not be reached: ${code}`)
  // RFC 5321 §4.2.1: 5yz is for good, but for 535 and its like, which a person corrects
  const isForGood = status >= 550 && status < 560
  return new Refusal(
    isForGood ? 'notify-impossible' : 'notify-failed',
    `${name}: the mail server answered ${status} (${code})`,
  )
}

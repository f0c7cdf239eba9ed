/**
 * Mosquitto's dynamic security plugin, over MQTT on `$CONTROL/dynamic-security/v1`. The name of a client there is the common
 * name of the device's certificate, which is its id, and what it may do is a role of its own (`perennial broker acl --format
 * dynsec`). A client that is disabled is disconnected at once. But whoever names himself by a certificate is not asked at
 * CONNECT (version 2.0.11), so its role is taken away as well: it may connect again, and can do nothing. A CRL keeps it
 * out altogether.
 */
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { dynsecRoleOf } from '../base/mqtt-topics.ts'
import { token, type Random } from '../base/random.ts'
import { printable } from '../base/text.ts'
import type { Disconnector, MqttLink } from '../engine/ports.ts'

export interface MosquittoOptions {
  /** Shared with others and closed by whoever made it. */
  readonly link: MqttLink
  /** From the command to its answer, ms. */
  readonly timeoutMs: number
}

export interface MosquittoHost {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

const control = '$CONTROL/dynamic-security/v1'
const notFound = 'Client not found'
/** What is so already. */
const harmless = /already|not found/i

interface Command {
  readonly command: 'disableClient' | 'enableClient' | 'createClient' | 'removeClientRole' | 'addClientRole'
  readonly username: string
  readonly rolename?: string
}

interface Answer {
  readonly command: string
  readonly correlationData: string
  readonly error: string | null
}

export async function createMosquittoDisconnector(
  options: MosquittoOptions,
  host: MosquittoHost,
): Promise<Disconnector> {
  const commands_ = new Control(options, host)
  await commands_.listen()
  const ask = async (commands: readonly Command[], signal: AbortSignal) =>
    await commands_.ask(commands, signal)
  return {
    name: 'mosquitto',
    parallel: 32,
    async cut({ deviceId: username, isBarred }, signal) {
      const rolename = dynsecRoleOf(username)
      if (isBarred) check(await ask([{ command: 'removeClientRole', username, rolename }], signal))
      const [disabled] = await ask([{ command: 'disableClient', username }], signal)
      const isUnknown = disabled?.error === notFound
      if (!isUnknown && disabled) check([disabled])
      // in service: it comes back with the certificate that is good
      if (!isBarred) check(await ask([{ command: 'enableClient', username }], signal))
      else if (isUnknown) {
        const commands = ['createClient', 'disableClient'] as const
        check(
          await ask(
            commands.map((command) => ({ command, username })),
            signal,
          ),
        )
      }
      return null
    },
    async admit({ deviceId: username }, signal) {
      const rolename = dynsecRoleOf(username)
      // to give a role twice is an internal error there
      const commands = ['removeClientRole', 'addClientRole'] as const
      const given = await ask(
        commands.map((command) => ({ command, username, rolename })),
        signal,
      )
      check(given.filter(({ command }) => command === 'addClientRole'))
      check(await ask([{ command: 'enableClient', username }], signal))
      return null
    },
    async close() {
      commands_.close()
    },
  }
}

function check(answers: readonly Answer[]): void {
  const failed = answers.find(({ error }) => error !== null && !harmless.test(error))
  if (failed)
    throw new Refusal('connector-failed', `Mosquitto: ${failed.command}: ${printable(failed.error ?? '')}`)
}

interface Waiting {
  readonly answers: Answer[]
  readonly expected: number
  resolve(answers: readonly Answer[]): void
}

/** Commands and their answers, told apart by what we give them to repeat: every administrator hears all answers. */
class Control {
  readonly #options: MosquittoOptions
  readonly #host: MosquittoHost
  readonly #waiting = new Map<string, Waiting>()
  #isClosed = false

  constructor(options: MosquittoOptions, host: MosquittoHost) {
    this.#options = options
    this.#host = host
  }

  async listen(): Promise<void> {
    await this.#options.link.subscribe(`${control}/response`, async ({ payload }) => this.#take(payload))
  }

  close(): void {
    this.#isClosed = true
  }

  /** @throws Refusal `connector-failed` when there is no connection, or no answer in time */
  async ask(commands: readonly Command[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { link, timeoutMs } = this.#options
    const { clock, random } = this.#host
    signal.throwIfAborted()
    if (this.#isClosed) throw new Refusal('connector-failed', 'the connector is closed')
    const correlationData = token(random, 9)
    const settled = new AbortController()
    const stop = AbortSignal.any([signal, settled.signal])
    try {
      return await new Promise<readonly Answer[]>((resolve, reject) => {
        this.#waiting.set(correlationData, { answers: [], expected: commands.length, resolve })
        const payload = JSON.stringify({
          commands: commands.map((command) => Object.assign({ correlationData }, command)),
        })
        link.publish({ topic: control, payload, retain: false }, signal).catch((error: unknown) => {
          const why = error instanceof Refusal ? error.message : String(error)
          reject(new Refusal('connector-failed', `Mosquitto: ${why}`))
        })
        clock.sleep(timeoutMs, stop).then(
          () =>
            reject(
              new Refusal(
                'connector-failed',
                'Mosquitto: the dynamic security plugin did not answer in time',
              ),
            ),
          () => reject(new Refusal('connector-failed', 'Mosquitto: was not waited for')),
        )
      })
    } finally {
      settled.abort()
      this.#waiting.delete(correlationData)
    }
  }

  #take(payload: Uint8Array): void {
    for (const answer of readAnswers(payload)) {
      const waiting = this.#waiting.get(answer.correlationData)
      if (!waiting) continue
      waiting.answers.push(answer)
      if (waiting.answers.length === waiting.expected) waiting.resolve(waiting.answers)
    }
  }
}

/** What is no answer of the plugin is passed over: others may write there. */
function readAnswers(payload: Uint8Array): Answer[] {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return []
  }
  const { responses } = (typeof value === 'object' && value !== null ? value : {}) as { responses?: unknown }
  if (!Array.isArray(responses)) return []
  return responses.flatMap((each: unknown): Answer[] => {
    const { command, correlationData, error } = (
      typeof each === 'object' && each !== null ? each : {}
    ) as Record<string, unknown>
    if (typeof command !== 'string' || typeof correlationData !== 'string') return []
    return [{ command, correlationData, error: typeof error === 'string' ? error : null }]
  })
}

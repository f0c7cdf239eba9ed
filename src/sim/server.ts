/** The device port of the simulated platform: requests of devices meet the network's luck, and then the shipped routes. */
import type { Clock } from '../base/clock.ts'
import type { Engine } from '../engine/context.ts'
import { createDeviceRoutes, type DeviceRoutes } from '../protocols/device-routes.ts'
import type { Wake, WireAnswer, WireRequest } from './fleet/messages.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import type { Network } from './network.ts'

/** What a device was told, for who checks whether it may be believed. */
export interface Told {
  readonly device: number
  readonly request: WireRequest
  readonly answer: NonNullable<WireAnswer>
}

export interface ServerParts {
  readonly clock: Clock
  readonly network: Network
  readonly ledger: Ledger
  readonly history: History
  /** The process that answers; null while there is none. */
  readonly engine: () => Engine | null
  /** Its firmware gets a certificate and never uses it. */
  readonly isBad: (device: number) => boolean
  /** Each answer that leaves the platform, whether or not it arrives. */
  readonly onTold?: (told: Told) => void
  /** For tests that plant bugs: what is told in place of an answer. */
  readonly alter?: (told: Told) => Told
}

const noBody = Buffer.alloc(0)

export class Server {
  requests = 0
  refused = 0
  readonly #parts: ServerParts
  #routes: { readonly engine: Engine; readonly routes: DeviceRoutes } | null = null

  constructor(parts: ServerParts) {
    this.#parts = parts
  }

  async answerAll(wakes: readonly Wake[], requests: readonly WireRequest[]): Promise<WireAnswer[]> {
    return await Promise.all(
      requests.map(async (request, n) => {
        const device = wakes[request.wake]?.device ?? -1
        const answer = await this.#answer(device, request, this.requests + n)
        this.#parts.history.note(`${request.path} ${answer?.status ?? 0}`, device)
        return answer
      }),
    ).finally(() => {
      this.requests += requests.length
    })
  }

  async #answer(device: number, request: WireRequest, n: number): Promise<WireAnswer> {
    const { network, ledger, clock, isBad } = this.#parts
    if (ledger.is(device, 'broken')) return null
    if (request.path.endsWith('/credential') && isBad(device)) {
      // it hangs, and is never heard of again
      ledger.breaks(device, clock.now())
      network.breaks(device)
      return null
    }
    const fate = network.fateOf(device, Math.floor(clock.now() / 1_000) + request.path.length * 7)
    if (fate === 'lost') return null
    const handled =
      fate === 'twice'
        ? (await Promise.all([this.#handle(device, request, n), this.#handle(device, request, n)]))[0]
        : await this.#handle(device, request, n)
    return fate === 'answer-lost' ? null : handled
  }

  async #handle(device: number, request: WireRequest, n: number): Promise<WireAnswer> {
    const { clock, engine: current, onTold } = this.#parts
    const engine = current()
    if (engine === null) return null
    if (this.#routes?.engine !== engine) this.#routes = { engine, routes: createDeviceRoutes(engine) }
    const { method, path, contentType, body, certificate } = request
    const response = await this.#routes.routes.handle({
      method,
      path,
      headers: contentType === null ? {} : { 'content-type': contentType },
      body: body === null ? noBody : Buffer.from(body, 'latin1'),
      peer: { address: `192.0.2.${n % 256}`, certificate, chain: [] },
      tlsUnique: null,
    })
    // a process that has died meanwhile says nothing
    if (current() !== engine) return null
    if (response.status >= 400) this.refused += 1
    const headers: Record<string, string> = { date: new Date(clock.now()).toUTCString() }
    for (const [name, value] of Object.entries(response.headers)) headers[name.toLowerCase()] = value
    const text =
      typeof response.body === 'string' ? response.body : Buffer.from(response.body).toString('latin1')
    const told = { device, request, answer: { status: response.status, headers, body: text } }
    const { answer } = this.#parts.alter?.(told) ?? told
    onTold?.({ device, request, answer })
    return answer
  }
}

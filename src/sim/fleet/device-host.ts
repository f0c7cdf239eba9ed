/**
 * Runs the shipped agent for each device that is awake. Those that wake together work side by side until each of them
 * waits for an answer or has gone to sleep: so what they ask is the same however long a step takes, and one message
 * carries the requests of hundreds.
 */
import { assert, Refusal } from '../../base/errors.ts'
import type { Clock, Instant } from '../../base/clock.ts'
import { Agent } from '../../agent/agent.ts'
import { shownBy } from '../../agent/agent-core.ts'
import { parseAnchors } from '../../agent/agent-trust.ts'
import type { Answer, Exchange } from '../../agent/est-exchange.ts'
import { EstTransport } from '../../agent/est-transport.ts'
import { activeCredential, nextStep, type AgentState } from '../../agent/agent-state.ts'
import { slots } from '../../agent/keystore.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { about, chance, quickRandom } from '../chance.ts'
import { createFactory, deviceIdOf, type Factory, type Produced } from './factory.ts'
import { Flash, flashCredentials, flashInbox, flashKeystore, flashMemory, PowerCut } from './flash.ts'
import type { Host, HostPlan, Round, Wake, WakeEnd, WireAnswer, WireRequest } from './messages.ts'
import { FileShelf, LiveShelf, type Shelf } from './shelf.ts'

interface Waiting {
  readonly request: WireRequest
  readonly resolve: (answer: WireAnswer) => void
}

/** Devices that are awake together. */
class Group {
  waiting: Waiting[] = []
  ended: WakeEnd[] = []
  #working = 0
  #settled: { readonly resolve: (round: Round) => void; readonly reject: (error: unknown) => void } | null =
    null
  /** Whose answers are due, in the order in which they were asked for. */
  #asked: Waiting[] = []

  /** Resolves when nobody works any more. */
  round(working: number, start: () => void): Promise<Round> {
    this.#working += working
    return new Promise((resolve, reject) => {
      this.#settled = { resolve, reject }
      start()
      this.#look()
    })
  }

  ask(request: WireRequest): Promise<WireAnswer> {
    return new Promise((resolve) => {
      this.waiting.push({ request, resolve })
      this.#working -= 1
      this.#look()
    })
  }

  fail(error: unknown): void {
    this.#settled?.reject(error)
    this.#settled = null
  }

  end(end: WakeEnd): void {
    this.ended.push(end)
    this.#working -= 1
    this.#look()
  }

  answer(answers: readonly WireAnswer[]): Promise<Round> {
    const asked = this.#asked
    assert(answers.length === asked.length, 'each request has its answer')
    return this.round(asked.length, () => {
      for (const [at, { resolve }] of asked.entries()) resolve(answers[at] ?? null)
    })
  }

  #look(): void {
    if (this.#working > 0 || this.#settled === null) return
    const { resolve } = this.#settled
    this.#settled = null
    this.#asked = this.waiting.sort((a, b) => a.request.wake - b.request.wake)
    const round = { requests: this.#asked.map(({ request }) => request), ended: this.ended }
    this.waiting = []
    this.ended = []
    resolve(round)
  }
}

export class DeviceHost implements Host {
  readonly #plan: HostPlan
  readonly #factory: Factory
  readonly #shelf: Shelf
  readonly #anchors: readonly Certificate[]
  readonly #intermediates: readonly Uint8Array[]
  readonly #groups = new Map<number, Group>()

  constructor(plan: HostPlan) {
    this.#plan = plan
    this.#factory = createFactory(plan.factory)
    this.#shelf = plan.shelfFile === null ? new LiveShelf() : new FileShelf(plan.shelfFile)
    this.#anchors = parseAnchors(plan.rootPem)
    this.#intermediates = plan.intermediates
  }

  produce(from: number, to: number): Produced[] {
    const made: Produced[] = []
    for (let device = from; device < to; device++) {
      const { produced, key } = this.#factory.make(device)
      const flash = new Flash()
      flash.keep('a', parseCertificate(produced.der), key, this.#intermediates)
      flash.active = 'a'
      this.#shelf.put(device, flash)
      made.push(produced)
    }
    return made
  }

  async begin(id: number, wakes: readonly Wake[]): Promise<Round> {
    const group = new Group()
    this.#groups.set(id, group)
    return await group.round(wakes.length, () => {
      for (const [at, wake] of wakes.entries()) {
        this.#live(group, at, wake).catch((error: unknown) => group.fail(error))
      }
    })
  }

  async answer(id: number, answers: readonly WireAnswer[]): Promise<Round> {
    const group = this.#groups.get(id)
    assert(group, 'a group that is answered has asked')
    const round = await group.answer(answers)
    if (round.requests.length === 0) this.#groups.delete(id)
    return round
  }

  async close(): Promise<void> {
    this.#shelf.close()
  }

  async #live(group: Group, at: number, wake: Wake): Promise<void> {
    const flash = this.#shelf.take(wake.device)
    flash.powerUp(wake.power)
    const clock = this.#clockOf(wake)
    let end: Pick<WakeEnd, 'outcome' | 'step' | 'retryAt' | 'isActivated'>
    try {
      const agent = this.#boot(group, at, { wake, flash, clock })
      for (const payload of wake.messages) {
        await agent.receive({ kind: 'renew', payload: Buffer.from(payload) })
      }
      const { step, outcome, retryAt: asked, isActivated } = await agent.settle('keep')
      const retryAt = isActivated ? dueOf(await agent.state(), clock.now()) : asked
      // the agent's clock may be wrong: what it says is turned back into the world's
      const localRetry = retryAt === null ? null : retryAt - (clock.now() - wake.at)
      end = {
        outcome: step.kind === 'stuck' ? 'stuck' : outcome,
        step: step.kind,
        retryAt: localRetry,
        isActivated,
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
      end = { outcome: 'power-cut', step: 'write', retryAt: null, isActivated: false }
    }
    flash.powerUp(null)
    this.#shelf.put(wake.device, flash)
    const current = activeCredential(flash.credentials())
    const notAfter = current?.certificate.notAfter ?? null
    group.end({ ...end, wake: at, notAfter, held: this.#plan.isExact ? heldBy(flash) : [] })
  }

  #clockOf({ device, at }: Wake): Clock {
    const { seed, values } = this.#plan.factory
    const isWrong = chance(seed, device, about.clock, 1) < values['clock.wrong']
    const offsetMs = isWrong
      ? Math.round((2 * chance(seed, device, about.clock) - 1) * values['clock.error'])
      : 0
    return {
      now: () => at + offsetMs,
      sleep: async () => {
        throw new Error('a simulated agent does not sleep: it ends its time awake')
      },
    }
  }

  #boot(group: Group, at: number, parts: { wake: Wake; flash: Flash; clock: Clock }): Agent {
    const { rootPem, agent, factory } = this.#plan
    const { wake, flash, clock } = parts
    const seed = factory.seed ^ Math.floor(chance(factory.seed, wake.device, about.agent, wake.at) * 2 ** 32)
    return new Agent({
      config: { ...agent, deviceId: deviceIdOf(wake.device) },
      anchors: { current: () => this.#anchors, pem: () => rootPem, replace: async () => undefined },
      clock,
      random: quickRandom(seed),
      keystore: flashKeystore(flash),
      credentials: flashCredentials(flash),
      memory: flashMemory(flash),
      inbox: flashInbox(flash),
      transport: new EstTransport({
        url: agent.server,
        label: agent.label,
        trustPem: () => rootPem,
        clock,
        exchange: async (exchange) => await this.#exchange(group, at, exchange),
      }),
    })
  }

  async #exchange(group: Group, wake: number, exchange: Exchange): Promise<Answer> {
    const { url, method, headers, body, identity } = exchange
    const answer = await group.ask({
      wake,
      method,
      path: url.pathname,
      contentType: headers['Content-Type'] ?? null,
      body,
      certificate: identity === null ? null : shownBy(identity).der,
    })
    if (answer === null) throw new Refusal('server-unreachable', 'no answer from the server')
    return { status: answer.status, headers: answer.headers, body: Buffer.from(answer.body) }
  }
}

/** When a device that has just renewed wants to be awake again. */
function dueOf(state: AgentState, now: Instant): Instant | null {
  const next = nextStep(state, now)
  return next.kind === 'wait' ? next.until : null
}

function heldBy(flash: Flash): string[] {
  const { active } = flash
  const order = active === 'b' ? ['b' as const, 'a' as const] : slots
  return order.flatMap((slot) => flash.slots[slot].leaf?.serialNumber ?? [])
}

/**
 * Devices that are not simulated: each an agent over a state directory with its files, as `perennial agent run` opens it, which
 * speaks TLS to the device port on a socket. Only the clock and who is awake when are those of the world.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkAgentConfig } from '../../src/agent/agent-config.ts'
import { parseAnchors } from '../../src/agent/agent-trust.ts'
import { activeCredential, nextStep } from '../../src/agent/agent-state.ts'
import type { Agent } from '../../src/agent/agent.ts'
import { exchange, type Answer, type Exchange } from '../../src/agent/est-exchange.ts'
import { EstTransport } from '../../src/agent/est-transport.ts'
import { openAgent, setUpAgent } from '../../src/agent/open-agent.ts'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { about, chance } from '../../src/sim/chance.ts'
import { createFactory, deviceIdOf, type Produced } from '../../src/sim/fleet/factory.ts'
import type { Host, HostPlan, Round, Wake, WakeEnd } from '../../src/sim/fleet/messages.ts'
import { privateKeyFrom } from '../../src/sim/fleet/p256.ts'

/** Devices that are at work at one time. */
const together = 8

export interface SocketHostOptions {
  readonly directory: string
  /** Where the device port is, once it is there. */
  readonly server: () => Promise<{ readonly url: string; readonly trustPem: string }>
}

export class SocketHost implements Host {
  readonly #plan: HostPlan
  readonly #options: SocketHostOptions

  constructor(plan: HostPlan, options: SocketHostOptions) {
    this.#plan = plan
    this.#options = options
  }

  produce(from: number, to: number): Produced[] {
    const factory = createFactory(this.#plan.factory)
    return Array.from({ length: to - from }, (_, n) => {
      const { produced, key } = factory.make(from + n)
      const directory = this.#directory(from + n)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const write = (name: string, text: string): void =>
        writeFileSync(join(directory, name), text, { mode: 0o600 })
      const privateKey = privateKeyFrom(key.spki, String(key.privateKey))
      write('a.key', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
      const chain = [produced.der, ...this.#plan.intermediates]
      write('a.pem', chain.map((der) => encodePem('CERTIFICATE', der)).join(''))
      write('active.json', '{"active":"a","retired":null}\n')
      return produced
    })
  }

  async begin(_group: number, wakes: readonly Wake[]): Promise<Round> {
    const ended: WakeEnd[] = []
    for (let from = 0; from < wakes.length; from += together) {
      const some = wakes.slice(from, from + together)
      ended.push(...(await Promise.all(some.map(async (wake, n) => await this.#live(from + n, wake)))))
    }
    return { requests: [], ended }
  }

  answer(): Promise<Round> {
    throw new Error('these devices ask on their sockets')
  }

  async close(): Promise<void> {}

  async #live(at: number, wake: Wake): Promise<WakeEnd> {
    const clock = this.#clockOf(wake)
    const agent = await this.#open(wake, clock)
    for (const payload of wake.messages) await agent.receive({ kind: 'renew', payload: Buffer.from(payload) })
    const { step, outcome, retryAt: asked, isActivated } = await agent.settle('keep')
    const state = await agent.state()
    const next = nextStep(state, clock.now())
    const local = isActivated ? (next.kind === 'wait' ? next.until : null) : asked
    const held = [state.active, state.active === 'b' ? 'a' : 'b'].flatMap((slot) => {
      const credential = slot === null ? null : state.slots[slot as 'a' | 'b']
      return credential?.kind === 'stored' ? [credential.certificate.serialNumber] : []
    })
    return {
      wake: at,
      outcome: step.kind === 'stuck' ? 'stuck' : outcome,
      step: step.kind,
      retryAt: local === null ? null : local - (clock.now() - wake.at),
      isActivated,
      notAfter: activeCredential(state)?.certificate.notAfter ?? null,
      held,
    }
  }

  async #open({ device, at }: Wake, clock: Clock): Promise<Agent> {
    const { agent, rootPem, factory } = this.#plan
    const directory = this.#directory(device)
    const { url, trustPem } = await this.#options.server()
    const config = checkAgentConfig({ ...agent, deviceId: deviceIdOf(device), server: url })
    await setUpAgent({ directory }, { config, anchors: parseAnchors(rootPem) })
    const transport = new EstTransport({
      url,
      label: agent.label,
      trustPem: () => trustPem,
      clock,
      // time-outs are those of the sockets; the date that Node writes into an answer is today's, and not the world's
      exchange: async (request: Exchange): Promise<Answer> => {
        const answer = await exchange({
          ...request,
          clock: { now: () => clock.now(), sleep: systemClock.sleep },
        })
        return { ...answer, headers: { ...answer.headers, date: new Date(at).toUTCString() } }
      },
    })
    return await openAgent({
      directory,
      clock,
      random: seededRandom(`${factory.seed} ${device} ${at}`),
      transport,
    })
  }

  #clockOf({ device, at }: Wake): Clock {
    const { seed, values } = this.#plan.factory
    const isWrong = chance(seed, device, about.clock, 1) < values['clock.wrong']
    const offsetMs = isWrong
      ? Math.round((2 * chance(seed, device, about.clock) - 1) * values['clock.error'])
      : 0
    return { now: () => at + offsetMs, sleep: () => Promise.reject(new Error('nobody sleeps here')) }
  }

  #directory(device: number): string {
    return join(this.#options.directory, deviceIdOf(device))
  }
}

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import * as fc from 'fast-check'
import { AgentServer } from '../../test/helpers/agent-server.ts'
import { testNow } from '../../test/helpers/certificates.ts'
import { type Clock, dayMs, hourMs, type Instant, minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import { agentDefaults, checkAgentConfig } from './agent-config.ts'
import { writeFile, type WriteFile } from './agent-directory.ts'
import type { AgentTransport } from './agent-transport.ts'
import type { Agent, AgentEvent } from './agent.ts'
import { activeCredential, renewalInstant } from './agent-state.ts'
import { openAgent, setUpAgent } from './open-agent.ts'

class PowerCut extends Error {}

/** Where the power fails: at the how-manieth effect, and whether that effect still happens. */
interface Cut {
  readonly at: number
  readonly phase: 'before' | 'half' | 'after'
}

/** Sleeping takes no time; the loop ends when `endAt` is passed. */
class JumpingClock implements Clock {
  at: Instant = testNow
  readonly stop = new AbortController()
  endAt = Infinity

  now(): Instant {
    return this.at
  }

  async sleep(ms: number): Promise<void> {
    this.at += ms
    if (this.at >= this.endAt) this.stop.abort()
  }
}

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** One device and its server; the device may be switched off and on. */
class Rig {
  readonly clock = new JumpingClock()
  readonly server: AgentServer
  readonly directory = mkdtempSync(join(tmpdir(), 'perennial-agent-'))
  readonly events: AgentEvent[] = []
  effects = 0
  cut: Cut | null = null

  constructor(options: ConstructorParameters<typeof AgentServer>[1] = {}) {
    folders.push(this.directory)
    this.server = new AgentServer(this.clock, options)
  }

  async setUp(): Promise<this> {
    const config = checkAgentConfig({
      ...agentDefaults,
      deviceId: 'device-1',
      server: 'https://est.example:8443',
    })
    await setUpAgent(this, { config, anchors: [this.server.root.certificate] })
    return this
  }

  async enrolled(): Promise<this> {
    await this.setUp()
    const agent = await this.boot()
    assert.equal((await agent.settle('enrol')).isActivated, true)
    return this
  }

  /** As after a power cut: nothing is left but what is in the directory and on the server. */
  async boot(secret = 'secret-1'): Promise<Agent> {
    this.effects = 0
    return await openAgent({
      directory: this.directory,
      clock: this.clock,
      random: seededRandom('agent'),
      write: this.write,
      transport: this.transport,
      bootstrap: { kind: 'secret', username: 'device-1', password: secret },
      onEvent: (event) => void this.events.push(event),
    })
  }

  readonly write: WriteFile = async (path, data, mode) =>
    await this.#effect(
      async () => await writeFile(path, data, mode),
      () => writeFileSync(`${path}.new`, 'torn'),
    )

  readonly transport: AgentTransport = {
    ask: async (request) =>
      await this.#effect(
        async () => await this.server.ask(request),
        () => undefined,
      ),
  }

  async #effect<Value>(happen: () => Promise<Value>, half: () => void): Promise<Value> {
    const { at, phase } = this.cut ?? { at: -1, phase: 'before' }
    const isCut = this.effects++ === at
    if (isCut && phase === 'half') half()
    if (isCut && phase !== 'after') throw new PowerCut()
    const value = await happen()
    if (isCut) throw new PowerCut()
    return value
  }

  /** Something stored that the server lets in, and an active credential that can be read. */
  async assertWorking(): Promise<void> {
    const state = await (await this.boot()).state()
    assert.ok(activeCredential(state), 'the active credential is whole')
    const held = Object.values(state.slots)
    assert.ok(
      held.some((slot) => slot.kind === 'stored' && this.server.accepts(slot.certificate)),
      'one of the credentials works',
    )
  }

  async activeSerial(): Promise<string> {
    const active = activeCredential(await (await this.boot()).state())
    assert.ok(active)
    assert.ok(this.server.accepts(active.certificate), 'the active certificate is accepted')
    return active.certificate.serialNumber
  }

  /** To the instant at which the active certificate is renewed. */
  async toRenewal(): Promise<void> {
    const state = await (await this.boot()).state()
    const active = activeCredential(state)
    assert.ok(active)
    this.clock.at = renewalInstant(state.config, active.certificate) + minuteMs
  }
}

/** Steps until nothing is left to do, jumping over the waits that are shorter than a day. */
async function work(rig: Rig, agent: Agent): Promise<void> {
  for (let steps = 0; steps < 200; steps++) {
    const { outcome, retryAt } = await agent.step()
    if (outcome === 'done') continue
    if (retryAt === null || retryAt - rig.clock.at > dayMs) return
    rig.clock.at = Math.max(rig.clock.at, retryAt)
  }
  assert.fail('it does not come to rest')
}

const phases = ['before', 'half', 'after'] as const

suite('power cuts', () => {
  test('at every effect of a renewal: a working credential, one certificate, and the renewal is finished', async () => {
    let isThrough = false
    for (let at = 0; !isThrough; at++) {
      for (const phase of phases) {
        const rig = await new Rig().enrolled()
        const before = await rig.activeSerial()
        await rig.toRenewal()
        const agent = await rig.boot()
        rig.cut = { at, phase }
        isThrough = await work(rig, agent).then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof PowerCut, String(error))
            return false
          },
        )
        rig.cut = null
        await rig.assertWorking()
        await work(rig, await rig.boot())
        assert.notEqual(await rig.activeSerial(), before)
        assert.equal(rig.server.issued.length, 2, `cut ${at} ${phase}: one key, one request, one certificate`)
      }
      assert.ok(at < 40)
      if (isThrough) assert.ok(at > 8, 'there was something to cut')
    }
  })

  test('at every effect of the first enrolment: the same secret finishes it', async () => {
    let isThrough = false
    for (let at = 0; !isThrough; at++) {
      for (const phase of phases) {
        const rig = await new Rig().setUp()
        const agent = await rig.boot()
        rig.cut = { at, phase }
        isThrough = await agent.settle('enrol').then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof PowerCut, String(error))
            return false
          },
        )
        rig.cut = null
        if (!isThrough) {
          const again = await rig.boot()
          if (activeCredential(await again.state()) === null) await again.settle('enrol')
        }
        await rig.assertWorking()
        assert.equal(rig.server.issued.length, 1)
      }
    }
  })

  test('any sequence of cuts and outages over several renewals', async () => {
    const trouble = fc.record({
      at: fc.integer({ min: 0, max: 14 }),
      phase: fc.constantFrom(...phases),
      isDown: fc.boolean(),
      isStrict: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 8 }), async (troubles) => {
        const rig = await new Rig().enrolled()
        for (const { isDown, isStrict, ...cut } of troubles) {
          await rig.toRenewal()
          rig.server.isStrict = isStrict
          rig.server.says = isDown ? () => ({ kind: 'failed', detail: 'down', serverNow: null }) : null
          const agent = await rig.boot()
          rig.cut = cut
          for (let steps = 0; steps < 6; steps++) {
            const isCut = await agent.step().then(
              () => false,
              (error: unknown) => assert.ok(error instanceof PowerCut, String(error)) === undefined,
            )
            if (isCut) break
          }
          rig.cut = null
          await rig.assertWorking()
        }
        rig.server.says = null
        rig.clock.at += dayMs
        await work(rig, await rig.boot())
        await rig.activeSerial()
        const live = rig.server.issued.filter(({ certificate }) => rig.server.accepts(certificate))
        assert.equal(live.length, 1)
      }),
      { numRuns: 12 },
    )
  })
})

suite('renewal', () => {
  test('happens by itself in the loop, many times, and the old certificate serves until the new one did', async () => {
    const rig = await new Rig({ validityMs: 9 * dayMs, renewBeforeMs: 4 * dayMs }).enrolled()
    rig.clock.endAt = rig.clock.at + 36 * dayMs
    await (await rig.boot()).run(rig.clock.stop.signal)
    await rig.activeSerial()
    // 9 days of life, renewed after 6 to 6.45 of them
    assert.equal(rig.server.issued.length, 1 + 5)
    const lines = rig.events.filter(({ event }) => event === 'wait').map(({ message }) => message)
    assert.match(lines[0] ?? '', /^the renewal is due on 2026-11-26T/)
  })

  test('comes too early: waits as long as the server says, with the key that it has', async () => {
    const rig = await new Rig({ renewBeforeMs: 10 * dayMs }).enrolled()
    await rig.toRenewal()
    const agent = await rig.boot()
    const first = await agent.settle('keep')
    assert.equal(first.outcome, 'waiting')
    assert.match(first.detail, /too early/)
    const opensAt = (rig.server.issued[0]?.certificate.notAfter ?? 0) - 10 * dayMs
    assert.ok(first.retryAt !== null && first.retryAt >= opensAt && first.retryAt <= opensAt + hourMs)
    rig.clock.at = first.retryAt - 1
    assert.equal((await agent.step()).step.kind, 'wait')
    rig.clock.at = first.retryAt
    assert.equal((await agent.step()).step.kind, 'request')
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('an outage is survived with growing, bounded pauses', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.says = () => ({ kind: 'failed', detail: 'no route', serverNow: null })
    const agent = await rig.boot()
    const pauses: number[] = []
    for (let i = 0; i < 14; i++) {
      const { retryAt, outcome } = await agent.step()
      assert.equal(outcome, 'failed')
      assert.ok(retryAt !== null)
      pauses.push(retryAt - rig.clock.at)
      rig.clock.at = retryAt
    }
    assert.ok(Math.min(...pauses) >= minuteMs)
    assert.ok(Math.max(...pauses) > hourMs && Math.max(...pauses) <= 6 * hourMs, String(pauses))
    rig.server.says = null
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('a trial that fails leaves the old certificate active; the next one that works swaps', async () => {
    const rig = await new Rig().enrolled()
    const before = await rig.activeSerial()
    await rig.toRenewal()
    const agent = await rig.boot()
    const first = rig.server.issued[0]?.certificate
    rig.server.says = ({ operation, bearer }) => {
      const isTrial =
        operation === 'cacerts' && bearer.kind === 'certificate' && rig.server.issued.length === 2
      return isTrial ? { kind: 'failed', detail: 'reset', serverNow: null } : null
    }
    const failed = await agent.settle('keep')
    assert.deepEqual([failed.step.kind, failed.outcome], ['try', 'failed'])
    assert.equal(await rig.activeSerial(), before)
    assert.ok(first && rig.server.accepts(first))
    rig.server.says = null
    await work(rig, await rig.boot())
    assert.notEqual(await rig.activeSerial(), before)
  })

  test('a server that refuses the new certificate is asked about the old one: retired, so the new one is used', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    const agent = await rig.boot()
    rig.server.says = ({ operation, bearer }) => {
      const [first, second] = rig.server.issued
      if (operation !== 'cacerts' || bearer.kind !== 'certificate' || !first || !second) return null
      // the answer is lost, what it stands for is not
      second.status = 'confirmed'
      first.status = 'superseded'
      return { kind: 'refused', detail: 'alert', serverNow: null }
    }
    assert.equal((await agent.settle('keep')).outcome, 'refused')
    rig.server.says = null
    rig.clock.at += dayMs
    const { step, isActivated } = await (await rig.boot()).step()
    assert.deepEqual([step.kind, isActivated], ['request', true])
    assert.equal(await rig.activeSerial(), rig.server.issued[1]?.certificate.serialNumber)
  })

  test('a server that refuses the new certificate and wants the old one gets another key in the end', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.says = ({ operation, bearer }) =>
      operation === 'cacerts' && bearer.kind === 'certificate' && rig.server.issued.length === 2
        ? { kind: 'refused', detail: 'alert', serverNow: null }
        : null
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 3)
    assert.equal(await rig.activeSerial(), rig.server.issued[2]?.certificate.serialNumber)
  })

  test('a certificate of a stranger, for another key or with other names is not stored', async () => {
    const stranger = new AgentServer(new JumpingClock())
    const rig = await new Rig().enrolled()
    const before = await rig.activeSerial()
    await rig.toRenewal()
    const wrong = [
      stranger.root.certificate.der,
      rig.server.issuing.certificate.der,
      rig.server.issued[0]!.certificate.der,
    ]
    for (const der of wrong) {
      rig.server.says = ({ operation }) =>
        operation === 'reenroll' ? { kind: 'done', certificates: [der], serverNow: rig.clock.at } : null
      const result = await (await rig.boot()).settle('renew')
      assert.equal(result.outcome, 'refused')
      assert.match(result.detail, /not ours/)
      assert.equal(await rig.activeSerial(), before)
    }
  })
})

suite('enrolment', () => {
  test('a wrong secret changes nothing, and the right one goes on with the same key', async () => {
    const rig = await new Rig().setUp()
    for (let i = 0; i < 5; i++) {
      const { outcome } = await (await rig.boot('wrong')).settle('enrol')
      assert.equal(outcome, 'refused')
    }
    const [held] = Object.values((await (await rig.boot()).state()).slots)
    assert.equal(held?.kind, 'requested')
    assert.equal((await (await rig.boot()).settle('enrol')).isActivated, true)
    assert.equal(rig.server.issued[0]?.spkiHash, held.spkiHash)
  })

  test('without a certificate the loop says what to do', async () => {
    const rig = await new Rig().setUp()
    const run = (await rig.boot()).run(rig.clock.stop.signal)
    await assert.rejects(run, (error) => error instanceof Refusal && error.code === 'not-found')
  })

  test('keys and directory are private, and an open directory is refused', async () => {
    const rig = await new Rig().enrolled()
    assert.equal(statSync(join(rig.directory, 'a.key')).mode & 0o777, 0o600)
    chmodSync(rig.directory, 0o750)
    await assert.rejects(
      rig.boot(),
      (error) => error instanceof Refusal && error.code === 'data-directory-invalid',
    )
    chmodSync(rig.directory, 0o700)
    chmodSync(join(rig.directory, 'a.key'), 0o640)
    await assert.rejects((await rig.boot()).state(), /open to other users/)
  })
})

suite('clock', () => {
  test('a jump of ten years ahead starts no renewal: the server is asked for the time first', async () => {
    const rig = await new Rig({ validityMs: 90 * dayMs, renewBeforeMs: 90 * dayMs }).enrolled()
    const agent = await rig.boot()
    rig.clock.at += 3650 * dayMs
    rig.server.clockOffsetMs = -3650 * dayMs
    assert.equal((await agent.step()).step.kind, 'ask-time')
    const { step } = await agent.step()
    assert.equal(step.kind, 'wait')
    assert.match(step.kind === 'wait' ? step.why : '', /by the clock of the server$/)
    assert.equal(rig.server.issued.length, 1)
    assert.ok(
      rig.events.some(({ event, message }) => event === 'clock' && /this device says 2036/.test(message)),
    )
  })

  test('a jump back before the certificate is noticed, and the renewal still comes in time', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.clockOffsetMs = 3650 * dayMs
    rig.clock.at -= 3650 * dayMs
    const agent = await rig.boot()
    assert.equal((await agent.step()).step.kind, 'ask-time')
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('a hold that a clock of the future has set does not outlive the correction of that clock', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    const right = rig.clock.at
    rig.clock.at += 3650 * dayMs
    rig.server.says = () => ({ kind: 'failed', detail: 'certificate has expired', serverNow: null })
    assert.equal((await (await rig.boot()).step()).outcome, 'failed')
    rig.server.says = null
    rig.clock.at = right
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 2)
  })
})

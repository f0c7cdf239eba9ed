/**
 * Random worlds: fleets, faults, and people who pause, resume, abort, revoke, change rates and restart the platform between
 * any two commits. After each tick the invariants are checked; at the end nothing is faulty any more, and within 14
 * virtual days everybody who can be reached must be well. One seed is one world.
 */
import { dayMs, hourMs, minuteMs, stopwatch } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import { createCampaign } from '../engine/campaigns/campaign-create.ts'
import { editCampaign, startCampaign } from '../engine/campaigns/campaign-state.ts'
import type { Job } from '../engine/jobs.ts'
import { revokeDevice } from '../engine/revocation/revoke.ts'
import { campaignStatus } from '../store/campaigns.ts'
import { findDevice } from '../store/devices.ts'
import { openStore, type Store } from '../store/open.ts'
import { renewalsOfDevice } from '../store/renewal-lists.ts'
import { about, chance, seedOf } from './chance.ts'
import { Dead, mortalStore } from './crash.ts'
import { applyEvent } from './events.ts'
import { deviceIdOf } from './fleet/factory.ts'
import { openHost } from './fleet/open-host.ts'
import { simActor } from './installation.ts'
import { Invariants } from './invariants.ts'
import type { ParameterValues } from './parameters.ts'
import { Recorder } from './recorder.ts'
import { parseScenario, variantOf, type Scenario } from './scenario.ts'
import type { Told } from './server.ts'
import { campaignId, simulatedCampaign } from './setup.ts'
import { World } from './world.ts'

export interface FuzzOptions {
  readonly seed: string
  readonly devices?: number
  readonly days?: number
  /** How far a tick goes. */
  readonly tickMs?: number
  /** Bugs that a test plants; production has none of these seams. */
  readonly plant?: Plant
}

/** Where a test puts a bug into a world. */
export interface Plant {
  readonly store?: (store: Store, world: () => World) => Store
  readonly jobs?: (jobs: Job[], world: () => World) => Job[]
  readonly told?: (told: Told, world: () => World) => Told
  /** After each tick. */
  readonly tick?: (world: World) => Promise<void>
  /** Numbers of the world in which it shows. */
  readonly values?: Partial<ParameterValues>
}

export interface FuzzResult {
  readonly seed: string
  readonly violations: readonly string[]
  readonly historyHash: string
  readonly devices: number
  readonly days: number
  readonly actions: readonly string[]
  readonly wallMs: number
  /** The one command that runs this world again. */
  readonly replay: string
}

const livenessDays = 14
const longerThanLeaseMs = 5 * minuteMs

const text = `title: a random fleet
story: whatever may happen to it
ladder: { value: ['mqtt wait=2d repeats=3', 'sms wait=2d repeats=2', 'field before=10d'], from: story }
campaign:
  canary: { percentage: 20, minimum: 2, soak: 1d }
  brakes: { silent: { thresholdPercentage: 30, minNumberOfExecutedThings: 2 } }
`

let template: Promise<Scenario> | null = null

/** A world out of a seed. */
async function scenarioOf(options: FuzzOptions): Promise<Scenario> {
  template ??= parseScenario(text, 'fuzz')
  const seed = seedOf(options.seed)
  const draw = (n: number) => chance(seed, -2, about.agent, n)
  const often = (n: number, most: number) => (draw(n) < 0.5 ? 0 : draw(n + 1) * most)
  const days = options.days ?? 10 + Math.floor(draw(1) * 10)
  // the field list is not reached: who cannot be reached is asked again, and not given up
  const lead = (days + livenessDays + 30) * dayMs
  return variantOf(await template, {
    devices: options.devices ?? 2 + Math.floor(draw(2) * 5),
    days: days + livenessDays,
    tick: options.tickMs ?? (draw(3) < 0.7 ? dayMs : 12 * hourMs),
    // a certificate that replaces another is not due itself before a long run ends
    'certificate.life': Math.max(120 * dayMs, Math.round(1.9 * lead)),
    'certificate.lead': lead,
    'certificate.spread': Math.floor(draw(4) * 8) * dayMs,
    'renewal.before': lead + 2 * dayMs,
    'renewal.grace': Math.floor(draw(5) * 4) * dayMs,
    'campaign.window': Math.max(1, Math.floor(draw(6) * 8)) * dayMs,
    'contact.every': draw(7) < 0.5 ? 6 * hourMs : dayMs,
    'contact.missed': often(8, 0.4),
    'contact.sleep': Math.floor(draw(10) * 3) * dayMs,
    'outage.share': often(11, 0.4),
    'outage.window': Math.floor(draw(13) * days) * dayMs,
    'outage.repair': 4 * dayMs,
    'outage.stuck': 0.4,
    'outage.dead': 0.3,
    'sms.success': draw(14),
    'sms.dead': draw(15),
    'network.lost': often(16, 0.2),
    'network.replyLost': often(18, 0.3),
    'network.twice': often(20, 0.3),
    'clock.wrong': often(22, 0.5),
    'clock.error': 40 * dayMs,
    'flash.powerCut': often(24, 0.4),
    'flash.lost': draw(26) * 0.5,
    'firmware.bad': draw(27) < 0.15 ? 0.4 : 0,
    'visit.perDay': 0,
    ...options.plant?.values,
  })
}

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const elapsed = stopwatch()
  const scenario = await scenarioOf(options)
  const real = await openStore({ url: 'sqlite::memory:', synchronous: 'off' })
  try {
    const run = new FuzzedWorld(scenario, real, options)
    await run.run()
    const { devices, days, tick } = scenario.values
    const extra = [
      ...(options.devices === undefined ? [] : [`--devices ${devices}`]),
      ...(options.days === undefined ? [] : [`--days ${days - livenessDays}`]),
      ...(options.tickMs === undefined ? [] : [`--tick ${tick / hourMs}h`]),
    ]
    return {
      seed: options.seed,
      violations: run.invariants.violations,
      historyHash: run.world.history.digest(),
      devices,
      days,
      actions: run.actions,
      wallMs: Math.round(elapsed()),
      replay: ['perennial sim fuzz', `--seed ${options.seed}`, ...extra].join(' '),
    }
  } finally {
    await real.close()
  }
}

class FuzzedWorld {
  readonly world: World
  readonly invariants: Invariants
  readonly actions: string[] = []
  readonly #options: FuzzOptions
  readonly #store: Store
  #draws = 0
  /** A tick in which a process died has not run all of its jobs. */
  #isWhole = true

  constructor(scenario: Scenario, real: Store, options: FuzzOptions) {
    const { plant = {}, seed } = options
    const world = (): World => this.world
    this.#options = options
    this.#store = plant.store ? plant.store(real, world) : real
    this.world = new World({
      scenario,
      seed,
      store: this.#store,
      host: (plan) => openHost(plan, false),
      shelfFile: null,
      isExact: true,
      housekeepingMs: 5 * dayMs,
      onTold: (told) => this.invariants.told(told),
      onSend: (kind, device) => this.invariants.sent(kind, device),
      onEnd: (device, end) => this.invariants.ended(device, end),
      ...(plant.told
        ? { alter: (told: Told) => (plant.told as NonNullable<Plant['told']>)(told, world) }
        : {}),
      ...(plant.jobs
        ? { alterJobs: (jobs: Job[]) => (plant.jobs as NonNullable<Plant['jobs']>)(jobs, world) }
        : {}),
    })
    this.invariants = new Invariants(this.world, 'every device')
  }

  async run(): Promise<void> {
    const { world, invariants } = this
    await world.open()
    await this.#begin()
    const calmFrom = world.ticks - (livenessDays * dayMs) / world.scenario.values.tick
    const recorder = new Recorder(world)
    while (world.tick < world.ticks && invariants.violations.length === 0) {
      if (world.process === null) world.boot()
      if (world.tick < calmFrom) await this.#act()
      else if (world.tick < calmFrom + 1) await this.#calm()
      if (world.process === null) world.boot()
      await world.step()
      await this.#options.plant?.tick?.(world)
      await this.#watch()
      await invariants.check({ isWhole: this.#isWhole && world.process !== null })
      this.#isWhole = world.process !== null
    }
    await recorder.day(0)
    if (invariants.violations.length > 0) return
    await invariants.checkAll()
    await invariants.checkLog()
    await this.#everybodyIsWell()
    world.history.endOfTick(world.tick + 1)
    await world.close()
  }

  async #begin(): Promise<void> {
    const { world } = this
    const engine = world.process?.engine
    assert(engine, 'the platform runs')
    const now = world.now()
    const definition = simulatedCampaign(world.scenario, now)
    await createCampaign(engine, { id: campaignId, definition, actor: simActor, now })
    await startCampaign(engine, { id: campaignId, actor: simActor, now })
  }

  #draw(): number {
    return chance(this.world.seed, -1, about.visit, this.#draws++)
  }

  /** At most one thing that people or machines do between two ticks; whoever asks a dying process is told nothing. */
  async #act(): Promise<void> {
    try {
      await this.#actOnce()
    } catch (error) {
      if (!(error instanceof Dead)) throw error
      this.#did('the platform died under an order')
    }
  }

  async #actOnce(): Promise<void> {
    const luck = this.#draw()
    const event = (action: 'pause' | 'resume' | 'abort' | 'restart') =>
      applyEvent(this.world, this.invariants, { day: 0, action, devices: 0 })
    if (luck < 0.1) this.#did(await event('pause'))
    else if (luck < 0.25) this.#did(await event('resume'))
    else if (luck < 0.26) this.#did(await event('abort'))
    else if (luck < 0.3) this.#did(await this.#revoke())
    else if (luck < 0.36) this.#did(await this.#changeRate())
    else if (luck < 0.42) this.#did(await event('restart'))
    else if (luck < 0.6) this.#did(this.#planDeath())
    else if (luck < 0.66) this.#did(await this.#overtake())
  }

  #did(what: string): void {
    this.actions.push(`day ${this.world.day}: ${what}`)
    this.world.history.note(what)
  }

  async #revoke(): Promise<string> {
    const { world } = this
    const device = Math.floor(this.#draw() * world.ledger.devices)
    const engine = world.process?.engine
    if (!engine) return 'revoke: the platform is down'
    const id = deviceIdOf(device)
    try {
      await revokeDevice(engine, id, { reason: 'keyCompromise', actor: simActor })
    } finally {
      // a process that dies after the commit has revoked it all the same
      const record = await findDevice(this.#store.db, id)
      if (record?.state === 'quarantined') this.invariants.revoked(device)
    }
    return `device ${device} was revoked`
  }

  async #changeRate(): Promise<string> {
    const { world } = this
    const engine = world.process?.engine
    const maximumPerMinute = 1 + Math.floor(this.#draw() * 10)
    if (!engine) return 'rate: the platform is down'
    try {
      const edit = { rollout: { maximumPerMinute } }
      await editCampaign(engine, { id: campaignId, actor: simActor, now: world.now(), edit })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return `rate: ${error.code}`
    }
    return `the rate is ${maximumPerMinute} a minute`
  }

  /** The process that runs from here on dies within this tick, or the next ones. */
  #planDeath(): string {
    const { world } = this
    const when = this.#draw() < 0.5 ? 'before' : 'after'
    const atCommit = 1 + Math.floor(this.#draw() * 30)
    const store: Store = mortalStore(this.#store, {
      atCommit,
      when,
      onDeath: () => {
        if (world.process?.engine === engine) world.process = null
        this.#isWhole = false
        world.history.note(`died ${when} commit ${atCommit}`)
      },
    })
    const engine = world.boot({ store })
    return `the platform dies ${when} its commit ${atCommit}`
  }

  /**
   * A process stands still in the middle of a pass for longer than its lease lasts; another takes the job over; then the
   * first one goes on. It must not change anything any more.
   */
  async #overtake(): Promise<string> {
    const { world } = this
    let isOvertaken = false
    const faults = {
      at: async (point: string): Promise<void> => {
        if (point !== 'step' || isOvertaken) return
        isOvertaken = true
        await world.clock.sleep(longerThanLeaseMs)
        world.boot()
        await world.process?.jobs.pass('renewals')
      },
    }
    // the lease of the process before has run out by then
    await world.clock.sleep(longerThanLeaseMs)
    world.boot({ faults })
    const stale = world.process
    await stale?.jobs.pass('renewals')
    if (!isOvertaken) return 'nobody was overtaken'
    if (stale?.jobs.status().find(({ name }) => name === 'renewals')?.lastError === null)
      this.invariants.found('a process whose lease another had taken over went on with its pass')
    return 'a process was overtaken'
  }

  /** From here on nothing goes wrong, and people want everybody renewed. */
  async #calm(): Promise<void> {
    const { world } = this
    world.network.isFaulty = false
    if (world.process === null || !this.#isWhole) world.boot()
    world.boot()
    await applyEvent(world, this.invariants, { day: 0, action: 'resume', devices: 0 })
    for (let device = 0; device < world.ledger.devices; device++) {
      // whoever was out of reach comes on the air
      world.queue.setEarlier(device, world.network.contactAfter(device, world.now() + 1))
    }
    this.#did('everything is calm')
  }

  async #watch(): Promise<void> {
    const status = await campaignStatus(this.world.store.db, campaignId)
    this.invariants.stopped(status === 'paused' || status === 'aborted')
  }

  async #everybodyIsWell(): Promise<void> {
    const { world, invariants } = this
    const status = await campaignStatus(world.store.db, campaignId)
    for (let device = 0; device < world.ledger.devices; device++) {
      if (invariants.isRevoked(device) || world.ledger.is(device, 'broken')) continue
      if (world.ledger.endsAt(device) <= world.now()) {
        invariants.found(
          `${deviceIdOf(device)} has no valid certificate after ${livenessDays} days without faults`,
        )
      }
      if (status !== 'running' && status !== 'completed') continue
      const [renewal] = await renewalsOfDevice(world.store.db, deviceIdOf(device), 1)
      // a wave waits for the one before it, and that for its broken devices
      const isHeld = renewal?.status === 'planned' && world.ledger.total('broken') > 0
      const isDone = isHeld || renewal?.status === 'confirmed' || renewal?.status === 'retired'
      if (renewal?.campaignId === campaignId && !isDone) {
        const { status: state, rung, attempt } = renewal
        invariants.found(
          `${deviceIdOf(device)} is ${state} (rung ${rung}, attempt ${attempt}) after ${livenessDays} days without faults`,
        )
      }
    }
    for (const { name, failuresInARow, lastError } of world.process?.jobs.status() ?? []) {
      if (failuresInARow > 0) invariants.found(`the job ${name} fails: ${lastError}`)
    }
  }
}

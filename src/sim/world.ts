/**
 * The world of a simulation: the platform, its fleet and the networks between them, on one clock that moves by ticks. In
 * each tick the devices that are awake have their turn, then every job of the platform; nothing else happens.
 */
import { renewalInstant } from '../agent/renewal-due.ts'
import { dayMs, hourMs, type Instant } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { assert } from '../base/errors.ts'
import type { Engine, EngineObserver, EngineSettings } from '../engine/context.ts'
import { createJobs, type Job, type Jobs } from '../engine/jobs.ts'
import type { FaultInjector, TriggerKind } from '../engine/ports.ts'
import type { Store } from '../store/open.ts'
import { about, chance, quickRandom, seedOf } from './chance.ts'
import { Channels } from './channels.ts'
import { deviceIdOf, isBadFirmware, type FactoryPlan, type Produced } from './fleet/factory.ts'
import { loadFleet } from './fleet/load.ts'
import type { Host, HostPlan, Round, Wake, WakeEnd } from './fleet/messages.ts'
import type { PowerFault } from './fleet/flash.ts'
import { History } from './history.ts'
import { createSimAuthority, install, issuingId, simulatedJobs, type Installation } from './installation.ts'
import { Ledger } from './ledger.ts'
import { Network } from './network.ts'
import { Phases } from './phases.ts'
import { simulationStart, type Scenario } from './scenario.ts'
import { Server, type Told } from './server.ts'
import { SimClock } from './sim-clock.ts'
import { simulatedAgent, simulatedProfile, simulatedSettings, connectivityName } from './setup.ts'
import { statesOf } from './recorder.ts'
import { WakeQueue } from './wake-queue.ts'
import { issuerChain } from '../engine/issuing/issuer.ts'
import { encodePem } from '../pki/pem.ts'

/** Devices that are awake together. */
const groupSize = 256
/** Groups under way: while the platform answers one, the devices of the others work. */
const lanes = 3
/** A job that is still behind after so many passes goes in a circle. */
const mostPasses = 100_000

/** Jobs that clean up, or have work to do once a day at most: in thousands of ticks they would find nothing. */
const housekeeping: ReadonlySet<string> = new Set([
  'audit-seal',
  'crl-publish',
  'forget-retired',
  'recover-reservations',
  'open-due-renewals',
])

export interface WorldOptions {
  readonly scenario: Scenario
  readonly seed: string
  /** Empty; closed by whoever opened it. */
  readonly store: Store
  /** Makes the host of the devices. */
  readonly host: (plan: HostPlan) => Host
  readonly shelfFile: string | null
  /** Whether every device is checked: for small fleets. */
  readonly isExact: boolean
  readonly onTold?: (told: Told) => void
  readonly onSend?: (kind: TriggerKind, device: number, key: string) => void
  readonly onEnd?: (device: number, end: WakeEnd) => void
  /** How often the jobs that clean up run; default: once a day. */
  readonly housekeepingMs?: number
  /** What a device is told in place of an answer: tests plant bugs here, and in the jobs. */
  readonly alter?: (told: Told) => Told
  readonly alterJobs?: (jobs: Job[]) => Job[]
}

export interface Process {
  readonly engine: Engine
  readonly jobs: Jobs
}

export class World {
  readonly scenario: Scenario
  readonly seed: number
  readonly store: Store
  readonly clock: SimClock
  readonly network: Network
  readonly queue: WakeQueue
  readonly ledger: Ledger
  readonly channels: Channels
  readonly server: Server
  readonly history = new History()
  readonly phases = new Phases()
  readonly startedAt: Instant
  readonly ticks: number
  tick = 0
  certificates = 0
  /** Devices that were put on the field list. */
  listed = 0
  /** Null while the platform is down. */
  process: Process | null = null
  installation!: Installation
  settings: EngineSettings
  readonly #options: WorldOptions
  readonly #random: Random
  #host!: Host
  #factory!: FactoryPlan
  #groups = 0
  /** When each job of the housekeeping ran last. */
  readonly #cleanedAt = new Map<string, Instant>()

  constructor(options: WorldOptions) {
    const { scenario, seed, store } = options
    const { values, copy } = scenario
    this.#options = options
    this.startedAt = copy?.startedAt ?? simulationStart
    this.scenario = scenario
    this.store = store
    this.seed = seedOf(seed)
    this.#random = quickRandom(this.seed)
    this.settings = simulatedSettings(scenario)
    this.ticks = Math.ceil((values.days * dayMs) / values.tick)
    // the factory was at work before: its CA is older than the oldest certificate
    const born = this.startedAt - values['certificate.life'] - values['certificate.spread'] - dayMs
    this.clock = new SimClock(born)
    const { seed: luck, startedAt, clock, history } = this
    this.network = new Network({ seed: luck, values, startedAt, copied: copy?.fleet ?? null })
    this.queue = new WakeQueue(values.devices, { startedAt, tickMs: values.tick, ticks: this.ticks })
    this.ledger = new Ledger(values.devices, startedAt)
    const onSend = options.onSend ?? (() => undefined)
    const { network, queue, ledger } = this
    this.channels = new Channels({ clock, network, queue, ledger, history, onSend })
    this.server = new Server({
      clock,
      network,
      ledger,
      history,
      engine: () => this.process?.engine ?? null,
      isBad: (device) => isBadFirmware(this.seed, device, values),
      ...(options.onTold ? { onTold: options.onTold } : {}),
      ...(options.alter ? { alter: options.alter } : {}),
    })
  }

  /** Installs the platform and loads the fleet. */
  async open(onProgress: (done: number) => void = () => undefined): Promise<void> {
    const { scenario, store, clock, startedAt, seed } = this
    const observer: EngineObserver = {
      issued: (_record, { repeated }) => void (this.certificates += repeated ? 0 : 1),
    }
    this.installation = await install({
      store,
      clock,
      random: this.#random,
      settings: this.settings,
      triggers: this.channels.byKind,
      authority: createSimAuthority(),
      observer,
    })
    const engine = this.installation.boot()
    const issuer = await engine.issuers.find(issuingId)
    assert(issuer, 'the issuing CA was made')
    const chain = await issuerChain(engine, issuingId)
    this.#factory = {
      seed,
      values: scenario.values,
      startedAt,
      profile: simulatedProfile(scenario),
      connectivity: connectivityName,
      settings: this.settings,
      issuer: issuer.record,
      issuerKey: this.installation.authority.exportKey(issuer.record.keyReference),
      copied: scenario.copy?.fleet ?? null,
    }
    this.#host = this.#options.host({
      factory: this.#factory,
      agent: simulatedAgent(scenario),
      rootPem: encodePem('CERTIFICATE', chain.at(-1) as Uint8Array),
      intermediates: chain.slice(0, -1),
      shelfFile: this.#options.shelfFile,
      isExact: this.#options.isExact,
    })
    clock.moveTo(startedAt)
    await this.phases.time('loading the fleet', async () => {
      await loadFleet({
        store,
        host: this.#host,
        plan: this.#factory,
        network: this.network,
        devices: scenario.values.devices,
        isOnRecord: this.#options.isExact,
        onMade: (device, produced) => this.#made(device, produced),
        onProgress,
      })
    })
    this.boot()
  }

  /** A new process of the platform. */
  boot(process: { readonly store?: Store; readonly faults?: FaultInjector } = {}): Engine {
    const engine = this.installation.boot({ ...process, settings: this.settings })
    const shipped = simulatedJobs(this.settings)
    const jobs = this.#options.alterJobs?.(shipped) ?? shipped
    this.process = { engine, jobs: createJobs(engine, jobs) }
    return engine
  }

  get day(): number {
    return (this.tick * this.scenario.values.tick) / dayMs
  }

  /** The clock moves on by one tick: devices, then jobs. */
  async step(): Promise<void> {
    this.tick += 1
    this.clock.moveTo(this.startedAt + this.tick * this.scenario.values.tick)
    await this.wakeDevices()
    await this.runJobs()
    this.history.endOfTick(this.tick)
  }

  async runJobs(): Promise<void> {
    const { process } = this
    if (process === null) return
    const now = this.clock.now()
    for (const { name } of process.jobs.status()) {
      if (
        housekeeping.has(name) &&
        now < (this.#cleanedAt.get(name) ?? -Infinity) + (this.#options.housekeepingMs ?? dayMs)
      )
        continue
      this.#cleanedAt.set(name, now)
      // it puts devices on the field list, and takes none off it
      const before = name === 'renewals' ? (await statesOf(this)).escalated : 0
      await this.phases.time(`job ${name}`, async () => {
        for (let pass = 0; pass < mostPasses && this.process === process; pass++) {
          const result = await process.jobs.pass(name)
          if (result?.isBehind !== true) return
        }
      })
      if (name === 'renewals') this.listed += Math.max(0, (await statesOf(this)).escalated - before)
    }
  }

  /** Everybody whose time has come. */
  async wakeDevices(): Promise<void> {
    const devices = this.queue.take(this.tick)
    const waiting: Wake[][] = []
    for (let from = 0; from < devices.length; from += groupSize) {
      waiting.push(devices.slice(from, from + groupSize).map((device) => this.#wakeOf(device)))
    }
    interface Lane {
      readonly id: number
      readonly wakes: readonly Wake[]
      round: Promise<Round>
    }
    const begin = (wakes: readonly Wake[]): Lane => {
      const id = this.#groups++
      return { id, wakes, round: this.#host.begin(id, wakes) }
    }
    const open = waiting.splice(0, lanes).map(begin)
    for (let lane = open.shift(); lane; lane = open.shift()) {
      const current = lane
      const { requests, ended } = await this.phases.time('waiting for devices', () => current.round)
      for (const end of ended) this.#ended(current.wakes, end)
      if (requests.length > 0) {
        const answers = await this.phases.time('requests of devices', () =>
          this.server.answerAll(current.wakes, requests),
        )
        current.round = this.#host.answer(current.id, answers)
        open.push(current)
        continue
      }
      const next = waiting.shift()
      if (next) open.push(begin(next))
    }
  }

  async close(): Promise<void> {
    await this.#host.close()
  }

  #made(device: number, { notAfter, notBefore, serialNumber }: Produced): void {
    this.ledger.begin(device, notAfter)
    const { renewAt, jitter } = simulatedRhythm(this.scenario)
    const rhythm = { deviceId: deviceIdOf(device), renewAt, jitter }
    const due = renewalInstant(rhythm, { notBefore, notAfter, serialNumber })
    // most will have been asked by then: who is awake for nothing costs next to nothing
    this.queue.set(device, this.network.contactAfter(device, due))
  }

  #wakeOf(device: number): Wake {
    const message = this.channels.topics.get(device)
    const at = this.clock.now()
    return { device, at, messages: message === undefined ? [] : [message], power: this.#powerOf(device) }
  }

  #powerOf(device: number): PowerFault | null {
    const share = this.network.isFaulty ? this.scenario.values['flash.powerCut'] : 0
    if (share === 0 || chance(this.seed, device, about.flash, this.tick) >= share) return null
    const luck = chance(this.seed, device, about.flashAt, this.tick)
    const lost = this.scenario.values['flash.lost']
    const rest = (luck * 64) % 1
    const effect = rest < lost ? 'lost' : rest < lost + (1 - lost) / 2 ? 'not-written' : 'written'
    return { atWrite: 1 + Math.floor(luck * 8), effect }
  }

  #ended(wakes: readonly Wake[], end: WakeEnd): void {
    const { device } = wakes[end.wake] as Wake
    const { outcome, step, retryAt, isActivated, notAfter } = end
    const now = this.clock.now()
    this.history.note(`${outcome} ${step} ${retryAt} ${isActivated} ${notAfter}`, device)
    if (isActivated && notAfter !== null) this.ledger.activated(device, { notAfter, now })
    this.#options.onEnd?.(device, end)
    if (this.ledger.is(device, 'broken')) return
    const soonest = now + hourMs
    // what it wanted to do next is lost with the power, and not the reason for it
    const next = outcome === 'power-cut' ? soonest : retryAt
    if (next !== null)
      this.queue.setEarlier(device, this.network.contactAfter(device, Math.max(next, now + 1)))
  }

  /** Somebody is there and has it renew. */
  visit(device: number): void {
    const now = this.clock.now()
    this.ledger.mark(device, 'visited')
    // it is out of order, with or without a certificate: who comes would have come anyway
    if (this.network.waitsForRepair(device, now)) this.ledger.mark(device, 'repaired')
    this.network.visited(device, now)
    this.queue.setEarlier(device, now + 1)
    this.history.note('visited', device)
  }

  now(): Instant {
    return this.clock.now()
  }
}

const rhythms = new WeakMap<Scenario, { readonly renewAt: number; readonly jitter: number }>()

function simulatedRhythm(scenario: Scenario): { readonly renewAt: number; readonly jitter: number } {
  let rhythm = rhythms.get(scenario)
  if (!rhythm) rhythms.set(scenario, (rhythm = simulatedAgent(scenario)))
  return rhythm
}

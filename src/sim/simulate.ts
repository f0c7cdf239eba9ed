/** Runs a scenario, and what it is compared with, to its end or until it is stopped; the result is plain data. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { dayMs, stopwatch, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { createCampaign } from '../engine/campaigns/campaign-create.ts'
import { startCampaign } from '../engine/campaigns/campaign-state.ts'
import { findCampaign } from '../store/campaigns.ts'
import { listEscalated } from '../store/renewal-lists.ts'
import { openStore } from '../store/open.ts'
import { deviceOf } from './fleet/factory.ts'
import { openHost } from './fleet/open-host.ts'
import { applyEvent } from './events.ts'
import { watchDisk } from './full-disk.ts'
import { Invariants } from './invariants.ts'
import { simActor } from './installation.ts'
import { formatParameter, type ParameterName } from './parameters.ts'
import { Recorder } from './recorder.ts'
import { resultVersion, type Cost, type RunResult, type SimEvent, type SimResult } from './result.ts'
import { reportedParameters, variantOf, type Scenario } from './scenario.ts'
import { campaignId, simulatedCampaign } from './setup.ts'
import { funnelOf, outcomeOf, verdictOf } from './outcome.ts'
import { World } from './world.ts'

/** Fleets up to this size are checked device by device, each day. */
const exactDevices = 2_000
/** Fleets from this size on have their database and the storages of their devices in files. */
const fileDevices = 5_000
/** Fleets from this size on have their devices in a thread of their own: below, it waits more than it works. */
const threadDevices = 100_000
/** Page cache of the database: all of it in small fleets, and then what memory allows. */
const cache = { deviceKb: 6, mostKb: 1024 * 1024 }
/** Resident memory of a run: what is there without a device, and for each. */
const memory = { baseBytes: 400 * 2 ** 20, deviceBytes: 700 }

export interface Progress {
  readonly run: string
  readonly step: 'loading' | 'drawing' | 'running'
  readonly done: number
  readonly total: number
  readonly at: Instant | null
  /** Wall time of this step, ms. */
  readonly elapsedMs: number
  readonly devices: number
}

export interface SimulateOptions {
  readonly scenario: Scenario
  readonly seed: string
  /** Where database and storages go; default: a new folder in the system's temporary one, removed at the end. */
  readonly directory?: string
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  /** In place of what is the best for a fleet of its size: from how many devices on. */
  readonly fileDevices?: number
  readonly threadDevices?: number
  /** Without its comparisons. */
  readonly isAlone?: boolean
}

/**
 * @throws Refusal `invalid-input` for more devices than memory allows
 * @returns what was measured; when it was stopped or the disk was full, so far, and it says so
 */
export async function simulate(options: SimulateOptions): Promise<SimResult> {
  const { scenario, seed } = options
  checkMemory(scenario)
  const variants = options.isAlone === true ? [] : scenario.comparisons
  const runs: RunResult[] = []
  let partial: string | null = null
  for (const { name, values } of [{ name: scenario.name, values: {} }, ...variants]) {
    if (partial !== null) break
    const variant = variantOf(scenario, values)
    const changes = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, formatParameter(key as ParameterName, value ?? 0)]),
    )
    const run = await simulateOne({ ...options, scenario: variant }, name, changes)
    runs.push(run.result)
    partial = run.partial
  }
  const [first] = runs
  return {
    version: resultVersion,
    scenario: { name: scenario.name, title: scenario.title, story: scenario.story },
    seed,
    partial,
    parameters: reportedParameters(scenario),
    runs,
    // what has not been run to its end has not met its target
    verdict: first && partial === null && scenario.target ? verdictOf(scenario.target, first) : null,
  }
}

/** @throws Refusal `invalid-input` */
export function checkMemory({ values: { devices }, name }: Scenario, available = totalmem()): void {
  const needed = memory.baseBytes + devices * memory.deviceBytes
  if (needed <= available * 0.8) return
  const most = Math.floor((available * 0.8 - memory.baseBytes) / memory.deviceBytes)
  const text = `scenario ${name}: ${devices.toLocaleString('en-US')} devices need about ${Math.ceil(needed / 2 ** 30)} GB of memory, and this machine has ${Math.floor(available / 2 ** 30)}: take --devices ${Math.max(0, most)} or fewer`
  throw new Refusal('invalid-input', text)
}

interface OneRun {
  readonly result: RunResult
  readonly partial: string | null
}

async function simulateOne(
  options: SimulateOptions,
  name: string,
  changes: Readonly<Record<string, string>>,
): Promise<OneRun> {
  const { scenario, seed } = options
  const { devices } = scenario.values
  const isBig = devices >= (options.fileDevices ?? fileDevices)
  const directory = await mkdtemp(join(options.directory ?? tmpdir(), 'perennial-sim-'))
  const database = join(directory, 'perennial.db')
  const opened = await openStore({
    url: `sqlite:${isBig ? database : ':memory:'}`,
    synchronous: 'off',
    isExclusive: isBig,
    cacheKb: Math.min(cache.mostKb, Math.max(64 * 1024, devices * cache.deviceKb)),
  })
  const disk: Disk = { full: null }
  const store = watchDisk(opened, (reason) => void (disk.full ??= reason))
  const watch = watchCost()
  try {
    const isExact = devices <= exactDevices
    const world: World = new World({
      scenario,
      seed,
      store,
      host: (plan) => openHost(plan, devices >= (options.threadDevices ?? threadDevices)),
      shelfFile: isBig ? join(directory, 'devices.bin') : null,
      isExact,
      onTold: (told) => invariants.told(told),
      onSend: (kind, device) => invariants.sent(kind, device),
      onEnd: (device, end) => invariants.ended(device, end),
    })
    const invariants = new Invariants(world, isExact ? 'every device' : 'sums and a sample')
    const run = new Run({ world, invariants, disk }, { ...options, name })
    const partial = await run.run()
    const sizeOf = async (file: string) =>
      await stat(file).then(
        ({ size }) => size,
        () => 0,
      )
    const databaseBytes = isBig ? await sizeOf(database) : 0
    const cost = watch.cost(devices, { databaseBytes, phases: world.phases.list() })
    const result = await run.result(changes, cost)
    await world.close()
    return { result, partial }
  } finally {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function diskFull(reason: string): string {
  return `the disk is full: ${reason}`
}

interface Disk {
  /** Why nothing can be stored any more; null while it can. */
  full: string | null
}

interface RunParts {
  readonly world: World
  readonly invariants: Invariants
  readonly disk: Disk
}

class Run {
  readonly #world: World
  readonly #invariants: Invariants
  readonly #recorder: Recorder
  readonly #options: SimulateOptions & { readonly name: string }
  readonly #events: SimEvent[] = []
  readonly #elapsed = stopwatch()
  #days = 0
  #status: string | null = null
  readonly #disk: Disk

  constructor({ world, invariants, disk }: RunParts, options: SimulateOptions & { readonly name: string }) {
    this.#disk = disk
    this.#world = world
    this.#invariants = invariants
    this.#options = options
    this.#recorder = new Recorder(world)
  }

  /** @returns why it ended early; null when it did not */
  async run(): Promise<string | null> {
    try {
      await this.#begin()
      return await this.#everyDay()
    } catch (error) {
      if (error instanceof Refusal && error.code === 'disk-full') return diskFull(error.message)
      throw error
    }
  }

  async #begin(): Promise<void> {
    const world = this.#world
    await world.open((done) => this.#progress('loading', done, world.ledger.devices))
    if (world.scenario.campaign !== null) await this.#campaign()
    await this.#recorder.day(0)
  }

  async #campaign(): Promise<void> {
    const { process, phases, scenario } = this.#world
    const engine = process?.engine
    if (!engine) return
    await phases.time('drawing the campaign', async () => {
      const now = this.#world.now()
      await createCampaign(engine, {
        id: campaignId,
        definition: simulatedCampaign(scenario, now),
        actor: simActor,
        now,
        onProgress: (_step, done, total) => this.#progress('drawing', done, total),
      })
      await startCampaign(engine, { id: campaignId, actor: simActor, now })
    })
  }

  async #everyDay(): Promise<string | null> {
    const world = this.#world
    const { days, tick } = world.scenario.values
    const ticksPerDay = dayMs / tick
    const events = [...world.scenario.events].sort((a, b) => a.day - b.day)
    while (world.tick < world.ticks) {
      if (this.#options.signal?.aborted) return `stopped on virtual day ${Math.floor(world.day)} of ${days}`
      while (events[0] && events[0].day <= world.day) {
        const event = events.shift() as (typeof events)[number]
        this.#event(await applyEvent(world, this.#invariants, event))
      }
      await world.step()
      if (this.#disk.full !== null) return diskFull(this.#disk.full)
      this.#recorder.tick()
      await this.#watchCampaign()
      this.#progress('running', world.tick, world.ticks)
      if (world.tick % ticksPerDay < 1) await this.#endOfDay()
    }
    await this.#invariants.checkAll()
    if (this.#invariants.depth === 'every device') await this.#invariants.checkLog()
    world.ledger.markLapsed(world.now())
    return null
  }

  async #endOfDay(): Promise<void> {
    const world = this.#world
    this.#days = Math.round(world.day)
    await world.phases.time('visits', async () => await this.#visit())
    await world.phases.time('counting and checking', async () => {
      await this.#invariants.check()
      await this.#recorder.day(this.#days)
    })
  }

  /** People go to those of the field list whose certificate ends soon. */
  async #visit(): Promise<void> {
    const world = this.#world
    const { 'visit.before': before, 'visit.perDay': perDay } = world.scenario.values
    const until = world.now() + before
    let visits = 0
    for (let after: string | null = null; visits < perDay;) {
      const page = await listEscalated(world.store.db, { after, limit: 1_000 })
      for (const { deviceId, notAfter } of page.rows) {
        if (notAfter > until || visits >= perDay) return
        const device = deviceOf(deviceId)
        if (world.ledger.is(device, 'visited')) continue
        world.visit(device)
        visits += 1
      }
      after = page.next
      if (after === null) return
    }
  }

  async #watchCampaign(): Promise<void> {
    const record = await findCampaign(this.#world.store.db, campaignId)
    if (!record || record.status === this.#status) return
    const isStopped = record.status === 'paused' || record.status === 'aborted'
    this.#invariants.stopped(isStopped)
    this.#status = record.status
    const why = record.reason === null ? '' : `: ${record.reason}`
    this.#event(`the campaign is ${record.status}${why}`)
  }

  #event(what: string): void {
    const { day } = this.#world
    this.#events.push({ at: this.#world.now(), day: Number(day.toFixed(2)), what })
  }

  #progress(step: Progress['step'], done: number, total: number): void {
    const { name: run } = this.#options
    const { devices } = this.#world.ledger
    const at = step === 'running' ? this.#world.now() : null
    this.#options.onProgress?.({ run, step, done, total, at, elapsedMs: this.#elapsed(), devices })
  }

  async result(changes: RunResult['changes'], cost: Cost): Promise<RunResult> {
    const world = this.#world
    const { violations, checks, depth } = this.#invariants
    return {
      name: this.#options.name,
      changes,
      startedAt: world.startedAt,
      devices: world.ledger.devices,
      days: this.#days,
      series: this.#recorder.series,
      funnel: await funnelOf(world),
      outcome: await outcomeOf(world, this.#recorder.day99),
      events: this.#events,
      invariants: { checks, depth, violations },
      historyHash: world.history.digest(),
      cost,
    }
  }
}

interface CostWatch {
  cost(devices: number, rest: { readonly databaseBytes: number; readonly phases: Cost['phases'] }): Cost
}

function watchCost(): CostWatch {
  const elapsed = stopwatch()
  const before = process.cpuUsage()
  return {
    cost(devices, { databaseBytes, phases }) {
      const { user, system } = process.cpuUsage(before)
      const wallMs = elapsed()
      return {
        wallMs: Math.round(wallMs),
        cpuMs: Math.round((user + system) / 1_000),
        wallMicrosPerDevice: Math.round((wallMs * 1_000) / devices),
        cpuMicrosPerDevice: Math.round((user + system) / devices),
        peakMemoryMb: Math.round(process.resourceUsage().maxRSS / 1_024),
        databaseMb: Math.round(databaseBytes / 2 ** 20),
        phases,
      }
    },
  }
}

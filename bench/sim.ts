/**
 * `node bench/sim.ts [--full] [--devices N,N] [--days D] [--scenario smart-meters-2.2m] [--directory DIR]`: the simulator at 20,000
 * and 200,000 devices, and with --full at 2.2 million: cost per device, memory, and where the time goes; and one world of
 * `sim fuzz` with 1,000 devices over 400 days.
 */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { dayMs } from '../src/base/clock.ts'
import { fuzz } from '../src/sim/fuzz.ts'
import type { RunResult } from '../src/sim/result.ts'
import { readScenario } from '../src/sim/scenario.ts'
import { scenarioFile } from '../src/sim/shipped.ts'
import { simulate } from '../src/sim/simulate.ts'

/** The limits. */
const aims = { fullMs: 15 * 60_000, memoryMb: 4_096, flatPercent: 25, fuzzCpuMs: 3_000 }
const fullFleet = 2_200_000
/** Phases that are printed of each run. */
const shownPhases = 8

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      full: { type: 'boolean', default: false },
      devices: { type: 'string', default: '20000,200000' },
      days: { type: 'string' },
      scenario: { type: 'string', default: 'smart-meters-2.2m' },
      directory: { type: 'string' },
      one: { type: 'string' },
      'no-fuzz': { type: 'boolean', default: false },
    },
  })
  if (values.one !== undefined) return await one(Number(values.one), values)
  const sizes = [...values.devices.split(',').map(Number), ...(values.full ? [fullFleet] : [])]
  const runs: RunResult[] = []
  // each in a process of its own, so that memory and compiled code of one do not count for another
  for (const size of sizes) runs.push(await inProcess(size))
  for (const run of runs) print(run)
  flat(runs)
  if (!values['no-fuzz']) await fuzzed()
}

interface Values {
  readonly days?: string
  readonly scenario: string
  readonly directory?: string
}

/** In a process of its own: the result goes to the one that started it. */
async function one(devices: number, { days, scenario: name, directory }: Values): Promise<void> {
  const scenario = await readScenario(scenarioFile(name), {
    devices,
    ...(days === undefined ? {} : { days: Number(days) }),
  })
  const { runs } = await simulate({
    scenario,
    seed: 'bench',
    isAlone: true,
    ...(directory === undefined ? {} : { directory }),
  })
  process.stdout.write(JSON.stringify(runs[0]))
}

function inProcess(devices: number): Promise<RunResult> {
  const args = [import.meta.filename, ...process.argv.slice(2), '--one', String(devices)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(Buffer.concat(chunks).toString()) as RunResult)
      else reject(new Error(`the run of ${devices} devices ended with ${code}`))
    })
  })
}

function print({ devices, days, cost, invariants, outcome }: RunResult): void {
  const isFull = devices >= fullFleet
  const wall = `${(cost.wallMs / 60_000).toFixed(1)} min`
  line(
    `${count(devices)} devices, ${days} days`,
    wall,
    isFull ? '15 min' : '',
    !isFull || cost.wallMs < aims.fullMs,
  )
  line('  CPU of all threads, each device', `${cost.cpuMicrosPerDevice} µs`, '', true)
  line(
    '  peak memory',
    `${count(cost.peakMemoryMb)} MB`,
    `${count(aims.memoryMb)} MB`,
    cost.peakMemoryMb < aims.memoryMb,
  )
  line('  certificates signed', count(outcome.certificates), '', true)
  line('  invariants violated', count(invariants.violations.length), '0', invariants.violations.length === 0)
  for (const { name, ms } of cost.phases.slice(0, shownPhases)) {
    line(
      `    ${name}`,
      `${((ms * 1_000) / devices).toFixed(1)} µs each, ${Math.round((100 * ms) / cost.wallMs)} %`,
      '',
      true,
    )
  }
}

/** CPU time: others may share the machine. */
function flat(runs: readonly RunResult[]): void {
  if (runs.length < 2) return
  const costs = runs.map(({ cost }) => cost.cpuMicrosPerDevice)
  const percent = 100 * (Math.max(...costs) / Math.min(...costs) - 1)
  line(
    'cost per device differs by',
    `${percent.toFixed(0)} %`,
    `${aims.flatPercent} %`,
    percent <= aims.flatPercent,
  )
}

async function fuzzed(): Promise<void> {
  const before = process.cpuUsage()
  const { violations } = await fuzz({ seed: 'bench', devices: 1_000, days: 386, tickMs: dayMs })
  const { user, system } = process.cpuUsage(before)
  const ms = (user + system) / 1_000
  line(
    'one world of 1,000 devices over 400 days, CPU',
    `${count(ms)} ms`,
    `${count(aims.fuzzCpuMs)} ms`,
    ms < aims.fuzzCpuMs,
  )
  line('  invariants violated', count(violations.length), '0', violations.length === 0)
}

function line(what: string, measured: string, limit: string, isMet: boolean): void {
  const aim = limit === '' ? '' : `   limit ${limit}${isMet ? '' : '   MISSED'}`
  process.stdout.write(`${what.padEnd(48)}${measured.padStart(24)}${aim}\n`)
  if (!isMet) process.exitCode = 1
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

await main()

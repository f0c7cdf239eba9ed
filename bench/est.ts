/**
 * `node bench/est.ts [devices per round] [in flight] [--soak 10m]`: renewals over full TLS 1.3 mutual handshakes, a new
 * connection each, next to a bare node:https server with the same certificates that answers canned bytes.
 *
 * Counted is the CPU (user and system) of all server processes, sealing of the audit log and last-seen marks included, so
 * that the client's share and other load on the machine do not count. Each round renews devices that have not renewed
 * yet; bare and whole server take turns, and the median round is shown.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../src/base/clock.ts'
import { parseDuration } from '../src/base/duration.ts'
import type { BareOptions } from './est/bare-server.ts'
import type { ServerOptions } from './est/est-server.ts'
import { createFleet, type Fleet, passphrase } from './est/fleet.ts'
import type { LoadCommand, LoadResult } from './est/load.ts'

/** The limits: CPU of a renewal as a multiple of the bare server's, and minutes for a whole fleet. */
const aims = { ratio: 1.5, fleet: 2_200_000, minutes: 30 }
const rounds = 5
/** Each server answers so many before it is measured: the first requests run through code that is not compiled yet. */
const warmUp = 2_000

interface Server {
  readonly name: string
  readonly port: number
  readonly cpuMicros: () => Promise<number>
  readonly child: ChildProcess
  readonly isWhole: boolean
}

interface Measured {
  readonly cpuMicros: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

export async function run(args: readonly string[]): Promise<void> {
  const soakAt = args.indexOf('--soak')
  const soakMs = soakAt < 0 ? null : parseDuration(args[soakAt + 1] ?? '10m')
  const numbers = args.filter((arg) => /^\d+$/.test(arg)).map(Number)
  const [perRound = 1_000, inFlight = 32] = numbers
  const load = fork(new URL('est/load.ts', import.meta.url))
  const fleet = await createFleet((warmUp + perRound * rounds) * 2)
  try {
    if (soakMs === null) await compare(fleet, load, { perRound, inFlight })
    else await soak(fleet, load, { inFlight, soakMs })
  } finally {
    load.kill()
    rmSync(join(fleet.path, '..'), { recursive: true, force: true })
  }
}

interface Round {
  readonly perRound: number
  readonly inFlight: number
}

async function compare(fleet: Fleet, load: ChildProcess, round: Round): Promise<void> {
  const bare = await startBare(fleet, 'bare node:https, client CAs given', fleet.rootPem + fleet.issuingPem)
  const lean = await startBare(fleet, 'bare node:https, our TLS options', null)
  let unused = [...fleet.devices]
  const takeOn = async (count: number) => {
    const devices = unused.slice(0, count)
    unused = unused.slice(count)
    await ask(load, { kind: 'devices', rootPem: fleet.rootPem, devices })
  }
  const results = new Map<string, Measured[]>()
  for (const workers of [1, 2]) {
    const whole = await startWhole(fleet, workers)
    const servers = workers === 1 ? [bare, lean, whole] : [whole]
    await takeOn(warmUp)
    for (const server of servers) await measure(server, load, { ...round, count: warmUp })
    for (let i = 0; i < rounds; i++) {
      await takeOn(round.perRound)
      for (const server of servers) {
        const measured = await measure(server, load, { ...round, count: round.perRound })
        results.set(server.name, [...(results.get(server.name) ?? []), measured])
      }
    }
    await end(whole.child)
  }
  bare.child.kill()
  lean.child.kill()
  print(results, round)
}

async function measure(
  server: Server,
  load: ChildProcess,
  round: Round & { count: number },
): Promise<Measured> {
  const before = await server.cpuMicros()
  const result = await runLoad(load, { kind: 'run', port: server.port, inFlight: round.inFlight })
  // last-seen marks and sealing come up to two seconds later and belong to it
  if (server.isWhole) await systemClock.sleep(3_000)
  const after = await server.cpuMicros()
  if (result.failed > 0) throw new Error(`${result.failed} renewals failed: ${result.firstFailure}`)
  return {
    cpuMicros: (after - before) / round.count,
    perSecond: result.answered / result.seconds,
    p50: percentile(result, 0.5),
    p99: percentile(result, 0.99),
  }
}

async function startBare(fleet: Fleet, name: string, ca: string | null): Promise<Server> {
  const child = fork(new URL('est/bare-server.ts', import.meta.url))
  const { chainPem: cert, keyPem: key } = fleet.server
  const options: BareOptions = { cert, key, ca, body: fleet.answer }
  const { port } = await ask<{ port: number }>(child, options)
  const cpuMicros = async () => (await ask<{ cpuMicros: number }>(child, 'cpu')).cpuMicros
  return { name, port, child, cpuMicros, isWhole: false }
}

async function startWhole(
  { path }: Fleet,
  workers: number,
): Promise<Server & { memoryBytes(): Promise<number> }> {
  const child = fork(new URL('est/est-server.ts', import.meta.url))
  const options: ServerOptions = { path, passphrase, workers }
  const { port, admin } = await ask<{ port: number; admin: string }>(child, options)
  const name = workers === 1 ? 'Perennial, 1 process' : `Perennial, ${workers} TLS workers`
  const metric = async (wanted: string) => {
    const text = await (await fetch(`${admin}/metrics`)).text()
    return Number(new RegExp(`^${wanted} (\\S+)$`, 'm').exec(text)?.[1])
  }
  return {
    name,
    port,
    child,
    // summed over the main process and its workers
    cpuMicros: async () => (await metric('process_cpu_seconds_total')) * 1e6,
    memoryBytes: () => metric('process_resident_memory_bytes'),
    isWhole: true,
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [Answer]
  return answer
}

function percentile({ latencies }: LoadResult, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
}

/** The round in the middle by CPU. */
function median(measured: readonly Measured[]): Measured {
  const sorted = measured.toSorted((a, b) => a.cpuMicros - b.cpuMicros)
  return sorted[Math.floor(sorted.length / 2)] as Measured
}

function print(results: ReadonlyMap<string, readonly Measured[]>, { perRound, inFlight }: Round): void {
  const rows = [...results].map(([name, measured]) => Object.assign({ name }, median(measured)))
  const yardstick = rows[0]?.cpuMicros ?? Number.NaN
  const title = `renewals, TLS 1.3, P-256, new connection each, ${inFlight} in flight`
  const lines = [
    `${title.padEnd(66)}${'CPU each'.padStart(12)}${'of bare'.padStart(9)}${'rate'.padStart(10)}${'p50'.padStart(9)}${'p99'.padStart(9)}`,
    ...rows.map(({ name, cpuMicros, perSecond, p50, p99 }) =>
      [
        name.padEnd(66),
        `${cpuMicros.toFixed(0)} µs`.padStart(12),
        (cpuMicros / yardstick).toFixed(2).padStart(9),
        `${perSecond.toFixed(0)}/s`.padStart(10),
        `${p50.toFixed(1)} ms`.padStart(9),
        `${p99.toFixed(1)} ms`.padStart(9),
      ].join(''),
    ),
    `${rounds} rounds of ${perRound} devices, median by CPU; limit: ${aims.ratio} times the bare server; rates share this machine with the load generator`,
    ...rows.filter(({ name }) => name.startsWith('Perennial')).map(projection),
  ]
  console.log(lines.join('\n'))
}

function projection({ name, cpuMicros }: Measured & { name: string }): string {
  const minutes = (aims.fleet * cpuMicros) / 2 / 60e6
  const fleet = aims.fleet.toLocaleString('en')
  return `${name}: two free cores renew ${fleet} devices in ${minutes.toFixed(0)} minutes (limit: ${aims.minutes})`
}

/** Devices that renew again and again, each time with the certificate that they got the last time. */
async function soak(
  fleet: Fleet,
  load: ChildProcess,
  { inFlight, soakMs }: { inFlight: number; soakMs: number },
) {
  const whole = await startWhole(fleet, 2)
  await ask(load, { kind: 'devices', rootPem: fleet.rootPem, devices: fleet.devices })
  const first = { cpu: await whole.cpuMicros(), memory: await whole.memoryBytes() }
  const done = runLoad(load, { kind: 'soak', port: whole.port, inFlight, ms: soakMs }, async (answered) => {
    const megabytes = (await whole.memoryBytes()) / 2 ** 20
    console.log(`${answered} renewals, ${megabytes.toFixed(0)} MB resident in all server processes`)
  })
  const result = await done
  const cpuMicros = ((await whole.cpuMicros()) - first.cpu) / result.answered
  const database = statSync(join(fleet.path, 'perennial.db')).size
  console.log(
    [
      `${result.answered} renewals in ${result.seconds.toFixed(0)} s by ${fleet.devices.length} devices, ${result.failed} failed${result.firstFailure === null ? '' : `, the first: ${result.firstFailure}`}`,
      `${(result.answered / result.seconds).toFixed(0)}/s, ${cpuMicros.toFixed(0)} µs of server CPU each, p50 ${percentile(result, 0.5).toFixed(1)} ms, p99 ${percentile(result, 0.99).toFixed(1)} ms`,
      `memory ${(first.memory / 2 ** 20).toFixed(0)} MB at the start, ${((await whole.memoryBytes()) / 2 ** 20).toFixed(0)} MB at the end; database ${(database / 2 ** 20).toFixed(0)} MB`,
    ].join('\n'),
  )
  await end(whole.child)
}

/** @param onProgress every 10,000 renewals */
function runLoad(
  load: ChildProcess,
  command: LoadCommand,
  onProgress: (answered: number) => void = () => undefined,
): Promise<LoadResult> {
  return new Promise((resolve) => {
    const listener = (message: LoadResult | { progress: number }) => {
      if ('progress' in message) {
        onProgress(message.progress)
        return
      }
      load.off('message', listener)
      resolve(message)
    }
    load.on('message', listener)
    load.send(command)
  })
}

if (import.meta.main) await run(process.argv.slice(2))

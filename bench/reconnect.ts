/**
 * `node bench/reconnect.ts [--devices 4000] [--workers 1] [--patience 30]`: after an outage every device asks at once. The server answers what
 * it can and tells the rest when to come back; each device does as it is told, and comes back by itself when its connection
 * was cut. Real TLS sockets, from two processes.
 *
 * Goodput under overload is compared with the best: what the same server does for devices that queue. Both in renewals per
 * second, and in CPU of the server per renewal, which the load generator on the same cores does not distort.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { stopwatch } from '../src/base/clock.ts'
import type { ServerOptions } from './est/est-server.ts'
import { createFleet, passphrase, type Fleet } from './est/fleet.ts'
import type { CrowdCommand, CrowdReport } from './reconnect/crowd.ts'

/** The limit: goodput under overload as a share of the best. */
const aim = 0.8
const crowds = 2
/** The crowd is there until this share of the devices has its certificate; then most of the rest sleep as they were told. */
const busyShare = 0.8
const inFlight = 16
const bestCount = 300
/** How long a device waits for an answer, s. */
const usualPatience = 30

export async function run(args: readonly string[]): Promise<void> {
  const devices = option(args, '--devices', 4_000)
  const fleet = await createFleet(devices + 2 * crowds * bestCount)
  const children = Array.from({ length: crowds }, () => fork(new URL('reconnect/crowd.ts', import.meta.url)))
  const server = await startServer(fleet, option(args, '--workers', 1))
  try {
    const share = Math.ceil(fleet.devices.length / crowds)
    for (const [i, child] of children.entries()) {
      const mine = fleet.devices.slice(i * share, (i + 1) * share)
      await ask(child, { kind: 'devices', rootPem: fleet.rootPem, devices: mine })
    }
    const { port } = server
    // the first requests run through code that is not compiled yet
    await measure(server, children, { kind: 'queue', port, inFlight, count: bestCount })
    const best = await measure(server, children, { kind: 'queue', port, inFlight, count: bestCount })
    const rush = await measure(server, children, {
      kind: 'rush',
      port,
      patienceMs: option(args, '--patience', usualPatience) * 1_000,
    })
    print(best, rush, devices)
  } finally {
    for (const child of [...children, server.child]) child.kill()
    rmSync(join(fleet.path, '..'), { recursive: true, force: true })
  }
}

interface Measured {
  readonly issued: number
  readonly told: number
  readonly cut: number
  readonly late: number
  readonly other: string | null
  readonly waits: readonly [number, number]
  /** Until every device had its certificate. */
  readonly seconds: number
  /** While the crowd was there: until four fifths of the devices had their certificate. */
  readonly busy: { readonly seconds: number; readonly issued: number; readonly cpuMicros: number }
}

interface Server {
  readonly port: number
  readonly child: ChildProcess
  readonly cpuMicros: () => Promise<number>
}

async function measure(
  server: Server,
  children: readonly ChildProcess[],
  command: CrowdCommand & { kind: 'queue' | 'rush' },
): Promise<Measured> {
  const before = await server.cpuMicros()
  const elapsed = stopwatch()
  const latest: (CrowdReport | null)[] = children.map(() => null)
  let busy: Measured['busy'] | null = null
  let total = Infinity
  const finished = children.map(async (child, i) => {
    child.send(command)
    for (;;) {
      const [report] = (await once(child, 'message')) as [CrowdReport]
      latest[i] = report
      progress(latest, elapsed())
      const issued = sum(latest, 'issued')
      if (command.kind === 'rush') total = rushSize
      if (busy === null && issued >= total * busyShare) {
        busy = { seconds: elapsed() / 1_000, issued, cpuMicros: (await server.cpuMicros()) - before }
      }
      if (report.isDone) return
    }
  })
  await Promise.all(finished)
  const seconds = elapsed() / 1_000
  const issued = sum(latest, 'issued')
  const waits = latest.flatMap((report) => (report?.waits ? [report.waits] : []))
  return {
    issued,
    told: sum(latest, 'told'),
    cut: sum(latest, 'cut'),
    late: sum(latest, 'late'),
    other: latest.find((report) => report?.other)?.other ?? null,
    waits: [Math.min(...waits.map(([least]) => least)), Math.max(...waits.map(([, most]) => most))],
    seconds,
    busy: busy ?? { seconds, issued, cpuMicros: (await server.cpuMicros()) - before },
  }
}

let rushSize = 0

/** For a person who waits. */
function progress(latest: readonly (CrowdReport | null)[], ms: number): void {
  if (!process.stderr.isTTY && !process.env['BENCH_PROGRESS']) return
  const names = ['issued', 'told', 'cut', 'late'] as const
  process.stderr.write(
    `${(ms / 1_000).toFixed(1)} s: ${names.map((name) => `${sum(latest, name)} ${name}`).join(', ')}\n`,
  )
}

function sum(reports: readonly (CrowdReport | null)[], name: 'issued' | 'told' | 'cut' | 'late'): number {
  return reports.reduce((total, report) => total + (report?.[name] ?? 0), 0)
}

async function startServer({ path }: Fleet, workers: number): Promise<Server> {
  const child = fork(new URL('est/est-server.ts', import.meta.url), {
    env: { ...process.env, PERENNIAL_EST__RETRY_AFTER: '5s' },
  })
  const options: ServerOptions = { path, passphrase, workers, env: { PERENNIAL_EST__RETRY_AFTER: '5s' } }
  const { port, admin } = await ask<{ port: number; admin: string }>(child, options)
  const cpuMicros = async () => {
    const text = await (await fetch(`${admin}/metrics`)).text()
    return Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1]) * 1e6
  }
  return { port, child, cpuMicros }
}

async function ask<Answer>(child: ChildProcess, message: object): Promise<Answer> {
  child.send(message)
  const gone = once(child, 'exit').then(() => Promise.reject(new Error('a process of the benchmark ended')))
  const [answer] = (await Promise.race([once(child, 'message'), gone])) as [Answer]
  return answer
}

function option(args: readonly string[], name: string, usual: number): number {
  const at = args.indexOf(name)
  return at < 0 ? usual : Number(args[at + 1])
}

function print(best: Measured, rush: Measured, devices: number): void {
  const row = (name: string, { busy }: Measured) =>
    [
      name.padEnd(44),
      `${(busy.issued / busy.seconds).toFixed(0)}/s`.padStart(10),
      `${(busy.cpuMicros / busy.issued).toFixed(0)} µs`.padStart(14),
    ].join('')
  const rate = rush.busy.issued / rush.busy.seconds / (best.busy.issued / best.busy.seconds)
  const cpu = best.busy.cpuMicros / best.busy.issued / (rush.busy.cpuMicros / rush.busy.issued)
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`
  console.log(
    [
      `${'renewals, TLS 1.3, a new connection each'.padEnd(44)}${'goodput'.padStart(10)}${'CPU each'.padStart(14)}`,
      row(`${crowds * inFlight} in flight (the best)`, best),
      row(`${devices} devices at once`, rush),
      `goodput under overload: ${percent(rate)} of the best; by CPU of the server ${percent(cpu)} (limit: ${percent(aim)})`,
      `${rush.issued} of ${devices} devices have their certificate after ${rush.seconds.toFixed(1)} s (${(rush.issued / rush.seconds).toFixed(0)}/s from first to last); ${devices - rush.issued} lost (limit: 0)`,
      `answered 503: ${rush.told}, Retry-After ${rush.told === 0 ? '-' : `${rush.waits[0]} to ${rush.waits[1]} s`}; cut before the handshake: ${rush.cut}; gave up waiting: ${rush.late}`,
      ...(rush.other === null ? [] : [`another answer: ${rush.other}`]),
    ].join('\n'),
  )
}

const args = process.argv.slice(2)
rushSize = option(args, '--devices', 4_000)
await run(args)

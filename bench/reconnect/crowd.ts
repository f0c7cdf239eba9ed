/** Devices that all want to renew at the same instant, each over a connection of its own, and that do as they are told. */
import { connect, createSecureContext, type SecureContext } from 'node:tls'
import { nextTurn, stopwatch, systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { backoffMs } from '../../src/base/retry.ts'
import type { LoadDevice } from '../est/load.ts'

export type CrowdCommand =
  | { readonly kind: 'devices'; readonly rootPem: string; readonly devices: readonly LoadDevice[] }
  /** `inFlight` of the devices at a time, one after the other: what the server can do at its best. */
  | { readonly kind: 'queue'; readonly port: number; readonly inFlight: number; readonly count: number }
  /** All that are left, at once, until each has its certificate. */
  | { readonly kind: 'rush'; readonly port: number; readonly patienceMs: number }

/** Sums since the command. */
export interface CrowdReport {
  readonly seconds: number
  readonly issued: number
  /** Answered 503 with a Retry-After. */
  readonly told: number
  /** Connections that were closed or refused without an answer. */
  readonly cut: number
  /** Gave up waiting for an answer. */
  readonly late: number
  readonly other: string | null
  /** Smallest and largest Retry-After so far, s; null before the first. */
  readonly waits: readonly [number, number] | null
  readonly isDone: boolean
}

interface Ready {
  readonly context: SecureContext
  readonly request: string
}

let ready: Ready[] = []

process.on('disconnect', () => process.exit())
process.on('message', async (command: CrowdCommand) => {
  if (command.kind === 'devices') {
    ready = command.devices.map((device) => prepare(device, command.rootPem))
    process.send?.({ ready: ready.length })
    return
  }
  const tally = new Tally()
  const devices = ready.splice(0, command.kind === 'queue' ? command.count : ready.length)
  const reporting = new AbortController()
  void report(tally, reporting.signal)
  if (command.kind === 'queue') await queue(devices, command, tally)
  else await Promise.all(devices.map((device) => persist(device, command, tally)))
  reporting.abort()
  process.send?.(tally.report(true))
})

async function report(tally: Tally, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(500, signal).catch(() => undefined)
    if (!signal.aborted) process.send?.(tally.report(false))
  }
}

function prepare({ chainPem, keyPem, csr }: LoadDevice, rootPem: string): Ready {
  const lines = [
    'POST /.well-known/est/simplereenroll HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/pkcs10',
    `Content-Length: ${csr.length}`,
    'Connection: close',
  ]
  return {
    context: createSecureContext({ cert: chainPem, key: keyPem, ca: rootPem, minVersion: 'TLSv1.3' }),
    request: `${lines.join('\r\n')}\r\n\r\n${csr}`,
  }
}

async function queue(
  devices: readonly Ready[],
  { port, inFlight }: CrowdCommand & { kind: 'queue' },
  tally: Tally,
): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < devices.length) tally.add(await exchange(port, devices[next++] as Ready, 30_000))
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

/** How a device comes back when nobody told it when. */
const backoff = { baseMs: 2_000, capMs: 60_000 }

/** Until it has its certificate: a device never gives up. */
async function persist(
  device: Ready,
  { port, patienceMs }: CrowdCommand & { kind: 'rush' },
  tally: Tally,
): Promise<void> {
  for (let failures = 0; ;) {
    const answer = await exchange(port, device, patienceMs)
    tally.add(answer)
    if (answer.startsWith('HTTP/1.1 200 ')) return
    const wait = /^retry-after: (\d+)/im.exec(answer)?.[1]
    failures = wait === undefined ? failures + 1 : 0
    await systemClock.sleep(
      wait === undefined ? backoffMs(backoff, failures, systemRandom) : Number(wait) * 1_000,
    )
  }
}

class Tally {
  #issued = 0
  #told = 0
  #cut = 0
  #late = 0
  #other: string | null = null
  #waits: [number, number] | null = null
  readonly #elapsed = stopwatch()

  add(answer: string): void {
    const wait = Number(/^retry-after: (\d+)/im.exec(answer)?.[1])
    if (answer.startsWith('HTTP/1.1 200 ')) this.#issued++
    else if (answer.startsWith('HTTP/1.1 503 ') && wait > 0) {
      this.#told++
      const [least, most] = this.#waits ?? [wait, wait]
      this.#waits = [Math.min(least, wait), Math.max(most, wait)]
    } else if (answer === 'late') this.#late++
    else if (answer === '' || answer.startsWith('error')) this.#cut++
    else this.#other ??= answer.slice(0, 300)
  }

  report(isDone: boolean): CrowdReport {
    return {
      seconds: this.#elapsed() / 1_000,
      issued: this.#issued,
      told: this.#told,
      cut: this.#cut,
      late: this.#late,
      other: this.#other,
      waits: this.#waits,
      isDone,
    }
  }
}

/** @returns the answer; '' when the connection ended without one, `error …`, or `late` */
function exchange(port: number, { context, request }: Ready, patienceMs: number): Promise<string> {
  return new Promise((resolve) => {
    const where = { host: '127.0.0.1', port, servername: 'localhost' }
    const socket = connect({ ...where, secureContext: context }, () => socket.write(request))
    let text = ''
    let heard = 0
    const giveUp = async () => {
      const before = heard
      // what has arrived counts: on a busy machine the timer may be served before it
      await nextTurn()
      await nextTurn()
      if (heard !== before) return
      resolve('late')
      socket.destroy()
    }
    socket.setTimeout(patienceMs, () => void giveUp())
    for (const event of ['connect', 'secureConnect', 'data', 'close']) socket.on(event, () => heard++)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.once('error', (error) => resolve(`error ${error.message}`))
    socket.once('close', () => resolve(text))
  })
}

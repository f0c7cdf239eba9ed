/**
 * `node bench/trigger.ts [messages]`: publishing triggers to Mosquitto over mutual TLS, retained and at QoS 1, one topic for
 * each device; the same through a slow line, where memory must not grow; and to the embedded broker.
 */
import { createServer, connect, type Server } from 'node:net'
import { once } from 'node:events'
import { Transform } from 'node:stream'
import { secondMs, stopwatch, systemClock } from '../src/base/clock.ts'
import type { DeviceId } from '../src/base/id.ts'
import { Refusal } from '../src/base/errors.ts'
import type { MqttLink } from '../src/engine/ports.ts'
import { createMqttTrigger } from '../src/triggers/mqtt.ts'
import { sampleTrigger } from '../test/conformance/trigger.ts'
import { startEstRig } from '../test/helpers/est-rig.ts'
import { platformLink, startMosquitto } from '../test/helpers/mosquitto.ts'
import { rigPrefix, startMqttRig } from '../test/helpers/mqtt-rig.ts'
import { missing } from '../test/helpers/require.ts'

const count = Number(process.argv[2] ?? 100_000)
const maxInFlight = 1_000
/** Sends under way, as the jobs have them; those beyond `maxInFlight` wait. */
const parallel = 2_000
const slowBytesPerSecond = 200_000
const slowMs = 15 * secondMs

const never = new AbortController().signal
const rows: string[] = []

function row(what: string, value: string, limit: string): void {
  rows.push(`${what.padEnd(56)}${value.padStart(16)}   ${limit}`)
}

const megabytes = () => process.memoryUsage.rss() / 2 ** 20

/** Publishes until all are acknowledged, or the time is over. @returns how many were */
async function publishAll(
  link: MqttLink,
  total: number,
  timeMs = Infinity,
): Promise<{ done: number; refused: number; ms: number }> {
  const channel = createMqttTrigger({ link, prefix: rigPrefix, parallel })
  const elapsed = stopwatch()
  let next = 0
  let done = 0
  let refused = 0
  const worker = async () => {
    while (next < total && elapsed() < timeMs) {
      const n = next++
      const trigger = sampleTrigger({ renewalId: n, deviceId: `meter-${n}` as DeviceId })
      try {
        await channel.send(trigger, never)
        done++
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        refused++
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return { done, refused, ms: elapsed() }
}

async function later(chunk: Buffer, done: (error: null, chunk: Buffer) => void): Promise<void> {
  await systemClock.sleep((chunk.length / slowBytesPerSecond) * secondMs)
  done(null, chunk)
}

/** A line that lets through so many bytes a second towards the broker. */
async function slowLine(port: number): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => {
    const broker = connect(port, '127.0.0.1')
    const throttle = new Transform({
      highWaterMark: 16_384,
      transform(chunk: Buffer, _encoding, done) {
        void later(chunk, done)
      },
    })
    socket.pipe(throttle).pipe(broker)
    broker.pipe(socket)
    for (const end of [socket, broker])
      end.on('error', () => [socket, broker].forEach((each) => each.destroy()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as { port: number }).port }
}

async function benchMosquitto(): Promise<void> {
  const rig = await startEstRig()
  const broker = await startMosquitto(rig, await rig.newIdentity(), ['log_type error', 'log_type warning'])
  const options = { maxInFlight, publishTimeoutMs: 30 * secondMs }
  const link = await platformLink(rig, broker.port, options)
  await publishAll(link, 5_000)
  const before = megabytes()
  const fast = await publishAll(link, count)
  row('to Mosquitto, each to its own device', `${rate(fast)}/s`, 'at least 10,000/s')
  row(
    '  memory of this process, more than before',
    `${(megabytes() - before).toFixed(0)} MB`,
    'garbage of a run, see the slow line',
  )
  await link.close()

  const line = await slowLine(broker.port)
  const slow = await platformLink(rig, line.port, options)
  const start = megabytes()
  let peak = start
  let mostUnderWay = 0
  const watching = new AbortController()
  const watch = async () => {
    while (!watching.signal.aborted) {
      peak = Math.max(peak, megabytes())
      mostUnderWay = Math.max(mostUnderWay, slow.load().underWay)
      await systemClock.sleep(50)
    }
  }
  const watched = watch()
  const throttled = await publishAll(slow, Infinity, slowMs)
  watching.abort()
  await watched
  row(
    `through a line of ${slowBytesPerSecond / 1_000} kB/s, for ${slowMs / secondMs} s`,
    `${rate(throttled)}/s`,
    'what the line bears',
  )
  row('  not acknowledged at one time', String(mostUnderWay), `at most ${maxInFlight}`)
  row('  memory of this process, more than before', `${(peak - start).toFixed(0)} MB`, 'at most 50 MB')
  row('  refused', String(throttled.refused), '0: waiting is no failure')
  await slow.close()
  line.server.close()
  await broker.close()
  await rig.close()
}

async function benchEmbedded(): Promise<void> {
  const rig = await startMqttRig({ broker: { maxInFlight } })
  await publishAll(rig.broker.link, 5_000)
  const before = megabytes()
  const result = await publishAll(rig.broker.link, count)
  row('to the embedded broker, which keeps them', `${rate(result)}/s`, 'at least 10,000/s')
  row(
    '  memory of this process, more than before',
    `${(megabytes() - before).toFixed(0)} MB`,
    'at most 2 kB for each device',
  )
  await rig.close()
}

function rate({ done, ms }: { readonly done: number; readonly ms: number }): string {
  return Math.round((done * secondMs) / ms).toLocaleString('en-US')
}

const lacks = missing('mosquitto')
if (lacks === false) await benchMosquitto()
else row('to Mosquitto', 'skipped', lacks)
await benchEmbedded()
process.stdout.write(`${count.toLocaleString('en-US')} triggers of about 300 bytes\n${rows.join('\n')}\n`)

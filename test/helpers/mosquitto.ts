/** Debian's Mosquitto with mutual TLS and the access rules that we generate, on a free port of 127.0.0.1. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync, chmodSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { openMqttLink, type MqttClientLink } from '../../src/protocols/mqtt-client.ts'
import { mosquittoAcl } from '../../src/protocols/mqtt-acl.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { enrolDevice, type Enrolled } from './app.ts'
import { freePorts } from './checkout.ts'
import { pemOfKey, type EstRig } from './est-rig.ts'
import { rigPrefix } from './mqtt-rig.ts'
import { programPath } from './require.ts'
import { run, type Ran } from './run.ts'

export const platformUser = 'platform'

export interface Mosquitto {
  readonly port: number
  readonly directory: string
  /** Everything that it has logged. */
  log(): string
  stop(signal?: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

/** @param identity what it shows to clients, PEM */
export async function startMosquitto(
  { directory, rootPem, issuingPem }: Pick<EstRig, 'directory' | 'rootPem' | 'issuingPem'>,
  identity: { readonly chainPem: string; readonly keyPem: string },
  extra: readonly string[] = [],
): Promise<Mosquitto> {
  const [port = 0] = await freePorts(1)
  const file = (name: string) => join(directory, name)
  writeFileSync(file('broker-ca.pem'), rootPem + issuingPem)
  writeFileSync(file('broker.pem'), identity.chainPem)
  writeFileSync(file('broker.key'), identity.keyPem)
  writeFileSync(file('acl'), mosquittoAcl({ prefix: rigPrefix, platformUser }))
  writeFileSync(
    file('mosquitto.conf'),
    [
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      `listener ${port} 127.0.0.1`,
      `cafile ${file('broker-ca.pem')}`,
      `certfile ${file('broker.pem')}`,
      `keyfile ${file('broker.key')}`,
      'require_certificate true',
      'use_identity_as_username true',
      'allow_anonymous false',
      // a plugin that is given has the say alone
      ...(extra.some((line) => line.startsWith('plugin ')) ? [] : [`acl_file ${file('acl')}`]),
      'message_size_limit 65536',
      'max_inflight_messages 1000',
      'persistence true',
      `persistence_location ${directory}/`,
      `log_dest file ${file('mosquitto.log')}`,
      ...(extra.some((line) => line.startsWith('log_type')) ? [] : ['log_type all']),
      ...extra,
      '',
    ].join('\n'),
  )
  chmodSync(directory, 0o755)
  let child: ChildProcess | null = null
  const broker: Mosquitto = {
    port,
    directory,
    log: () => (existsSync(file('mosquitto.log')) ? readFileSync(file('mosquitto.log'), 'utf8') : ''),
    async start() {
      child = spawn(programPath('mosquitto'), ['-c', file('mosquitto.conf')], { stdio: 'ignore' })
      for (let left = 200; left > 0; left--) {
        if (await answers(port)) return
        await systemClock.sleep(25)
      }
      throw new Error(`mosquitto did not start:\n${broker.log()}`)
    },
    async stop(signal = 'SIGTERM') {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      if (signal === 'SIGTERM' || signal === 'SIGKILL') await gone
    },
    close: () => broker.stop('SIGKILL'),
  }
  await broker.start()
  return broker
}

/** Whether somebody listens there. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

const credentials = new WeakMap<EstRig, Promise<Enrolled>>()

function platformCredential(rig: EstRig): Promise<Enrolled> {
  const known = credentials.get(rig) ?? enrolDevice(rig.engine, platformUser, { profile: 'open' })
  credentials.set(rig, known)
  return known
}

/** The link of the platform, which has a certificate of its own from the same CA. */
export async function platformLink(
  rig: EstRig,
  port: number,
  options: { readonly maxInFlight?: number; readonly publishTimeoutMs?: number } = {},
): Promise<MqttClientLink> {
  const { certificate, key } = await platformCredential(rig)
  const link = openMqttLink({
    url: `mqtts://localhost:${port}`,
    credentials: async () => ({
      ca: rig.rootPem,
      certificate: encodePem('CERTIFICATE', certificate) + rig.issuingPem,
      key: pemOfKey(key.privateKey),
    }),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    maxInFlight: options.maxInFlight ?? 100,
    publishTimeoutMs: options.publishTimeoutMs ?? 5_000,
  })
  await connected(link)
  return link
}

export async function connected(link: Pick<MqttClientLink, 'isConnected' | 'problem'>): Promise<void> {
  for (let left = 800; left > 0; left--) {
    if (link.isConnected) return
    await systemClock.sleep(25)
  }
  throw new Error(`no connection: ${link.problem}`)
}

/** Arguments with which mosquitto_pub and mosquitto_sub connect as this device. */
export function clientArguments(
  { directory, rootPem, issuingPem }: Pick<EstRig, 'directory' | 'rootPem' | 'issuingPem'>,
  port: number,
  { record, certificate, key }: Enrolled,
): string[] {
  const base = join(directory, `${record.deviceId}-${record.serialNumber.slice(0, 8)}`)
  writeFileSync(join(directory, 'root.pem'), rootPem)
  writeFileSync(`${base}.pem`, encodePem('CERTIFICATE', certificate) + issuingPem)
  writeFileSync(`${base}.key`, pemOfKey(key.privateKey))
  const tls = ['--cafile', join(directory, 'root.pem'), '--cert', `${base}.pem`, '--key', `${base}.key`]
  return ['-h', 'localhost', '-p', String(port), ...tls, '-q', '1']
}

export async function publish(
  connection: readonly string[],
  topic: string,
  message: string | Buffer,
): Promise<Ran> {
  return await run(programPath('mosquitto_pub'), [...connection, '-t', topic, '-s'], { input: message })
}

/** Messages until there are `count`, or until the time is over; each as `topic payload`. */
export async function subscribe(
  connection: readonly string[],
  topics: readonly string[],
  { count, seconds = 40 }: { readonly count: number; readonly seconds?: number },
): Promise<string[]> {
  const filters = topics.flatMap((topic) => ['-t', topic])
  const limits = ['-C', String(count), '-W', String(seconds), '-F', '%t %p']
  const { stdout } = await run(programPath('mosquitto_sub'), [...connection, ...filters, ...limits])
  return stdout
    .toString('utf8')
    .split('\n')
    .filter((text) => text !== '')
}

/** Tokens and TPMs in software, for keys that never leave them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '../../src/base/clock.ts'
import { freePorts } from './checkout.ts'
import { programPath } from './require.ts'
import { runOk } from './run.ts'

export interface SoftToken {
  readonly label: string
  readonly pinFile: string
  /** What programs need to find it. */
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

/** A PKCS #11 token of SoftHSM. */
export async function makeSoftToken(label: string, pin: string): Promise<SoftToken> {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-token-'))
  mkdirSync(join(folder, 'tokens'))
  const conf = join(folder, 'softhsm2.conf')
  writeFileSync(
    conf,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  const pinFile = join(folder, 'pin')
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
  const env = { SOFTHSM2_CONF: conf }
  const words = ['--init-token', '--free', '--label', label, '--pin', pin, '--so-pin', 'administrator']
  await runOk(programPath('softhsm'), words, { env })
  return { label, pinFile, env, remove: () => rmSync(folder, { recursive: true }) }
}

export interface SoftTpm {
  readonly tcti: string
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** A TPM 2.0 of swtpm, behind a resource manager as on a device. */
export async function startSoftTpm(): Promise<SoftTpm> {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-tpm-'))
  const started: ChildProcess[] = []
  const start = (program: string, args: string[], env: Record<string, string> = {}): ChildProcess => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    })
    started.push(child)
    return child
  }
  const stop = async (): Promise<void> => {
    for (const child of started.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true })
  }
  try {
    await runOk('swtpm_setup', ['--tpm2', '--tpmstate', folder, '--overwrite'])
    const port = await freePair()
    const control = port + 1
    start('swtpm', [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder}`,
      '--server',
      `type=tcp,port=${port},bindaddr=127.0.0.1`,
      '--ctrl',
      `type=tcp,port=${control},bindaddr=127.0.0.1`,
      '--flags',
      'not-need-init,startup-clear',
    ])
    await untilListening(control)
    const bus = start('dbus-daemon', ['--session', '--nofork', '--print-address'])
    const address = await firstLine(bus)
    const env = { DBUS_SESSION_BUS_ADDRESS: address }
    const tcti = `swtpm:host=127.0.0.1,port=${port}`
    start(programPath('tpm2-abrmd'), ['--session', '--allow-root', '--flush-all', '--tcti', tcti], env)
    await untilNamed(env)
    return { tcti: 'tabrmd:bus_type=session', env, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line
  throw new Error('the bus said nothing')
}

/** The control channel of a TPM is where its users look for it: one port further. */
async function freePair(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const [port = 0] = await freePorts(1)
    const next = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      next.once('error', () => resolve(false))
      next.listen(port + 1, '127.0.0.1', () => resolve(true))
    })
    next.close()
    if (isFree) return port
  }
  throw new Error('no two free ports side by side')
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isUp) return
    await systemClock.sleep(50)
  }
  throw new Error('the TPM does not start')
}

async function untilNamed(env: Record<string, string>): Promise<void> {
  const call = ['--session', '--print-reply', '--dest=org.freedesktop.DBus', '/org/freedesktop/DBus']
  for (let tries = 0; tries < 100; tries++) {
    const names = await runOk('dbus-send', [...call, 'org.freedesktop.DBus.ListNames'], { env })
    if (names.includes('com.intel.tss2.Tabrmd')) return
    await systemClock.sleep(100)
  }
  throw new Error('the resource manager does not start')
}

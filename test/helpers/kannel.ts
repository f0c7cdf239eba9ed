/** Debian's Kannel on 127.0.0.1: bearerbox, which binds to an SMSC over SMPP, and smsbox, to which we send. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { freePorts } from './checkout.ts'
import { programPath } from './require.ts'
import { smscAccount } from './smsc.ts'

export interface Kannel {
  /** Of the sendsms interface. */
  readonly url: string
  readonly username: string
  readonly password: string
  /** What both boxes have logged. */
  log(): string
  stop(): Promise<void>
}

const user = { username: 'tester', password: 'foobar' } as const

/** @param directory for its files; @param smscPort where the SMSC listens */
export async function startKannel(directory: string, smscPort: number): Promise<Kannel> {
  const [admin = 0, boxes = 0, sendsms = 0] = await freePorts(3)
  const file = (name: string) => join(directory, name)
  writeFileSync(file('kannel.conf'), configuration({ admin, boxes, sendsms, smscPort, file }))
  const running: ChildProcess[] = []
  const begin = async (program: string, port: number) => {
    // -v 4: only panics on standard error, the rest is in its log file
    running.push(spawn(program, ['-v', '4', file('kannel.conf')], { stdio: 'ignore' }))
    for (let left = 400; left > 0; left--) {
      if (await answers(port)) return
      await systemClock.sleep(25)
    }
    throw new Error(`${program} did not start:\n${log()}`)
  }
  const log = () =>
    ['bearerbox.log', 'smsbox.log']
      .map((name) => (existsSync(file(name)) ? readFileSync(file(name), 'latin1') : ''))
      .join('\n')
  const bearerbox = programPath('kannel')
  await begin(bearerbox, boxes)
  await begin(bearerbox.replace(/bearerbox$/, 'smsbox'), sendsms)
  return {
    ...user,
    url: `http://127.0.0.1:${sendsms}/cgi-bin/sendsms`,
    log,
    async stop() {
      for (const child of running.toReversed()) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      }
    },
  }
}

interface Ports {
  readonly admin: number
  readonly boxes: number
  readonly sendsms: number
  readonly smscPort: number
  readonly file: (name: string) => string
}

function configuration({ admin, boxes, sendsms, smscPort, file }: Ports): string {
  const group = (name: string, values: Readonly<Record<string, string | number>>) =>
    [`group = ${name}`, ...Object.entries(values).map(([key, value]) => `${key} = ${value}`), ''].join('\n')
  return [
    group('core', {
      'admin-port': admin,
      'admin-interface': '127.0.0.1',
      'admin-password': 'unused',
      'smsbox-port': boxes,
      'smsbox-interface': '127.0.0.1',
      'box-allow-ip': '127.0.0.1',
      'log-file': file('bearerbox.log'),
      'log-level': 0,
      'dlr-storage': 'internal',
    }),
    group('smsc', {
      smsc: 'smpp',
      'smsc-id': 'smpp1',
      host: '127.0.0.1',
      port: smscPort,
      'smsc-username': smscAccount.systemId,
      'smsc-password': smscAccount.password,
      'system-type': '""',
      'transceiver-mode': 'true',
    }),
    group('smsbox', {
      'bearerbox-host': '127.0.0.1',
      'sendsms-port': sendsms,
      'sendsms-interface': '127.0.0.1',
      'log-file': file('smsbox.log'),
      'log-level': 0,
    }),
    group('sendsms-user', { ...user, 'user-allow-ip': '127.0.0.1' }),
    group('sms-service', { keyword: 'default', 'max-messages': 0, text: 'none' }),
  ].join('\n')
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A platform whose status endpoint is really there, with devices and files for real verifiers. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import { issueServerCertificate } from '../../src/engine/issuing/server-certificate.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import { enrolDevice, issuingId, testEngine, type Enrolled, type TestEngine } from './app.ts'
import { freePorts } from './checkout.ts'

export interface DeviceFiles {
  readonly enrolled: Enrolled
  readonly certificateFile: string
  readonly keyFile: string
}

export class StatusRig {
  readonly directory: string
  readonly url: string
  readonly rig: TestEngine
  readonly #listener: Listener
  readonly #children: ChildProcess[] = []

  private constructor(parts: { directory: string; url: string; rig: TestEngine; listener: Listener }) {
    this.directory = parts.directory
    this.url = parts.url
    this.rig = parts.rig
    this.#listener = parts.listener
  }

  static async open(): Promise<StatusRig> {
    const directory = mkdtempSync(join(tmpdir(), 'perennial-status-'))
    chmodSync(directory, 0o755)
    const [port = 0] = await freePorts(1)
    const url = `http://127.0.0.1:${port}`
    const rig = await testEngine({ clock: systemClock, settings: { statusUrl: url } })
    const server = createServer(serverOptions(statusLimits))
    serveHttp(server, statusHandler(rig.engine), statusLimits, systemClock)
    const listener = await listen(server, { host: '127.0.0.1', port, reusePort: false }, systemClock)
    return new StatusRig({ directory, url, rig, listener })
  }

  get engine(): Engine {
    return this.rig.engine
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      // not SIGKILL: a master process takes its workers with it, which hold on to the pipe
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
      child.stderr?.destroy()
    }
    await this.#listener.stop(1_000)
    await this.rig.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content)
    return this.path(name)
  }

  async enrol(id: string): Promise<DeviceFiles> {
    const enrolled = await enrolDevice(this.engine, id)
    const keyPem = enrolled.key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const [issuing = ''] = await this.chainPem()
    return {
      enrolled,
      certificateFile: this.write(`${id}.pem`, encodePem('CERTIFICATE', enrolled.certificate) + issuing),
      keyFile: this.write(`${id}.key`, keyPem),
    }
  }

  /** PEM of the issuing CA and of the root. */
  async chainPem(): Promise<string[]> {
    return (await issuerChain(this.engine, issuingId)).map((der) => encodePem('CERTIFICATE', der))
  }

  /** A server certificate of ours: files of its chain and key. */
  async serverIdentity(name = 'server'): Promise<{ readonly chain: string; readonly key: string }> {
    const { privateKey, spki } = generateKeyPair('ec-p256')
    const { der } = await issueServerCertificate(this.engine, {
      issuerId: issuingId,
      hostnames: ['localhost'],
      spki,
    })
    const [issuing = ''] = await this.chainPem()
    return {
      chain: this.write(`${name}.pem`, encodePem('CERTIFICATE', der) + issuing),
      key: this.write(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
    }
  }

  /** Starts a server of somebody else and waits until it listens. */
  async start(program: string, args: readonly string[], port: number): Promise<ChildProcess> {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#children.push(child)
    let said = ''
    child.stderr.on('data', (text: Buffer) => (said += text.toString()))
    for (let left = 400; left > 0; left--) {
      if (await answers(port)) return child
      await systemClock.sleep(25)
    }
    throw new Error(`${program} did not start: ${said}`)
  }

  /** The frame of a configuration of nginx around one server. */
  nginxConf(server: string): string {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${this.path(name)};`)
      .join(' ')
    const user = process.getuid?.() === 0 ? 'user root;' : ''
    return `daemon off; pid ${this.path('nginx.pid')}; error_log stderr; ${user} worker_processes 1;
      events {} http { access_log off; ${temporary} server { ${server} } }`
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(socket.destroy() !== null))
    socket.once('error', () => resolve(false))
  })
}

/**
 * TLS through the system's `openssl s_client`: it finds keys in hardware through engines and providers, which Node does not
 * load. Its standard input and output are what is inside TLS.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { readPrivateFile, type WriteFile } from './agent-directory.ts'
import type { Slot } from './keystore.ts'
import { saidAtLast, startProgram } from './openssl-program.ts'
import type { TlsConnector, TlsTarget } from './tls-key.ts'

export interface OpensslTlsOptions {
  /** What names the engine or provider, and the key: `-engine`, `-keyform`, `-key` … */
  readonly keyArgs: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Certificates that the program is to read are written there. */
  readonly directory: string
  readonly slot: Slot
  readonly write: WriteFile
}

export function opensslTls(options: OpensslTlsOptions): TlsConnector {
  return {
    async connect(target: TlsTarget, signal: AbortSignal): Promise<Duplex> {
      const { keyArgs, env, slot } = options
      const [leaf = '', ...others] = target.chainPem.match(blockPattern) ?? []
      const trustFile = await present(options, 'tls-trust.pem', target.trustPem)
      const leafFile = await present(options, `tls-${slot}.pem`, leaf)
      const args = ['s_client', ...strict, ...where(target), '-CAfile', trustFile, '-cert', leafFile]
      if (others.length > 0) {
        args.push('-cert_chain', await present(options, `tls-${slot}-chain.pem`, others.join('')))
      }
      if (target.at !== undefined) args.push('-attime', String(Math.floor(target.at / 1000)))
      args.push(...keyArgs)
      signal.throwIfAborted()
      return new ProgramStream(startProgram('openssl', { args, env, timeoutMs: Infinity }), signal)
    },
  }
}

const blockPattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g

/** `-quiet` also stops it from taking lines that begin with Q, R and others as commands. */
const strict = [
  '-quiet',
  '-ign_eof',
  '-verify_return_error',
  '-min_protocol',
  'TLSv1.2',
  '-no-CApath',
  '-no-CAstore',
]

function where({ host, port, serverName }: TlsTarget): string[] {
  const address = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const name = serverName.replace(/^\[(.*)\]$/, '$1')
  const identity =
    isIP(name) === 0 ? ['-verify_hostname', name, '-servername', name] : ['-verify_ip', name, '-noservername']
  return ['-connect', `${address}:${port}`, ...identity]
}

/** Rewritten only when it is another: an exchange must not wear out the flash. */
async function present(
  { directory, write }: Pick<OpensslTlsOptions, 'directory' | 'write'>,
  name: string,
  pem: string,
): Promise<string> {
  const path = join(directory, name)
  if ((await readPrivateFile(path)) !== pem) await write(path, pem, 0o600)
  return path
}

/** The program's end is the end of the stream, with the reason that it gave. */
class ProgramStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams
  #stderr = ''

  constructor(child: ChildProcessWithoutNullStreams, signal: AbortSignal) {
    super({ allowHalfOpen: true })
    this.#child = child
    child.stdout.on('data', (chunk: Uint8Array) => {
      if (!this.push(chunk)) child.stdout.pause()
    })
    child.stderr.on('data', (chunk: Uint8Array) => {
      this.#stderr = (this.#stderr + Buffer.from(chunk).toString('latin1')).slice(-4_096)
    })
    child.stdin.on('error', () => undefined)
    child.once('error', (error) => this.destroy(error))
    child.once('close', (exitCode) => {
      if (exitCode === 0 && !this.#sawAlert()) this.push(null)
      else this.destroy(this.#reason())
    })
    const onAbort = () => this.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    this.once('close', () => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) this.destroy()
  }

  override _read(): void {
    this.#child.stdout.resume()
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // a broken pipe is told by the program's end, which knows why
    this.#child.stdin.write(chunk, () => done())
  }

  /** Half a close is not for TLS over this program: the other side ends the connection, or `destroy` does. */
  override _final(done: () => void): void {
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill()
    done(error)
  }

  #sawAlert(): boolean {
    return alertPattern.test(this.#stderr)
  }

  #reason(): Error {
    const [, name] = alertPattern.exec(this.#stderr) ?? []
    const error = new Error(saidAtLast(this.#stderr) || 'openssl s_client has ended')
    return name === undefined
      ? error
      : Object.assign(error, { code: `ERR_SSL_ALERT_${name.trim().toUpperCase().replaceAll(' ', '_')}` })
  }
}

/** Such as `error:0A000415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired:…` */
const alertPattern = /SSL routines:[^:\n]*:(?:sslv3|tlsv1|tlsv13|ssl\/tls) alert ([a-z ]+)/

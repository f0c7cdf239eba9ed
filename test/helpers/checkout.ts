/** A clean clone of this repository, used as a stranger would: with the machine's own Node.js and npm and nothing of ours. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/clock.ts'

const root = resolve(import.meta.dirname, '../..')

export interface Checkout {
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
  remove(): void
}

/** @returns null when a clone can be made and used, otherwise why not: for the `skip` option of a test */
export function whyNoCheckout(): string | null {
  if (!existsSync(join(root, '.git'))) return 'this is not a git checkout, so there is nothing to clone'
  const path = strangersEnvironment()['PATH'] ?? ''
  const isThere = (name: string): boolean =>
    path.split(delimiter).some((directory) => existsSync(join(directory, name)))
  for (const name of ['git', 'npm', 'node']) if (!isThere(name)) return `${name} is not on the PATH`
  return null
}

/** Clones what is committed. @param env added to the environment of a stranger */
export async function cleanClone(env: Readonly<Record<string, string>>): Promise<Checkout> {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-clone-'))
  await promisify(execFile)('git', ['clone', '--quiet', '--no-hardlinks', root, directory])
  return {
    directory,
    env: { ...strangersEnvironment(), ...env },
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }),
  }
}

/** Without what `npm test` and this test runner have put there: our Node.js on the PATH, npm's view of this checkout. */
function strangersEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_(registry|cache|proxy|https_proxy|noproxy|cafile)$)|INIT_CWD$|NODE_OPTIONS$|NODE_TEST|PERENNIAL_|DATABASE_URL)/i.test(
        name,
      ),
  )
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => !/node_modules[\\/]/.test(`${directory}/`))
    .join(delimiter)
  return { ...Object.fromEntries(kept), PATH: path }
}

export interface Running {
  readonly process: ChildProcess
  /** Everything that it wrote so far. */
  output(): string
  /** Resolves when the output matches; rejects when the process ends before, or after `ms`. */
  says(pattern: RegExp, ms: number): Promise<RegExpExecArray>
  /** Sends the signal and waits for the end, at most `ms`. @returns exit code, or the signal that ended it */
  stop(signal: NodeJS.Signals, ms: number): Promise<number | string>
}

/** Starts a long-running command in a process group of its own. */
export function start({ directory, env }: Checkout, command: string, args: readonly string[]): Running {
  const child = spawn(command, args, {
    cwd: directory,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const { promise: ended, resolve: end } = Promise.withResolvers<number | string>()
  let listener = (): void => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
      listener()
    })
  }
  child.once('exit', (code, signal) => {
    end(code ?? signal ?? 'unknown')
    listener()
  })
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null
  return {
    process: child,
    output: () => output,
    async says(pattern, ms) {
      const { promise, resolve: found, reject } = Promise.withResolvers<RegExpExecArray>()
      listener = () => {
        const match = pattern.exec(output)
        if (match) found(match)
        else if (hasEnded()) reject(new Error(`it ended before it said ${pattern}:\n${output}`))
      }
      listener()
      return await within(promise, ms, () => `it has not said ${pattern} in ${ms} ms:\n${output}`)
    },
    async stop(signal, ms) {
      if (!hasEnded()) child.kill(signal)
      return await within(ended, ms, () => `it has not ended ${ms} ms after ${signal}:\n${output}`)
    },
  }
}

/** Ends the whole process group, however. */
export function kill({ process: child }: Running): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function within<Result>(
  promise: Promise<Result>,
  ms: number,
  complaint: () => string,
): Promise<Result> {
  const done = new AbortController()
  const late = systemClock.sleep(ms, done.signal).then(
    () => Promise.reject(new Error(complaint())),
    () => promise, // aborted: the result is there
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    done.abort()
  }
}

/** TCP ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolvePort, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolvePort((server.address() as AddressInfo).port))
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return ports
}

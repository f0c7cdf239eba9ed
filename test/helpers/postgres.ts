/**
 * A private PostgreSQL for tests: a fresh cluster in a temporary directory, on a free port of the loopback interface,
 * without fsync. It ends with the process that started it, however that ends.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, Socket, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { systemClock } from '../../src/base/clock.ts'

const run = promisify(execFile)

/** A server that tests share, `postgres://user@host:port`; `test/run.ts` may set it to save a cluster per test file. */
export const sharedServer = 'PERENNIAL_TEST_POSTGRES'

export interface PostgresServer {
  /** `postgres://user@host:port`, without a database. */
  readonly url: string
  /** @param template URL of a database to copy, which nobody uses; empty when absent. @returns a `postgres://…` URL */
  createDatabase(template?: string): Promise<string>
  stop(): Promise<void>
}

/** @returns null when a server can be had, otherwise why not: for the `skip` option of a test */
export function whyNoPostgres(): string | null {
  if (process.env[sharedServer] !== undefined) return null
  if (binaries() === null) {
    return 'PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin): apt-get install postgresql'
  }
  if (isRoot() && owner() === null)
    return 'PostgreSQL refuses to run as root and there is no user named postgres'
  return null
}

/** @returns the server, or the reason why there is none */
export async function startPostgres(): Promise<PostgresServer | { readonly reason: string }> {
  const shared = process.env[sharedServer]
  if (shared !== undefined) return serverAt(shared, async () => {})
  const reason = whyNoPostgres()
  const bin = binaries()
  if (reason !== null || bin === null) return { reason: reason ?? 'PostgreSQL is not installed' }

  const directory = mkdtempSync(join(tmpdir(), 'perennial-pg-'))
  const as = isRoot() ? owner() : null
  if (as) chownSync(directory, as.uid, as.gid)
  const data = join(directory, 'data')
  const identity = { ...as, cwd: directory, env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' } }
  await run(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'perennial', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions'],
    identity,
  )
  const port = await freePort()
  // The shell stops the server when its standard input ends: with `stop`, and when this process is killed.
  const settings = ['fsync=off', 'autovacuum=off', 'max_connections=200', 'shared_buffers=64MB'].flatMap(
    (set) => ['-c', set],
  )
  const server = ['-D', data, '-p', String(port), '-k', directory, '-h', '127.0.0.1', ...settings]
  const shell = spawn(
    'sh',
    [
      '-c',
      '"$@" & server=$!; read -r _; kill -INT $server; wait $server',
      'sh',
      join(bin, 'postgres'),
      ...server,
    ],
    { ...identity, stdio: ['pipe', 'ignore', 'pipe'] },
  )
  const url = `postgres://perennial@127.0.0.1:${port}`
  await answering(url, shell)
  // a process that is done must not wait for its server
  shell.unref()
  for (const stream of [shell.stdin, shell.stderr]) if (stream instanceof Socket) stream.unref()
  return serverAt(url, async () => {
    const ended = new Promise((resolve) => {
      shell.ref()
      shell.once('exit', resolve)
    })
    shell.stdin?.end()
    await ended
    rmSync(directory, { recursive: true, force: true })
  })
}

let databases = 0

function serverAt(url: string, stop: () => Promise<void>): PostgresServer {
  return {
    url,
    async createDatabase(template) {
      const name = `t${process.pid}_${databases++}`
      const from = template === undefined ? 'template0' : (template.split('/').at(-1) ?? '')
      // seven times as fast as through the log, which is the default since version 15
      await query(`${url}/postgres`, `create database ${name} template ${from} strategy file_copy`)
      return `${url}/${name}`
    },
    stop,
  }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function answering(url: string, shell: ChildProcess): Promise<void> {
  let complaint = ''
  shell.stderr?.on('data', (text: Buffer) => {
    complaint += text.toString()
  })
  for (let attempt = 0; attempt < 200; attempt++) {
    if (shell.exitCode !== null) break
    try {
      await query(`${url}/postgres`, 'select 1')
      return
    } catch {
      await systemClock.sleep(50)
    }
  }
  shell.stdin?.end()
  throw new Error(`PostgreSQL did not start: ${complaint.slice(-2000)}`)
}

function binaries(): string | null {
  const initdb = globSync('/usr/lib/postgresql/*/bin/initdb').sort().at(-1)
  return initdb === undefined ? null : dirname(initdb)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function owner(): { readonly uid: number; readonly gid: number } | null {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  if (uid?.status !== 0 || gid?.status !== 0) return null
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

/** The real binary as a child process, away from the variables of whoever runs the tests. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

export const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface PerennialOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
}

/** Variables without ours, so that a developer's PERENNIAL_… cannot change a test. */
export function cleanEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const entries = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
    value === undefined || name.startsWith('PERENNIAL_') || name.startsWith('DATABASE_URL')
      ? []
      : [[name, value]],
  )
  return { ...Object.fromEntries(entries), ...env }
}

export async function perennial(args: readonly string[], options: PerennialOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [mainFile, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: cleanEnvironment(options.env),
    timeout: 60_000,
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { exitCode, stdout, stderr }
}

/** A child that goes on, such as `serve`. The caller ends it. */
export function startPerennial(args: readonly string[], { cwd, env }: PerennialOptions = {}): ChildProcess {
  return spawn(process.execPath, [mainFile, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** A folder that is gone when the file's tests have run. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-e2e-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

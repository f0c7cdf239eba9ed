/** Programs that reach keys in hardware: bounded in time and output, secrets only in their environment. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'

export interface ProgramRun {
  readonly args: readonly string[]
  /** Beside those of this process. */
  readonly env: Readonly<Record<string, string>>
  readonly input?: Uint8Array
  /** Ends it, ms: tokens make RSA keys for a minute and longer. Default two minutes. */
  readonly timeoutMs?: number
}

const maxOutputBytes = 262_144

/**
 * @returns what it wrote to standard output
 * @throws Refusal `keystore-failed` with the last thing that it said
 */
export function runProgram(program: string, run: ProgramRun): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = startProgram(program, run)
    const output = collect(child)
    child.once('error', (cause) => reject(failed(program, cause.message, cause)))
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0 && !output.isTooLong()) resolve(output.stdout())
      else reject(failed(program, saidAtLast(output.stderr()) || `ended with ${signal ?? exitCode}`))
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(run.input)
  })
}

/** Without its arguments in any message; the caller ends it, or its time-out. */
export function startProgram(
  program: string,
  { args, env, timeoutMs = 120_000 }: ProgramRun,
): ChildProcessWithoutNullStreams {
  return spawn(program, args, {
    stdio: 'pipe',
    ...(timeoutMs === Infinity ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
    env: { ...process.env, PERENNIAL_AGENT_SECRET: undefined, ...env },
  })
}

/** The last lines of a program, without what its libraries only mention. */
export function saidAtLast(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('Engine "'))
  return printable(lines.slice(-2).join('; ').slice(-400))
}

interface Collected {
  stdout(): Buffer
  stderr(): string
  isTooLong(): boolean
}

function collect(child: ChildProcessWithoutNullStreams): Collected {
  const chunks: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] }
  let size = 0
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Uint8Array) => {
      size += chunk.length
      if (size > maxOutputBytes) child.kill('SIGKILL')
      else chunks[name].push(chunk)
    })
  }
  return {
    stdout: () => Buffer.concat(chunks.stdout),
    stderr: () => Buffer.concat(chunks.stderr).toString(),
    isTooLong: () => size > maxOutputBytes,
  }
}

function failed(program: string, detail: string, cause?: unknown): Refusal {
  return new Refusal('keystore-failed', `${program}: ${detail}`, cause === undefined ? {} : { cause })
}

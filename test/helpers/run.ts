/** Runs a program of the operating system and waits for it. */
import { spawn } from 'node:child_process'

export interface Ran {
  readonly exitCode: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  /** Ends it, ms; default one minute. */
  readonly timeoutMs?: number
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      timeout: options.timeoutMs ?? 60_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    })
    const stdout: Uint8Array[] = []
    const stderr: Uint8Array[] = []
    child.stdout.on('data', (chunk: Uint8Array) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Uint8Array) => stderr.push(chunk))
    child.once('error', reject)
    child.once('close', (exitCode) => {
      resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
  })
}

/** Its standard output, or an error that shows everything it said. */
export async function runOk(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Buffer> {
  const { exitCode, stdout, stderr } = await run(program, args, options)
  if (exitCode === 0) return stdout
  throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}:\n${stderr}\n${stdout.toString()}`)
}

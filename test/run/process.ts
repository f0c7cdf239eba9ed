import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { minuteMs, stopwatch, systemClock } from '../../src/base/clock.ts'
import type { TestFile } from './files.ts'
import type { Outcome } from './reporter.ts'

type Skipped = Outcome & { kind: 'skipped' }

/** One test may take this long unless it says otherwise itself. */
const testTimeoutMs = 3 * minuteMs
/** A file that is not done by then (a loop that never yields, a handle left open) is killed with all it started. */
const fileTimeoutMs = Number(process.env['PERENNIAL_TEST_FILE_TIMEOUT_MS'] ?? 12 * minuteMs)

export interface Counts {
  tests: number
  suites: number
  passed: number
  failed: number
  cancelled: number
  skipped: number
  todo: number
}

export interface FileResult {
  readonly file: TestFile
  readonly counts: Counts
  readonly failures: readonly { name: string; reason: string; line: number | null }[]
  readonly skips: readonly { name: string; reason: string }[]
  /** What the file wrote, standard output and standard error as they came. */
  readonly output: string
  readonly durationMs: number
}

const running = new Set<number>()

/** Ends every process group that `runFile` has under way. */
export function killAll(): void {
  for (const pid of running) killGroup(pid)
}

/** Runs one file to its end or its deadline. Never rejects because of what the file does. */
export async function runFile(file: TestFile, name: string | null): Promise<FileResult> {
  const elapsedMs = stopwatch()
  // Also the file's own temporary directory, so that nothing stays behind. Open to other users: PostgreSQL is one.
  const directory = mkdtempSync(join(tmpdir(), 'perennial-test-'))
  chmodSync(directory, 0o755)
  const destination = join(directory, 'outcomes')
  try {
    const args = [
      `--test-timeout=${testTimeoutMs}`,
      `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
      `--test-reporter-destination=${destination}`,
      ...(name === null ? [] : [`--test-name-pattern=${name}`]),
      file.path,
    ]
    const { ending, output } = await runToEnd(args, directory)
    return { ...read(file, destination, ending, name !== null), output, durationMs: elapsedMs() }
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @returns `ending` null after exit code 0 or 1 (a failed test), otherwise what happened instead */
async function runToEnd(
  args: readonly string[],
  temporaryDirectory: string,
): Promise<{ ending: string | null; output: string }> {
  // `detached` makes a process group, so that the deadline also ends whatever the test started.
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporaryDirectory },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => (output += text))
  }
  const pid = child.pid as number
  running.add(pid)

  const done = new AbortController()
  let isLate = false
  const deadline = (async () => {
    try {
      await systemClock.sleep(fileTimeoutMs, done.signal)
    } catch {
      return // aborted: the file was done in time
    }
    isLate = true
    killGroup(pid)
  })()
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<number | string>()
  child.once('error', reject)
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.once('exit', (code, signal) => end(code ?? signal ?? 'nothing'))
  const how = await ended
  done.abort()
  await deadline
  running.delete(pid)
  killGroup(pid) // servers that a failed test left behind
  await Promise.race([closed, systemClock.sleep(1_000)]) // the last words; a daemon may hold the pipe for ever
  child.stdout.destroy()
  child.stderr.destroy()

  if (isLate) return { ending: `killed: not done after ${fileTimeoutMs / minuteMs} minutes`, output }
  return { ending: how === 0 || how === 1 ? null : `ended by ${how}`, output }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: all gone already
  }
}

function read(
  file: TestFile,
  destination: string,
  ending: string | null,
  isFiltered: boolean,
): Omit<FileResult, 'output' | 'durationMs'> {
  const outcomes = readOutcomes(destination)
  const failures = outcomes.filter((outcome) => outcome.kind === 'failed')
  const skips = outcomes.filter((outcome): outcome is Skipped => outcome.kind === 'skipped')
  const summary = outcomes.findLast((outcome) => outcome.kind === 'counts')
  if (summary && ending === null && (summary.tests + skips.length > 0 || isFiltered)) {
    const { kind: _, ...counts } = summary
    // Node counts the tests of a skipped suite nowhere: the suite stands for them, so that the totals show it.
    const suites = skips.filter(({ isSuite }) => isSuite).length
    counts.tests += suites
    counts.skipped += suites
    return { file, counts, failures, skips }
  }
  // The file fell over: keep what its tests said, and count the file itself as one failed test.
  const passed = outcomes.filter((outcome) => outcome.kind === 'passed').length
  const tests = passed + failures.length + skips.length + 1
  const counts = {
    tests,
    suites: 0,
    passed,
    failed: failures.length + 1,
    cancelled: 0,
    skipped: skips.length,
    todo: 0,
  }
  const reason =
    ending ?? (summary ? 'the file has no test' : 'the file failed outside its tests; its output is above')
  return { file, counts, failures: [...failures, { name: file.path, reason, line: null }], skips }
}

function readOutcomes(destination: string): Outcome[] {
  let text: string
  try {
    text = readFileSync(destination, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [] // fell over before its first test
    throw error
  }
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Outcome)
}

/** The one front door to all tests: `npm test`, or `node test/run.ts --help`. Each file runs in a process of its own. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { stopwatch } from '../src/base/clock.ts'
import { sharedServer, startPostgres } from './helpers/postgres.ts'
import { findTestFiles, type TestFile } from './run/files.ts'
import { killAll, runFile, type FileResult } from './run/process.ts'
import { printFile, printRings, printTotals, skippedTests } from './run/report.ts'

const help = `usage: npm test -- [options] [part of a file name …]

  --ring NAME      only this ring (may be repeated): unit, tidy, wire, interop, e2e, …
  --name REGEXP    only tests whose name matches
  --no-skips       a skipped test or an empty ring is a failure (the default when CI=true)
  --jobs N         test files at once (default: one per core, at least two)
  --list           print the files and stop

exit codes: 0 all passed, 1 a test failed, 2 wrong arguments or no such test, 3 something was skipped and must not be`

/** From this many files on, one PostgreSQL for all of them is quicker than one for each that wants it. */
const manyFiles = 8

/** Without a filter, each of these must have run; a missing one would otherwise pass unnoticed. */
const expectedRings = ['unit', 'tidy', 'wire', 'interop', 'e2e']

async function main(): Promise<number> {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ring: { type: 'string', multiple: true, default: [] },
      name: { type: 'string' },
      'no-skips': { type: 'boolean', default: process.env['CI'] === 'true' },
      jobs: { type: 'string', default: String(Math.max(2, availableParallelism())) },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (options.help) return (console.log(help), 0)

  const files = findTestFiles().filter(
    ({ path, ring }) =>
      (options.ring.length === 0 || options.ring.includes(ring)) &&
      (positionals.length === 0 || positionals.some((part) => path.includes(part))),
  )
  if (files.length === 0) return (console.error('no test file matches; `npm test -- --list` shows all'), 2)
  if (options.list)
    return (console.log(files.map(({ ring, path }) => `${ring.padEnd(12)} ${path}`).join('\n')), 0)

  const elapsedMs = stopwatch()
  const stopServer = files.length >= manyFiles ? await shareServer() : null
  const results = await runAll(files, Number(options.jobs), options.name ?? null)
  await stopServer?.()
  const isFiltered = options.ring.length > 0 || positionals.length > 0 || options.name !== undefined
  const emptyRings = isFiltered
    ? []
    : expectedRings.filter((name) => !files.some(({ ring }) => ring === name))

  printRings(results, emptyRings)
  printTotals(results, elapsedMs())
  if (results.some((result) => result.counts.failed + result.counts.cancelled > 0)) return 1
  if (options['no-skips'] && (emptyRings.length > 0 || skippedTests(results).length > 0)) {
    console.error(
      '\nTests were skipped, which is a failure here (--no-skips or CI=true); the reasons are above.',
    )
    return 3
  }
  return 0
}

/** One PostgreSQL for all files, where there is one; alone, each file would start its own. */
async function shareServer(): Promise<(() => Promise<void>) | null> {
  if (process.env[sharedServer] !== undefined) return null
  const server = await startPostgres()
  if ('reason' in server) return null
  process.env[sharedServer] = server.url
  return () => server.stop()
}

async function runAll(files: readonly TestFile[], jobs: number, name: string | null): Promise<FileResult[]> {
  const results: FileResult[] = []
  const waiting = [...files]
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      const result = await runFile(file, name)
      results.push(result)
      printFile(result)
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return results
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    killAll()
    process.exit(code)
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof TypeError) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS'))
    throw error
  console.error(`${error.message}\n\n${help}`)
  process.exitCode = 2
}

import type { Counts, FileResult } from './process.ts'

export interface Skip {
  readonly path: string
  readonly ring: string
  readonly name: string
  readonly reason: string
}

/** One line per file as it ends; a failed file also shows its failures and what it wrote. */
export function printFile(result: FileResult): void {
  const { counts, file } = result
  const isFailed = counts.failed + counts.cancelled > 0
  const numbers = [
    `${counts.passed} passed`,
    ...(isFailed ? [`${counts.failed + counts.cancelled} failed`] : []),
    ...(counts.skipped > 0 ? [`${counts.skipped} skipped`] : []),
  ].join(', ')
  console.log(`${isFailed ? '✖' : '✔'} ${file.path}  ${numbers}  ${seconds(result.durationMs)}`)
  if (!isFailed) return
  if (result.output.trim() !== '') console.log(indent(result.output.trimEnd()))
  for (const failure of result.failures) {
    const place = failure.line === null ? file.path : `${file.path}:${failure.line}`
    console.log(`\n  ✖ ${failure.name}\n    ${place}\n${indent(indent(failure.reason))}`)
  }
  console.log()
}

export function skippedTests(results: readonly FileResult[]): Skip[] {
  return results.flatMap(({ file, skips }) => skips.map((skip) => ({ ...file, ...skip })))
}

/** The rings as a table, then every skipped test by name with its reason, then the names of what failed. */
export function printRings(results: readonly FileResult[], emptyRings: readonly string[]): void {
  console.log(`\n${row('ring', 'passed', 'failed', 'skipped', 'time')}`)
  for (const [ring, files] of Map.groupBy(results, ({ file }) => file.ring)) {
    const counts = addCounts(files)
    const durationMs = files.reduce((sum, file) => sum + file.durationMs, 0)
    console.log(
      row(ring, counts.passed, counts.failed + counts.cancelled, counts.skipped, seconds(durationMs)),
    )
  }
  for (const ring of emptyRings) console.log(`${row(ring, 0, 0, 0, '')}   no test found`)

  const skips = skippedTests(results)
  if (skips.length > 0) console.log('\nskipped:')
  for (const [reason, tests] of Map.groupBy(skips, (skip) => skip.reason)) {
    console.log(`  ${reason === '' ? 'no reason given' : reason}`)
    for (const { ring, name, path } of tests) console.log(`    ${ring}: ${name} (${path})`)
  }

  const failed = results.filter(({ failures }) => failures.length > 0)
  if (failed.length > 0) console.log('\nfailed:')
  for (const { file, failures } of failed) {
    for (const { name } of failures) console.log(`  ${file.ring}: ${name} (${file.path})`)
  }
}

/** The closing lines of Node's own reporter, over all files. */
export function printTotals(results: readonly FileResult[], durationMs: number): void {
  const { tests, suites, passed, failed, cancelled, skipped, todo } = addCounts(results)
  const lines = {
    tests,
    suites,
    pass: passed,
    fail: failed,
    cancelled,
    skipped,
    todo,
    duration_ms: Math.round(durationMs),
  }
  console.log()
  for (const [name, value] of Object.entries(lines)) console.log(`ℹ ${name} ${value}`)
}

function addCounts(results: readonly FileResult[]): Counts {
  const sum: Counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  for (const { counts } of results) {
    for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += counts[key]
  }
  return sum
}

function row(ring: string, ...cells: (string | number)[]): string {
  return ring.padEnd(14) + cells.map((cell) => String(cell).padStart(9)).join('')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ')
}

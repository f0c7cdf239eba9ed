/**
 * The run of an import: batches into the inventory at flat memory, bad lines reported as they are met, and a summary. What
 * was good before an interruption stays; the same import again adds the rest.
 */
import type { ImportLine, ImportResult } from '../engine/inventory/device.ts'
import type { CliContext } from './context.ts'
import { FoundProblems } from './failure.ts'
import { jsonText } from './output.ts'

export type ImportItem<Item> =
  | { readonly number: number; readonly bytesRead: number; readonly item: Item }
  | { readonly number: number; readonly bytesRead: number; readonly problem: string }

export interface ImportSource<Item> {
  readonly name: string
  /** Bytes; null when it is not known. */
  readonly size: number | null
  items(): AsyncIterable<ImportItem<Item>>
}

export interface ImportRun<Item> {
  readonly sources: AsyncIterable<ImportSource<Item>>
  /** One result for each line. */
  readonly store: (batch: readonly ImportLine<Item>[]) => Promise<readonly ImportResult[]>
  readonly dryRun: boolean
  /** `device`, `certificate`. */
  readonly noun: string
}

interface Counts {
  added: number
  known: number
  bad: number
}

/** A transaction of this many rows takes some tens of milliseconds: other processes hardly notice. */
const batchSize = 500

export async function runImport<Item>(cli: CliContext, run: ImportRun<Item>): Promise<void> {
  const counts: Counts = { added: 0, known: 0, bad: 0 }
  const report = problemReporter(cli)
  for await (const source of run.sources)
    await importOne(cli, { run, source, counts, report: report.problem })
  report.end({ dryRun: run.dryRun, ...counts }, summary(run, counts))
  if (counts.bad > 0) throw new FoundProblems()
}

interface Importing<Item> {
  readonly run: ImportRun<Item>
  readonly source: ImportSource<Item>
  readonly counts: Counts
  readonly report: (file: string, line: number, reason: string) => void
}

async function importOne<Item>(
  cli: CliContext,
  { run, source, counts, report }: Importing<Item>,
): Promise<void> {
  const progress = cli.progress(`${run.dryRun ? 'Checking' : 'Importing'} ${source.name}`, source.size)
  let batch: ImportLine<Item>[] = []
  let unreadable: { line: number; reason: string }[] = []
  let items = 0
  let bytesRead = 0
  const flush = async () => {
    const results = batch.length > 0 ? await run.store(batch) : []
    const invalid = results.flatMap((result) => (result.outcome === 'invalid' ? [result] : []))
    for (const { outcome } of results) if (outcome !== 'invalid') counts[outcome]++
    for (const { line, reason } of [...unreadable, ...invalid].sort((a, b) => a.line - b.line)) {
      counts.bad++
      progress.end()
      report(source.name, line, reason)
    }
    batch = []
    unreadable = []
    progress.update(bytesRead, { items })
  }
  for await (const row of source.items()) {
    items++
    bytesRead = row.bytesRead
    if ('problem' in row) unreadable.push({ line: row.number, reason: row.problem })
    else batch.push({ line: row.number, item: row.item })
    if (batch.length + unreadable.length >= batchSize) await flush()
  }
  await flush()
  progress.end()
}

/** People see each problem on standard error; programs get one object, written as it comes. */
function problemReporter({ output }: CliContext): {
  problem(file: string, line: number, reason: string): void
  end(totals: { dryRun: boolean } & Counts, summaryLine: string): void
} {
  let isFirst = true
  if (!output.isJson) {
    return {
      problem: (file, line, reason) => output.warn(`${file}:${line}: ${reason}`),
      end: (_, summaryLine) => output.raw(`${summaryLine}\n`),
    }
  }
  output.raw('{"problems":[')
  return {
    problem(file, line, reason) {
      output.raw(`${isFirst ? '' : ','}\n${jsonText({ file, line, reason })}`)
      isFirst = false
    },
    end: (totals) => output.raw(`],${jsonText({ ...totals }).slice(1)}\n`),
  }
}

function summary({ noun, dryRun }: { noun: string; dryRun: boolean }, { added, known, bad }: Counts): string {
  const parts = [
    `${plural(added, noun)} ${dryRun ? 'would be added' : 'added'}`,
    ...(known > 0 ? [`${count(known)} there already and left as ${known === 1 ? 'it is' : 'they are'}`] : []),
    ...(bad > 0 ? [`${count(bad)} bad, named above`] : []),
  ]
  return `${parts.join(', ')}.`
}

export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`
}

function count(n: number): string {
  return n.toLocaleString('en-US')
}

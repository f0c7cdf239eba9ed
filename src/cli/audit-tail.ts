/** `audit tail`. */
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import { isoMs, readFact, subjects, type ReadableFact } from '../engine/audit.ts'
import { factsAfter, recentFacts, type FactRecord } from '../store/facts.ts'
import type { CliContext } from './context.ts'
import { given } from './options.ts'
import { jsonText, type Json } from './output.ts'
import type { Column } from './table.ts'
import { instant } from './time.ts'

interface TailOptions {
  readonly lines: number
  readonly device?: DeviceId
  readonly subject?: string
  readonly action?: string
  readonly follow?: boolean
}

interface Row {
  readonly record: FactRecord
  /** Null when the entry cannot be read: `audit verify` says more. */
  readonly fact: ReadableFact | null
}

const pageSize = 1_000

const columns: readonly Column<Row>[] = [
  { title: 'TIME', value: ({ record }) => instant(record.at) },
  { title: 'ENTRY', value: ({ record }) => record.logIndex, align: 'right' },
  { title: 'ACTION', value: ({ record }) => record.action },
  { title: 'SUBJECT', value: ({ record }) => record.subject },
  { title: 'ACTOR', value: ({ fact }) => fact?.actor ?? null },
  {
    title: 'REASON',
    value: ({ fact }) => (fact ? (fact.reason ?? details(fact)) : 'unreadable'),
    shrink: true,
  },
]

export async function tail(cli: CliContext, options: TailOptions): Promise<void> {
  const { device, subject, action, lines, follow } = options
  if (device !== undefined && subject !== undefined) {
    throw new Refusal('invalid-input', '--device is a subject itself: give --device or --subject, not both')
  }
  const about = device === undefined ? subject : subjects.device(device)
  const filter = given({ subject: about, action })
  const { db } = (await cli.app()).engine.store
  const records = await latest(async (page) => await recentFacts(db, { ...filter, ...page }), lines)
  if (follow !== true) {
    await cli.output.list({ columns, rows: records.map(toRow), json, empty: 'Nothing of this is on record.' })
    return
  }
  for (const record of records) printOne(cli, record)
  for (let afterId = records.at(-1)?.id ?? 0; ;) {
    const facts = await factsAfter(db, { ...filter, afterId, limit: pageSize })
    for (const record of facts) printOne(cli, record)
    afterId = facts.at(-1)?.id ?? afterId
    if (facts.length < pageSize) await cli.clock.sleep(secondMs)
  }
}

/** The latest `lines` records, newest last. */
async function latest(
  read: (page: { readonly beforeId?: number; readonly limit: number }) => Promise<FactRecord[]>,
  lines: number,
): Promise<FactRecord[]> {
  const records: FactRecord[] = []
  while (records.length < lines) {
    const limit = Math.min(pageSize, lines - records.length)
    const last = records.at(-1)
    const page = await read(last ? { beforeId: last.id, limit } : { limit })
    records.push(...page)
    if (page.length < limit) break
  }
  return records.toReversed()
}

function printOne(cli: CliContext, record: FactRecord): void {
  const row = toRow(record)
  const line = cli.output.isJson
    ? jsonText(json(row))
    : columns.map((column) => printable(String(column.value(row) ?? '-'))).join('  ')
  cli.output.raw(`${line}\n`)
}

function toRow(record: FactRecord): Row {
  try {
    return { record, fact: readFact(record.entry) }
  } catch (error) {
    if (error instanceof Refusal) return { record, fact: null }
    throw error
  }
}

function json({ record, fact }: Row): Json {
  const { logIndex, action, subject } = record
  const at = fact?.at ?? isoMs(record.at)
  return {
    logIndex,
    at,
    action,
    subject,
    actor: fact?.actor ?? null,
    reason: fact?.reason ?? null,
    // an entry is JSON by construction, so its details are too
    details: (fact?.details ?? {}) as Json,
  }
}

/** What there is besides a reason, on one line. */
function details({ details: all }: ReadableFact): string | null {
  const shown = Object.entries(all).filter(([, value]) => value !== null)
  if (shown.length === 0) return null
  return shown
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}

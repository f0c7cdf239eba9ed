/** `audit tail`. */
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import { isoMs, readFact, subjects, type ReadableFact } from '../engine/audit/audit.ts'
import { certificatePage } from '../engine/inventory/inventory.ts'
import { factsAfter, recentFacts, type FactRecord } from '../store/facts.ts'
import type { CliContext } from './context.ts'
import { everyPage, given } from './options.ts'
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
  const { device, subject, lines, follow } = options
  if (device !== undefined && subject !== undefined) {
    throw new Refusal('invalid-input', '--device is a subject itself: give --device or --subject, not both')
  }
  const { engine } = await cli.app()
  // before the records are read, so that nothing falls between them and what is followed
  const [newest] = await recentFacts(engine.store.db, { limit: 1 })
  const records = await latest(engine, options, lines)
  if (follow === true) {
    for (const record of records) printOne(cli, record)
    return await followOn(cli, engine, options, Math.max(newest?.id ?? 0, records.at(-1)?.id ?? 0))
  }
  await cli.output.list({
    columns,
    rows: records.map(toRow),
    json,
    empty: 'Nothing of this is on record.',
  })
}

/** The latest `lines` records, newest last. */
async function latest(engine: Engine, options: TailOptions, lines: number): Promise<FactRecord[]> {
  const { db } = engine.store
  const found: FactRecord[] = []
  for (const subject of await subjectsOf(engine, options)) {
    const filter = given({ subject, action: options.action })
    let count = 0
    for (let beforeId = Number.MAX_SAFE_INTEGER; count < lines;) {
      const limit = Math.min(pageSize, lines - count)
      const page = await recentFacts(db, { ...filter, beforeId, limit })
      found.push(...page)
      count += page.length
      if (page.length < limit) break
      beforeId = page.at(-1)?.id ?? 0
    }
  }
  return found.sort((a, b) => a.id - b.id).slice(-lines)
}

/** A device's history is in the facts about itself and about each of its certificates. Undefined: everything. */
async function subjectsOf(engine: Engine, { device, subject }: TailOptions): Promise<(string | undefined)[]> {
  if (device === undefined) return [subject]
  const certificates: string[] = []
  for await (const { issuerId, serialNumber } of everyPage(
    async (page) => await certificatePage(engine, { ...page, filter: { deviceId: device } }),
    null,
  )) {
    certificates.push(subjects.certificate(issuerId, serialNumber))
  }
  return [subjects.device(device), ...certificates]
}

async function followOn(
  cli: CliContext,
  engine: Engine,
  { device, subject, action }: TailOptions,
  from: number,
): Promise<void> {
  for (let afterId = from; ;) {
    const filter = given({ subject, action })
    const facts = await factsAfter(engine.store.db, { ...filter, afterId, limit: pageSize })
    for (const record of facts) if (device === undefined || isOf(device, record)) printOne(cli, record)
    afterId = facts.at(-1)?.id ?? afterId
    if (facts.length < pageSize) await cli.clock.sleep(secondMs)
  }
}

function isOf(device: DeviceId, record: FactRecord): boolean {
  return record.subject === subjects.device(device) || toRow(record).fact?.details['deviceId'] === device
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

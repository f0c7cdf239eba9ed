/**
 * Whole lists as files: CSV for spreadsheets, JSON Lines for programs. Read page by page and handed on in pieces, so that
 * memory does not grow with the list; a caller that is slow is waited for.
 */
import { formatCsv } from '../../base/csv-line.ts'
import { iso, type Instant } from '../../base/instant.ts'
import { safeJson } from '../../base/safe-json.ts'
import { isUnsafeText, printable } from '../../base/text.ts'
import type { DeviceScope } from '../../store/device-scope.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { isoMs, readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { fieldEntries } from '../renewals/field.ts'
import { certificateList, deviceList, everyDevice, factList, renewalList } from './listing.ts'

export const exportKinds = ['devices', 'certificates', 'field-list', 'facts'] as const
export type ExportKind = (typeof exportKinds)[number]

export const exportFormats = ['csv', 'jsonl'] as const
export type ExportFormat = (typeof exportFormats)[number]

export const exportTypes: Readonly<Record<ExportFormat, string>> = {
  csv: 'text/csv; charset=utf-8; header=present',
  jsonl: 'application/x-ndjson; charset=utf-8',
}

export interface ExportRequest {
  readonly kind: ExportKind
  readonly format: ExportFormat
  /** Of the language of lists. */
  readonly filter?: string
  readonly scope?: DeviceScope
  /** Told of each page. */
  readonly onProgress?: (rows: number) => void
}

type Cell = string | number | null | readonly string[] | Readonly<Record<string, unknown>>
type Row = readonly Cell[]

interface Source {
  readonly columns: readonly string[]
  read(request: PageRequest): Promise<Page<Row>>
}

const pageSize = 2_000

/**
 * @returns pieces of text, each a number of whole lines; CSV begins with the names of its columns
 * @throws Refusal `filter-invalid` with the first piece
 */
export async function* exportList(engine: Engine, request: ExportRequest): AsyncGenerator<string> {
  const { columns, read } = sources[request.kind](engine, request)
  const line = request.format === 'csv' ? csvLine : jsonLine(columns)
  let after: string | null = null
  let piece = request.format === 'csv' ? formatCsv(columns) : ''
  let rows = 0
  do {
    const page: Page<Row> = await read({ after, limit: pageSize })
    for (const row of page.rows) piece += line(row)
    rows += page.rows.length
    request.onProgress?.(rows)
    if (piece !== '') yield piece
    piece = ''
    after = page.next
  } while (after !== null)
}

const sources: Readonly<Record<ExportKind, (engine: Engine, request: ExportRequest) => Source>> = {
  devices: (engine, request) => ({
    columns: [
      'id',
      'state',
      'profile',
      'cohort',
      'batch',
      'site',
      'connectivity',
      'hardware',
      'firmware',
      'tags',
      'created',
      'lastRenewal',
      'lastSeen',
      'expires',
      'issuer',
      'renewal',
      'campaign',
    ],
    async read(page) {
      const list = listOf(request)
      const isAll = list.filter.trim() === '' && list.scope === null
      const { rows, next } = isAll
        ? await everyDevice(engine, page)
        : await deviceList(engine, { ...page, ...list })
      return {
        rows: rows.map((row) => [
          row.id,
          row.state,
          row.profile,
          row.cohort,
          row.batch,
          row.site,
          row.connectivity,
          row.hardware,
          row.firmware,
          row.tags,
          iso(row.createdAt),
          at(row.lastRenewalAt),
          at(row.lastSeenAt),
          at(row.expiresAt),
          row.issuerId,
          row.renewal?.status ?? null,
          row.renewal?.campaignId ?? null,
        ]),
        next,
      }
    },
  }),
  certificates: (engine, request) => ({
    columns: [
      'serial',
      'issuer',
      'device',
      'slot',
      'status',
      'notBefore',
      'notAfter',
      'subject',
      'subjectAltNames',
      'key',
      'profile',
      'protocol',
      'cohort',
      'batch',
      'site',
      'created',
      'issued',
      'confirmed',
      'revoked',
      'reason',
      'lastSeen',
    ],
    async read(page) {
      const { rows, next } = await certificateList(engine, { ...page, ...listOf(request) })
      return {
        rows: rows.map((row) => [
          row.serialNumber,
          row.issuerId,
          row.deviceId,
          row.slot,
          row.status,
          iso(row.notBefore),
          iso(row.notAfter),
          row.subject,
          row.subjectAltNames,
          row.keyAlgorithm,
          row.profile,
          row.protocol,
          row.cohort,
          row.batch,
          row.site,
          iso(row.createdAt),
          at(row.issuedAt),
          at(row.confirmedAt),
          at(row.revokedAt),
          row.reason,
          at(row.lastSeenAt),
        ]),
        next,
      }
    },
  }),
  'field-list': (engine, request) => ({
    columns: [
      'device',
      'site',
      'daysLeft',
      'notAfter',
      'why',
      'nextAction',
      'assignee',
      'campaign',
      'issuer',
      'serial',
    ],
    async read(page) {
      const list = listOf(request)
      const filter = `${list.filter} state=escalated`
      const { rows, next } = await renewalList(engine, { ...page, ...list, filter })
      const entries = await fieldEntries(engine, rows, engine.clock.now())
      return {
        rows: entries.map(({ renewal, device, certificate, daysLeft, reason, nextAction }) => [
          renewal.deviceId,
          device?.site ?? renewal.site,
          daysLeft,
          iso(renewal.notAfter),
          reason,
          nextAction,
          renewal.assignee,
          renewal.campaignId === '' ? null : renewal.campaignId,
          certificate?.issuerId ?? null,
          certificate?.serialNumber ?? null,
        ]),
        next,
      }
    },
  }),
  facts: (engine, request) => ({
    columns: ['id', 'at', 'action', 'subject', 'actor', 'reason', 'details', 'logIndex'],
    async read(page) {
      // oldest first: a file grows at its end
      const { rows, next } = await factList(engine, { ...page, ...listOf(request), sort: 'id' })
      return {
        rows: rows.map(({ id, at: instant, logIndex, entry }) => {
          const { action, subject, actor, reason, details } = readFact(entry)
          return [id, isoMs(instant), action, subject, actor, reason, details, logIndex]
        }),
        next,
      }
    },
  }),
}

function listOf({ filter = '', scope = null }: ExportRequest) {
  return { filter, scope }
}

/** The last instant written and its text: rows that stand together have much in common. */
let known = { at: 0, text: iso(0) }

function at(instant: Instant | null): string | null {
  if (instant === null) return null
  if (instant !== known.at) known = { at: instant, text: iso(instant) }
  return known.text
}

function csvLine(row: Row): string {
  return formatCsv(row.map(csvCell))
}

/** Tags as `name=value; name=value`, lists with `; ` between, anything deeper as JSON; nothing that could act. */
function csvCell(cell: Cell): string | number | null {
  if (cell === null || typeof cell === 'number') return cell
  if (typeof cell === 'string') return shown(cell)
  if (Array.isArray(cell)) return shown(cell.join('; '))
  const entries = Object.entries(cell)
  if (entries.length === 0) return null
  const isFlat = entries.every(([, value]) => typeof value === 'string')
  if (!isFlat) return safeJson(cell)
  return shown(entries.map(([name, value]) => `${name}=${String(value)}`).join('; '))
}

function shown(text: string): string {
  return isUnsafeText(text) ? printable(text) : text
}

function jsonLine(columns: readonly string[]): (row: Row) => string {
  return (row) => {
    const members: Record<string, Cell> = {}
    for (const [place, name] of columns.entries()) members[name] = row[place] ?? null
    return `${safeJson(members)}\n`
  }
}

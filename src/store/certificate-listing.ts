/** Lists of certificates by filter: as they came into the inventory, or by their end. */
import { sql, type SqlBool } from 'kysely'
import type { Filter, Term } from '../filter/filter.ts'
import {
  certificateColumns,
  toCertificateRecord,
  type CertificateRecord,
  type CertificateRow,
} from './certificate-record.ts'
import { hexToBytes } from './columns.ts'
import { conditionOf, type Condition, type FilterColumn } from './filter-condition.ts'
import {
  chosenSort,
  columnOf,
  conditionsOf,
  rangesOf,
  scopeCondition,
  type Columns,
  type ListRequest,
} from './listing.ts'
import type { Page } from './page.ts'
import { scanBudget, scanPage, type Order, type Range } from './scan.ts'
import type { Queries } from './schema.ts'

export const certificateSorts = ['id', 'expires'] as const
type CertificateSort = (typeof certificateSorts)[number]

const live = sql<SqlBool>`c.status in ('issued', 'confirmed')`
const ended = sql<SqlBool>`c.status in ('superseded', 'revoked', 'abandoned')`

export const certificateFilterColumns: Columns = {
  serial: columnOf(sql`c.serial_number`, 'serial'),
  device: columnOf(sql`c.device_id`),
  slot: columnOf(sql`c.slot`),
  status: columnOf(sql`c.status`, 'word'),
  expires: columnOf(sql`c.not_after`, 'ahead'),
  notAfter: columnOf(sql`c.not_after`, 'ahead'),
  issuer: columnOf(sql`c.issuer_id`),
  profile: columnOf(sql`c.profile`),
  cohort: columnOf(sql`c.cohort`),
  batch: columnOf(sql`c.batch`),
  site: columnOf(sql`c.site`),
  key: columnOf(sql`c.key_algorithm`),
  protocol: columnOf(sql`c.protocol`),
  reason: columnOf(sql`c.reason`),
  subject: columnOf(sql`c.subject`),
  created: columnOf(sql`c.created_at`, 'ago'),
  issued: columnOf(sql`c.issued_at`, 'ago'),
  confirmed: columnOf(sql`c.confirmed_at`, 'ago'),
  revoked: columnOf(sql`c.revoked_at`, 'ago'),
}

/**
 * Indexes: the primary key, certificates_serial, certificates_device, certificates_batch; in the order of ends,
 * certificates_expiry, certificates_cohort_expiry and certificates_site_expiry for live ones and certificates_ended for
 * the others. What is reserved has no place in the order of ends.
 * @throws Refusal `invalid-input` for an order that there is not
 */
export async function listCertificatesBy(q: Queries, request: ListRequest): Promise<Page<CertificateRecord>> {
  const { filter = [], sort, after = null, limit } = request
  const hasEnd = filter.some(({ field }) => field === 'expires')
  const isOne = filter.some(({ field }) => ['', 'device', 'serial'].includes(field))
  const { name, isDescending } = chosenSort<CertificateSort>(sort, certificateSorts, {
    name: hasEnd && !isOne ? 'expires' : 'id',
    isDescending: false,
  })
  const page = await scanPage<CertificateRow>(q, {
    table: sql`certificates as c`,
    joins: [],
    columns: certificateColumns.map((column) => sql.ref(`c.${column}`)),
    order: orders[name](isDescending),
    ranges: name === 'id' ? rangesById(request) : rangesByEnd(request),
    budget: request.budget ?? scanBudget,
    after,
    limit,
  })
  return { rows: page.rows.map(toCertificateRecord), next: page.next }
}

const orders: Readonly<Record<CertificateSort, (isDescending: boolean) => Order>> = {
  id: (isDescending) => ({
    name: isDescending ? '-id' : 'id',
    columns: [sql`c.id`],
    kinds: ['number'],
    isDescending,
  }),
  expires: (isDescending) => ({
    name: isDescending ? '-expires' : 'expires',
    columns: [sql`c.not_after`, sql`c.id`],
    kinds: ['number', 'number'],
    isDescending,
  }),
}

/** One device or serial number has a handful of rows, which the database may sort. */
function rangesById({ filter = [], scope = null, now }: ListRequest): Range[] {
  const free = filter.find(({ field }) => field === '')
  const parts = partsOf(
    filter.filter((term) => term !== free),
    now,
  )
  if (!free) {
    return rangesOf(parts.plain, scope, {
      ...parts,
      fields: ['device', 'serial', 'batch'],
      prefix: 'c',
      indexed: [],
      condition: indexCondition,
    })
  }
  const residual = [
    ...parts.residual,
    ...conditionsOf(parts.plain, parts),
    ...(scope === null ? [] : [scopeCondition(scope, 'c')]),
  ]
  const { device, serial } = meant(free)
  if (serial === null) return [{ indexed: [device], residual }]
  const notOfDevice = sql<SqlBool>`(c.device_id is null or not ${device})`
  return [
    { indexed: [device], residual },
    { indexed: [serial], residual: [...residual, notOfDevice] },
  ]
}

/** Free text is a device, or a serial number if it can be one. */
function meant({ values: [value] }: Term): { readonly device: Condition; readonly serial: Condition | null } {
  const text = value?.kind === 'text' ? value.text : ''
  const digits = text.replaceAll(':', '').toLowerCase()
  return {
    device: sql<SqlBool>`c.device_id = ${text}`,
    serial: /^[0-9a-f]{1,64}$/.test(digits) ? indexCondition('serial', digits) : null,
  }
}

function rangesByEnd({ filter = [], scope = null, now }: ListRequest): Range[] {
  const words = statusWords(filter)
  const parts = partsOf(filter, now)
  const ends = parts.plain.filter(isEnd).map((term) => conditionOf(term, endColumn, now))
  const plain = parts.plain.filter((term) => !isEnd(term))
  const isLiveOnly = filter.some(({ field }) => field === 'expires')
  const kinds = [
    ...(words === null || words.some((word) => liveWords.has(word)) ? [live] : []),
    ...(!isLiveOnly && (words === null || words.some((word) => endedWords.has(word))) ? [ended] : []),
  ]
  return kinds.flatMap((kind) =>
    rangesOf(plain, kind === live ? scope : null, {
      ...parts,
      fields: kind === live ? ['site', 'cohort'] : [],
      prefix: 'c',
      indexed: [kind, ...ends],
      residual: [...parts.residual, ...(kind === live || scope === null ? [] : [scopeCondition(scope, 'c')])],
    }),
  )
}

const endColumn = certificateFilterColumns['notAfter'] as FilterColumn
const liveWords: ReadonlySet<string> = new Set(['issued', 'confirmed', 'live', 'expired'])
const endedWords: ReadonlySet<string> = new Set(['superseded', 'revoked', 'abandoned'])

function isEnd({ field, operator }: Term): boolean {
  return (field === 'expires' || field === 'notAfter') && operator !== '!='
}

/** The terms that are columns, and conditions for what is more than a column: `expires`, `status=live`. */
function partsOf(filter: Filter, now: number) {
  const residual: Condition[] = []
  if (filter.some(({ field }) => field === 'expires')) residual.push(live)
  const plain = filter.filter(({ field }) => field !== 'status' && field !== '')
  for (const term of filter) {
    if (term.field === 'status') residual.push(statusCondition(term, now))
    if (term.field !== '') continue
    const { device, serial } = meant(term)
    residual.push(serial === null ? device : sql<SqlBool>`(${device} or ${serial})`)
  }
  return { plain, residual, columns: certificateFilterColumns, now }
}

function statusCondition({ operator, values }: Term, now: number): Condition {
  const each = values.flatMap((value) => (value.kind === 'text' ? [statusIs(value.text, now)] : []))
  const any = sql<SqlBool>`(${sql.join(each, sql` or `)})`
  return operator === '!=' ? sql<SqlBool>`not ${any}` : any
}

function statusIs(word: string, now: number): Condition {
  if (word === 'live') return sql<SqlBool>`(${live} and c.not_after >= ${now})`
  if (word === 'expired') return sql<SqlBool>`(${live} and c.not_after < ${now})`
  return sql<SqlBool>`c.status = ${word}`
}

/** The words of `status=…`; null when any status may be meant. */
function statusWords(filter: Filter): string[] | null {
  const term = filter.find(({ field, operator }) => field === 'status' && operator === '=')
  return term?.values.flatMap((value) => (value.kind === 'text' ? [value.text] : [])) ?? null
}

function indexCondition(field: string, text: string): Condition {
  if (field === 'device') return sql<SqlBool>`c.device_id = ${text}`
  if (field === 'batch') return sql<SqlBool>`c.batch = ${text}`
  const digits = text.replace(/^0+(?=.)/, '')
  return sql<SqlBool>`c.serial_number = ${hexToBytes(digits.length % 2 === 0 ? digits : `0${digits}`)}`
}

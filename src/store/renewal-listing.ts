/** Lists of renewals by filter: in the order in which they were opened, or the field list by the end of the certificate. */
import { sql, type SqlBool } from 'kysely'
import { Refusal } from '../base/errors.ts'
import type { Filter, Term } from '../filter/filter.ts'
import { conditionOf, type Condition, type FilterColumn } from './filter-condition.ts'
import {
  chosenSort,
  columnOf,
  equality,
  exactly,
  rangesOf,
  scopeCondition,
  type Columns,
  type ListRequest,
} from './listing.ts'
import type { Page } from './page.ts'
import { renewalColumns, toRenewal, type RenewalRecord, type RenewalRow } from './renewal-record.ts'
import { scanBudget, scanPage } from './scan.ts'
import type { Queries } from './schema.ts'

export const renewalSorts = ['id', 'expires'] as const

export const renewalFilterColumns: Columns = {
  device: columnOf(sql`r.device_id`),
  state: columnOf(sql`r.status`, 'word'),
  campaign: columnOf(sql`r.campaign_id`, 'text', ''),
  wave: columnOf(sql`r.wave`, 'number'),
  expires: columnOf(sql`r.not_after`, 'ahead'),
  connectivity: columnOf(sql`r.connectivity`),
  site: columnOf(sql`r.site`),
  assignee: columnOf(sql`r.assignee`),
  reason: columnOf(sql`r.reason`),
  created: columnOf(sql`r.created_at`, 'ago'),
  triggered: columnOf(sql`r.triggered_at`, 'ago'),
  issued: columnOf(sql`r.issued_at`, 'ago'),
  confirmed: columnOf(sql`r.confirmed_at`, 'ago'),
}

/**
 * Indexes: the primary key, renewals_campaign, renewals_device; in the order of ends renewals_escalated, which has the
 * field list and nothing else.
 * @throws Refusal `invalid-input` for an order that there is not
 */
export async function listRenewalsBy(q: Queries, request: ListRequest): Promise<Page<RenewalRecord>> {
  const { filter: given = [], sort, after = null, limit, now, scope = null } = request
  const filter = given.map((term) => (term.field === '' ? exactly('device', term) : term))
  const isField = equality(filter, 'state')?.texts.join() === 'escalated'
  const { name, isDescending } = chosenSort(sort, renewalSorts, {
    name: isField && equality(filter, 'device') === null ? 'expires' : 'id',
    isDescending: false,
  })
  if (name === 'expires' && !isField) {
    throw new Refusal(
      'invalid-input',
      'only the field list has an order of ends: filter by state=escalated, or sort by id',
    )
  }
  const hasDevice = scope !== null || filter.some(({ field }) => field.startsWith('tag.'))
  const stated = filter.filter(({ field }) => field === 'state').map(stateCondition)
  const plain = filter.filter(({ field }) => field !== 'state')
  const ends = name === 'expires' ? plain.filter(isEnd) : []
  const page = await scanPage<RenewalRow>(q, {
    table: sql`renewals as r`,
    joins: hasDevice ? [sql`join devices as d on d.id = r.device_id`] : [],
    columns: renewalColumns.map((column) => sql.ref(`r.${column}`)),
    order: {
      name: isDescending ? `-${name}` : name,
      columns: name === 'id' ? [sql`r.id`] : [sql`r.not_after`, sql`r.id`],
      kinds: name === 'id' ? ['number'] : ['number', 'number'],
      isDescending,
    },
    ranges: rangesOf(without(plain, ends), null, {
      columns: renewalFilterColumns,
      tags: sql`d.tags`,
      now,
      fields: name === 'id' ? ['device', 'campaign'] : [],
      prefix: 'r',
      indexed:
        name === 'id'
          ? []
          : [sql<SqlBool>`r.status = 'escalated'`, ...ends.map((term) => conditionOf(term, endColumn, now))],
      residual: [...(name === 'id' ? stated : []), ...(scope === null ? [] : [scopeCondition(scope, 'd')])],
      condition: indexCondition,
    }),
    budget: request.budget ?? (hasDevice ? scanBudget / 3 : scanBudget),
    after,
    limit,
  })
  return { rows: page.rows.map(toRenewal), next: page.next }
}

const endColumn = renewalFilterColumns['expires'] as FilterColumn

function without(filter: Filter, terms: Filter): Filter {
  return filter.filter((term) => !terms.includes(term))
}

function isEnd({ field, operator }: Term): boolean {
  return field === 'expires' && operator !== '!='
}

function stateCondition({ operator, values }: Term): Condition {
  const each = values.flatMap((value) => {
    if (value.kind !== 'text') return []
    return value.text === 'open'
      ? [sql<SqlBool>`r.status not in ('retired', 'abandoned')`]
      : [sql<SqlBool>`r.status = ${value.text}`]
  })
  const any = sql<SqlBool>`(${sql.join(each, sql` or `)})`
  return operator === '!=' ? sql<SqlBool>`not ${any}` : any
}

function indexCondition(field: string, text: string): Condition {
  if (field === 'device') return sql<SqlBool>`r.device_id = ${text}`
  return sql<SqlBool>`(r.campaign_id = ${text} and r.campaign_id <> '')`
}

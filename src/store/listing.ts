/** What the lists of all resources share: which order was asked for, and which terms an index answers. */
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { Refusal } from '../base/errors.ts'
import type { Instant } from '../base/instant.ts'
import type { Filter, Term } from '../filter/filter.ts'
import type { DeviceScope } from './device-scope.ts'
import { conditionOf, tagCondition, type Condition, type FilterColumn } from './filter-condition.ts'
import type { PageRequest } from './page.ts'
import type { Range } from './scan.ts'

export interface ListRequest extends PageRequest {
  readonly filter?: Filter
  /** Name of an order, `-` before it for the other direction; absent: the usual one of the list. */
  readonly sort?: string
  /** What durations in the filter count from. */
  readonly now: Instant
  readonly scope?: DeviceScope
  /** Rows that one page may look at; tests have small fleets. */
  readonly budget?: number
}

export interface Sort<Name extends string> {
  readonly name: Name
  readonly isDescending: boolean
}

/** @throws Refusal `invalid-input` for an order that no index has: a fleet is not sorted for one page */
export function chosenSort<Name extends string>(
  sort: string | undefined,
  names: readonly Name[],
  usual: Sort<Name>,
): Sort<Name> {
  if (sort === undefined) return usual
  const isDescending = sort.startsWith('-')
  const name = names.find((each) => each === sort.slice(isDescending ? 1 : 0))
  if (name !== undefined) return { name, isDescending }
  const known = names.flatMap((each) => [each, `-${each}`]).join(', ')
  throw new Refusal('invalid-input', `this list cannot be sorted by ${sort.slice(0, 64)}: there are ${known}`)
}

export type Columns = Readonly<Record<string, FilterColumn>>

export function columnOf(
  expression: RawBuilder<unknown>,
  kind: FilterColumn['kind'] = 'text',
  none?: string,
): FilterColumn {
  return none === undefined ? { expression, kind } : { expression, kind, none }
}

/** Conditions of the terms; a list gives those that are not columns of it. */
export function conditionsOf(
  filter: Filter,
  {
    columns,
    tags,
    now,
  }: { readonly columns: Columns; readonly tags?: RawBuilder<unknown>; readonly now: Instant },
): Condition[] {
  return filter.map((term) => {
    if (tags && term.field.startsWith('tag.')) return tagCondition(term, tags)
    const column = Object.hasOwn(columns, term.field) ? columns[term.field] : undefined
    if (!column) throw new Refusal('invalid-input', `this list has no field ${term.field}`)
    return conditionOf(term, column, now)
  })
}

/** Free text that means one value of a field. */
export function exactly(field: string, { values, ...term }: Term): Term {
  const whole = values.map((value) =>
    value.kind === 'text' ? { kind: value.kind, text: value.text, isPrefix: false } : value,
  )
  return { ...term, field, values: whole }
}

/** More values than this are looked at row by row: each one is a range of its own. */
const maxRanges = 16

/** The term, when it names whole values that an index can look up one by one; null otherwise. */
export function equality(
  filter: Filter,
  field: string,
): (Term & { readonly texts: readonly string[] }) | null {
  const term = filter.find((each) => each.field === field && each.operator === '=')
  if (!term || term.values.length > maxRanges) return null
  const texts = term.values.flatMap((value) => (value.kind === 'text' && !value.isPrefix ? [value.text] : []))
  return texts.length === term.values.length ? { ...term, texts: [...new Set(texts)] } : null
}

/**
 * The ranges for the first of the fields that the filter names by whole values; without one, those of the scope; without
 * a scope, all.
 * @param prefix alias of the table that is walked
 * @param indexed conditions that hold in each range and are answered by the index
 * @param residual the same for those that are looked at; the terms of the filter are added
 */
export function rangesOf(
  filter: Filter,
  scope: DeviceScope,
  parts: {
    readonly fields: readonly string[]
    readonly prefix: string
    readonly columns: Columns
    readonly tags?: RawBuilder<unknown>
    readonly now: Instant
    readonly indexed: readonly Condition[]
    readonly residual: readonly Condition[]
    /** Whether and how an index answers one value of the field; null: it does not. */
    readonly condition?: (field: string, text: string) => Condition | null
  },
): Range[] {
  const { fields, prefix, indexed, residual } = parts
  const condition =
    parts.condition ??
    ((field: string, text: string): Condition => sql<SqlBool>`${sql.ref(`${prefix}.${field}`)} = ${text}`)
  for (const field of fields) {
    const term = equality(filter, field)
    const conditions = term?.texts.map((text) => condition(field, text) as Condition | null) ?? []
    if (!term || conditions.some((each) => each === null)) continue
    const others = conditionsOf(
      filter.filter(({ start }) => start !== term.start),
      parts,
    )
    const inScope = scope === null ? [] : [scopeCondition(scope, prefix)]
    return conditions.map((each) => ({
      indexed: [...indexed, each as Condition],
      residual: [...residual, ...inScope, ...others],
    }))
  }
  const others = [...residual, ...conditionsOf(filter, parts)]
  if (scope === null) return [{ indexed, residual: others }]
  return scopeRanges(scope, prefix).map((range) => ({
    indexed: [...indexed, ...range.indexed],
    residual: [...range.residual, ...others],
  }))
}

/** A device of two kinds is in one range only. */
function scopeRanges({ cohorts, sites }: NonNullable<DeviceScope>, prefix: string): Range[] {
  const cohort = sql.ref(`${prefix}.cohort`)
  const site = sql.ref(`${prefix}.site`)
  const outside =
    cohorts.length === 0 ? [] : [sql<SqlBool>`(${cohort} is null or ${cohort} not in (${sql.join(cohorts)}))`]
  return [
    ...cohorts.map((name) => ({ indexed: [sql<SqlBool>`${cohort} = ${name}`], residual: [] })),
    ...sites.map((name) => ({ indexed: [sql<SqlBool>`${site} = ${name}`], residual: outside })),
  ]
}

/** For rows that were found in another way. */
export function scopeCondition({ cohorts, sites }: NonNullable<DeviceScope>, prefix: string): Condition {
  const each = [
    ...cohorts.map((name) => sql<SqlBool>`${sql.ref(`${prefix}.cohort`)} = ${name}`),
    ...sites.map((name) => sql<SqlBool>`${sql.ref(`${prefix}.site`)} = ${name}`),
  ]
  return each.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`(${sql.join(each, sql` or `)})`
}

/** Terms of a filter as conditions of SQL. Every value is a parameter; names of columns come from our own tables only. */
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { assert } from '../base/errors.ts'
import { dayMs, type Instant } from '../base/instant.ts'
import type { Operator } from '../filter/field.ts'
import type { Term, Value } from '../filter/filter.ts'
import { hexToBytes } from './columns.ts'

export type Condition = RawBuilder<SqlBool>

/** What a field reads, and how its values compare. */
export interface FilterColumn {
  readonly expression: RawBuilder<unknown>
  readonly kind: 'text' | 'word' | 'serial' | 'number' | 'ahead' | 'ago'
  /** Stands for "none" instead of null: `''` for the campaign of a renewal without one. */
  readonly none?: string
}

/** The greatest character: what follows every text that begins with the text before it. */
export const lastCharacter = '\u{10ffff}'

export function conditionOf({ operator, values }: Term, column: FilterColumn, now: Instant): Condition {
  const isNegated = operator === '!='
  const each = values.map((value) => one(value, column, { operator: isNegated ? '=' : operator, now }))
  const any = each.length === 1 ? (each[0] as Condition) : sql<SqlBool>`(${sql.join(each, sql` or `)})`
  // what has none is not equal to anything, and so it is among those that are not equal to a value
  return isNegated ? sql<SqlBool>`(coalesce(${any}, 1 = 0) = (1 = 0))` : any
}

function one(
  value: Value,
  { expression, kind, none }: FilterColumn,
  { operator, now }: { readonly operator: Operator; readonly now: Instant },
): Condition {
  switch (value.kind) {
    case 'none':
      return none === undefined
        ? sql<SqlBool>`${expression} is null`
        : sql<SqlBool>`${expression} = ${sql.lit(none)}`
    case 'text': {
      const { text, isPrefix } = value
      if (kind === 'serial') return sql<SqlBool>`${expression} = ${hexToBytes(evenHex(text))}`
      if (operator === '~') {
        const part = text.toLowerCase()
        // both engines know replace; it needs no escapes, as a pattern would
        return sql<SqlBool>`replace(lower(${expression}), ${part}, '') <> lower(${expression})`
      }
      if (isPrefix)
        return sql<SqlBool>`(${expression} >= ${text} and ${expression} < ${text + lastCharacter})`
      return sql<SqlBool>`${expression} = ${text}`
    }
    case 'number':
      return compare(expression, operator, value.number)
    case 'day':
      if (operator === '=')
        return sql<SqlBool>`(${expression} >= ${value.from} and ${expression} < ${value.from + dayMs})`
      return instant(expression, kind, { operator, at: value.from })
    case 'instant':
      return instant(expression, kind, { operator, at: value.at })
    case 'duration':
      // thirty days ago or more is before the instant thirty days ago
      return kind === 'ago'
        ? instant(expression, kind, { operator: mirrored(operator), at: now - value.ms })
        : instant(expression, kind, { operator, at: now + value.ms })
  }
}

/** What never was lies longer ago than everything that was. */
function instant(
  expression: RawBuilder<unknown>,
  kind: FilterColumn['kind'],
  { operator, at }: { readonly operator: Operator; readonly at: Instant },
): Condition {
  const condition = compare(expression, operator, at)
  const isBefore = operator === '<' || operator === '<='
  return kind === 'ago' && isBefore ? sql<SqlBool>`(${expression} is null or ${condition})` : condition
}

function compare(expression: RawBuilder<unknown>, operator: Operator, value: number): Condition {
  switch (operator) {
    case '<':
      return sql<SqlBool>`${expression} < ${value}`
    case '<=':
      return sql<SqlBool>`${expression} <= ${value}`
    case '>':
      return sql<SqlBool>`${expression} > ${value}`
    case '>=':
      return sql<SqlBool>`${expression} >= ${value}`
    case '=':
      return sql<SqlBool>`${expression} = ${value}`
    default:
      assert(false, `a number does not compare with ${operator}`)
  }
}

function mirrored(operator: Operator): Operator {
  const mirrors: Partial<Record<Operator, Operator>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }
  return mirrors[operator] ?? operator
}

/** As serial numbers are stored: no leading zeros, whole bytes. */
function evenHex(digits: string): string {
  const short = digits.replace(/^0+(?=.)/, '')
  return short.length % 2 === 0 ? short : `0${short}`
}

/** `tag.NAME=value` over a column of JSON without white space: the member stands in it exactly so. */
export function tagCondition({ field, operator, values }: Term, tags: RawBuilder<unknown>): Condition {
  const name = JSON.stringify(field.slice('tag.'.length))
  const each = values.map((value) => {
    const member = value.kind === 'text' ? `${name}:${JSON.stringify(value.text)}` : `${name}:`
    // a quote inside a text is escaped, so no text looks like a member
    return value.kind === 'none'
      ? sql<SqlBool>`replace(${tags}, ${member}, '') = ${tags}`
      : sql<SqlBool>`replace(${tags}, ${member}, '') <> ${tags}`
  })
  const any = sql<SqlBool>`(${sql.join(each, sql` or `)})`
  return operator === '!=' ? sql<SqlBool>`not ${any}` : any
}

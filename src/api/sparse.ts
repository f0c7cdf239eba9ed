/** `?fields=id,state`: leaves the other fields out of an answer, or out of each item of a list. */
import type { TSchema } from 'typebox'
import { didYouMean } from '../base/did-you-mean.ts'
import { printable } from '../base/text.ts'
import { InvalidRequest } from './problem.ts'

/** @throws InvalidRequest for a field that records of this kind do not have */
export function fieldsOf(text: string | undefined, schema: TSchema | null): readonly string[] | null {
  if (text === undefined) return null
  const known = Object.keys(propertiesOf(itemOf(schema)))
  const wanted = text.split(',').map((name) => name.trim())
  const errors = wanted
    .filter((name) => !known.includes(name))
    .map((name) => ({
      at: 'query.fields',
      detail: `has ${JSON.stringify(printable(name).slice(0, 64))}, which is not a field here${didYouMean(name, known)}`,
    }))
  if (errors.length > 0) throw new InvalidRequest(errors)
  return wanted
}

export function sparseAnswer(value: unknown, fields: readonly string[] | null): unknown {
  if (fields === null || !isRecord(value)) return value
  const { items } = value
  if (Array.isArray(items)) return { ...value, items: items.map((item) => picked(item, fields)) }
  return picked(value, fields)
}

function picked(value: unknown, fields: readonly string[]): unknown {
  if (!isRecord(value)) return value
  return Object.fromEntries(
    fields.filter((name) => Object.hasOwn(value, name)).map((name) => [name, value[name]]),
  )
}

/** The schema of one record: that of the items, where the answer is a page. */
function itemOf(schema: TSchema | null): unknown {
  const { items } = propertiesOf(schema)
  return isRecord(items) && isRecord(items.items) ? items.items : schema
}

function propertiesOf(schema: unknown): Readonly<Record<string, unknown>> {
  return isRecord(schema) && isRecord(schema.properties) ? schema.properties : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

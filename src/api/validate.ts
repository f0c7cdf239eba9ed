/** Checks what came in against the schemas of a route. Unknown names are refused, with the name that may have been meant. */
import { Compile } from 'typebox/compile'
import type { TObject, TSchema } from 'typebox'
import { didYouMean } from '../base/did-you-mean.ts'
import { printable } from '../base/text.ts'
import { InvalidRequest, type FieldError } from './problem.ts'

export type Check = (value: unknown) => unknown

const mostErrors = 20

/** @param where first part of the names in errors: `body`, `query` */
export function checkOf(schema: TSchema, where: string): Check {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return value
    throw new InvalidRequest(
      compiled
        .Errors(value)
        .flatMap((error) => fieldErrors(error, { schema, where }))
        .slice(0, mostErrors),
    )
  }
}

/** A query or a path: text becomes what its schema says; a parameter given twice is refused. */
export function textCheckOf(schema: TObject, where: string): Check {
  const check = checkOf(schema, where)
  return (value) => {
    const entries = Object.entries(value as Readonly<Record<string, unknown>>)
    return check(Object.fromEntries(entries.map(([name, text]) => [name, coerced(name, text)])))
  }

  function coerced(name: string, text: unknown): unknown {
    const wanted: unknown = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    const type = typeOf(wanted)
    if (type === 'array') return Array.isArray(text) ? text : [text]
    if (Array.isArray(text)) throw new InvalidRequest([{ at: `${where}.${name}`, detail: 'is given twice' }])
    if (type === 'integer' && typeof text === 'string' && /^-?[0-9]{1,15}$/.test(text)) return Number(text)
    if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
    return text
  }
}

function typeOf(schema: unknown): unknown {
  return typeof schema === 'object' && schema !== null && 'type' in schema ? schema.type : undefined
}

interface SchemaError {
  readonly keyword: string
  readonly schemaPath: string
  readonly instancePath: string
  readonly params: object
  readonly message: string
}

function fieldErrors(
  { keyword, schemaPath, instancePath, params, message }: SchemaError,
  { schema, where }: { schema: TSchema; where: string },
): FieldError[] {
  const at = [where, ...instancePath.split('/').slice(1).map(pointerName)].join('.')
  // Said already, by name, by the error of the object that holds it.
  if (keyword === 'boolean') return []
  if (keyword === 'additionalProperties') {
    const known = Object.keys(propertiesAt(schema, schemaPath))
    return names(params, 'additionalProperties').map((name) => ({
      at: `${at}.${shown(name)}`,
      detail: `is not known here${didYouMean(name, known)}`,
    }))
  }
  if (keyword === 'required') {
    return names(params, 'requiredProperties').map((name) => ({ at: `${at}.${name}`, detail: 'is missing' }))
  }
  if (keyword === 'enum' && 'allowedValues' in params && Array.isArray(params.allowedValues)) {
    return [{ at, detail: `must be one of ${params.allowedValues.join(', ')}` }]
  }
  return [{ at, detail: message }]
}

function names(params: object, key: string): string[] {
  const value = (params as Readonly<Record<string, unknown>>)[key]
  return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : []
}

function propertiesAt(schema: TSchema, path: string): object {
  let at: unknown = schema
  for (const name of path.split('/').slice(1)) {
    at =
      typeof at === 'object' && at !== null
        ? (at as Readonly<Record<string, unknown>>)[pointerName(name)]
        : null
  }
  const properties = typeof at === 'object' && at !== null && 'properties' in at ? at.properties : null
  return typeof properties === 'object' && properties !== null ? properties : {}
}

/** RFC 6901 §4. Names come from the request: they are cut and their control characters shown. */
function pointerName(name: string): string {
  return shown(name.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function shown(name: string): string {
  return printable(name).slice(0, 64)
}

/**
 * The typed client from the OpenAPI document: `src/client/generated`. One line for each schema and a few for each operation;
 * what is by hand is in src/client/client.ts.
 */

type Json = Readonly<Record<string, unknown>>

export interface GeneratedFiles {
  readonly 'schemas.ts': string
  readonly 'operations.ts': string
}

const head = '// Generated from the OpenAPI document by `npm run docs`. Do not edit.\n'

export function clientSource(document: Json): GeneratedFiles {
  const schemas = record(record(document['components'])['schemas'])
  const names = Object.keys(schemas).toSorted()
  const types = names.map((name) => {
    const schema = record(schemas[name])
    const { description } = schema
    const comment = typeof description === 'string' ? `/** ${description} */\n` : ''
    return `${comment}export type ${name} = ${typeOf(schema)}\n`
  })
  const operations = operationsOf(document)
  return {
    'schemas.ts': [head, ...types].join('\n'),
    'operations.ts': [
      head,
      `import type { CallOptions, Caller } from '../call.ts'\nimport type * as schemas from './schemas.ts'\n`,
      `export interface Operations {\n${operations.map(({ signature }) => signature).join('\n')}\n}\n`,
      `/** The requests behind the operations. */\nexport function operationsOf(call: Caller): Operations {\n  return {\n${operations.map(({ body }) => body).join('\n')}\n  }\n}\n`,
    ].join('\n'),
  }
}

interface Operation {
  readonly signature: string
  readonly body: string
}

function operationsOf({ paths }: Json): Operation[] {
  return Object.entries(record(paths)).flatMap(([path, methods]) =>
    Object.entries(record(methods)).map(([method, operation]) =>
      operationOf(path, method.toUpperCase(), record(operation)),
    ),
  )
}

function operationOf(path: string, method: string, operation: Json): Operation {
  const name = String(operation['operationId'])
  const parameters = list(operation['parameters']).map(record)
  const inQuery = parameters.filter((each) => each['in'] === 'query').map((each) => String(each['name']))
  const members: string[] = []
  for (const each of parameters) {
    if (each['in'] === 'header') continue
    members.push(
      member(String(each['name']), each['required'] === true, typeOf(record(each['schema']), 'schemas.')),
    )
  }
  const content = record(record(operation['requestBody'])['content'])
  const json = content['application/json']
  if (json !== undefined)
    members.push(member('body', true, typeOf(record(record(json)['schema']), 'schemas.')))
  else if (Object.keys(content).length > 0)
    members.push(member('body', true, 'string | Uint8Array | ReadableStream'))
  if (parameters.some((each) => each['name'] === 'If-Match')) members.push(member('ifMatch', true, 'string'))
  const answer = answerOf(operation)
  const isOptional = members.every((each) => each.includes('?:'))
  const input = members.length === 0 ? '' : `input${isOptional ? '?' : ''}: { ${members.join('; ')} }, `
  const facts = [
    `method: '${method}'`,
    `path: '${path}'`,
    ...(inQuery.length === 0 ? [] : [`query: [${inQuery.map((each) => `'${each}'`).join(', ')}]`]),
    ...(Object.keys(content).length > 0 && json === undefined
      ? [`bodyType: '${Object.keys(content)[0] ?? ''}'`]
      : []),
    ...(answer === 'Response' ? ['isStream: true'] : []),
  ].join(', ')
  const parameter = members.length === 0 ? '' : 'input, '
  return {
    signature: `  /** ${String(operation['summary'])}. */\n  ${name}(${input}options?: CallOptions): Promise<${answer}>`,
    body: `    ${name}: (${parameter}options) => call({ ${facts} }, ${members.length === 0 ? '{}' : 'input'}, options),`,
  }
}

/** What may be left out may also be undefined, which is how pages leave things out. */
function member(name: string, isRequired: boolean, type: string): string {
  const key = /^\w+$/.test(name) ? name : JSON.stringify(name)
  return `readonly ${key}${isRequired ? '' : '?'}: ${type}${isRequired ? '' : ' | undefined'}`
}

function answerOf(operation: Json): string {
  for (const [status, answer] of Object.entries(record(operation['responses']))) {
    if (!status.startsWith('2')) continue
    const content = record(record(answer)['content'])
    const json = content['application/json']
    if (json !== undefined) return typeOf(record(record(json)['schema']), 'schemas.')
    return Object.keys(content).length === 0 ? 'null' : 'Response'
  }
  return 'unknown'
}

/** JSON Schema as TypeScript: the part of it that our routes use. */
function typeOf(schema: Json, prefix = ''): string {
  const { $ref, enum: values, anyOf, type, items, properties, patternProperties } = schema
  if (typeof $ref === 'string') {
    const name = $ref.split('/').at(-1) ?? ''
    return `${prefix}${name}`
  }
  if (Array.isArray(values)) return values.map((value) => literal(value)).join(' | ')
  if ('const' in schema) return literal(schema['const'])
  if (Array.isArray(anyOf)) return anyOf.map((each) => typeOf(record(each), prefix)).join(' | ')
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return `readonly ${grouped(typeOf(record(items), prefix))}[]`
    case 'object': {
      if (properties === undefined || Object.keys(record(properties)).length === 0) {
        const [values_] = Object.values(record(patternProperties))
        return `Readonly<Record<string, ${values_ === undefined ? 'never' : typeOf(record(values_), prefix)}>>`
      }
      const required = new Set(list(schema['required']))
      const members = Object.entries(record(properties)).map(([name, each]) =>
        member(name, required.has(name), typeOf(record(each), prefix)),
      )
      return `{ ${members.join('; ')} }`
    }
    default:
      return 'unknown'
  }
}

/** As the formatter writes it. */
function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : JSON.stringify(value)
}

function grouped(type: string): string {
  return type.includes(' | ') && !type.startsWith('{') ? `(${type})` : type
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

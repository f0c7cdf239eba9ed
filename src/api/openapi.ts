/**
 * The OpenAPI 3.1 document of the routes. Their schemas are JSON Schema 2020-12, which is what 3.1 speaks, so they are used
 * as they are; those with an `$id` become components.
 */
import type { TObject, TSchema } from 'typebox'
import { permissionsOf, roles } from '../engine/operators/permissions.ts'
import { restPrefix } from './rest.ts'
import { problemCodes, problemType } from './problem.ts'
import type { Example, Route } from './route.ts'
import { problem } from './schemas.ts'

type Json = { readonly [key: string]: unknown }

export function openApiDocument(routes: readonly Route[], version: string): Json {
  const components = new Map<string, unknown>()
  const paths: Record<string, Record<string, unknown>> = {}
  const problemAnswer = {
    description: 'What is wrong, as a problem document (RFC 9457).',
    content: { [problemType]: { schema: schemaOf(problem, components) } },
  }
  for (const route of routes) {
    const path = (paths[route.path] ??= {})
    path[route.method.toLowerCase()] = operationOf(route, components)
  }
  return {
    openapi: '3.1.1',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Perennial',
      version,
      description:
        'Keeps the certificates of a device fleet alive. Lists are paged: `next` of an answer is the `after` of the next page. Instants are ISO 8601 in UTC.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: restPrefix }],
    security: [{ token: [] }, { session: [] }],
    tags: [...new Set(routes.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(components),
      responses: { Problem: problemAnswer },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token: `prn_…`.' },
        session: { type: 'apiKey', in: 'cookie', name: '__Host-perennial', description: 'Of a browser.' },
      },
    },
    'x-problem-codes': problemCodes,
  }
}

function operationOf(route: Route, components: Map<string, unknown>): Json {
  const { method, summary, description, operationId, permission, scope } = route
  const allowed = permission === 'anyone' ? [] : roles.filter((role) => permissionsOf[role].has(permission))
  const body = bodyOf(route, components)
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tagOf(route)],
    parameters: [
      ...parametersOf(route.params, 'path', route.examples, components),
      ...parametersOf(route.query, 'query', route.examples, components),
      ...headersOf(route),
    ],
    ...(body === null ? {} : { requestBody: body }),
    responses: {
      [String(route.status ?? (answers(route) ? 200 : 204))]: answerOf(route, components),
      ...(method === 'GET' && route.response !== null
        ? { '304': { description: 'Unchanged since the ETag in If-None-Match.' } }
        : {}),
      default: { $ref: '#/components/responses/Problem' },
    },
    ...(permission === 'anyone' ? { security: [] } : {}),
    'x-permission': permission,
    'x-scope': scope,
    'x-roles': allowed,
    'x-examples': route.examples,
  }
}

function answers({ response, answersStream }: Route): boolean {
  return response !== null || answersStream !== undefined
}

function answerOf(route: Route, components: Map<string, unknown>): Json {
  const { response, answersStream = [] } = route
  const content = {
    ...(response === null ? {} : { 'application/json': { schema: schemaOf(response, components) } }),
    ...Object.fromEntries(answersStream.map((type) => [type, { schema: { type: 'string' } }])),
  }
  return { description: route.summary, ...(answers(route) ? { content } : {}) }
}

function bodyOf({ body, streams, examples }: Route, components: Map<string, unknown>): Json | null {
  if (streams !== undefined) {
    const content = streams.map((type) => [type, { schema: { type: 'string' } }])
    return { required: true, content: Object.fromEntries(content) }
  }
  if (body === null) return null
  const given = examples.filter((example) => example.body !== undefined)
  return {
    required: true,
    content: {
      'application/json': {
        schema: schemaOf(body, components),
        ...(given.length === 0 ? {} : { examples: named(given) }),
      },
    },
  }
}

function named(examples: readonly Example[]): Json {
  return Object.fromEntries(
    examples.map(({ summary, body }, index) => [`example${index + 1}`, { summary, value: body }]),
  )
}

function parametersOf(
  schema: TObject,
  where: 'path' | 'query',
  examples: readonly Example[],
  components: Map<string, unknown>,
): Json[] {
  const required: readonly string[] = schema.required ?? []
  return Object.entries(schema.properties).map(([name, property]) => {
    const { description, ...rest } = schemaOf(property, components)
    const values = examples.map((each) => (where === 'path' ? each.params : each.query)?.[name])
    // JSON leaves out what is undefined.
    return {
      name,
      in: where,
      required: where === 'path' || required.includes(name),
      description,
      schema: rest,
      example: values.find((value) => value !== undefined),
    }
  })
}

function headersOf({ ifMatch, method }: Route): Json[] {
  const header = (name: string, required: boolean, description: string) => ({
    name,
    in: 'header',
    required,
    description,
    schema: { type: 'string', maxLength: 256 },
  })
  return [
    ...(ifMatch === true ? [header('If-Match', true, 'ETag of the version that was edited.')] : []),
    ...(method === 'POST'
      ? [header('Idempotency-Key', false, 'The same for repeats of one request: they get the first answer.')]
      : []),
  ]
}

/** The schema as plain JSON; named ones inside it become references, and components. */
function schemaOf(schema: TSchema, components: Map<string, unknown>): Json {
  return resolved(JSON.parse(JSON.stringify(schema)), components) as Json
}

function resolved(value: unknown, components: Map<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((each) => resolved(each, components))
  if (typeof value !== 'object' || value === null) return value
  const { $id, ...rest } = value as { readonly $id?: unknown; readonly [key: string]: unknown }
  const members = Object.entries(rest).map(([key, each]) => [key, resolved(each, components)])
  const plain: unknown = Object.fromEntries(members)
  if (typeof $id !== 'string') return plain
  components.set($id, plain)
  return { $ref: `#/components/schemas/${$id}` }
}

/** The first part of the path: `devices`. */
function tagOf({ path }: Route): string {
  return path.split('/')[1] ?? ''
}

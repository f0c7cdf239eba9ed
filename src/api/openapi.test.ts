/** The document against the meta-schema of OpenAPI 3.1, by a validator that is not ours, and the server against the document. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { apiFleet } from '../../test/helpers/api-fleet.ts'
import { apiRig, grant, type ApiRig } from '../../test/helpers/api-rig.ts'
import { testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { openApiDocument } from './openapi.ts'
import { problemCodes } from './problem.ts'
import { routes } from './routes.ts'
import { problem } from './schemas.ts'

let rig: TestEngine
let api: ApiRig

before(async () => {
  rig = await testEngine()
  await apiFleet(rig.engine)
  api = await apiRig(rig.engine)
})
after(() => rig.close())

test('is an OpenAPI 3.1 document', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(openApiDocument(routes, '1.2.3')))
  assert.ok(valid, JSON.stringify(errors, null, 1))
  assert.equal(validator.version, '3.1')
})

test('a document that says something else is refused by the validator', async () => {
  const broken = { ...openApiDocument(routes, '1.2.3'), paths: { '/x': { get: { responses: 'none' } } } }
  assert.equal((await new Validator().validate(structuredClone(broken))).valid, false)
})

/** Texts that people and attackers send. */
const hostileText = fc.oneof(
  fc.string({ maxLength: 80, unit: 'binary' }),
  fc.constantFrom(
    "' or 1=1 --",
    '"; drop table devices; --',
    '<script>alert(1)</script>',
    '=cmd|calc!A1',
    '../../etc/passwd',
    '%00',
    '\u202Egnp.exe',
    '__proto__',
    'constructor',
    '-1',
    '1e9',
    '9'.repeat(40),
    '2027-13-45T99:99:99Z',
  ),
)

const everything = [grant('officer'), grant('administrator')]

/** What may be sent to a route with any text in any place: reads change nothing, so they can be asked a thousand times. */
const reads = routes.filter(({ method, isEndless }) => method === 'GET' && isEndless !== true)

test('reads with anything in path and query are answered by their schema or a problem, never by an error of ours', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...reads),
      fc.dictionary(
        fc.constantFrom('limit', 'after', 'sort', 'fields', 'filter', 'state', 'x'),
        hostileText,
        { maxKeys: 3 },
      ),
      hostileText,
      async (route, extra, text) => {
        const known = Object.fromEntries(
          Object.entries(extra).filter(([name]) => name in route.query.properties || name === 'x'),
        )
        const path = route.path.replace(/\{\w+\}/g, () => encodeURIComponent(text.toWellFormed()) || 'x')
        const search = new URLSearchParams(
          Object.entries(known).map(([name, value]) => [name, value.toWellFormed()]),
        )
        const answer = await api.ask(everything, search.size > 0 ? `${path}?${search}` : path)
        assert.ok(answer.statusCode < 500, `${path}?${search}: ${answer.body}`)
        requireAnswer(route.response, known['fields'] !== undefined, answer)
      },
    ),
    { numRuns: 400 },
  )
})

const writes = routes.filter(({ method, body }) => method !== 'GET' && body !== null)

test('writes with any JSON as their body are refused by a problem that names where, or done; never an error of ours', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...writes), fc.jsonValue({ maxDepth: 3 }), async (route, body) => {
      const [example] = route.examples
      const base = typeof example.body === 'object' && example.body !== null ? example.body : {}
      const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
      const sent = isObject ? { ...base, ...body, unknown: body } : body
      const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent(example.params?.[name] ?? 'x'),
      )
      const answer = await api.ask(everything, {
        method: route.method,
        path,
        body: JSON.stringify(sent),
        headers: { 'content-type': 'application/json', 'if-match': '*' },
      })
      assert.ok(
        answer.statusCode >= 400 && answer.statusCode < 500,
        `${route.operationId}: ${answer.statusCode} ${answer.body}`,
      )
      assert.ok(Check(problem, answer.json()), answer.body)
    }),
    { numRuns: 300 },
  )
})

function requireAnswer(
  schema: TSchema | null,
  isSparse: boolean,
  answer: { readonly statusCode: number; readonly body: string; readonly headers: object },
): void {
  const type = (answer.headers as Record<string, string>)['content-type'] ?? ''
  if (answer.statusCode >= 400) {
    const value: unknown = JSON.parse(answer.body)
    assert.ok(Check(problem, value), answer.body)
    assert.ok((problemCodes as readonly string[]).includes((value as { code: string }).code))
  } else if (schema && type.startsWith('application/json') && !isSparse) {
    assert.ok(Check(schema, JSON.parse(answer.body)), answer.body)
  }
}

/** What holds for every route, said once over the whole table. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Check } from 'typebox/value'
import { permissions, permissionsOf, roles, type Grant } from '../engine/operators/permissions.ts'
import { apiFleet } from '../../test/helpers/api-fleet.ts'
import { apiRig, grant, type ApiRequest, type ApiRig } from '../../test/helpers/api-rig.ts'
import { testEngine, type TestEngine } from '../../test/helpers/app.ts'
import type { Example, Route } from './route.ts'
import { routes } from './routes.ts'

let rig: TestEngine
let api: ApiRig

before(async () => {
  rig = await testEngine()
  await apiFleet(rig.engine)
  api = await apiRig(rig.engine)
})
after(() => rig.close())

/** Together they have every permission. */
const everything: readonly Grant[] = [grant('officer'), grant('administrator')]

function requestOf({ method, path }: Route, { params = {}, query = {}, body }: Example): ApiRequest {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? 'none'))
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
  return { method, path: search.size > 0 ? `${filled}?${search}` : filled, body }
}

async function ask(who: readonly Grant[] | null, route: Route, example: Example) {
  const request = requestOf(route, example)
  if (route.ifMatch !== true) return await api.ask(who, request)
  return await api.ask(who, { ...request, headers: { 'if-match': '*' } })
}

/** Of a problem document; null for anything else, such as an export. */
function codeOf(body: string): string | null {
  if (!body.startsWith('{')) return null
  return (JSON.parse(body.split('\n')[0] ?? '') as { code?: string }).code ?? null
}

suite('examples', () => {
  for (const route of routes) {
    // An endless answer is read to its end by the test of its resource.
    for (const example of route.isEndless === true ? [] : route.examples) {
      test(`${route.operationId}: ${example.summary}`, async () => {
        const answer = await ask(everything, route, example)
        const wanted = example.status ?? route.status ?? (route.response || route.answersStream ? 200 : 204)
        assert.equal(answer.statusCode, wanted, answer.body)
        const isSparse = example.query?.fields !== undefined
        if (route.response && wanted < 300 && !isSparse && route.answersStream === undefined) {
          assert.ok(
            Check(route.response, answer.json()),
            `the answer is not what its schema says: ${answer.body}`,
          )
        }
      })
    }
  }
})

suite('every route, every role', () => {
  for (const route of routes) {
    test(`${route.operationId}: ${route.permission}`, async () => {
      const [example] = route.examples
      const nobody = await ask(null, route, example)
      if (route.permission === 'anyone') {
        assert.notEqual(codeOf(nobody.body), 'unauthenticated')
        return
      }
      assert.equal(codeOf(nobody.body), 'unauthenticated')
      for (const role of roles) {
        if (route.isEndless === true) continue
        const isAllowed = permissionsOf[role].has(route.permission)
        const answer = await ask([grant(role)], route, example)
        const isRefused = codeOf(answer.body) === 'permission-missing'
        // An example may show a refusal of its own.
        if (example.status !== 403) assert.equal(isRefused, !isAllowed, `${role}: ${answer.body}`)
        else assert.ok(isRefused)
        if (isAllowed && route.scope === 'fleet') {
          const scoped = await ask([grant(role, { site: 'kl' })], route, example)
          assert.equal(codeOf(scoped.body), 'permission-missing', `${role} of one site`)
        }
      }
    })
  }
})

suite('a scoped caller is told nothing about the rest of the fleet', () => {
  for (const route of routes.filter(
    ({ scope, method, isEndless }) => scope === 'device' && method === 'GET' && isEndless !== true,
  )) {
    test(route.operationId, async () => {
      for (const part of [{ site: 'kl' }, { cohort: 'pilot' }]) {
        const grants = [grant('officer', part), grant('administrator', part)]
        for (const example of route.examples) {
          const { body } = await ask(grants, route, example)
          assert.doesNotMatch(body, /canary/)
        }
      }
    })
  }
})

test('without an account one can log in and set a password, and nothing else', () => {
  const open = routes
    .filter(({ permission }) => permission === 'anyone')
    .map(({ operationId }) => operationId)
  assert.deepEqual(open.sort(), ['finishSetup', 'logIn', 'openSetup'])
})

test('the two accounts of the examples have every permission', () => {
  for (const permission of permissions) {
    assert.ok(
      everything.some(({ role }) => permissionsOf[role].has(permission)),
      permission,
    )
  }
})

test('auditors have no permission that writes, and viewers none either', () => {
  for (const role of ['auditor', 'viewer'] as const) {
    for (const permission of permissionsOf[role]) assert.match(permission, /:read$|^self$/)
  }
  const reading = routes.filter(({ permission }) => permission.endsWith(':read'))
  for (const { operationId, method } of reading) assert.equal(method, 'GET', operationId)
})

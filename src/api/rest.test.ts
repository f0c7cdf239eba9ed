import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Type } from 'typebox'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { addDevice } from '../engine/inventory/device.ts'
import { findDevice } from '../store/devices.ts'
import { apiRig, grant, type ApiRig } from '../../test/helpers/api-rig.ts'
import { registerDevice, testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { openApiDocument } from './openapi.ts'
import { object, route, type Route } from './route.ts'
import { routes } from './routes.ts'
import { dryRun } from './schemas.ts'

let rig: TestEngine
let api: ApiRig

const note = object(
  { text: Type.String(), tags: Type.Optional(Type.Record(Type.String(), Type.String())) },
  { $id: 'Note' },
)
let kept = 'first'

/** What the API's own routes do not have yet. */
const planted: Route[] = [
  route({
    method: 'GET',
    path: '/note',
    operationId: 'getNote',
    summary: 'The note',
    permission: 'inventory:read',
    scope: 'shared',
    response: note,
    examples: [{ summary: 'It' }],
    handler: async () => ({ text: kept }),
  }),
  route({
    method: 'PUT',
    path: '/note',
    operationId: 'putNote',
    summary: 'Writes the note',
    permission: 'inventory:write',
    scope: 'fleet',
    ifMatch: true,
    body: note,
    response: note,
    examples: [{ summary: 'It', body: { text: 'x' } }],
    async handler({ body, requireMatch }) {
      requireMatch({ text: kept })
      kept = body.text
      return { text: kept }
    },
  }),
  route({
    method: 'POST',
    path: '/things',
    operationId: 'addThing',
    summary: 'Adds a device',
    permission: 'inventory:write',
    scope: 'fleet',
    dryRun: true,
    query: dryRun,
    body: object({ id: Type.String() }),
    response: object({ id: Type.String() }),
    status: 201,
    examples: [{ summary: 'It', body: { id: 'x' } }],
    async handler({ engine, body, actor }) {
      const { id } = await addDevice(engine, { id: body.id, profile: 'industrial' }, actor)
      return { id }
    },
  }),
  route({
    method: 'GET',
    path: '/broken',
    operationId: 'getBroken',
    summary: 'A bug',
    permission: 'inventory:read',
    scope: 'shared',
    examples: [{ summary: 'It' }],
    handler: async () => {
      throw new Error('connect postgres://user:hunter2@host failed')
    },
  }),
  route({
    method: 'GET',
    path: '/busy',
    operationId: 'getBusy',
    summary: 'A refusal that passes',
    permission: 'inventory:read',
    scope: 'shared',
    examples: [{ summary: 'It' }],
    handler: async () => {
      throw new Refusal('store-busy', 'come again', { retryAfterMs: 1_200 })
    },
  }),
]

before(async () => {
  rig = await testEngine()
  api = await apiRig(rig.engine, [...routes, ...planted])
  for (let index = 0; index < 5; index++) {
    await registerDevice(rig.engine, `meter-${index}`, {
      site: index < 3 ? 'kl' : 'ms',
      cohort: index % 2 ? 'odd' : 'even',
    })
  }
})
after(() => rig.close())

const ids = (answer: { json: () => { items: { id: string }[] } }) => answer.json().items.map(({ id }) => id)

test('a list comes in pages that join up, and the last one says so', async () => {
  const first = (await api.ask('viewer', '/devices?limit=3')).json()
  assert.equal(first.items.length, 3)
  const second = (await api.ask('viewer', `/devices?limit=3&after=${first.next}`)).json()
  assert.deepEqual(
    [...first.items, ...second.items].map(({ id }) => id),
    ['meter-0', 'meter-1', 'meter-2', 'meter-3', 'meter-4'],
  )
  assert.equal(second.next, null)
})

test('a cursor that is not ours is refused, whatever it is', async () => {
  for (const cursor of ['x', '%00', Buffer.from('["name","meter-1"]').toString('base64url'), 'e30']) {
    const answer = await api.ask('viewer', `/devices?after=${cursor}`)
    assert.deepEqual([answer.statusCode, answer.json().code], [400, 'invalid-input'], cursor)
  }
})

test('sparse fields leave the others out; one that is not there is refused with what may have been meant', async () => {
  const answer = await api.ask('viewer', '/devices?fields=id,state&limit=1')
  assert.deepEqual(answer.json().items, [{ id: 'meter-0', state: 'registered' }])
  const wrong = await api.ask('viewer', '/devices?fields=id,stat')
  assert.match(wrong.json().detail, /"stat", which is not a field here; did you mean state\?/)
})

test('unknown names are refused by name, each with its place', async () => {
  const query = (await api.ask('viewer', '/devices?limt=3&x=1')).json()
  assert.deepEqual(query.errors, [
    { at: 'query.limt', detail: 'is not known here; did you mean limit?' },
    { at: 'query.x', detail: 'is not known here' },
  ])
  const body = await api.ask('operator', { method: 'POST', path: '/things', body: { id: 'a', ident: 'b' } })
  assert.equal(body.json().errors[0].at, 'body.ident')
  const missing = await api.ask('operator', { method: 'POST', path: '/things', body: {} })
  assert.deepEqual(missing.json().errors, [{ at: 'body.id', detail: 'is missing' }])
  const twice = await api.ask('viewer', '/devices?limit=1&limit=2')
  assert.equal(twice.json().detail, 'query.limit is given twice')
  for (const limit of ['0', '1001', '1.5', 'x', '']) {
    assert.equal((await api.ask('viewer', `/devices?limit=${limit}`)).statusCode, 400, limit)
  }
})

test('nobody, and whoever has no role for it, is refused before the body is read', async () => {
  const nobody = await api.ask(null, '/devices')
  assert.deepEqual([nobody.statusCode, nobody.json().code], [401, 'unauthenticated'])
  assert.match(nobody.headers['www-authenticate'] as string, /^Bearer/)
  const viewer = await api.ask('viewer', { method: 'POST', path: '/things', body: '{broken' })
  assert.deepEqual([viewer.statusCode, viewer.json().code], [403, 'permission-missing'])
})

test('a scoped caller sees the devices of his scopes, and that others exist is not told', async () => {
  const grants = [grant('viewer', { site: 'ms' }), grant('operator', { cohort: 'odd' })]
  assert.deepEqual(ids(await api.ask(grants, '/devices')), ['meter-1', 'meter-3', 'meter-4'])
  assert.deepEqual(ids(await api.ask(grants, '/devices?site=kl')), ['meter-1'])
  assert.equal((await api.ask(grants, '/devices/meter-1')).statusCode, 200)
  const other = await api.ask(grants, '/devices/meter-2')
  const none = await api.ask(grants, '/devices/meter-9')
  assert.deepEqual([other.statusCode, none.statusCode], [404, 404])
  assert.equal(other.json().detail.replace('meter-2', ''), none.json().detail.replace('meter-9', ''))
})

test('what is for the whole fleet is refused to a scoped caller', async () => {
  const answer = await api.ask([grant('operator', { site: 'kl' })], {
    method: 'POST',
    path: '/things',
    body: { id: 'x' },
  })
  assert.deepEqual([answer.statusCode, answer.json().code], [403, 'permission-missing'])
})

test('bodies: too large, too deep, not JSON, not of the right type, none, one where there is none', async () => {
  const post = async (body: string, type = 'application/json') => {
    const answer = await api.ask('operator', {
      method: 'POST',
      path: '/things',
      body,
      headers: { 'content-type': type },
    })
    return [answer.statusCode, answer.json().code]
  }
  assert.deepEqual(await post(`{"id":"${'a'.repeat(1_048_577)}"}`), [413, 'too-large'])
  assert.deepEqual(await post(`${'['.repeat(33)}${']'.repeat(33)}`), [400, 'malformed'])
  assert.deepEqual(await post('['.repeat(500_000)), [400, 'malformed'])
  assert.deepEqual(await post(`{"id":"${'['.repeat(40)}"}`), [400, 'invalid-input'])
  for (const bad of ['{', '{"id":1,}', "{'id':1}", '\u{FEFF}nope', '']) {
    assert.deepEqual(await post(bad), [400, 'malformed'], bad)
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
    assert.deepEqual(await post('{"id":"x"}', type), [415, 'unsupported-media-type'], type)
  }
  const proto = await post('{"__proto__":{"isAdmin":true},"id":"p"}')
  assert.deepEqual(proto, [400, 'invalid-input'])
  assert.equal((await api.ask('operator', { method: 'POST', path: '/things' })).statusCode, 400)
})

test('an edit names the version that it was made from', async () => {
  const put = async (headers: Record<string, string>) =>
    await api.ask('operator', { method: 'PUT', path: '/note', body: { text: 'second' }, headers })
  const shown = await api.ask('viewer', '/note')
  const etag = shown.headers.etag as string
  const unchanged = await api.ask('viewer', { path: '/note', headers: { 'if-none-match': `W/${etag}` } })
  assert.deepEqual([unchanged.statusCode, unchanged.body], [304, ''])
  assert.equal((await put({})).json().code, 'precondition-required')
  assert.equal((await put({ 'if-match': '"other"' })).json().code, 'precondition-failed')
  assert.equal((await put({ 'if-match': etag })).statusCode, 200)
  assert.equal((await put({ 'if-match': etag })).statusCode, 412)
})

test('a dry run answers what would be, and leaves nothing behind', async () => {
  const dry = { method: 'POST', path: '/things?dryRun=true', body: { id: 'planned-1' } } as const
  const answer = await api.ask('operator', dry)
  assert.deepEqual([answer.statusCode, answer.json()], [201, { id: 'planned-1' }])
  assert.equal(await findDevice(rig.engine.store.db, 'planned-1' as DeviceId), null)
  const known = await api.ask('operator', { ...dry, body: { id: 'meter-1' } })
  assert.equal(known.json().code, 'already-exists')
  const done = await api.ask('operator', { ...dry, path: '/things' })
  assert.equal(done.statusCode, 201)
  assert.notEqual(await findDevice(rig.engine.store.db, 'planned-1' as DeviceId), null)
})

test('a refusal is a problem document; a bug shows its id and nothing else', async () => {
  const busy = await api.ask('viewer', '/busy')
  assert.match(busy.headers['content-type'] as string, /^application\/problem\+json/)
  assert.equal(busy.headers['retry-after'], '2')
  assert.deepEqual(busy.json(), {
    type: '/api/problems/store-busy',
    title: 'store busy',
    status: 503,
    code: 'store-busy',
    detail: 'come again',
  })
  const bug = await api.ask('viewer', '/broken')
  assert.deepEqual([bug.statusCode, bug.json().code], [500, 'internal'])
  assert.doesNotMatch(bug.body, /hunter2|postgres/)
})

test('a path that is not there is 404, a method that is not there 405 with Allow', async () => {
  assert.equal((await api.ask('viewer', '/nothing')).json().code, 'not-found')
  for (const method of ['PUT', 'DELETE', 'OPTIONS'] as const) {
    const answer = await api.ask(null, { method, path: '/devices' })
    assert.deepEqual(
      [answer.statusCode, answer.json().code, answer.headers.allow],
      [405, 'method-not-allowed', 'GET, HEAD, POST'],
      method,
    )
  }
})

test('each route is in the document, with its schemas as components and without a dangling reference', () => {
  const document = openApiDocument(routes, '1.2.3')
  const text = JSON.stringify(document)
  for (const { operationId } of routes) assert.match(text, new RegExp(`"operationId":"${operationId}"`))
  const { components } = document as { components: { schemas: Record<string, unknown> } }
  for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
    assert.ok(components.schemas[name], name)
  assert.doesNotMatch(text, /"\$id"/)
})

test('names of operations and of schemas are unique', () => {
  const operations = routes.map(({ operationId }) => operationId)
  assert.deepEqual(operations, [...new Set(operations)])
  const places = routes.map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual(places, [...new Set(places)])
})

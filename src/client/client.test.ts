/** Each documented example goes through the client to the real server and back. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { apiFleet } from '../../test/helpers/api-fleet.ts'
import { apiRig, grant, type ApiRig } from '../../test/helpers/api-rig.ts'
import { testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { routes } from '../api/routes.ts'
import type { CallOptions } from './call.ts'
import { ApiProblem, createClient, everyItem, type Client } from './client.ts'

let rig: TestEngine
let api: ApiRig
let client: Client

/** The server without a socket, as fetch. */
async function viaServer(url: string, init: RequestInit): Promise<Response> {
  const answer = await api.ask([grant('officer'), grant('administrator')], {
    method: init.method as 'GET',
    path: url.replace('https://perennial.example/api/v1', ''),
    headers: init.headers as Record<string, string>,
    body: init.body ?? undefined,
  })
  const headers = Object.entries(answer.headers).map(
    ([name, value]) => [name, String(value)] as [string, string],
  )
  const isEmpty = answer.statusCode === 204 || answer.statusCode === 304
  return new Response(isEmpty ? null : new Uint8Array(answer.rawPayload), {
    status: answer.statusCode,
    headers,
  })
}

before(async () => {
  rig = await testEngine()
  await apiFleet(rig.engine)
  api = await apiRig(rig.engine)
  client = createClient({
    url: 'https://perennial.example',
    token: 'prn_x',
    fetch: viaServer as typeof fetch,
  })
})
after(() => rig.close())

suite('each documented example', () => {
  for (const { operationId, examples, ifMatch, answersStream, streams, isEndless } of routes) {
    for (const { summary, params = {}, query = {}, body, status = 200 } of examples) {
      if (status >= 300 || streams !== undefined || isEndless === true) continue
      test(`${operationId}: ${summary}`, async () => {
        const input = {
          ...params,
          ...query,
          ...(body === undefined ? {} : { body }),
          ...(ifMatch === true ? { ifMatch: '*' } : {}),
        }
        const operation = client[operationId as keyof Client] as (
          input: object,
          options?: CallOptions,
        ) => Promise<unknown>
        const answer = await operation(input)
        if (answersStream !== undefined) assert.ok(answer instanceof Response && answer.ok)
      })
    }
  }
})

test('a list is read to its end', async () => {
  const ids: string[] = []
  for await (const { id } of everyItem((from) => client.listDevices({ limit: 2, fields: 'id', ...from })))
    ids.push(id)
  assert.ok(ids.length > 5)
  assert.deepEqual(ids, ids.toSorted())
})

test('an edit names the version that was read', async () => {
  let etag: string | null = null
  await client.getDeviceRecord({ id: 'meter-1' }, { onEtag: (value) => (etag = value) })
  assert.ok(etag)
  const { changed } = await client.editDevice({ id: 'meter-1', ifMatch: etag, body: { firmware: '3.0' } })
  assert.deepEqual(changed, ['firmware'])
  const again = client.editDevice({ id: 'meter-1', ifMatch: etag, body: { firmware: '3.1' } })
  await assert.rejects(again, (error) => error instanceof ApiProblem && error.code === 'precondition-failed')
})

test('a refusal is a problem with its code and its place', async () => {
  const wrong = client.listDevices({ filter: 'stat=active' })
  await assert.rejects(wrong, (error) => {
    assert.ok(error instanceof ApiProblem)
    assert.deepEqual([error.status, error.code], [400, 'filter-invalid'])
    assert.match(error.message, /did you mean state\?/)
    return true
  })
})

test('neither the client nor the filter language imports anything of Node', () => {
  const seen = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    const text = readFileSync(path, 'utf8')
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export) [^']*?from '([^']+)'/gm)) {
      assert.ok(specifier.startsWith('.'), `${path} imports ${specifier}`)
      visit(join(dirname(path), specifier))
    }
  }
  for (const path of [
    'src/client/client.ts',
    'src/filter/filter.ts',
    'src/filter/print.ts',
    'src/filter/resources.ts',
  ])
    visit(path)
  assert.ok(seen.size > 10)
})

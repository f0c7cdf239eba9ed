/** Repeats, long work, limits and events of the REST API. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Type } from 'typebox'
import { dayMs, minuteMs, secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { FactFeed, mostListeners } from '../engine/audit/fact-feed.ts'
import { seal } from '../engine/audit/seal.ts'
import { addDevice } from '../engine/inventory/device.ts'
import { forgetRequestsJob } from '../engine/operators/idempotent-request.ts'
import { updateApiJob } from '../store/api-jobs.ts'
import { apiRig, apiToken, grant, type ApiRig } from '../../test/helpers/api-rig.ts'
import {
  enrolDevice,
  registerDevice,
  testActor,
  testEngine,
  type TestEngine,
} from '../../test/helpers/app.ts'
import { begun, jobSchema } from './resources/jobs.ts'
import { object, route, type Route } from './route.ts'
import { routes } from './routes.ts'
import { createAdminServer } from './server.ts'

/** Lets what is under way go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

let rig: TestEngine
let api: ApiRig
let runs = 0
const ending: { finish: (result: unknown) => void; tell: (done: number) => void } = {
  finish: () => undefined,
  tell: () => undefined,
}
const write = { method: 'POST', permission: 'inventory:write', scope: 'fleet' } as const
const planted: Route[] = [
  route({
    ...write,
    path: '/things',
    operationId: 'addThing',
    summary: 'Adds a device',
    body: object({ id: Type.String() }),
    response: object({ id: Type.String(), run: Type.Integer() }),
    status: 201,
    examples: [{ summary: 'It', body: { id: 'x' } }],
    async handler({ engine, body, actor }) {
      runs++
      const { id } = await addDevice(engine, { id: body.id, profile: 'industrial' }, actor)
      return { id, run: runs }
    },
  }),
  route({
    ...write,
    path: '/secret-things',
    operationId: 'addSecretThing',
    summary: 'Shows a secret',
    hasSecretAnswer: true,
    response: object({ secret: Type.String() }),
    examples: [{ summary: 'It' }],
    handler: async () => ({ secret: 'shown once' }),
  }),
  route({
    ...write,
    path: '/long',
    operationId: 'startLong',
    summary: 'Begins long work',
    status: 202,
    response: jobSchema,
    examples: [{ summary: 'It' }],
    async handler({ engine, caller }) {
      return await begun(engine, {
        kind: 'test',
        caller: caller.operator,
        total: 10,
        run: async (told) => {
          ending.tell = told
          return await new Promise((resolve, fail) => {
            ending.finish = (result) => (result instanceof Error ? fail(result) : resolve(result))
          })
        },
      })
    },
  }),
]

before(async () => {
  rig = await testEngine()
  api = await apiRig(rig.engine, [...routes, ...planted])
})
after(() => rig.close())

const post = async (
  path: string,
  key: string,
  body?: object,
  who: Parameters<ApiRig['ask']>[0] = 'operator',
) => await api.ask(who, { method: 'POST', path, body, headers: { 'idempotency-key': key } })

suite('a request with an Idempotency-Key', () => {
  test('is done once: a repeat gets the first answer, and says so', async () => {
    const first = await post('/things', 'k1', { id: 'a-1' })
    const before_ = runs
    const again = await post('/things', 'k1', { id: 'a-1' })
    assert.deepEqual(
      [again.statusCode, again.body, again.headers['idempotency-replayed']],
      [201, first.body, 'true'],
    )
    assert.equal(runs, before_)
    assert.equal(first.headers['idempotency-replayed'], undefined)
  })

  test('of ten at once one is done, the others wait or get its answer', async () => {
    const before_ = runs
    const answers = await Promise.all(Array.from({ length: 10 }, () => post('/things', 'k2', { id: 'a-2' })))
    assert.equal(runs, before_ + 1)
    for (const { statusCode, body } of answers) {
      if (statusCode !== 201) assert.match(body, /idempotency-key-reused/)
    }
  })

  test('another request with the key is refused; another account has keys of its own', async () => {
    await post('/things', 'k3', { id: 'a-3' })
    assert.equal((await post('/things', 'k3', { id: 'a-4' })).json().code, 'idempotency-key-reused')
    assert.equal((await post('/things', 'k3', { id: 'a-5' }, 'officer')).statusCode, 201)
  })

  test('that was refused did nothing, and its key may be used again', async () => {
    await registerDevice(rig.engine, 'taken-1')
    assert.equal((await post('/things', 'k4', { id: 'taken-1' })).json().code, 'already-exists')
    assert.equal((await post('/things', 'k4', { id: 'a-6' })).statusCode, 201)
  })

  test('whose answer showed a secret is not told it again', async () => {
    assert.equal((await post('/secret-things', 'k5')).json().secret, 'shown once')
    const again = await post('/secret-things', 'k5')
    assert.deepEqual([again.statusCode, again.json().code], [409, 'idempotency-key-reused'])
    assert.doesNotMatch(again.body, /shown once/)
  })

  test('is forgotten after a day', async () => {
    await post('/things', 'k6', { id: 'a-7' })
    const clean = async () =>
      await forgetRequestsJob.run(
        rig.engine,
        rig.clock.now(),
        new AbortController().signal,
        async () => undefined,
      )
    assert.equal((await clean()).worked, 0)
    await rig.clock.advance(dayMs + 1)
    assert.ok((await clean()).worked > 0)
    assert.equal((await post('/things', 'k6', { id: 'a-7' })).json().code, 'already-exists')
  })

  test('a key that is none is refused', async () => {
    for (const key of ['', 'x'.repeat(129), 'a b', 'ä']) {
      assert.equal((await post('/things', key, { id: 'a-8' })).json().code, 'invalid-input', key)
    }
  })
})

suite('long work', () => {
  const begin = async () => await api.ask('operator', { method: 'POST', path: '/long' })
  const look = async (location: string, who: Parameters<ApiRig['ask']>[0] = 'operator') =>
    await api.ask(who, location.replace('/api/v1', ''))
  async function ended(location: string) {
    for (let tries = 0; tries < 100; tries++) {
      await turn()
      const job = (await look(location)).json()
      if (job.endedAt !== null) return job
    }
    throw new Error('it does not end')
  }

  test('is answered at once, tells how far it is, and what came of it', async () => {
    const answer = await begin()
    assert.equal(answer.statusCode, 202)
    const location = answer.headers.location as string
    assert.deepEqual([answer.json().status, answer.json().done, answer.json().total], ['running', 0, 10])
    ending.tell(4)
    await rig.clock.advance(secondMs)
    for (let tries = 0; tries < 100 && (await look(location)).json().done === 0; tries++) await turn()
    assert.equal((await look(location)).json().done, 4)
    ending.finish({ devices: 10 })
    const job = await ended(location)
    assert.deepEqual([job.status, job.result, job.problem], ['done', { devices: 10 }, null])
  })

  test('that fails says why; a bug shows only its id', async () => {
    const first = (await begin()).headers.location as string
    ending.finish(new Refusal('disk-full', 'no room'))
    assert.deepEqual((await ended(first)).problem, { code: 'disk-full', detail: 'no room' })
    const second = (await begin()).headers.location as string
    ending.finish(new Error('postgres://user:hunter2@host'))
    const job = await ended(second)
    assert.equal(job.problem.code, 'internal')
    assert.doesNotMatch(JSON.stringify(job), /hunter2/)
  })

  test('of somebody else is not there', async () => {
    const location = (await begin()).headers.location as string
    ending.finish(null)
    assert.equal((await look(location, [grant('viewer'), grant('operator')])).statusCode, 404)
    assert.equal((await look(location, 'administrator')).statusCode, 200)
  })

  test('whose process died is shown as interrupted', async () => {
    const location = (await begin()).headers.location as string
    const { id } = (await look(location)).json()
    const updatedAt = rig.clock.now() - minuteMs
    await rig.engine.store.transaction(async (tx) => await updateApiJob(tx, { id, updatedAt }))
    const { status, problem } = (await look(location)).json()
    assert.equal(status, 'failed')
    assert.match(problem.detail, /the process that did it has ended/)
    ending.finish(null)
    await ended(location)
  })
})

test('a caller who asks too often is told when to come again', async () => {
  const limits = { caller: { perSecond: 1, burst: 2 }, stranger: { perSecond: 1, burst: 1 } }
  const rest = { engine: rig.engine, url: null, limits }
  const server = await createAdminServer({ version: '1', healthChecks: [], snapshots: async () => [], rest })
  const authorization = `Bearer ${await apiToken(rig.engine, [grant('viewer', { site: 'limit' })])}`
  const ask = async () => await server.inject({ url: '/api/v1/session', headers: { authorization } })
  assert.equal((await ask()).headers.ratelimit, '"default";r=1;t=1')
  await ask()
  const over = await ask()
  assert.deepEqual(
    [over.statusCode, over.json().code, over.headers['retry-after']],
    [429, 'rate-limited', '1'],
  )
  assert.match(over.headers['ratelimit-policy'] as string, /q=2/)
  const logIn = async () =>
    await server.inject({ method: 'POST', url: '/api/v1/setup/offer', payload: { token: 'x' } })
  assert.equal((await logIn()).statusCode, 401)
  assert.equal((await logIn()).statusCode, 429)
})

suite('events', () => {
  const batches: string[] = []
  async function sealed(): Promise<void> {
    await seal(rig.engine, rig.clock.now())
    await rig.clock.advance(secondMs)
    await turn()
  }

  /** Reads until as many events have come. */
  async function heard(
    path: string,
    who: Parameters<ApiRig['stream']>[0],
    count: number,
    act: () => Promise<void>,
    lastEventId?: string,
  ) {
    const stream = await api.stream(
      who,
      path,
      lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    )
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await act()
    for (let tries = 0; tries < 200 && (text.match(/^data: /gm) ?? []).length < count; tries++) {
      await rig.clock.advance(secondMs)
      await turn()
    }
    stream.destroy()
    batches.push(text)
    return [...text.matchAll(/id: (\d+)\nevent: ([\w.-]+)\ndata: (.*)\n\n/g)].map(
      ([, id, event, data = '']) => ({
        id: Number(id),
        event,
        data: JSON.parse(data) as { actor: string; subject: string },
      }),
    )
  }

  test('tell each fact once it is sealed, with its place in the log', async () => {
    await sealed()
    const events = await heard('/events?action=device.', 'viewer', 2, async () => {
      await registerDevice(rig.engine, 'event-1', { site: 'kl' })
      await registerDevice(rig.engine, 'event-2', { site: 'ms' })
      await sealed()
    })
    assert.deepEqual(
      events.map(({ event, data }) => [event, data.subject, data.actor]),
      [
        ['device.added', 'device:event-1', testActor],
        ['device.added', 'device:event-2', testActor],
      ],
    )
    const [first, second] = events
    const after_ = await heard('/events?action=device.', 'viewer', 1, sealed, String(first?.id))
    assert.deepEqual(after_, [second])
  })

  test('of other parts of the fleet, of accounts and of nothing are not told to who may not see them', async () => {
    await sealed()
    const from = (await heard('/events?from=0', 'auditor', 1, sealed)).length
    assert.ok(from > 0)
    const site = [grant('viewer', { site: 'kl' })]
    const seen = await heard('/events?from=0', site, 3, async () => {
      await enrolDevice(rig.engine, 'event-3', { site: 'kl' })
      await enrolDevice(rig.engine, 'event-4', { site: 'ms' })
      await sealed()
    })
    const subjects = seen.map(({ data }) => data.subject)
    assert.ok(subjects.includes('device:event-3'))
    assert.ok(subjects.some((subject) => subject.startsWith('certificate:')))
    for (const subject of subjects) assert.match(subject, /^device:event-[13]$|^certificate:/)
    const viewer = await heard('/events?from=0', 'viewer', 20, sealed)
    assert.ok(!viewer.some(({ data }) => /^(operator|token):/.test(data.subject)))
    const auditor = await heard('/events?from=0', 'auditor', 5, sealed)
    assert.ok(auditor.some(({ data }) => /^(operator|token):/.test(data.subject)))
  })

  test('are for a bounded number of listeners, and a place in the future is now', async () => {
    const feed = new FactFeed(rig.engine)
    const stop = new AbortController()
    const listen = () => feed.listen({ from: 10 ** 9, quietMs: secondMs, signal: stop.signal })
    const listeners = Array.from({ length: mostListeners }, listen)
    const first = listeners.map((each) => each.next())
    await turn()
    await assert.rejects(async () => await listen().next(), { code: 'overloaded' })
    await rig.clock.advance(2 * secondMs)
    assert.deepEqual(
      (await Promise.all(first)).map(({ value }) => value?.length),
      Array.from({ length: mostListeners }, () => 0),
    )
    stop.abort()
    await Promise.all(listeners.map((each) => each.next()))
    assert.equal(feed.listeners, 0)
    await rig.clock.advance(2 * secondMs)
  })
})

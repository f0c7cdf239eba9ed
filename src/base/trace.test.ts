/** The spans that an operator's SDK is given: the real SDK of OpenTelemetry, loaded as it would be, and the real enrolment. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base'
import {
  freshSecret,
  refusal,
  registerDevice,
  requestOf,
  stranger,
  testEngine,
  type TestEngine,
} from '../../test/helpers/app.ts'
import { createKey } from '../../test/helpers/ca.ts'
import { startEstRig } from '../../test/helpers/est-rig.ts'
import { enroll } from '../engine/issuing/enroll.ts'
import { createJobs } from '../engine/jobs.ts'
import { enqueueTask } from '../store/tasks.ts'
import { runTasks } from '../engine/tasks.ts'
import { traced } from './trace.ts'

const exporter = new InMemorySpanExporter()
const always = new AbortController().signal
let app: TestEngine

before(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  app = await testEngine()
})
after(async () => {
  await app.close()
  trace.disable()
  context.disable()
})

async function spansOf(work: () => Promise<unknown>): Promise<ReadableSpan[]> {
  exporter.reset()
  await work()
  return exporter.getFinishedSpans()
}

function named(spans: readonly ReadableSpan[], name: string): ReadableSpan {
  const span = spans.find((each) => each.name === name)
  assert.ok(span, `${name} among ${spans.map((each) => each.name).join(', ')}`)
  return span
}

test('an enrolment is one trace: identify, reserve, sign, commit, under enroll', async () => {
  await registerDevice(app.engine, 'T-1')
  const request = requestOf(await freshSecret(app.engine, 'T-1'), createKey().csr())
  const spans = await spansOf(() => enroll(app.engine, request))
  const whole = named(spans, 'enroll')
  assert.deepEqual(whole.attributes, {
    'perennial.operation': 'enroll',
    'perennial.protocol': 'est',
    'perennial.outcome': 'issued',
  })
  for (const name of ['enroll.identify', 'issue.reserve', 'issue.sign', 'issue.commit'])
    assert.equal(named(spans, name).parentSpanContext?.spanId, whole.spanContext().spanId)
  assert.equal(named(spans, 'issue.sign').attributes['perennial.issuer'], 'issuing')
  assert.doesNotMatch(JSON.stringify(spans.map(({ attributes }) => attributes)), /T-1|secret/)
})

test('a refusal is an attribute and no error; what is a bug is an error without its text', async () => {
  const spans = await spansOf(() => refusal(enroll(app.engine, requestOf(stranger, createKey().csr()))))
  const whole = named(spans, 'enroll')
  assert.equal(whole.attributes['perennial.refusal'], 'unauthenticated')
  assert.equal(whole.status.code, SpanStatusCode.UNSET)
  const bug = async (): Promise<never> => {
    throw new TypeError('postgres://user:password@host')
  }
  const failed = named(await spansOf(() => traced('work', {}, bug).catch(() => null)), 'work')
  assert.deepEqual(failed.status, { code: SpanStatusCode.ERROR, message: 'TypeError' })
  assert.deepEqual(failed.events, [])
})

test('passes of jobs and tasks have their names', async () => {
  const job = { name: 'sweep', intervalMs: 1_000, isShared: true, run: async () => ({ worked: 3 }) }
  const jobs = await spansOf(() => createJobs(app.engine, [job]).pass('sweep'))
  assert.equal(named(jobs, 'job sweep').attributes['perennial.worked'], 3)
  const at = app.clock.now()
  await app.engine.store.transaction(
    async (tx) =>
      void (await enqueueTask(tx, { kind: 'odd', key: null, payload: '{}', runAt: at, createdAt: at })),
  )
  const handler = { kind: 'odd', run: async () => {} }
  const tasks = await spansOf(() => runTasks(app.engine, [handler], at, always))
  assert.equal(named(tasks, 'task odd').attributes['perennial.attempt'], 1)
})

test('a request of a device is a trace of its own, with the enrolment in it', async () => {
  const rig = await startEstRig()
  try {
    const spans = await spansOf(async () => {
      const client = rig.client({ credentials: await rig.addDevice({ id: 'T-2' }) })
      await client.enroll(createKey().csr())
      // the answer leaves before the span is closed
      await rig.client().cacerts()
    })
    const request = named(spans, 'device simpleenroll')
    assert.equal(request.kind, SpanKind.SERVER)
    assert.equal(request.parentSpanContext, undefined)
    assert.equal(request.attributes['perennial.result'], 'issued')
    assert.equal(named(spans, 'enroll').parentSpanContext?.spanId, request.spanContext().spanId)
  } finally {
    await rig.close()
  }
})

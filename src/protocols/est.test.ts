import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { createKey } from '../../test/helpers/ca.ts'
import { addDevice } from '../engine/inventory/device.ts'
import { newSecret } from '../engine/issuing/secret.ts'
import type { HttpResponse } from './http-message.ts'
import { type EstRequest, handleEst } from './est.ts'

let app: TestEngine
let authorization: string
const csr = createKey().csr()

before(async () => {
  app = await testEngine()
  const { engine } = app
  const { id } = await addDevice(engine, { id: 'fuzzed', profile: 'industrial' }, 'test')
  const { secret } = await newSecret(engine, { deviceId: id, actor: 'test' })
  authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
})
after(() => app.close())

const stranger = { address: '192.0.2.1', certificate: null, chain: [] }

function handle(request: Partial<EstRequest>): Promise<HttpResponse> {
  return handleEst(app.engine, {
    method: 'POST',
    path: '/.well-known/est/simpleenroll',
    headers: { 'content-type': 'application/pkcs10', authorization },
    body: new Uint8Array(0),
    peer: stranger,
    tlsUnique: null,
    ...request,
  })
}

/** What every answer must be, whatever was asked. */
function assertSound({ status, headers, body }: HttpResponse): void {
  assert.ok([200, 202, 400, 401, 403, 404, 405, 415, 501].includes(status), `${status} ${String(body)}`)
  const head = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  assert.ok(head < 700, `${head} bytes of headers`)
  for (const value of Object.values(headers)) assert.match(value, /^[\u0020-\u007e]+$/)
  if (status >= 400 && status !== 401) assert.match(String(body), /^[\u0020-\u{10ffff}]{10,510}\n$/u)
  if (status === 401) assert.equal(body, '')
}

const base64 = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString('base64'))

test('any bytes as a body get an answer that is sound, and never a certificate', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 400 }).map(base64)),
      async (body) => {
        const answer = await handle({ body })
        assertSound(answer)
        assert.equal(answer.status, 400)
      },
    ),
    { numRuns: 1_000 },
  )
})

test('a request with one byte changed, lost or doubled gets an answer that is sound, and never a certificate', async () => {
  const edit = fc.record({
    at: fc.nat(csr.length - 1),
    byte: fc.nat(255),
    kind: fc.constantFrom('change', 'drop', 'double', 'cut'),
  })
  await fc.assert(
    fc.asyncProperty(edit, async ({ at, byte, kind }) => {
      const edited = Buffer.from(csr)
      const rest = edited.subarray(at + 1)
      const start = edited.subarray(0, at)
      const one = Buffer.of(edited[at] as number)
      const parts = {
        change: [start, Buffer.of(byte), rest],
        drop: [start, rest],
        double: [start, one, one, rest],
        cut: [start],
      }[kind]
      const body = Buffer.concat(parts)
      fc.pre(!body.equals(edited))
      const answer = await handle({ body: base64(body) })
      assertSound(answer)
      assert.ok(answer.status >= 400, `${kind} at ${at}`)
    }),
    { numRuns: 3_000 },
  )
})

test('any path, method, media type and credentials get an answer that is sound', async () => {
  const segment = fc.oneof(
    fc.constantFrom('est', 'cacerts', 'simpleenroll', 'meter', '..', '__proto__', ''),
    fc.string(),
  )
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'constructor'),
    path: fc.array(segment, { maxLength: 4 }).map((parts) => `/.well-known/est/${parts.join('/')}`),
    headers: fc.record(
      {
        'content-type': fc.oneof(fc.constant('application/pkcs10'), fc.string()),
        authorization: fc.string(),
      },
      { requiredKeys: [] },
    ),
    body: fc.uint8Array({ maxLength: 50 }),
  })
  await fc.assert(
    fc.asyncProperty(request, async (asked) => assertSound(await handle(asked as Partial<EstRequest>))),
    { numRuns: 2_000 },
  )
})

test('any bytes as a client certificate are refused; cacerts answers all the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (certificate) => {
      const peer = { ...stranger, certificate }
      const answer = await handle({ body: base64(createdCsr), peer })
      assertSound(answer)
      assert.equal(answer.status, 400)
      const open = await handle({ method: 'GET', path: '/.well-known/est/cacerts', peer })
      assert.equal(open.status, 200)
    }),
    { numRuns: 300 },
  )
})

const createdCsr = createKey().csr()

test('a credentials header of another scheme is 401; the chain is read only when somebody needs it', async () => {
  const bearer = await handle({
    body: base64(csr),
    headers: { 'content-type': 'application/pkcs10', authorization: 'Bearer x' },
  })
  assert.equal(bearer.status, 401)
  const peer = {
    ...stranger,
    get chain(): readonly Uint8Array[] {
      throw new Error('the chain was read')
    },
  }
  assert.equal((await handle({ body: base64(csr), peer })).status, 200)
})

/** Requests with an Idempotency-Key: a repeat gets the first answer, and nothing is done twice. */
import type { FastifyRequest } from 'fastify'
import { sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import {
  beginRequest,
  forgetRequest,
  keepAnswer,
  type RequestName,
} from '../engine/operators/idempotent-request.ts'
import type { Finished } from './finished.ts'
import type { Call, Route } from './route.ts'

export interface KeyedWork {
  readonly route: Route
  readonly call: Call
  readonly engine: Engine
  readonly work: () => Promise<Finished>
}

/** @throws Refusal `invalid-input`, `idempotency-key-reused` */
export async function onceForKey(request: FastifyRequest, keyed: KeyedWork): Promise<Finished> {
  const { route, call, engine, work } = keyed
  const key = request.headers['idempotency-key']
  // A dry run does nothing, and a stream cannot be compared with another.
  if (key === undefined || route.method !== 'POST' || call.isDryRun || route.streams !== undefined)
    return await work()
  if (route.permission === 'anyone') return await work()
  if (typeof key !== 'string' || !/^[!-~]{1,128}$/.test(key)) {
    throw new Refusal('invalid-input', 'an Idempotency-Key has 1 to 128 visible ASCII characters')
  }
  const name = { caller: call.caller.operator, key, requestHash: hashOf(request, call) }
  const before = await beginRequest(engine, name)
  if (before !== null) {
    const headers = { ...before.headers, 'idempotency-replayed': 'true' }
    return { status: before.status, headers, body: before.body === '' ? null : before.body, etag: null }
  }
  return await finish(keyed, name)
}

async function finish({ route, engine, work }: KeyedWork, name: RequestName): Promise<Finished> {
  try {
    const answer = await work()
    const body = 'body' in answer ? (answer.body ?? '') : null
    const isKept = body !== null && route.hasSecretAnswer !== true
    const { location } = answer.headers
    const headers = location === undefined ? {} : { location }
    await keepAnswer(engine, name, { status: answer.status, headers, body: isKept ? body : null })
    return answer
  } catch (error) {
    // After a bug it is not known what was done: the key stays taken until its time is over.
    if (error instanceof Refusal) await forgetRequest(engine, name)
    throw error
  }
}

function hashOf(request: FastifyRequest, { body }: Call): string {
  return sha256Hex(JSON.stringify([request.method, request.url, body]))
}

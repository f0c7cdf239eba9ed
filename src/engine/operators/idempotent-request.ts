/** A request that is sent again gets the answer of the first time, for a day. */
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import {
  deleteIdempotentRequest,
  deleteOldRequests,
  findIdempotentRequest,
  insertIdempotentRequest,
  updateIdempotentRequest,
  type IdempotentRequest,
} from '../../store/idempotent-requests.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'

export type RequestName = Pick<IdempotentRequest, 'caller' | 'key' | 'requestHash'>

export interface KeptAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Null: it showed a secret once, and is not kept. */
  readonly body: string | null
}

/** The process of a request that is at work for longer has died; what it had done by then nobody knows. */
const atWorkMs = 5 * minuteMs
const keptMs = dayMs

/**
 * @returns the answer of the first time, or null: do it, then `keepAnswer` or `forgetRequest`
 * @throws Refusal `idempotency-key-reused` for another request with the key, one that is still at work, or an answer with a secret
 */
export async function beginRequest(engine: Engine, name: RequestName): Promise<KeptAnswer | null> {
  const now = engine.clock.now()
  return await engine.store.transaction(async (tx) => {
    if (await insertIdempotentRequest(tx, { ...name, at: now })) return null
    const before = await findIdempotentRequest(tx, name)
    if (!before || before.at + (before.status === null ? atWorkMs : keptMs) <= now) {
      await deleteIdempotentRequest(tx, name)
      await insertIdempotentRequest(tx, { ...name, at: now })
      return null
    }
    if (before.requestHash !== name.requestHash)
      throw reused('the Idempotency-Key was used for another request')
    if (before.status === null) throw reused('the first request with this Idempotency-Key is still at work')
    if (before.body === null) throw reused('this was done, and its answer showed a secret, which is not kept')
    const headers = JSON.parse(before.headers ?? '{}') as Record<string, string>
    return { status: before.status, headers, body: before.body }
  })
}

function reused(detail: string): Refusal {
  return new Refusal('idempotency-key-reused', detail)
}

export async function keepAnswer(engine: Engine, name: RequestName, answer: KeptAnswer): Promise<void> {
  const { status, body } = answer
  const headers = JSON.stringify(answer.headers)
  const at = engine.clock.now()
  await engine.store.transaction(
    async (tx) => await updateIdempotentRequest(tx, { ...name, status, headers, body, at }),
  )
}

/** It was refused, so that nothing was done: the key may be used again. */
export async function forgetRequest(engine: Engine, name: RequestName): Promise<void> {
  await engine.store.transaction(async (tx) => await deleteIdempotentRequest(tx, name))
}

export const forgetRequestsJob: Job = {
  name: 'forget-requests',
  intervalMs: hourMs,
  async run(engine, now, _signal, fence) {
    const worked = await engine.store.transaction(async (tx) => {
      await fence(tx)
      return await deleteOldRequests(tx, now - keptMs)
    })
    return { worked, isBehind: false }
  },
}

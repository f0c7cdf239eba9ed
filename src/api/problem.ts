/** Problem documents (RFC 9457). The codes are those of base/errors.ts; anything else is a bug and shows only its id. */
import type { Log } from '../base/log.ts'
import { Refusal, refusalRules, type RefusalCode } from '../base/errors.ts'
import { token, type Random } from '../base/random.ts'

export const problemType = 'application/problem+json'

export interface FieldError {
  readonly at: string
  readonly detail: string
}

/** A request that its schemas do not allow, with every place that is wrong. */
export class InvalidRequest extends Refusal {
  readonly errors: readonly FieldError[]
  constructor(errors: readonly FieldError[]) {
    const [first] = errors
    super('invalid-input', first ? `${first.at} ${first.detail}` : 'the request is not valid')
    this.errors = errors
  }
}

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly instance?: string
  readonly errors?: readonly FieldError[]
}

export function problemOf(error: unknown, { log, random }: { log: Log; random: Random }): Problem {
  const refusal = error instanceof Refusal ? error : frameworkRefusal(error)
  if (refusal === null) return internal(error, { log, random })
  const { code, message } = refusal
  return {
    ...headOf(code, refusalRules[code].http),
    detail: message,
    ...(refusal instanceof InvalidRequest ? { errors: refusal.errors } : {}),
  }
}

/** Names of problem types are paths of this server: a GET says what the code means. */
function headOf(code: string, status: number): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  return { type: `/api/problems/${code}`, title: code.replaceAll('-', ' '), status, code }
}

function internal(error: unknown, { log, random }: { log: Log; random: Random }): Problem {
  const id = token(random, 9)
  log.error({ err: error, id }, 'a request to the REST API failed')
  return { ...headOf('internal', 500), detail: `internal error, see the log at ${id}`, instance: id }
}

/** What fastify itself says no to, in our words. */
const frameworkCodes: Readonly<Record<number, readonly [RefusalCode, string]>> = {
  400: ['malformed', 'the request is not HTTP as we take it: look at its path, headers and body'],
  404: ['not-found', 'there is no such path: see /api/docs'],
  413: ['too-large', 'the body is larger than 1 MiB'],
  415: ['unsupported-media-type', 'the body must be application/json'],
}

function frameworkRefusal(error: unknown): Refusal | null {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return null
  if (typeof error.code !== 'string' || !error.code.startsWith('FST_ERR_')) return null
  const [code, detail] = frameworkCodes[Number(error.statusCode)] ?? []
  return code === undefined ? null : new Refusal(code, detail ?? '', { cause: error })
}

/** Every code that a problem can have, for the documents. */
export const problemCodes = [...(Object.keys(refusalRules) as RefusalCode[]), 'internal'] as const

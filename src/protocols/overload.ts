/** A bound on work begun and not finished. Beyond it we say so at once: a queue would only hide the overload. */
import { jitteredMs } from '../base/retry.ts'
import type { Random } from '../base/random.ts'
import { type HttpResponse, retryAfterSeconds, textResponse } from './http-message.ts'

/** Centre of the wait that a server asks for when it is at its limits for another reason than too many requests, ms. */
const defaultRetryMs = 30_000
/** Spread of that wait, so that a crowd does not come back as one. */
const retryShare = 0.75

export class Admission {
  readonly limit: number
  #inFlight = 0

  /** @param limit enrolments begun and not answered, at least 1 */
  constructor(limit: number) {
    this.limit = limit
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** True when the caller may begin; it must then call `leave` exactly once. */
  enter(): boolean {
    if (this.#inFlight >= this.limit) return false
    this.#inFlight++
    return true
  }

  leave(): void {
    this.#inFlight--
  }
}

/** @param retryAfterMs centre of the jittered Retry-After */
export function overloadResponse(random: Random, retryAfterMs: number): HttpResponse {
  const text = 'too many requests at once: try again after the given number of seconds'
  const headers = { 'Retry-After': jitteredRetryAfter(random, retryAfterMs) }
  return textResponse(503, text, headers)
}

/** Seconds for the `Retry-After` of a 503. */
export function jitteredRetryAfter(random: Random, aroundMs = defaultRetryMs): string {
  return retryAfterSeconds(jitteredMs(aroundMs, retryShare, random))
}

/** How often one caller may ask: a bucket that fills evenly. In memory, per process; headers as the IETF draft has them. */
import { secondMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'

export interface RateLimit {
  readonly perSecond: number
  /** What may come at once after a pause. */
  readonly burst: number
}

/** Of an account's session or token: a dashboard and a script at once. */
export const callerLimit: RateLimit = { perSecond: 50, burst: 500 }
/** Of an address that has not said who it is: logging in, setting a password. */
export const strangerLimit: RateLimit = { perSecond: 0.5, burst: 20 }

interface Bucket {
  /** Requests left at `at`. */
  left: number
  at: Instant
}

/** As many strangers as may be remembered: an attacker with more addresses meets the slow hash of the log-in. */
const mostBuckets = 10_000

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #limit: RateLimit

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  /**
   * Takes one request of the key. draft-ietf-httpapi-ratelimit-headers-10: policy and what is left.
   * @returns the headers of the answer
   * @throws RateLimited (`rate-limited`) with the same headers
   */
  take(key: string, now: Instant): Readonly<Record<string, string>> {
    const { perSecond, burst } = this.#limit
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now }
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / secondMs) * perSecond)
    bucket.at = now
    this.#remember(key, bucket)
    if (bucket.left < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.left) / perSecond) * secondMs)
      throw new RateLimited(retryAfterMs, this.#headers(bucket))
    }
    bucket.left -= 1
    return this.#headers(bucket)
  }

  #headers({ left }: Bucket): Readonly<Record<string, string>> {
    const { perSecond, burst } = this.#limit
    const full = Math.ceil((burst - left) / perSecond)
    return {
      'ratelimit-policy': `"default";q=${burst};w=${Math.ceil(burst / perSecond)}`,
      ratelimit: `"default";r=${Math.floor(left)};t=${full}`,
    }
  }

  /** Last used last; the one that was not used for longest is forgotten. */
  #remember(key: string, bucket: Bucket): void {
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size <= mostBuckets) return
    const [oldest] = this.#buckets.keys()
    if (oldest !== undefined) this.#buckets.delete(oldest)
  }
}

export class RateLimited extends Refusal {
  readonly headers: Readonly<Record<string, string>>
  constructor(retryAfterMs: number, headers: Readonly<Record<string, string>>) {
    super('rate-limited', 'too many requests: wait as long as Retry-After says', { retryAfterMs })
    this.headers = headers
  }
}

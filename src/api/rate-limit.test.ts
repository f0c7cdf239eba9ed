import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimited, RateLimiter } from './rate-limit.ts'

test('lets a burst through, then as many as the rate, and says what is left', () => {
  const limiter = new RateLimiter({ perSecond: 2, burst: 3 })
  assert.deepEqual(limiter.take('a', 0), {
    'ratelimit-policy': '"default";q=3;w=2',
    ratelimit: '"default";r=2;t=1',
  })
  limiter.take('a', 0)
  limiter.take('a', 0)
  assert.throws(
    () => limiter.take('a', 0),
    (error) => error instanceof RateLimited && error.retryAfterMs === 500,
  )
  assert.throws(() => limiter.take('a', 499), RateLimited)
  limiter.take('a', 500)
  assert.throws(() => limiter.take('a', 500), RateLimited)
})

test('callers do not share, and a long pause gives no more than the burst', () => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 2 })
  limiter.take('a', 0)
  limiter.take('a', 0)
  limiter.take('b', 0)
  limiter.take('a', 3_600_000)
  limiter.take('a', 3_600_000)
  assert.throws(() => limiter.take('a', 3_600_000), RateLimited)
})

test('remembers a bounded number of callers', () => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 })
  limiter.take('first', 0)
  for (let index = 0; index < 10_000; index++) limiter.take(`stranger-${index}`, 0)
  // forgotten, and so new
  limiter.take('first', 0)
})

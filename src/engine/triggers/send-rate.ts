/** How many devices may be asked now: a bucket that holds one minute of the rate, for each campaign. */
import { minuteMs, type Instant } from '../../base/clock.ts'

export interface SendRates {
  /** How many sends there are now, at this rate. */
  available(campaignId: string, perMinute: number, now: Instant): number
  take(campaignId: string, count: number): void
}

interface Bucket {
  level: number
  at: Instant
}

/**
 * In memory: only one node steps renewals at a time, and what a new one starts with is at most a minute's worth too much.
 */
export function createSendRates(): SendRates {
  const buckets = new Map<string, Bucket>()
  return {
    available(campaignId, perMinute, now) {
      const bucket = buckets.get(campaignId) ?? { level: perMinute, at: now }
      buckets.set(campaignId, bucket)
      // a clock that goes back gives nothing and takes nothing
      const grown = (Math.max(0, now - bucket.at) / minuteMs) * perMinute
      bucket.level = Math.min(perMinute, bucket.level + grown)
      bucket.at = now
      return Math.floor(bucket.level)
    },
    take(campaignId, count) {
      const bucket = buckets.get(campaignId)
      if (bucket) bucket.level -= count
    },
  }
}

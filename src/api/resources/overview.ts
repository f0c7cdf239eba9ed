/** Sums of the fleet for a first page, and when certificates end. */
import { Type } from 'typebox'
import { iso } from '../../base/clock.ts'
import { expiryBuckets } from '../../engine/inventory/inventory.ts'
import { overview } from '../../engine/inventory/overview.ts'
import { object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'
import { count } from '../views/values.ts'

const sums = Type.Record(Type.String(), count)
const name = Type.String({ minLength: 1, maxLength: 256 })

const splits = { issuer: 'issuerId', profile: 'profile', cohort: 'cohort' } as const

export const overviewRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/overview',
    operationId: 'getOverview',
    summary: 'Sums of the whole fleet',
    description:
      'From sums that are kept with each change. They are of the whole fleet, also for callers whose role is for a part of it.',
    permission: 'inventory:read',
    scope: 'shared',
    response: object(
      {
        at: instant,
        devices: Type.Record(Type.String(), count, { description: 'By state.' }),
        certificates: Type.Record(Type.String(), count, { description: 'By status.' }),
        expiry: object({
          expired: Type.Integer({ minimum: 0, description: 'Live ones whose end has passed.' }),
          within: Type.Array(object({ days: count, count })),
        }),
        renewals: Type.Record(Type.String(), count, { description: 'By status, in campaigns and without.' }),
        campaigns: object({ running: count, paused: count }),
        tasks: object({ open: count, dead: count }),
        checkpoint: nullable(
          object({ size: count, at: instant }, { description: 'The last one that is signed.' }),
        ),
        capacityPerDay: Type.Integer({ minimum: 0, description: 'Renewals that the installation bears.' }),
        needs: Type.Record(Type.String(), count, {
          description:
            'What waits for people: devices on the field list, alerts without an answer, cases, proposals, enrolment requests, dead tasks.',
        }),
      },
      { $id: 'Overview' },
    ),
    examples: [{ summary: 'Now' }],
    async handler({ engine, now }) {
      const { checkpoint, waitingRequests, unansweredAlerts, openCases, openProposals, expiry, ...rest } =
        await overview(engine, now)
      return {
        at: iso(now),
        ...rest,
        expiry: { expired: expiry.expired, within: [...expiry.within] },
        checkpoint: checkpoint && { size: checkpoint.size, at: iso(checkpoint.at) },
        needs: {
          escalated: rest.renewals.escalated,
          alerts: unansweredAlerts,
          cases: openCases,
          proposals: openProposals,
          requests: waitingRequests,
          deadTasks: rest.tasks.dead,
        },
      }
    },
  }),
  route({
    method: 'GET',
    path: '/expiry',
    operationId: 'getExpiry',
    summary: 'How many live certificates end when',
    description: 'By day, week (from Monday) or month, UTC; from sums that are kept with each change.',
    permission: 'inventory:read',
    scope: 'shared',
    query: {
      by: Type.Optional(oneOf(['day', 'week', 'month'], { description: 'month without it.' })),
      from: Type.Optional({
        ...instant,
        description: 'Begins with the day, week or month of it; now without it.',
      }),
      buckets: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: '24 without it.' })),
      split: Type.Optional(oneOf(['issuer', 'profile', 'cohort'], { description: 'Parts of each sum.' })),
      profile: Type.Optional(name),
      cohort: Type.Optional(name),
    },
    response: object(
      {
        buckets: Type.Array(
          object({ from: instant, to: instant, count, parts: sums }, { $id: 'ExpiryBucket' }),
        ),
      },
      { $id: 'Expiry' },
    ),
    examples: [
      { summary: 'The next two years by month' },
      { summary: 'The next 90 days by issuer', query: { by: 'day', buckets: 90, split: 'issuer' } },
    ],
    async handler({ engine, query, now }) {
      const { by = 'month', from, buckets = 24, split, profile, cohort } = query
      const found = await expiryBuckets(engine, {
        by,
        buckets,
        from: from === undefined ? now : Date.parse(from),
        ...(split === undefined ? {} : { split: splits[split] }),
        ...(profile === undefined ? {} : { profile }),
        ...(cohort === undefined ? {} : { cohort }),
      })
      return {
        buckets: found.map((bucket) => ({
          from: iso(bucket.from),
          to: iso(bucket.to),
          count: bucket.count,
          parts: { ...bucket.parts },
        })),
      }
    },
  }),
]

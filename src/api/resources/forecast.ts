/** What ends, what is renewed, and what other jitter, windows and rates would do. */
import { Type } from 'typebox'
import {
  applyWhatIf,
  cliffCampaign,
  dayText,
  flatten,
  forecastWeeks,
} from '../../engine/inventory/expiry-forecast.ts'
import { readForecast } from '../../engine/inventory/forecast-read.ts'
import { object, route, type Route } from '../route.ts'
import { count, text } from '../views/values.ts'

const week = object(
  { from: text, ends: count, due: count, renewed: count, backlog: count, lapsed: count },
  { $id: 'ForecastWeek' },
)

const cliff = object(
  {
    from: text,
    count,
    unplaced: count,
    renewals: Type.Array(object({ from: text, count }, { $id: 'EarlyRenewals' })),
    campaign: Type.Record(Type.String(), Type.Unknown(), {
      description: 'The definition of a campaign that renews it early, for POST /campaigns.',
    }),
  },
  { $id: 'Cliff' },
)

export const forecastRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/forecast',
    operationId: 'getForecast',
    summary: 'Ends and renewals by week, at the rate that there is; cliffs, and how to flatten them',
    permission: 'inventory:read',
    scope: 'fleet',
    query: {
      weeks: Type.Optional(Type.Integer({ minimum: 1, maximum: 260 })),
      jitterDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 3_650 })),
      windowDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_650 })),
      perWeek: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    },
    response: object(
      { perWeek: count, weeks: Type.Array(week), cliffs: Type.Array(cliff) },
      { $id: 'Forecast' },
    ),
    examples: [
      { summary: 'A year' },
      { summary: 'With a jitter of a month', query: { jitterDays: 30, weeks: 26 } },
    ],
    async handler({ engine, query, now }) {
      const { weeks, ...whatIf } = query
      const read = await readForecast(engine, weeks === undefined ? { now } : { now, weeks })
      const input = applyWhatIf(read, whatIf)
      return {
        perWeek: input.perWeek,
        weeks: forecastWeeks(input).map(({ fromDay, ends, due, renewed, backlog, lapsed }) => {
          return { from: dayText(fromDay), ends, due, renewed, backlog, lapsed }
        }),
        cliffs: flatten(input).cliffs.map((each) => ({
          from: dayText(each.fromDay),
          count: each.count,
          unplaced: each.unplaced,
          renewals: each.renewals.map(({ fromDay, count: renewals }) => ({
            from: dayText(fromDay),
            count: renewals,
          })),
          campaign: cliffCampaign(each, input),
        })),
      }
    },
  }),
]

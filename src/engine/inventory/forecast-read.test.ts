import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, refusal } from '../../../test/helpers/app.ts'
import { dayMs } from '../../base/clock.ts'
import { defaultAlertSettings } from '../alerts/alert-settings.ts'
import { parseCampaignDefinition } from '../campaigns/campaign-read.ts'
import { forecastWeeks } from './expiry-forecast.ts'
import { forecastCampaign, readForecast, splitEnds } from './forecast-read.ts'

forEachEngine((start) => {
  test('a cliff becomes the definition of a campaign, and sums by batch and site agree with the roll-ups', async () => {
    const { engine, clock } = await start({
      profiles: [
        {
          name: 'short',
          issuer: 'issuing',
          validityMs: 100 * dayMs,
          renewBeforeMs: 60 * dayMs,
          connectivity: 'daily',
        } as never,
      ],
      settings: { alerts: { ...defaultAlertSettings, weeklyCapacity: 2 } },
    })
    const now = clock.now()
    assert.equal((await refusal(forecastCampaign(engine, now))).code, 'not-found')
    for (let n = 0; n < 6; n++)
      await enrolDevice(engine, `D-${n}`, {
        profile: 'short',
        batch: n < 4 ? 'run-1' : 'run-2',
        site: 'linz',
      })
    const written = await forecastCampaign(engine, now)
    const definition = parseCampaignDefinition(written, now)
    assert.ok((definition.selection.expiringBefore ?? 0) > now + 100 * dayMs)
    assert.ok((definition.schedulingConfig.startTime ?? 0) < now + 100 * dayMs)
    const range = { from: now, days: 120 }
    const batches = await splitEnds(engine, { ...range, split: 'batch' })
    assert.deepEqual(
      batches.map(({ key, count }) => [key, count]),
      [
        ['run-1', 4],
        ['run-2', 2],
      ],
    )
    for (const split of ['issuer', 'profile', 'cohort', 'site'] as const) {
      const sums = await splitEnds(engine, { ...range, split })
      assert.equal(
        sums.reduce((sum, { count }) => sum + count, 0),
        6,
        split,
      )
    }
    const weeks = forecastWeeks(await readForecast(engine, { now }))
    assert.equal(
      weeks.reduce((sum, { ends }) => sum + ends, 0),
      6,
    )
    assert.equal(
      weeks.reduce((sum, { lapsed }) => sum + lapsed, 0),
      0,
    )
  })
})

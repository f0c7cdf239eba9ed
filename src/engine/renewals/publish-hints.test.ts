import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, windowOpensAt } from '../../../test/helpers/app.ts'
import { putCampaign, putRenewal } from '../../../test/helpers/renewals.ts'
import { dayMs, hourMs, iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { putWaves } from '../../store/campaigns.ts'
import { createJobs } from '../jobs.ts'
import type { MqttLink } from '../ports.ts'
import { isClockTrusted } from './clock-guard.ts'
import { publishHintsJob } from './publish-hints.ts'
import { renewalInfo } from './renewal-info.ts'

function recordingLink() {
  const sent: { topic: string; payload: string }[] = []
  const state = { isConnected: true, isBroken: false }
  const link: MqttLink = {
    get isConnected() {
      return state.isConnected
    },
    async publish({ topic, payload, retain }) {
      assert.equal(retain, true)
      if (state.isBroken) throw new Refusal('trigger-failed', 'no answer')
      sent.push({ topic, payload: String(payload) })
    },
    subscribe: async () => {},
    close: async () => {},
  }
  return { link, sent, state }
}

forEachEngine((start) => {
  test('each device that waits finds its window on its topic, and a new one after an hour', async () => {
    const { engine, clock } = await start()
    const alone = await enrolDevice(engine, 'SN-1')
    const target = await enrolDevice(engine, 'SN-2')
    const asked = await enrolDevice(engine, 'SN-3')
    await clock.advance(windowOpensAt(engine, alone) + dayMs - clock.now())
    await putRenewal(engine, alone, { nextAt: clock.now() + dayMs })
    await putCampaign(engine, { id: 'c1', status: 'running' })
    await engine.store.transaction((tx) =>
      putWaves(tx, [
        {
          campaignId: 'c1',
          wave: 0,
          size: 1,
          status: 'open',
          openedAt: null,
          soakUntil: null,
          closedAt: null,
          approvedBy: null,
          approvedAt: null,
        },
      ]),
    )
    await putRenewal(engine, target, { campaignId: 'c1' })
    await putRenewal(engine, asked, { status: 'triggered', triggeredAt: clock.now() })

    const { link, sent, state } = recordingLink()
    const jobs = createJobs(engine, [publishHintsJob(link, 'perennial/v1')])
    const pass = () => jobs.pass('publish-hints')
    assert.equal((await pass())?.worked, 2)
    assert.deepEqual(
      sent.map(({ topic }) => topic),
      ['perennial/v1/devices/SN-1/hint', 'perennial/v1/devices/SN-2/hint'],
    )
    const { suggestedWindow, retryAfterMs } = await renewalInfo(engine, alone.record, { now: clock.now() })
    assert.ok(suggestedWindow)
    assert.deepEqual(JSON.parse(sent[0]?.payload ?? ''), {
      v: 1,
      kind: 'hint',
      certificate: `issuing/${alone.record.serialNumber}`,
      suggestedWindow: { start: iso(suggestedWindow.start), end: iso(suggestedWindow.end) },
      retryAfterSeconds: retryAfterMs / 1_000,
    })

    assert.equal((await pass())?.worked, 0, 'the round is done')
    await clock.advance(hourMs)
    state.isConnected = false
    assert.equal((await pass())?.worked, 0)
    state.isConnected = true
    state.isBroken = true
    await pass()
    assert.equal(jobs.status()[0]?.failuresInARow, 1)
    state.isBroken = false
    // it goes on where the broker failed
    assert.equal((await pass())?.worked, 2)
    assert.equal(sent.length, 4)
  })

  test('no window is published by a clock that has jumped', async () => {
    const { engine, clock } = await start()
    const alone = await enrolDevice(engine, 'SN-1')
    const at = windowOpensAt(engine, alone) + dayMs
    await putRenewal(engine, alone, { nextAt: at + dayMs })
    await isClockTrusted(engine, at)
    const { link, sent } = recordingLink()
    const job = publishHintsJob(link, 'perennial/v1')
    const never = new AbortController().signal
    const tenYears = 3_652 * dayMs
    for (const now of [at - tenYears, at + tenYears]) {
      await clock.advance(Math.max(0, now - clock.now()))
      assert.equal((await job.run(engine, now, never, async () => {})).worked, 0)
    }
    assert.equal((await job.run(engine, at, never, async () => {})).worked, 1)
    assert.equal(sent.length, 1)
  })
})

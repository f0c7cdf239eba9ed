import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine } from '../../../test/helpers/app.ts'
import { putAttempts, putCampaign, putRenewal } from '../../../test/helpers/renewals.ts'
import { updateCampaign, type CampaignStatus } from '../../store/campaigns.ts'
import type { Engine } from '../context.ts'
import type { Trigger, TriggerChannel, TriggerKind } from '../ports.ts'
import { standingTriggersJob } from './standing-triggers.ts'

const never = new AbortController().signal

/** A channel that keeps what it was given. */
function recording(kind: TriggerKind): TriggerChannel & { readonly sent: Trigger[] } {
  const sent: Trigger[] = []
  return {
    kind,
    sent,
    parallel: 1,
    send: async (trigger) => {
      sent.push(trigger)
      return { reference: null }
    },
    close: async () => undefined,
  }
}

forEachEngine((start) => {
  test('what was sent for open renewals is sent again, each channel once, and only once for a start', async () => {
    const { engine: plain, clock } = await start()
    const channels = { mqtt: recording('mqtt'), twin: recording('twin'), sms: recording('sms') }
    const engine: Engine = {
      ...plain,
      triggers: new Map(Object.entries(channels) as [TriggerKind, TriggerChannel][]),
    }
    const at = clock.now()
    for (const [id, status, attempts] of [
      [
        'asked',
        'triggered',
        [
          { rung: 0, attempt: 1, channel: 'mqtt', at },
          { rung: 0, attempt: 2, channel: 'mqtt', at },
          { rung: 1, attempt: 1, channel: 'sms', at },
        ],
      ],
      ['twin', 'triggered', [{ rung: 0, attempt: 1, channel: 'twin', at }]],
      ['failed', 'triggered', [{ rung: 0, attempt: 1, channel: 'mqtt', at, status: 'failed' as const }]],
      ['answered', 'issued', [{ rung: 0, attempt: 1, channel: 'mqtt', at }]],
      ['planned', 'planned', []],
    ] as const) {
      const renewal = await putRenewal(engine, await enrolDevice(engine, id), { status })
      if (attempts.length > 0) await putAttempts(engine, renewal, attempts)
    }
    const job = standingTriggersJob(['mqtt', 'twin'])
    const fence = async () => undefined
    assert.equal((await job.run(engine, at, never, fence)).worked, 3)
    assert.equal((await job.run(engine, at, never, fence)).worked, 0)
    assert.deepEqual(
      channels.mqtt.sent.map(({ deviceId, idempotencyKey }) => [
        deviceId,
        idempotencyKey.split('.').slice(1),
      ]),
      [['asked', ['0', '2']]],
    )
    assert.deepEqual(
      channels.twin.sent.map(({ deviceId }) => deviceId),
      ['twin'],
    )
    assert.deepEqual(channels.sms.sent, [])
  })

  test('those of a campaign that is paused wait until it goes on', async () => {
    const { engine: plain, clock } = await start()
    const mqtt = recording('mqtt')
    const engine: Engine = { ...plain, triggers: new Map([['mqtt', mqtt]]) }
    const becomes = async (id: string, status: CampaignStatus) =>
      await engine.store.transaction((tx) => updateCampaign(tx, id, { status }))
    for (const [device, campaignId] of [
      ['a', 'spring'],
      ['b', ''],
      ['c', 'summer'],
    ] as const) {
      if (campaignId !== '') await putCampaign(engine, { id: campaignId, status: 'paused' })
      const renewal = await putRenewal(engine, await enrolDevice(engine, device), {
        status: 'triggered',
        triggeredAt: clock.now(),
        ...(campaignId === '' ? {} : { campaignId }),
      })
      await putAttempts(engine, renewal, [{ rung: 0, attempt: 1, channel: 'mqtt', at: clock.now() }])
    }
    const job = standingTriggersJob(['mqtt'])
    const pass = async () => (await job.run(engine, clock.now(), never, async () => undefined)).worked
    assert.deepEqual([await pass(), await pass()], [1, 0])
    await becomes('spring', 'running')
    assert.deepEqual([await pass(), await pass()], [1, 0])
    await becomes('summer', 'aborted')
    assert.deepEqual([await pass(), await pass()], [0, 0])
    await becomes('summer', 'running')
    assert.equal(await pass(), 0, 'an end is an end')
    assert.deepEqual(
      mqtt.sent.map(({ deviceId }) => deviceId),
      ['b', 'a'],
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, type Enrolled } from '../../../test/helpers/app.ts'
import { putCampaign, putRenewal } from '../../../test/helpers/renewals.ts'
import { dayMs, hourMs, minuteMs, type Instant } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { updateCampaign, type CampaignStatus } from '../../store/campaigns.ts'
import { updateDevice } from '../../store/devices.ts'
import { updateIssuer } from '../../store/issuers.ts'
import { findOpenRenewal, updateRenewal } from '../../store/renewals.ts'
import type { Engine } from '../context.ts'
import { isClockTrusted } from './clock-guard.ts'
import { renewalDueAt } from './renewal-hint.ts'
import { renewalInfo } from './renewal-info.ts'

const renewBeforeMs = 90 * dayMs
const rate = 10

async function startOf(engine: Engine, { record }: Enrolled, now: Instant): Promise<Instant> {
  const { suggestedWindow } = await renewalInfo(engine, record, { now })
  assert.ok(suggestedWindow)
  return suggestedWindow.start
}

/** A campaign with these devices as its one wave. */
async function campaignOf(engine: Engine, devices: readonly Enrolled[]): Promise<void> {
  await putCampaign(engine, { id: 'c1', maximumPerMinute: rate })
  for (const device of devices) await putRenewal(engine, device, { campaignId: 'c1' })
}

forEachEngine((start) => {
  test('the hint follows the campaign: drawn, running, paused, let in, asked', async () => {
    const { engine, clock } = await start()
    const devices = await Promise.all(Array.from({ length: 60 }, (_, i) => enrolDevice(engine, `SN-${i}`)))
    const [device] = devices as [Enrolled]
    const { record } = device
    const dueAt = renewalDueAt(record, { renewBeforeMs, spread: 0.5 })
    await clock.advance(record.notAfter - renewBeforeMs + 60 * dayMs * 0.8 - clock.now())
    let now = clock.now()
    const becomes = async (status: CampaignStatus) => {
      await engine.store.transaction((tx) => updateCampaign(tx, 'c1', { status }))
      now += minuteMs
    }
    await campaignOf(engine, devices)
    assert.equal(await startOf(engine, device, now), dueAt, 'a campaign that is only drawn changes nothing')

    await becomes('running')
    const drainMs = (devices.length / rate) * minuteMs
    for (const each of devices) {
      const at = await startOf(engine, each, now)
      assert.ok(at >= now - 1_000 && at <= now + drainMs, `${at - now} ms`)
    }

    await becomes('paused')
    const latest = record.notAfter - renewBeforeMs * 0.375
    assert.ok((await startOf(engine, device, now)) >= Math.min(now + dayMs, latest) - 1_000)

    await becomes('running')
    const open = await findOpenRenewal(engine.store.db, record.deviceId as DeviceId, record.slot)
    assert.ok(open)
    await engine.store.transaction((tx) => updateRenewal(tx, open, { nextAt: now }))
    assert.equal(await startOf(engine, device, now + hourMs), Math.floor(now / 1_000) * 1_000)

    const triggeredAt = now + 2_000
    await engine.store.transaction((tx) =>
      updateRenewal(tx, open, { status: 'triggered', triggeredAt, nextAt: now + dayMs }),
    )
    assert.equal(await startOf(engine, device, now + hourMs), Math.floor(triggeredAt / 1_000) * 1_000)
  })

  test('a clock that has jumped sends nobody: places in the queue are those of the certificate', async () => {
    const { engine, clock } = await start()
    const devices = await Promise.all(Array.from({ length: 5 }, (_, i) => enrolDevice(engine, `SN-${i}`)))
    const [device] = devices as [Enrolled]
    const { record } = device
    const dueAt = renewalDueAt(record, { renewBeforeMs, spread: 0.5 })
    await clock.advance(record.notAfter - renewBeforeMs - clock.now())
    await campaignOf(engine, devices)
    await engine.store.transaction((tx) => updateCampaign(tx, 'c1', { status: 'running' }))
    const now = clock.now()
    await isClockTrusted(engine, now)
    assert.ok((await startOf(engine, device, now)) < now + minuteMs)
    const tenYears = 3_652 * dayMs
    assert.equal(await startOf(engine, device, now - tenYears), dueAt)
    const latest = record.notAfter - renewBeforeMs * 0.375
    assert.equal(await startOf(engine, device, now + tenYears), Math.floor(latest / 1_000) * 1_000)
  })

  test('the profile that counts is that of the device now, as the policy has it', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1', { profile: 'industrial' })
    await engine.store.transaction((tx) => updateDevice(tx, 'SN-1' as DeviceId, { profile: 'meter' }))
    const opens = device.record.notAfter - 180 * dayMs
    const at = await startOf(engine, device, clock.now())
    assert.equal(at, renewalDueAt(device.record, { renewBeforeMs: 180 * dayMs, spread: 0.5 }))
    assert.ok(at >= opens)
  })

  test('an issuer that is retired sends its devices at once', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await engine.store.transaction((tx) => updateIssuer(tx, 'issuing' as never, { status: 'retired' }))
    engine.issuers.forget()
    const { suggestedWindow } = await renewalInfo(engine, device.record, { now: clock.now() })
    assert.ok((suggestedWindow?.end ?? Infinity) < clock.now())
  })
})

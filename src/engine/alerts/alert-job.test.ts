/** The pass over the records, on both stores: what is found, who is told, what is on record. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertRig, type AlertRig } from '../../../test/helpers/alert-rig.ts'
import { enrolDevice, forEachEngine, refusal, renew, testActor } from '../../../test/helpers/app.ts'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { recentFacts } from '../../store/facts.ts'
import { findLastSeen, recordLastSeen } from '../../store/last-seen.ts'
import { listNotifications } from '../../store/notifications.ts'
import { claimTasks, enqueueTask, failTask } from '../../store/tasks.ts'
import { flushSightings } from '../renewals/sighting.ts'
import { acknowledge, alertDetails, alertPage, endSilence, silence } from './alert-actions.ts'
import { replayNotification, sendTest } from './notify.ts'

/** Half a year, to be renewed in the last month, by devices that call in every day. */
const profile = {
  name: 'short',
  issuer: 'issuing',
  validityMs: 180 * dayMs,
  renewBeforeMs: 30 * dayMs,
  retireAfterMs: 0,
  connectivity: 'always-on',
} as const

type Start = Parameters<typeof alertRig>[0]

async function fleet(start: Start, size: number, options: Parameters<typeof alertRig>[1] = {}) {
  const rig = await alertRig(start, { profiles: [profile as never], ...options })
  const devices = new Map<string, Awaited<ReturnType<typeof enrolDevice>>>()
  for (let n = 0; n < size; n++) {
    const id = `D-${n}`
    devices.set(id, await enrolDevice(rig.engine, id, { profile: 'short', batch: 'run-1' }))
  }
  await flushSightings(rig.engine, rig.clock.now())
  return Object.assign(rig, { devices })
}

/** The devices are here. */
async function visit({ engine, clock }: AlertRig, ids: readonly string[]): Promise<void> {
  await engine.store.transaction(async (tx) => {
    const at = clock.now()
    await recordLastSeen(
      tx,
      ids.map((id) => ({ deviceId: id as DeviceId, certificateId: null, at })),
    )
  })
}

forEachEngine((start) => {
  test('a device has a history: how often it calls in, and its longest silence', async () => {
    const rig = await fleet(start, 1)
    for (let n = 0; n < 20; n++) {
      await rig.clock.advance(6 * hourMs)
      await visit(rig, ['D-0'])
      await rig.clock.advance(minuteMs)
      await visit(rig, ['D-0'])
    }
    await rig.clock.advance(3 * dayMs)
    await visit(rig, ['D-0'])
    const seen = (await findLastSeen(rig.engine.store.db, ['D-0' as DeviceId])).get('D-0' as DeviceId)
    assert.equal(seen?.gaps, 21)
    assert.equal(seen?.longestGapMs, 3 * dayMs)
    // seven eighths of six hours and an eighth of three days
    assert.equal(Math.round((seen?.usualGapMs ?? 0) / hourMs), 14)
  })

  test('a batch that is silent is one alert, with why and which', async () => {
    const rig = await fleet(start, 4)
    await rig.clock.advance(155 * dayMs)
    await rig.pass()
    const [alert, ...others] = await rig.open()
    assert.ok(alert)
    assert.deepEqual(others, [])
    assert.equal(alert.rule, 'certificates-ending')
    assert.equal(alert.key, 'batch run-1, always-on')
    assert.equal(alert.count, 4)
    assert.equal(alert.severity, 'notice')
    const details = JSON.parse(alert.details) as {
      devices: { id: string; chancePercent: number; silent: string }[]
    }
    assert.equal(details.devices.length, 4)
    assert.equal(details.devices[0]?.silent, '155 days')
    assert.ok((details.devices[0]?.chancePercent ?? 100) < 90)
    assert.equal(rig.told.length, 1)
    assert.equal(rig.told[0]?.message.event, 'opened')
  })

  test('devices that call in are no alert at the date alone, and those that do not renew become one', async () => {
    const rig = await fleet(start, 3)
    for (let day = 0; day < 158; day++) {
      await rig.clock.advance(dayMs)
      await visit(rig, [...rig.devices.keys()])
    }
    await rig.pass()
    assert.deepEqual(await rig.open(), [], 'the window opened a week ago, and they are here every day')
    for (let day = 0; day < 15; day++) {
      await rig.clock.advance(dayMs)
      await visit(rig, [...rig.devices.keys()])
    }
    await rig.pass()
    const [alert] = await rig.open()
    assert.equal(alert?.rule, 'certificates-ending')
    assert.match(alert?.summary ?? '', /3 visit and do not renew/)
  })

  test('it grows graver towards the end, is told again each time, and is resolved by itself', async () => {
    const rig = await fleet(start, 2)
    await rig.clock.advance(155 * dayMs)
    await rig.pass()
    await rig.passTime(20 * dayMs, 12 * hourMs)
    const events = rig.told.map(({ message }) => `${message.event} ${message.alerts[0].severity}`)
    assert.deepEqual(events, ['opened notice', 'raised warning', 'raised critical'])
    for (const [id, device] of rig.devices) {
      const after = await renew(rig.engine, device)
      rig.engine.sightings.noteCertificate(after.record, rig.clock.now())
      assert.ok(id)
    }
    await flushSightings(rig.engine, rig.clock.now())
    await rig.passTime(2 * hourMs, 30 * minuteMs)
    assert.deepEqual(await rig.open(), [])
    assert.equal(rig.told.at(-1)?.message.event, 'resolved')
    const { rows } = await alertPage(rig.engine, { limit: 10, now: rig.clock.now() })
    assert.deepEqual(
      rows.map(({ status }) => status),
      ['resolved'],
    )
    const facts = await recentFacts(rig.engine.store.db, { subject: `alert:${rows[0]?.id}`, limit: 10 })
    assert.deepEqual(
      facts.map(({ action }) => action),
      ['alert.resolved', 'alert.raised', 'alert.raised', 'alert.opened'],
    )
  })

  test('certificates that have ended are another rule, and critical', async () => {
    const rig = await fleet(start, 2)
    await rig.clock.advance(181 * dayMs)
    await rig.pass()
    const rules = (await rig.open()).map(({ rule, severity }) => `${rule} ${severity}`)
    assert.deepEqual(rules, ['certificates-ended critical'])
  })

  test('who acknowledges is not told again, until it gets graver', async () => {
    const settings = {
      escalations: [
        {
          name: 'all',
          rules: [],
          minimumSeverity: 'notice' as const,
          steps: [
            { notifier: 'ops', afterMs: 0 },
            { notifier: 'boss', afterMs: hourMs },
          ],
        },
      ],
    }
    const rig = await fleet(start, 2, { notifiers: ['ops', 'boss'], perAlert: [], settings })
    await rig.clock.advance(155 * dayMs)
    await rig.pass()
    const [alert] = await rig.open()
    assert.ok(alert)
    await acknowledge(rig.engine, { id: alert.id, actor: testActor, now: rig.clock.now(), note: 'on it' })
    await rig.passTime(2 * dayMs, 6 * hourMs)
    assert.deepEqual(
      rig.told.map(({ notifier }) => notifier),
      ['ops'],
    )
    await rig.passTime(12 * dayMs, 12 * hourMs)
    const graver = (await rig.open())[0]
    assert.equal(graver?.severity, 'warning')
    assert.equal(graver?.acknowledgedAt, null)
    assert.deepEqual(
      rig.told.map(({ notifier, message }) => `${notifier} ${message.event}`),
      ['ops opened', 'ops raised', 'boss escalated'],
    )
  })

  test('an alert that nobody answers climbs to the next', async () => {
    const rig = await fleet(start, 1, {
      notifiers: ['ops', 'boss'],
      settings: {
        escalations: [
          {
            name: 'all',
            rules: [],
            minimumSeverity: 'notice',
            steps: [
              { notifier: 'ops', afterMs: 0 },
              { notifier: 'boss', afterMs: hourMs },
            ],
          },
        ],
      },
    })
    await rig.clock.advance(155 * dayMs)
    await rig.pass()
    await rig.clock.advance(hourMs - 1)
    await rig.pass()
    assert.equal(rig.told.length, 1)
    await rig.clock.advance(1)
    await rig.pass()
    assert.deepEqual(
      rig.told.map(({ notifier, message }) => `${notifier} ${message.event}`),
      ['ops opened', 'boss escalated'],
    )
  })

  test('while it is silenced nobody is told, and afterwards they are', async () => {
    const rig = await fleet(start, 1)
    const request = {
      rule: 'certificates-ending',
      key: null,
      severity: null,
      reason: 'move',
      actor: testActor,
    }
    await rig.clock.advance(155 * dayMs)
    const now = rig.clock.now()
    const { id } = await silence(rig.engine, { ...request, endsAt: now + 2 * dayMs, now })
    await rig.pass()
    assert.equal((await rig.open())[0]?.silencedUntil, now + 2 * dayMs)
    assert.equal(rig.told.length, 0)
    await rig.clock.advance(dayMs)
    await endSilence(rig.engine, { id, actor: testActor, now: rig.clock.now() })
    await rig.pass()
    assert.equal(rig.told.length, 1)
    assert.equal(
      (await refusal(endSilence(rig.engine, { id, actor: testActor, now: rig.clock.now() }))).code,
      'not-found',
    )
  })

  test('incident tools get each alert by itself, with its acknowledgement and its end; others one message', async () => {
    const rig = await fleet(start, 1, { notifiers: ['mail'], perAlert: ['pager'] })
    await enrolDevice(rig.engine, 'E-1', { profile: 'short', batch: 'run-2' })
    await flushSightings(rig.engine, rig.clock.now())
    await rig.clock.advance(155 * dayMs)
    await rig.pass()
    await rig.pass()
    const counts = rig.told.map(
      ({ notifier, message }) => `${notifier} ${message.event} ${message.alerts.length}`,
    )
    assert.deepEqual(counts.sort(), ['mail opened 2', 'pager escalated 1', 'pager escalated 1'])
    const [alert] = await rig.open()
    assert.ok(alert)
    await acknowledge(rig.engine, { id: alert.id, actor: testActor, now: rig.clock.now() })
    await rig.pass()
    assert.equal(rig.told.at(-1)?.message.event, 'acknowledged')
    assert.equal(rig.told.at(-1)?.notifier, 'pager')
  })

  test('no notifier gets more in an hour than its maximum, and nothing is lost', async () => {
    const rig = await alertRig(start, { settings: { maximumPerHour: 2 } })
    const { store } = rig.engine
    for (let n = 0; n < 6; n++) {
      await store.transaction(async (tx) => {
        const now = rig.clock.now()
        await enqueueTask(tx, { kind: `kind-${n}`, key: null, payload: '{}', runAt: now, createdAt: now })
        const [task] = await claimTasks(tx, { kinds: [`kind-${n}`], now, limit: 1, lockMs: 1 })
        await failTask(tx, { id: task?.id ?? 0, attempts: 1, lastError: 'x', runAt: null })
      })
      await rig.clock.advance(minuteMs)
      await rig.pass()
    }
    assert.equal(rig.told.length, 2)
    await rig.passTime(hourMs, 5 * minuteMs)
    assert.ok(rig.told.length <= 4, String(rig.told.length))
    const told = new Set(rig.told.flatMap(({ message }) => message.alerts.map(({ key }) => key)))
    assert.equal(told.size, 6)
  })

  test('a clock that jumped is the only thing that is known', async () => {
    const rig = await fleet(start, 2)
    await rig.engine.store.transaction(async (tx) => {
      const { writeMeta } = await import('../../store/meta.ts')
      await writeMeta(tx, 'clock.seen', String(rig.clock.now()))
    })
    await rig.clock.advance(400 * dayMs)
    await rig.pass()
    assert.deepEqual(
      (await rig.open()).map(({ rule }) => rule),
      ['clock-implausible'],
    )
  })

  test('a message that fails is sent again, and the history says why', async () => {
    const rig = await alertRig(start, {})
    rig.onNotify = () => {
      throw new Refusal('notify-failed', 'the mail server is away')
    }
    const id = await sendTest(rig.engine, 'ops', rig.clock.now())
    await rig.pass()
    const waiting = (await listNotifications(rig.engine.store.db, { limit: 1 })).rows[0]
    assert.equal(waiting?.status, 'waiting')
    assert.equal(waiting?.detail, 'the mail server is away')
    rig.onNotify = () => {}
    await rig.clock.advance(hourMs)
    await rig.pass()
    const sent = (await listNotifications(rig.engine.store.db, { limit: 1, notifier: 'ops' })).rows[0]
    assert.equal(sent?.status, 'sent')
    assert.equal(sent?.attempts, 2)
    await replayNotification(rig.engine, { id, actor: testActor, now: rig.clock.now() })
    await rig.pass()
    assert.deepEqual(
      rig.told.map(({ message }) => message.id),
      [`notification-${id}`, `notification-${id}`],
    )
    assert.equal((await refusal(sendTest(rig.engine, 'nobody', 0))).code, 'not-found')
  })

  test('own certificates, dead tasks and a paused campaign have rules of their own', async () => {
    const rig = await alertRig(start, {
      job: {
        ownCertificates: async () => [{ name: 'the EST endpoint', notAfter: rig.clock.now() + 5 * dayMs }],
      },
    })
    await rig.pass()
    const [alert] = await rig.open()
    assert.equal(alert?.rule, 'server-certificate-ending')
    assert.equal(alert?.severity, 'critical')
    const { notifications } = await alertDetails(rig.engine, alert?.id ?? 0, rig.clock.now())
    assert.equal(notifications[0]?.status, 'sent')
    assert.equal((await refusal(alertDetails(rig.engine, 999, 0))).code, 'not-found')
  })
})

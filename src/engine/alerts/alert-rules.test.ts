/** Each rule over real records, on both stores: it does not fire, it fires, and it is resolved when its cause is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertRig, type AlertRig } from '../../../test/helpers/alert-rig.ts'
import {
  enrolDevice,
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  registerDevice,
  renewalCsr,
  requestOf,
  rootId,
  testActor,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { campaignFleet, startedCampaign } from '../../../test/helpers/campaign-fleet.ts'
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/clock.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import { listCrls } from '../../store/crls.ts'
import { updateIssuer } from '../../store/issuers.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import { writeMeta } from '../../store/meta.ts'
import { claimTasks, enqueueTask, failTask, retryTask } from '../../store/tasks.ts'
import { renewalFailed } from '../campaigns/campaign-failure.ts'
import { pauseCampaign, resumeCampaign } from '../campaigns/campaign-state.ts'
import { enroll } from '../issuing/enroll.ts'
import { createIssuer } from '../issuing/issuer.ts'
import { recoverReservations } from '../issuing/recover.ts'
import { acceptClock } from '../renewals/clock-guard.ts'
import { flushSightings } from '../renewals/sighting.ts'
import { lockOpenRenewal } from '../../store/renewals.ts'
import { defaultCrlSettings } from '../revocation/crl-settings.ts'
import { publishNow } from '../revocation/crl-publish.ts'
import { revokeDevice } from '../revocation/revoke.ts'
import type { AlertView } from './alert-actions.ts'
import { ruleNames, type RuleName } from './alert-rule.ts'
import { clockOffMs, noteDeviceClock } from './oddities.ts'

const always = new AbortController().signal
const noFence = async (): Promise<void> => {}
const resolveMs = 15 * minuteMs

/** Year-long certificates that end on one day: without jitter. */
const profile = {
  name: 'plain',
  issuer: 'issuing',
  validityMs: 90 * dayMs,
  renewBeforeMs: 30 * dayMs,
  connectivity: 'always-on',
} as never

const covered = new Set<RuleName>()

function of(rig: AlertRig, rule: RuleName): Promise<AlertView[]> {
  covered.add(rule)
  return rig.open().then((alerts) => alerts.filter((alert) => alert.rule === rule))
}

async function assertQuiet(rig: AlertRig, rule: RuleName): Promise<void> {
  await rig.pass()
  assert.deepEqual(await of(rig, rule), [])
}

async function assertFires(rig: AlertRig, rule: RuleName, said: RegExp): Promise<AlertView> {
  await rig.pass()
  const [alert, ...others] = await of(rig, rule)
  assert.ok(alert, `${rule} fires`)
  assert.deepEqual(others, [])
  assert.match(alert.summary, said)
  return alert
}

/** Its cause is gone: open a while longer, then resolved. */
async function assertResolves(rig: AlertRig, rule: RuleName): Promise<void> {
  await rig.pass()
  assert.equal((await of(rig, rule)).length, 1, 'it might only flap')
  await rig.clock.advance(resolveMs)
  await assertQuiet(rig, rule)
}

async function see({ engine, clock }: AlertRig, ids: readonly string[]): Promise<void> {
  const at = clock.now()
  await engine.store.transaction(async (tx) => {
    await recordLastSeen(
      tx,
      ids.map((id) => ({ deviceId: id as DeviceId, certificateId: null, at })),
    )
  })
}

forEachEngine((start) => {
  test('expiry-wave: more certificates end in a week than can be renewed in one', async () => {
    const rig = await alertRig(start, { profiles: [profile], settings: { weeklyCapacity: 2 } })
    for (const id of ['W-0', 'W-1']) await enrolDevice(rig.engine, id, { profile: 'plain' })
    await assertQuiet(rig, 'expiry-wave')
    await enrolDevice(rig.engine, 'W-2', { profile: 'plain' })
    const { count, severity } = await assertFires(rig, 'expiry-wave', /^3 certificates end in the week from /)
    assert.deepEqual([count, severity], [3, 'warning'])
    await revokeDevice(rig.engine, 'W-2' as DeviceId, { reason: 'superseded', actor: testActor })
    await assertResolves(rig, 'expiry-wave')
  })

  test('devices-dark: more devices than usual are silent', async () => {
    const rig = await alertRig(start, {})
    const ids = Array.from({ length: 20 }, (_, n) => `K-${n}`)
    for (const id of ids) await enrolDevice(rig.engine, id, { connectivity: 'daily', site: 'north' })
    await see(rig, ids)
    await assertQuiet(rig, 'devices-dark')
    const awake = ids.slice(0, 12)
    for (let day = 0; day < 3; day++) {
      await rig.clock.advance(2 * dayMs)
      await see(rig, awake)
      await rig.pass()
    }
    await rig.clock.advance(8 * dayMs)
    await see(rig, awake)
    const { count } = await assertFires(
      rig,
      'devices-dark',
      /^8 of 20 devices \(daily at north\) are silent, 40 %/,
    )
    assert.equal(count, 8)
    await see(rig, ids)
    // what a sweep found holds until the next one
    await rig.clock.advance(hourMs)
    await assertResolves(rig, 'devices-dark')
  })

  test('issuer-ending: an issuer ends before what it signs would', async () => {
    const rig = await alertRig(start, { profiles: [{ ...(profile as object), issuer: 'young' } as never] })
    const given = { kind: 'intermediate', parentId: rootId, actor: testActor } as const
    await createIssuer(rig.engine, { ...given, id: 'young' as IssuerId, validityMs: 181 * dayMs })
    await rig.clock.advance(secondMs)
    await assertQuiet(rig, 'issuer-ending')
    await rig.clock.advance(2 * dayMs)
    const { severity, key } = await assertFires(rig, 'issuer-ending', /^issuer young ends in 17[89] days/)
    assert.deepEqual([key, severity], ['young', 'notice'])
    await rig.engine.store.transaction(async (tx) => {
      await updateIssuer(tx, 'young' as IssuerId, { status: 'retired' })
    })
    await rig.clock.advance(2 * secondMs)
    await assertResolves(rig, 'issuer-ending')
  })

  test('server-certificate-ending: our own certificate was not renewed', async () => {
    let notAfter = 0
    const rig = await alertRig(start, {
      job: { ownCertificates: async () => [{ name: 'the EST endpoint', notAfter }] },
    })
    notAfter = rig.clock.now() + 23 * dayMs + 1
    await assertQuiet(rig, 'server-certificate-ending')
    await rig.clock.advance(1)
    await assertFires(
      rig,
      'server-certificate-ending',
      /^the certificate of the EST endpoint ends in 23 days/,
    )
    notAfter += 90 * dayMs
    await assertResolves(rig, 'server-certificate-ending')
  })

  test('crl-old: a CRL was not published when it was due', async () => {
    const rig = await alertRig(start, { withIssuers: true })
    await publishNow(rig.engine)
    await assertQuiet(rig, 'crl-old')
    const [crl] = await listCrls(rig.engine.store.db)
    const dueAt = (crl?.thisUpdate ?? 0) + (defaultCrlSettings.periodMs * 5) / 4
    await rig.clock.advance(dueAt - rig.clock.now() - 1)
    await assertQuiet(rig, 'crl-old')
    await rig.clock.advance(1)
    await rig.pass()
    const old = (await of(rig, 'crl-old')).map(({ key, severity }) => `${key} ${severity}`)
    assert.ok(old.includes(`${issuingId} complete warning`), old.join())
    // of which each lasts for two days: verifiers refuse it within one
    assert.ok(old.includes(`${issuingId} delta critical`), old.join())
    await publishNow(rig.engine, true)
    await rig.pass()
    await rig.clock.advance(resolveMs)
    await assertQuiet(rig, 'crl-old')
  })

  test('revoked-devices-calling: who is revoked still tries', async () => {
    const rig = await alertRig(start, {})
    const device = await enrolDevice(rig.engine, 'R-1')
    await flushSightings(rig.engine, rig.clock.now())
    await revokeDevice(rig.engine, 'R-1' as DeviceId, { reason: 'keyCompromise', actor: testActor })
    await assertQuiet(rig, 'revoked-devices-calling')
    const again = requestOf(device.peer, renewalCsr(createKey(), device.certificate), {
      operation: 'reenroll',
    })
    for (let n = 0; n < 3; n++) {
      assert.equal((await refusal(enroll(rig.engine, again))).code, 'device-revoked')
      await flushSightings(rig.engine, rig.clock.now())
    }
    const { details, severity } = await assertFires(
      rig,
      'revoked-devices-calling',
      /^1 device that is revoked/,
    )
    assert.equal(severity, 'warning')
    const { devices } = JSON.parse(details) as { devices: { id: string; times: number }[] }
    assert.deepEqual(
      devices.map(({ id, times }) => [id, times]),
      [['R-1', 3]],
    )
    await rig.clock.advance(dayMs + 1)
    await assertResolves(rig, 'revoked-devices-calling')
  })

  test('revoked-devices-calling: a quarantined device with a good secret counts, a stranger does not', async () => {
    const rig = await alertRig(start, {})
    await registerDevice(rig.engine, 'Q-1')
    const peer = await freshSecret(rig.engine, 'Q-1')
    await revokeDevice(rig.engine, 'Q-1' as DeviceId, { reason: 'unspecified', actor: testActor })
    const wrong = { ...peer, basic: { username: 'Q-1', password: 'guess' } }
    assert.equal(
      (await refusal(enroll(rig.engine, requestOf(wrong, createKey().csr())))).code,
      'secret-invalid',
    )
    await flushSightings(rig.engine, rig.clock.now())
    await assertQuiet(rig, 'revoked-devices-calling')
    const { code } = await refusal(enroll(rig.engine, requestOf(peer, createKey().csr())))
    assert.equal(code, 'device-quarantined')
    await flushSightings(rig.engine, rig.clock.now())
    await assertFires(rig, 'revoked-devices-calling', /^1 device/)
  })

  test('device-clocks-off: more than five minutes off, until it is right again', async () => {
    const rig = await alertRig(start, {})
    const shows = async (deviceId: string, aheadMs: number) => {
      const date = new Date(rig.clock.now() + aheadMs).toUTCString()
      noteDeviceClock(rig.engine, { deviceId: deviceId as DeviceId, date }, rig.clock.now())
      await flushSightings(rig.engine, rig.clock.now())
    }
    await shows('C-1', clockOffMs)
    await shows('C-2', -clockOffMs)
    for (const date of [undefined, '', 'soon', 'x'.repeat(5_000)])
      noteDeviceClock(rig.engine, { deviceId: 'C-3' as DeviceId, date }, rig.clock.now())
    await assertQuiet(rig, 'device-clocks-off')
    await shows('C-1', -3 * dayMs)
    const { severity, details } = await assertFires(rig, 'device-clocks-off', /^the clock of 1 device is off/)
    assert.equal(severity, 'notice')
    assert.match(details, /"clock":"3 days behind"/)
    for (let n = 0; n < 19; n++) await shows(`C-1${n}`, hourMs)
    const more = await assertFires(rig, 'device-clocks-off', /^the clocks of 20 devices are off/)
    assert.equal(more.severity, 'warning')
    for (let n = 0; n < 19; n++) await shows(`C-1${n}`, 0)
    await shows('C-1', minuteMs)
    await assertResolves(rig, 'device-clocks-off')
  })

  test('campaign-paused: by its brake, and not by a person', async () => {
    const { fleet, rig } = await running(start)
    await fleet.run(3 * minuteMs)
    const asked = (await fleet.targets('spring')).filter(({ status }) => status === 'triggered')
    for (const { deviceId } of asked.slice(0, 3)) {
      await fleet.engine.store.transaction(async (tx) => {
        const renewal = await lockOpenRenewal(tx, deviceId, 'default')
        assert.ok(renewal)
        await renewalFailed(tx, renewal, {
          outcome: 'failed',
          detail: 'flash is full',
          now: fleet.clock.now(),
        })
      })
    }
    await assertQuiet(rig, 'campaign-paused')
    await fleet.tick()
    const alert = await assertFires(
      rig,
      'campaign-paused',
      /^campaign spring was paused by its brake: failed: 3/,
    )
    assert.equal(alert.severity, 'critical')
    await resumeCampaign(fleet.engine, { id: 'spring', actor: testActor, now: fleet.clock.now() })
    await assertResolves(rig, 'campaign-paused')
    const order = { id: 'spring', actor: testActor, now: fleet.clock.now(), reason: 'lunch' }
    await pauseCampaign(fleet.engine, order)
    await assertQuiet(rig, 'campaign-paused')
  })

  test('campaign-behind: a wave is not let in long after its plan', async () => {
    const { fleet, rig } = await running(start)
    await fleet.run(3 * minuteMs)
    await assertQuiet(rig, 'campaign-behind')
    await fleet.clock.advance(12 * dayMs)
    await assertFires(rig, 'campaign-behind', /^campaign spring is behind its plan: all of /)
    const order = { id: 'spring', actor: testActor, now: fleet.clock.now(), reason: 'known' }
    await pauseCampaign(fleet.engine, order)
    await assertResolves(rig, 'campaign-behind')
  })

  test('audit-unsealed: a fact has waited for a quarter of an hour', async () => {
    const rig = await alertRig(start, {})
    await rig.pass()
    await registerDevice(rig.engine, 'A-1')
    await rig.clock.advance(15 * minuteMs - 1)
    await rig.pass({ isSealed: false })
    assert.deepEqual(await of(rig, 'audit-unsealed'), [])
    await rig.clock.advance(1)
    await rig.pass({ isSealed: false })
    assert.equal((await of(rig, 'audit-unsealed'))[0]?.severity, 'warning')
    await assertResolves(rig, 'audit-unsealed')
  })

  test('signer-errors: certificates that were reserved and never signed', async () => {
    let isDying = false
    const at = async (point: string) => {
      if (isDying && point === 'commit') throw new Error('the process is gone')
    }
    const rig = await alertRig(start, { faults: { at } })
    await rig.pass()
    isDying = true
    const lose = async (id: string) => {
      await registerDevice(rig.engine, id)
      const request = requestOf(await freshSecret(rig.engine, id), createKey().csr())
      await assert.rejects(enroll(rig.engine, request), /the process is gone/)
    }
    const recover = async () => {
      await rig.clock.advance(rig.engine.settings.abandonAfterMs + 1)
      await recoverReservations.run(rig.engine, rig.clock.now(), always, noFence)
    }
    for (let n = 0; n < 4; n++) await lose(`S-${n}`)
    await recover()
    await assertQuiet(rig, 'signer-errors')
    await lose('S-4')
    await recover()
    await assertFires(rig, 'signer-errors', /^5 certificates were reserved and never signed/)
    await rig.passTime(hourMs - 10 * minuteMs, 10 * minuteMs)
    assert.equal((await of(rig, 'signer-errors')).length, 1)
    await rig.passTime(20 * minuteMs + resolveMs, 5 * minuteMs)
    await assertQuiet(rig, 'signer-errors')
  })

  test('clock-implausible: until somebody says that it is right', async () => {
    const rig = await alertRig(start, {})
    const { store } = rig.engine
    await store.transaction(async (tx) => await writeMeta(tx, 'clock.seen', String(rig.clock.now())))
    await assertQuiet(rig, 'clock-implausible')
    await rig.clock.advance(400 * dayMs)
    await assertFires(rig, 'clock-implausible', /400d ahead of the last pass/)
    await acceptClock(rig.engine, rig.clock.now(), testActor)
    // another look: with a clock that nobody believes, no other rule is known
    await assertResolves(rig, 'clock-implausible')
  })

  test('tasks-dead: until somebody gives them another life', async () => {
    const rig = await alertRig(start, {})
    const { store } = rig.engine
    const at = rig.clock.now()
    const fail = (runAt: number | null) =>
      store.transaction(async (tx) => {
        const [task] = await claimTasks(tx, { kinds: ['odd'], now: at, limit: 1, lockMs: 1 })
        assert.ok(task)
        await failTask(tx, { id: task.id, attempts: task.attempts, lastError: 'x', runAt })
        return task.id
      })
    await store.transaction(async (tx) => {
      await enqueueTask(tx, { kind: 'odd', key: null, payload: '{}', runAt: at, createdAt: at })
    })
    await fail(at)
    await assertQuiet(rig, 'tasks-dead')
    const id = await fail(null)
    const { key } = await assertFires(rig, 'tasks-dead', /^1 task of kind odd failed for good/)
    assert.equal(key, 'odd')
    await store.transaction(async (tx) => void (await retryTask(tx, id, at)))
    await assertResolves(rig, 'tasks-dead')
  })

  test('every rule is among them, or in alert-job.test.ts', () => {
    const elsewhere: readonly RuleName[] = ['certificates-ending', 'certificates-ended']
    assert.deepEqual([...covered, ...elsewhere].sort(), [...ruleNames].sort())
  })
})

type Start = Parameters<typeof alertRig>[0]

async function running(start: Start) {
  const fleet = await campaignFleet(start, 60, () => ({ cohort: 'all' }))
  await startedCampaign(fleet, 'spring', {
    selection: { cohort: 'all' },
    canary: { percentage: 50, minimum: 30, soak: '10m', finishedPercentage: 100 },
    waves: [{ percentage: 50, soak: '10m' }],
    rollout: { maximumPerMinute: 60 },
    brakes: { failed: { thresholdPercentage: 2, minNumberOfExecutedThings: 3 } },
  })
  return { fleet, rig: await alertRig(async () => fleet) }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainEngine } from '../../../test/helpers/plain-engine.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { dayMs, VirtualClock } from '../../base/clock.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import { attemptsOf, queueAttempts, settleAttempts } from '../../store/renewal-attempts.ts'
import { findOpenRenewal, insertPlannedRenewals, lockRenewal, updateRenewal } from '../../store/renewals.ts'
import type { Engine } from '../context.ts'
import { shippedLadders } from '../renewals/ladder.ts'
import { recordReceipt } from './trigger-receipts.ts'

const start = Date.UTC(2026, 10, 20, 12)
const meter1 = 'meter-1' as DeviceId
const nextAt = start + 3 * dayMs
/** `daily` asks over MQTT, then twice by SMS. */
const smsRung = 1

forEachStore((_name, open) => {
  /** A renewal on its first SMS, which the provider calls SM1. */
  async function rig() {
    const clock = new WatchedClock(start)
    const plain = plainEngine(await open(), { clock })
    const connectivity = new Map([['daily', { checkInMs: dayMs, ladder: shippedLadders.daily }]])
    const engine: Engine = { ...plain, settings: { ...plain.settings, connectivity } }
    const id = await engine.store.transaction(async (tx) => {
      const renewal = {
        campaignId: '',
        wave: 0,
        deviceId: meter1,
        slot: 'default',
        certificateId: 1 as CertificateId,
        notAfter: start + 60 * dayMs,
        connectivity: 'daily',
        site: null,
        nextAt: start,
        createdAt: start,
      }
      await insertPlannedRenewals(tx, [renewal])
      const planned = await findOpenRenewal(tx, meter1, 'default')
      assert.ok(planned)
      await updateRenewal(tx, planned, { status: 'triggered', rung: smsRung, attempt: 1, nextAt })
      return planned.id
    })
    await ask(engine, id, 1, 'SM1')
    return { engine, clock, id }
  }

  async function ask(engine: Engine, renewalId: number, attempt: number, reference: string): Promise<void> {
    const key = { renewalId, climb: 0, rung: smsRung, attempt, channel: 'sms' }
    await engine.store.transaction(async (tx) => {
      await queueAttempts(tx, [{ ...key, deviceId: meter1, at: start }])
      const settled = { ...key, status: 'sent', detail: null, reference, updatedAt: start } as const
      await settleAttempts(tx, [settled])
    })
  }

  async function change(
    engine: Engine,
    id: number,
    what: Parameters<typeof updateRenewal>[2],
  ): Promise<void> {
    await engine.store.transaction(async (tx) => {
      const renewal = await lockRenewal(tx, id)
      assert.ok(renewal)
      await updateRenewal(tx, renewal, what)
    })
  }

  async function state(engine: Engine, id: number) {
    const renewal = await findOpenRenewal(engine.store.db, meter1, 'default')
    const attempts = await attemptsOf(engine.store.db, id)
    return {
      attempts: attempts.map(({ status, detail }) => [status, detail]),
      climb: [renewal?.rung, renewal?.attempt, renewal?.nextAt],
    }
  }

  const waiting = [smsRung, 1, nextAt]
  const delivered = { reference: 'SM1', outcome: 'delivered', detail: 'delivered' } as const
  const failed = { reference: 'SM1', outcome: 'failed', detail: 'undelivered, error 30005' } as const

  test('a delivery is on record, and the renewal waits on for the device', async () => {
    const { engine, id } = await rig()
    await recordReceipt(engine, 'sms', delivered)
    assert.deepEqual(await state(engine, id), { attempts: [['delivered', 'delivered']], climb: waiting })
  })

  test('a message that will never arrive lets the renewal climb at once', async () => {
    const { engine, clock, id } = await rig()
    await clock.advance(60_000)
    await recordReceipt(engine, 'sms', failed)
    assert.deepEqual(await state(engine, id), {
      attempts: [['failed', 'undelivered, error 30005']],
      // both repeats of the rung are used up
      climb: [smsRung, 2, start + 60_000],
    })
    await clock.advance(60_000)
    await recordReceipt(engine, 'sms', failed)
    assert.deepEqual((await state(engine, id)).climb, [smsRung, 2, start + 60_000], 'the same once more')
  })

  test('what is still on its way changes nothing', async () => {
    const { engine, id } = await rig()
    await recordReceipt(engine, 'sms', { ...delivered, outcome: 'pending' })
    assert.deepEqual(await state(engine, id), { attempts: [['sent', null]], climb: waiting })
  })

  test('out of order: a delivery is not taken back, a failure is corrected', async () => {
    const first = await rig()
    await recordReceipt(first.engine, 'sms', delivered)
    await recordReceipt(first.engine, 'sms', failed)
    assert.deepEqual(await state(first.engine, first.id), {
      attempts: [['delivered', 'delivered']],
      climb: waiting,
    })
    const second = await rig()
    await recordReceipt(second.engine, 'sms', failed)
    await recordReceipt(second.engine, 'sms', delivered)
    assert.deepEqual((await state(second.engine, second.id)).attempts, [['delivered', 'delivered']])
  })

  test('a failure of an attempt that nobody waits for any more does not push the renewal', async () => {
    const { engine, id } = await rig()
    await ask(engine, id, 2, 'SM2')
    await change(engine, id, { attempt: 2 })
    await recordReceipt(engine, 'sms', failed)
    assert.deepEqual(await state(engine, id), {
      attempts: [
        ['failed', failed.detail],
        ['sent', null],
      ],
      climb: [smsRung, 2, nextAt],
    })
  })

  for (const status of ['issued', 'confirmed', 'escalated'] as const) {
    test(`a failure does not push a renewal that is ${status}`, async () => {
      const { engine, id } = await rig()
      await change(engine, id, { status })
      await recordReceipt(engine, 'sms', failed)
      assert.deepEqual((await state(engine, id)).climb, waiting)
    })
  }

  test('a receipt that is faster than the answer to its message is looked for once more', async () => {
    const { engine, clock, id } = await rig()
    const recording = recordReceipt(engine, 'sms', { ...delivered, reference: 'SM9' })
    await clock.sleeping
    await change(engine, id, { attempt: 2 })
    await ask(engine, id, 2, 'SM9')
    await clock.advance(5_000)
    await recording
    assert.deepEqual((await state(engine, id)).attempts, [
      ['sent', null],
      ['delivered', 'delivered'],
    ])
  })

  test('a receipt about nothing of ours, or of another channel, changes nothing', async () => {
    const { engine, clock, id } = await rig()
    const work = recordReceipt(engine, 'sms', { ...failed, reference: 'SM404' })
    await clock.sleeping
    await clock.advance(5_000)
    await work
    clock.watch()
    const other = recordReceipt(engine, 'webhook', failed)
    await clock.sleeping
    await clock.advance(5_000)
    await other
    assert.deepEqual(await state(engine, id), { attempts: [['sent', null]], climb: waiting })
  })
})

/** Says when somebody sleeps, so that no test moves time on before. */
class WatchedClock extends VirtualClock {
  sleeping: Promise<void>
  #fellAsleep: () => void

  constructor(at: number) {
    super(at)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.sleeping = promise
    this.#fellAsleep = resolve
  }

  watch(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.sleeping = promise
    this.#fellAsleep = resolve
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const sleep = super.sleep(ms, signal)
    this.#fellAsleep()
    return sleep
  }
}

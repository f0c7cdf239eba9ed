import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { enrolDevice, forEachEngine, refusal, registerDevice, testActor } from '../../../test/helpers/app.ts'
import { readCounters } from '../../store/counters.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { readFact } from '../audit/audit.ts'
import { createJobs } from '../jobs.ts'
import { flushSightings } from '../renewals/sighting.ts'
import {
  cancelRevocation,
  orderRevocation,
  previewRevocation,
  revocationBatches,
  revocationJob,
  stepRevocation,
} from './revoke-batch.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const

forEachEngine((start) => {
  test('a batch revokes what fits its selection and nothing else, and says so beforehand', async () => {
    const { engine, clock, close } = await start()
    for (const [id, batch, site] of [
      ['SN-1', 'B1', 'Ulm'],
      ['SN-2', 'B1', 'Ulm'],
      ['SN-3', 'B1', 'Bonn'],
      ['SN-4', 'B2', 'Ulm'],
    ] as const) {
      await enrolDevice(engine, id, { batch, site })
    }
    await registerDevice(engine, 'SN-5', { batch: 'B1' })
    const selection = { batch: 'B1' }
    await flushSightings(engine, clock.now())
    const preview = await previewRevocation(engine, selection, theft)
    assert.deepEqual(preview, {
      devices: 4,
      certificates: 3,
      sites: new Map([
        ['Ulm', 2],
        ['Bonn', 1],
      ]),
      outOfService: 0,
      liveSessions: 3,
      openRenewals: 0,
      // as they will stand in the CRL: 16 octets of serial number, the time, and the reason
      crls: [{ issuerId: 'issuing', shard: 0, entries: 3, bytes: 3 * 49 }],
    })
    assert.equal((await findDevice(engine.store.db, 'SN-1' as DeviceId))?.state, 'active')
    const { id } = await orderRevocation(engine, { ...theft, selection })
    const done = await stepRevocation(engine, id)
    assert.deepEqual([done.status, done.devices, done.certificates], ['done', 4, 3])
    assert.equal((await findDevice(engine.store.db, 'SN-5' as DeviceId))?.state, 'quarantined')
    assert.equal((await findDevice(engine.store.db, 'SN-4' as DeviceId))?.state, 'active')
    const actions = (await recentFacts(engine.store.db, { limit: 20 })).map(({ entry }) => readFact(entry))
    assert.equal(actions.filter(({ action }) => action === 'revocation.ordered').length, 1)
    const finished = actions.find(({ action }) => action === 'revocation.finished')
    assert.deepEqual(finished?.details, { certificates: 3, devices: 4 })
    assert.deepEqual(await stepRevocation(engine, id), done)
    await close()
  })

  test('a batch goes on where it was, whoever works on it, and counts nothing twice', async () => {
    const { engine, another, close } = await start()
    for (let n = 0; n < 250; n++) {
      await registerDevice(engine, `SN-${String(n).padStart(3, '0')}`, { cohort: 'c' })
    }
    const { id } = await orderRevocation(engine, { ...theft, selection: { cohort: 'c' } })
    const first = await stepRevocation(engine, id)
    assert.deepEqual([first.status, first.devices, first.position], ['running', 100, 'SN-099'])
    // two at once: one does the chunk, the other sees that it is done
    const both = await Promise.all([stepRevocation(engine, id), stepRevocation(another(), id)])
    assert.ok(both.every(({ devices }) => devices === 200 || devices === 250))
    const jobs = createJobs(another(), [revocationJob])
    await jobs.pass('revoke-batches')
    const [batch] = await revocationBatches(engine)
    assert.deepEqual([batch?.status, batch?.devices], ['done', 250])
    const counts = await readCounters(engine.store.db, 'devices.')
    assert.equal(counts.get('devices.quarantined'), 250)
    await close()
  })

  test('a batch with a delay touches nothing before, and can be cancelled until it ends', async () => {
    const { engine, clock, close } = await start()
    await enrolDevice(engine, 'SN-1', { site: 'Ulm' })
    const { id } = await orderRevocation(engine, { ...theft, selection: { site: 'Ulm' }, delayMs: hourMs })
    await clock.advance(hourMs - 1)
    assert.equal((await stepRevocation(engine, id)).status, 'waiting')
    assert.equal((await createJobs(engine, [revocationJob]).pass('revoke-batches'))?.worked, 0)
    const cancelled = await cancelRevocation(engine, id, { actor: testActor, note: 'a mistake' })
    assert.equal(cancelled.status, 'cancelled')
    await clock.advance(hourMs)
    assert.equal((await createJobs(engine, [revocationJob]).pass('revoke-batches'))?.worked, 0)
    assert.equal((await findDevice(engine.store.db, 'SN-1' as DeviceId))?.state, 'active')
    const again = await refusal(cancelRevocation(engine, id, { actor: testActor }))
    assert.equal(again.code, 'invalid-input')

    const second = await orderRevocation(engine, { ...theft, selection: { site: 'Ulm' }, delayMs: hourMs })
    await clock.advance(hourMs)
    assert.equal((await createJobs(engine, [revocationJob]).pass('revoke-batches'))?.worked, 1)
    assert.equal((await stepRevocation(engine, second.id)).status, 'done')
    await close()
  })

  test('a batch without a selection is refused: nobody revokes the whole fleet by leaving something out', async () => {
    const { engine, close } = await start()
    for (const selection of [{}, { batch: undefined as never }]) {
      const refused = await refusal(orderRevocation(engine, { ...theft, selection }))
      assert.equal(refused.code, 'invalid-input')
      assert.equal((await refusal(previewRevocation(engine, selection, theft))).code, 'invalid-input')
    }
    assert.equal((await refusal(stepRevocation(engine, 77))).code, 'not-found')
    const nothing = await refusal(cancelRevocation(engine, 77, { actor: testActor }))
    assert.equal(nothing.code, 'not-found')
    await close()
  })
})

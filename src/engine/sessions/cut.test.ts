import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, secondMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { enrolDevice, forEachEngine, issuingId, testActor } from '../../../test/helpers/app.ts'
import { cutResults, latestCutOf, sessionWatchers } from '../../store/session-cuts.ts'
import { openCaseOf } from '../cases/case.ts'
import { closeCase } from '../cases/verdict.ts'
import { createJobs } from '../jobs.ts'
import type { Disconnector } from '../ports.ts'
import { revokeIssuer } from '../revocation/revoke-issuer.ts'
import { revokeDevice } from '../revocation/revoke.ts'
import { cutExpiredJob, cutUnderIssuerJob, disconnectJob } from './cut-jobs.ts'
import { CutWatcher, type SessionCut } from './watch.ts'

const sn1 = 'SN-1' as DeviceId
const theft = { reason: 'keyCompromise', actor: testActor } as const
const settings = { connectors: ['recording'] }

/** Says what it was asked. */
function recording(): Disconnector & { readonly asked: string[]; isDown: boolean } {
  const asked: string[] = []
  const connector = {
    name: 'recording',
    parallel: 4,
    asked,
    isDown: false,
    async cut({ deviceId, why, isBarred }: Parameters<Disconnector['cut']>[0]) {
      if (connector.isDown) throw new Refusal('connector-failed', 'it is down')
      asked.push(`cut ${deviceId} ${why}${isBarred ? ' barred' : ''}`)
      return 2
    },
    async admit({ deviceId }: Parameters<Disconnector['admit']>[0]) {
      asked.push(`admit ${deviceId}`)
      return null
    },
    async close() {},
  }
  return connector
}

forEachEngine((start) => {
  test('a connector is told of a revocation and of a release, again until it answers, and that is on record', async () => {
    const { engine, clock, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1')
    const connector = recording()
    const jobs = createJobs(engine, [disconnectJob(connector)])
    const pass = async () => await jobs.pass('disconnect.recording')
    connector.isDown = true
    await revokeDevice(engine, sn1, theft)
    await pass()
    assert.deepEqual(connector.asked, [])
    connector.isDown = false
    await clock.advance(hourMs)
    await pass()
    await pass()
    assert.deepEqual(connector.asked, ['cut SN-1 revoked barred'])
    const cut = await latestCutOf(engine.store.db, sn1)
    assert.deepEqual(await cutResults(engine.store.db, cut?.id ?? 0), [
      { surface: 'recording', at: clock.now(), sessions: 2 },
    ])
    const { id } = await openCaseOf(engine, sn1)
    await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    await pass()
    assert.deepEqual(connector.asked.slice(1), ['admit SN-1'])
    await close()
  })

  test('a cut that comes late, after the release, bars nobody', async () => {
    const { engine, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1')
    await revokeDevice(engine, sn1, theft)
    const { id } = await openCaseOf(engine, sn1)
    await closeCase(engine, { id, verdict: 'cleared', actor: testActor })
    const connector = recording()
    await createJobs(engine, [disconnectJob(connector)]).pass('disconnect.recording')
    assert.deepEqual(connector.asked.toSorted(), ['admit SN-1', 'cut SN-1 revoked'])
    await close()
  })

  test('sessions of certificates that have ended are cut once, one second after the last second', async () => {
    const { engine, clock, close } = await start({ settings })
    const { record } = await enrolDevice(engine, 'SN-1')
    const connector = recording()
    const jobs = createJobs(engine, [cutExpiredJob, disconnectJob(connector)])
    const pass = async () => {
      await jobs.pass('cut-expired-sessions')
      await jobs.pass('disconnect.recording')
    }
    await pass()
    await clock.advance(record.notAfter + 999 - clock.now())
    await pass()
    assert.deepEqual(connector.asked, [])
    await clock.advance(2 * secondMs)
    await pass()
    await clock.advance(2 * secondMs)
    await pass()
    assert.deepEqual(connector.asked, ['cut SN-1 expired'])
    await close()
  })

  test('everybody under a revoked issuer is cut, and nobody is barred', async () => {
    const { engine, close } = await start({ settings })
    for (const id of ['SN-1', 'SN-2']) await enrolDevice(engine, id)
    await revokeIssuer(engine, { id: issuingId, reason: 'cACompromise', actor: testActor })
    const connector = recording()
    const jobs = createJobs(engine, [cutUnderIssuerJob, disconnectJob(connector)])
    await jobs.pass('cut-under-issuer')
    await jobs.pass('cut-under-issuer')
    await jobs.pass('disconnect.recording')
    assert.deepEqual(connector.asked.toSorted(), ['cut SN-1 revoked', 'cut SN-2 revoked'])
    await close()
  })

  test('a broker reads every decision of every process once, and says how far it is', async () => {
    const { engine, another, clock, close } = await start()
    for (const id of ['SN-1', 'SN-2', 'SN-3']) await enrolDevice(engine, id)
    await revokeDevice(engine, 'SN-3' as DeviceId, theft)
    const watcher = new CutWatcher(engine, 'broker test')
    const seen: (string | null)[] = []
    const pass = async () =>
      await watcher.pass(clock.now(), async ({ deviceId, issuerId }: SessionCut) => {
        seen.push(deviceId ?? issuerId)
        return 1
      })
    // what was before it began is no concern of it
    await pass()
    assert.deepEqual(seen, [])
    await revokeDevice(another(), sn1, theft)
    await revokeDevice(engine, 'SN-2' as DeviceId, theft)
    await pass()
    await pass()
    await revokeIssuer(another(), { id: issuingId, reason: 'cACompromise', actor: testActor })
    await pass()
    assert.deepEqual(seen, ['SN-1', 'SN-2', issuingId])
    const cut = await latestCutOf(engine.store.db, sn1)
    const results = await cutResults(engine.store.db, cut?.id ?? 0)
    assert.deepEqual(results, [{ surface: 'broker test', at: clock.now(), sessions: 1 }])
    const [known] = await sessionWatchers(engine.store.db)
    assert.ok((known?.cutId ?? 0) > (cut?.id ?? 0))
    await close()
  })
})

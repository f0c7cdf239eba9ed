import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { setStatus } from '../../store/certificates.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import {
  enrolDevice,
  forEachEngine,
  renew,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { verifyAuditLog } from '../audit/audit-verify.ts'
import { indexFingerprintsJob } from './fingerprints.ts'
import { forgetRetired } from './forget.ts'
import { defaultRenewalSettings } from '../renewals/renewal-settings.ts'
import { retireDue } from '../renewals/retire.ts'
import { seal } from '../audit/seal.ts'
import { flushSightings, noteSighting } from '../renewals/sighting.ts'

const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}
const { keepRetiredMs } = defaultRenewalSettings

forEachEngine((start) => {
  const isThere = async ({ engine }: TestEngine, { record }: Enrolled) =>
    (await findCertificate(engine.store.db, record.id)) !== null

  /** A new pass over everything, at an instant that the clock guard may believe. */
  async function forget({ engine, clock }: TestEngine): Promise<number> {
    const job = forgetRetired()
    let worked = 0
    for (let turn = 0; turn < 10; turn++) {
      const result = await job.run(engine, clock.now(), signal, noFence)
      worked += result.worked
      if (result.isBehind !== true) break
    }
    return worked
  }

  /** In steps that the guard believes. */
  async function until(app: TestEngine, at: number): Promise<number> {
    let forgotten = 0
    while (app.clock.now() < at) {
      await app.clock.advance(Math.min(29 * dayMs, at - app.clock.now()))
      forgotten += await forget(app)
    }
    return forgotten
  }

  test('a retired certificate stays until its end and the retention are over; the log keeps it and can tell', async () => {
    const app = await start()
    const { engine, clock } = app
    const old = await enrolDevice(engine, 'SN-1')
    await until(app, windowOpensAt(engine, old))
    const used = await renew(engine, old)
    await noteSighting(engine, used.certificate)
    await flushSightings(engine, clock.now())
    await retireDue(engine, clock.now() + 7 * dayMs, noFence)
    assert.equal((await findCertificate(engine.store.db, old.record.id))?.status, 'superseded')
    await clock.advance(dayMs)
    await indexFingerprintsJob.run(engine, clock.now(), signal, noFence)
    const indexed = async () =>
      await engine.store.db.selectFrom('certificate_fingerprints').select('certificate_id').execute()
    const before = (await indexed()).length
    assert.ok(before >= 2)

    assert.equal(await until(app, old.record.notAfter + keepRetiredMs), 0)
    assert.equal(await isThere(app, old), true)
    assert.equal(await until(app, old.record.notAfter + keepRetiredMs + 1), 1)
    assert.deepEqual([await isThere(app, old), await isThere(app, used)], [false, true])
    assert.equal((await indexed()).length, before - 1)
    assert.equal((await findCertificate(engine.store.db, used.record.id))?.predecessorId, null)
    const [fact] = await recentFacts(engine.store.db, { limit: 1 })
    assert.equal(fact?.action, 'certificate.forgotten')
    await seal(engine, clock.now())
    assert.deepEqual((await verifyAuditLog(engine, {})).findings, [])
  })

  test('a revoked one stays as long; a live one that ended and that nobody renewed goes then too', async () => {
    const app = await start({
      settings: { renewal: { ...defaultRenewalSettings, isAutomatic: false } },
    })
    const { engine } = app
    const [revoked, lapsed] = [await enrolDevice(engine, 'SN-1'), await enrolDevice(engine, 'SN-2')]
    await engine.store.transaction(async (tx) => {
      const change = { status: 'revoked', reason: 'keyCompromise', revokedAt: app.clock.now() } as const
      await setStatus(tx, revoked.record.id, change)
    })
    const ends = [revoked, lapsed].map(({ record }) => record.notAfter)
    assert.equal(await until(app, Math.min(...ends) + keepRetiredMs), 0)
    assert.equal(await until(app, Math.max(...ends) + keepRetiredMs + dayMs), 2)
    assert.deepEqual([await isThere(app, revoked), await isThere(app, lapsed)], [false, false])
  })
})

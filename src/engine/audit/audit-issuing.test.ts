/** What the engine itself writes, held against the check: issuers, devices, enrolments and renewals leave a log that verifies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, renew, testEngine, windowOpensAt } from '../../../test/helpers/app.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { readFact } from './audit.ts'
import { proveCertificate } from './audit-prove.ts'
import { verifyAuditLog } from './audit-verify.ts'
import { seal } from './seal.ts'
import { noteVerifier } from './signed-note.ts'
import { verifyProof } from './tlog-proof.ts'

forEachStore((_, open) => {
  test('a fleet that enrolled and renewed verifies, sealed or not, and each issuance can be proved', async () => {
    const { engine, clock, close } = await testEngine({ store: await open() })
    const first = await enrolDevice(engine, 'SN-1')
    await enrolDevice(engine, 'SN-2')
    await seal(engine, clock.now())
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const next = await renew(engine, first)

    const before = await verifyAuditLog(engine)
    assert.deepEqual(before.findings, [])
    assert.ok(before.unsealed > 0 && before.size > 0)
    await seal(engine, clock.now())
    const after = await verifyAuditLog(engine)
    assert.deepEqual([after.findings, after.unsealed], [[], 0])
    assert.equal(after.size, before.size + before.unsealed)
    assert.equal(after.certificates, 5, 'root, issuing CA and three of devices')

    for (const { record } of [first, next]) {
      const proof = await proveCertificate(engine, record.serialNumber)
      const { entry } = verifyProof(proof, noteVerifier(engine.audit.signer))
      assert.equal(readFact(entry).details['deviceId'], 'SN-1')
    }
    await close()
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addCertificate, auditLog, change, found, startOfTests } from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { sha256Hex } from '../../base/bytes.ts'
import { fact, recordFacts, subjects } from './audit.ts'
import { verifyAuditLog } from './audit-verify.ts'
import { seal, type SealContext } from './seal.ts'
import type { Store } from '../../store/open.ts'

/** Four certificates and the facts of their issuance, sealed. */
async function sealedLog(store: Store): Promise<SealContext> {
  const log = auditLog(store)
  for (let i = 0; i < 4; i += 1) await addCertificate(store)
  await seal(log, startOfTests)
  return log
}

forEachStore((_, open) => {
  test('finds nothing where inventory and log say the same', async () => {
    const log = await sealedLog(await open())
    await addCertificate(log.store)
    const report = await verifyAuditLog(log)
    assert.deepEqual([report.findings, report.certificates, report.unsealed], [[], 5, 1])
  })

  test('finds a certificate that nobody recorded', async () => {
    const log = await sealedLog(await open())
    const { serialNumber } = await addCertificate(log.store, { withFact: false })
    const report = await verifyAuditLog(log)
    assert.deepEqual(found(report), [['certificate-without-fact', null]])
    assert.ok(report.findings[0]?.detail.includes(serialNumber))
  })

  test('finds an issuance without its certificate, sealed or not', async () => {
    const log = await sealedLog(await open())
    const sealed = await addCertificate(log.store)
    await seal(log, startOfTests)
    const unsealed = await addCertificate(log.store)
    for (const { id } of [sealed, unsealed]) {
      await change(log.store, (tx) => tx.deleteFrom('certificates').where('id', '=', id).execute())
    }
    assert.deepEqual(found(await verifyAuditLog(log)), [
      ['fact-without-certificate', 4],
      ['fact-without-certificate', null],
    ])
  })

  test('finds a certificate set back to abandoned after it was issued', async () => {
    const log = await sealedLog(await open())
    const { id } = await addCertificate(log.store)
    await seal(log, startOfTests)
    await change(log.store, (tx) =>
      tx.updateTable('certificates').set({ status: 'abandoned' }).where('id', '=', id).execute(),
    )
    assert.deepEqual(found(await verifyAuditLog(log)), [['fact-without-certificate', 4]])
  })

  test('finds a certificate that was exchanged in the inventory', async () => {
    const log = await sealedLog(await open())
    const { id } = await addCertificate(log.store)
    await seal(log, startOfTests)
    await change(log.store, (tx) =>
      tx
        .updateTable('certificates')
        .set({ der: Buffer.from('another') })
        .where('id', '=', id)
        .execute(),
    )
    assert.deepEqual(found(await verifyAuditLog(log)), [['certificate-changed', 4]])
  })

  test('finds an issuance that was recorded twice', async () => {
    const log = await sealedLog(await open())
    const { issuerId, serialNumber, der } = await addCertificate(log.store)
    const subject = subjects.certificate(issuerId, serialNumber)
    const again = {
      actor: 'system',
      action: 'certificate.issued',
      subject,
      details: { sha256: sha256Hex(der) },
    } as const
    await change(log.store, (tx) => recordFacts(tx, fact(startOfTests + 1, again)))
    await seal(log, startOfTests)
    assert.deepEqual(found(await verifyAuditLog(log)), [['fact-without-certificate', 5]])
  })

  test('asks for no fact about certificates that were never handed out', async () => {
    const log = await sealedLog(await open())
    await addCertificate(log.store, { status: 'abandoned', withFact: false })
    assert.ok((await verifyAuditLog(log)).isValid)
  })
})

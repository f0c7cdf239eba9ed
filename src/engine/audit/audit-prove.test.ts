import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addCertificate,
  addFacts,
  auditLog,
  startOfTests,
  testSigner,
} from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import type { IssuerId, SerialNumber } from '../../base/id.ts'
import { readFact } from './audit.ts'
import { proveCertificate, proveEntry } from './audit-prove.ts'
import { seal, type SealContext } from './seal.ts'
import { encodeVerifierKey, noteVerifier, parseVerifierKey } from './signed-note.ts'
import { formatProof, parseProof, verifyProof } from './tlog-proof.ts'

forEachStore((_, open) => {
  async function logWithCertificate(): Promise<{
    log: SealContext
    serialNumber: SerialNumber
    proof: string
  }> {
    const log = auditLog(await open())
    await addFacts(log.store, 290)
    const { serialNumber } = await addCertificate(log.store)
    await addFacts(log.store, 300)
    await seal(log, startOfTests)
    return { log, serialNumber, proof: await proveCertificate(log, serialNumber) }
  }

  test('proves the issuance of a certificate to anyone who has the key', async () => {
    const { log, serialNumber, proof } = await logWithCertificate()
    const proven = verifyProof(proof, parseVerifierKey(encodeVerifierKey(log.audit.signer)))
    assert.equal(proven.index, 290)
    assert.equal(proven.checkpoint.size, 591)
    const fact = readFact(proven.entry)
    assert.equal(fact.action, 'certificate.issued')
    assert.equal(fact.subject, `certificate:issuing/${serialNumber}`)
  })

  test('a proof with anything changed does not verify', async () => {
    const { log, proof } = await logWithCertificate()
    const verifier = noteVerifier(log.audit.signer)
    const parts = parseProof(proof)
    const other = parts.hashes.with(3, Buffer.alloc(32))
    for (const [bad, code] of [
      [formatProof({ ...parts, entry: Buffer.from('{}') }), 'audit-invalid'],
      [formatProof({ ...parts, index: 291 }), 'audit-invalid'],
      [formatProof({ ...parts, index: 591 }), 'audit-invalid'],
      [formatProof({ ...parts, hashes: parts.hashes.slice(1) }), 'audit-invalid'],
      [formatProof({ ...parts, hashes: other }), 'audit-invalid'],
      [formatProof({ ...parts, note: parts.note.replace('\n591\n', '\n592\n') }), 'bad-signature'],
    ] as const) {
      assert.throws(() => verifyProof(bad, verifier), { code })
    }
    assert.throws(() => verifyProof(proof, noteVerifier(testSigner())), { code: 'bad-signature' })
  })

  test('says that an issuance is not sealed yet, or that nobody recorded it, or that there is none', async () => {
    const { log } = await logWithCertificate()
    const waiting = await addCertificate(log.store)
    const unknown = await addCertificate(log.store, { withFact: false })
    const refused = (serial: string, message: RegExp) =>
      assert.rejects(proveCertificate(log, serial as SerialNumber), { code: 'not-found', message })
    await refused(waiting.serialNumber, /not sealed yet/)
    await refused(unknown.serialNumber, /nobody recorded/)
    await refused('ffffff', /no certificate ffffff/)
    await assert.rejects(proveCertificate(log, waiting.serialNumber, 'other' as IssuerId), {
      code: 'not-found',
    })
    await seal(log, startOfTests)
    assert.match(await proveCertificate(log, waiting.serialNumber), /^c2sp\.org\/tlog-proof@v1\n/)
  })

  test('proves any entry under the checkpoint, and none after it', async () => {
    const { log } = await logWithCertificate()
    const verifier = noteVerifier(log.audit.signer)
    for (const index of [0, 255, 256, 590]) {
      assert.equal(verifyProof(await proveEntry(log, index), verifier).index, index)
    }
    await assert.rejects(proveEntry(log, 591), { code: 'not-found' })
  })

  test('refuses to hand out a proof that would not verify', async () => {
    const { log, serialNumber } = await logWithCertificate()
    await log.store.transaction(async (tx) => {
      await tx
        .updateTable('facts')
        .set({ entry: Buffer.from('{}') })
        .where('log_index', '=', 290)
        .execute()
    })
    await assert.rejects(proveCertificate(log, serialNumber), { code: 'audit-invalid' })
  })

  test('refuses when nothing is sealed', async () => {
    const log = auditLog(await open())
    await assert.rejects(proveEntry(log, 0), { code: 'not-found', message: /nothing is sealed/ })
  })
})
